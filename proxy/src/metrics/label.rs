//! The closed sets that label values come from.

use http::StatusCode;
use sealgate_verifier::Reason;

/// The element of a table that has one for each member of a set.
pub(super) fn at<T, const N: usize>(table: &[T; N], index: usize) -> &T {
    // `index` comes from a set of N members. The remainder keeps a mistake from becoming a panic.
    &table[index % N]
}

macro_rules! labels {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// Every member.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// The label's value.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Its place in `ALL`.
            pub(super) const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

labels! {
    /// What a request was for.
    Endpoint {
        /// `/v2/`
        Base = "base",
        /// A manifest, by tag or digest.
        Manifest = "manifest",
        /// A blob.
        Blob = "blob",
        /// An upload of a blob.
        Upload = "upload",
        /// A list of tags.
        Tags = "tags",
        /// A list of referrers.
        Referrers = "referrers",
        /// The token endpoint.
        Token = "token",
        /// Health and readiness.
        Health = "health",
        /// The admin API and its pages.
        Admin = "admin",
        /// The control socket.
        Control = "control",
        /// Anything else.
        Other = "other",
    }
}

labels! {
    /// The first digit of a status.
    StatusClass {
        /// 1xx
        Informational = "1xx",
        /// 2xx
        Success = "2xx",
        /// 3xx
        Redirection = "3xx",
        /// 4xx
        ClientError = "4xx",
        /// 5xx and what no RFC knows.
        ServerError = "5xx",
    }
}

impl StatusClass {
    /// The class of a status.
    #[must_use]
    pub fn of(status: StatusCode) -> Self {
        match status.as_u16() / 100 {
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

labels! {
    /// What was decided.
    DecisionOutcome {
        /// Served.
        Admit = "admit",
        /// Refused.
        Deny = "deny",
        /// Served, since the rule is in audit mode.
        AuditDeny = "audit-deny",
    }
}

labels! {
    /// The first reason of a denial.
    ReasonKind {
        /// Not a denial.
        None = "none",
        /// See [`Reason::NoRule`].
        NoRule = "no-rule",
        /// See [`Reason::DeniedByRule`].
        DeniedByRule = "denied-by-rule",
        /// See [`Reason::DigestNotListed`].
        DigestNotListed = "digest-not-listed",
        /// See [`Reason::Unsigned`].
        Unsigned = "unsigned",
        /// See [`Reason::SignaturesDoNotSatisfy`].
        SignaturesDoNotSatisfy = "signatures-do-not-satisfy",
        /// See [`Reason::EvidenceMissing`].
        EvidenceMissing = "evidence-missing",
        /// See [`Reason::Unattested`].
        Unattested = "unattested",
        /// See [`Reason::AttestationsDoNotSatisfy`].
        AttestationsDoNotSatisfy = "attestations-do-not-satisfy",
        /// See [`Reason::AttestationSaysOtherwise`].
        AttestationSaysOtherwise = "attestation-says-otherwise",
        /// See [`Reason::AttestationOutOfTime`].
        AttestationOutOfTime = "attestation-out-of-time",
        /// See [`Reason::NoAlternative`].
        NoAlternative = "no-alternative",
        /// See [`Reason::BadManifest`].
        BadManifest = "bad-manifest",
        /// See [`Reason::Vulnerable`].
        Vulnerable = "vulnerable",
        /// See [`Reason::Uncovered`].
        Uncovered = "uncovered",
        /// See [`Reason::SecretFound`].
        SecretFound = "secret-found",
        /// See [`Reason::ContentsDoNotSatisfy`].
        ContentsDoNotSatisfy = "contents-do-not-satisfy",
        /// See [`Reason::TooYoung`].
        TooYoung = "too-young",
        /// See [`Reason::ChildDenied`].
        ChildDenied = "child-denied",
        /// See [`Reason::NoPlatform`].
        NoPlatform = "no-platform",
    }
}

impl From<&Reason> for ReasonKind {
    fn from(reason: &Reason) -> Self {
        match reason {
            Reason::NoRule => Self::NoRule,
            Reason::DeniedByRule => Self::DeniedByRule,
            Reason::DigestNotListed { .. } => Self::DigestNotListed,
            Reason::Unsigned { .. } => Self::Unsigned,
            Reason::SignaturesDoNotSatisfy { .. } => Self::SignaturesDoNotSatisfy,
            Reason::EvidenceMissing { .. } => Self::EvidenceMissing,
            Reason::Unattested { .. } => Self::Unattested,
            Reason::AttestationsDoNotSatisfy { .. } => Self::AttestationsDoNotSatisfy,
            Reason::AttestationSaysOtherwise { .. } => Self::AttestationSaysOtherwise,
            Reason::AttestationOutOfTime { .. } => Self::AttestationOutOfTime,
            Reason::NoAlternative { .. } => Self::NoAlternative,
            Reason::BadManifest { .. } => Self::BadManifest,
            Reason::Vulnerable { .. } => Self::Vulnerable,
            Reason::Uncovered { .. } => Self::Uncovered,
            Reason::SecretFound { .. } => Self::SecretFound,
            Reason::ContentsDoNotSatisfy { .. } => Self::ContentsDoNotSatisfy,
            Reason::TooYoung { .. } => Self::TooYoung,
            Reason::ChildDenied { .. } => Self::ChildDenied,
            Reason::NoPlatform { .. } => Self::NoPlatform,
        }
    }
}

labels! {
    /// What an upstream was asked for.
    UpstreamKind {
        /// HEAD of a tag.
        Resolve = "resolve",
        /// GET of a manifest.
        Manifest = "manifest",
        /// GET of a blob.
        Blob = "blob",
        /// Evidence: signature tags, referrers and what they name.
        Evidence = "evidence",
        /// A list of tags.
        Tags = "tags",
        /// A token.
        Token = "token",
    }
}

labels! {
    /// What came of a request to an upstream.
    UpstreamResult {
        /// As asked for.
        Ok = "ok",
        /// 404.
        NotFound = "not-found",
        /// 401 or 403.
        Unauthorized = "unauthorized",
        /// 429.
        RateLimited = "rate-limited",
        /// 5xx, or another status that makes no sense.
        ServerError = "server-error",
        /// No answer in time.
        Timeout = "timeout",
        /// Not reachable, or cut.
        Network = "network",
        /// Bytes that are not what their digest or size says.
        BadBytes = "bad-bytes",
    }
}

labels! {
    /// What came of a password, token or other credential.
    AuthenticationOutcome {
        /// Right.
        Succeeded = "succeeded",
        /// Wrong.
        Failed = "failed",
        /// Not looked at: the client was wrong too often, or too many wait.
        Limited = "limited",
    }
}

labels! {
    /// One of the server's listeners.
    Listener {
        /// Where images are pulled.
        Gate = "gate",
        /// Admin pages and API.
        Admin = "admin",
        /// The control socket.
        Control = "control",
    }
}

labels! {
    /// Where a client was too slow.
    Phase {
        /// TLS handshake.
        Handshake = "handshake",
        /// Request head.
        Head = "head",
        /// Reading a response.
        Write = "write",
    }
}
