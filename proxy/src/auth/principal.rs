//! Who a request is from.

use std::fmt;
use std::sync::Arc;

/// An authenticated identity, or none. Two requests are from the same client when their principals are equal; no part is secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Nobody said who they are.
    Anonymous,
    /// A user of the htpasswd file.
    User(Arc<str>),
    /// Whoever holds a token that `sealgate token create` made.
    Token {
        /// The token's name.
        name: Arc<str>,
        /// The token's identifier.
        id: Arc<str>,
    },
    /// The holder of a client certificate, by its subject alternative name or its common name.
    Certificate(Arc<str>),
    /// A CI job with an OIDC identity token.
    Workload {
        /// The name of the entry of `auth.oidc` that it matches.
        name: Arc<str>,
        /// The token's `sub`.
        subject: Arc<str>,
    },
}

impl Principal {
    /// Whether nobody said who they are.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// The name that the ledger records; none for whoever is anonymous.
    #[must_use]
    pub fn recorded(&self) -> Option<String> {
        (!self.is_anonymous()).then(|| self.to_string())
    }

    /// The kind, as `who:` of a grant writes it before the colon.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User(_) => "user",
            Self::Token { .. } => "token",
            Self::Certificate(_) => "certificate",
            Self::Workload { .. } => "oidc",
        }
    }

    /// Kind, name and subject, as a bearer token carries them.
    pub(super) fn parts(&self) -> (&'static str, String, String) {
        let (name, subject): (&str, &str) = match self {
            Self::Anonymous => ("", ""),
            Self::User(name) | Self::Certificate(name) => (name, ""),
            Self::Token { name, id } => (name, id),
            Self::Workload { name, subject } => (name, subject),
        };
        (self.kind(), name.to_owned(), subject.to_owned())
    }
}

/// `user:alice`, `token:ci#3f…`, `oidc:release#repo:acme/app:ref:refs/heads/main`. One spelling for one principal: names hold no `#`.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::User(name) | Self::Certificate(name) => write!(f, "{}:{name}", self.kind()),
            Self::Token { name, id } => write!(f, "token:{name}#{id}"),
            Self::Workload { name, subject } => write!(f, "oidc:{name}#{subject}"),
        }
    }
}
