//! A decision on one manifest, and the only way from it to bytes for a client.

use bytes::Bytes;
use http::HeaderValue;
use sealgate_verifier::{Admission, Denial, Digest, Manifest, Repository, Timestamp};

/// Which load of the policy decides, and after how many pushes to the places that its rule reads. Two numbers and no sum: another
/// policy may read fewer places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Edition {
    /// Loads of the policy before this one, since the start.
    pub load: u64,
    /// Pushes to the repository and to those of `signatures-from`, since the start.
    pub pushes: u64,
}

/// What the gate holds about one decided manifest.
#[derive(Debug)]
pub struct Decided {
    /// The repository in which it was decided.
    pub repository: Repository,
    /// The manifest's digest.
    pub digest: Digest,
    /// The manifest, parsed.
    pub manifest: Manifest,
    /// What was decided.
    pub outcome: Outcome,
    /// What it was decided by. A decision of another edition counts for nothing.
    pub edition: Edition,
    /// From this time on it must be decided anew.
    pub valid_until: Timestamp,
    /// Identifier of the recorded decision.
    pub id: String,
    /// The one line that denials and audit warnings show.
    pub line: String,
    bytes: Bytes,
    headers: ManifestHeaders,
}

/// The outcome of a decision, as the gate acts on it.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The policy admits it.
    Admitted(Admission),
    /// Evidence (by its bytes) about an admitted subject (DESIGN §6).
    Evidence {
        /// The admitted subject.
        subject: Digest,
    },
    /// The policy denies it and is in audit mode: served with a warning, recorded as denied.
    Audited(Denial),
    /// Its admission ended by time, not by policy, and what is under way may finish (DESIGN §7: 30 minutes). Blobs only.
    Leased {
        /// Why the admission ended.
        denial: Denial,
        /// When the lease ends.
        until: Timestamp,
    },
    /// The policy denies it.
    Denied(Denial),
}

impl Outcome {
    /// The word for logs, metrics and records.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Admitted(_) => "admitted",
            Self::Evidence { .. } => "evidence",
            Self::Audited(_) => "audited",
            Self::Leased { .. } => "leased",
            Self::Denied(_) => "denied",
        }
    }
}

/// Header values of a manifest response, made once per decision.
#[derive(Debug, Clone)]
pub struct ManifestHeaders {
    /// `Content-Type`.
    pub content_type: HeaderValue,
    /// `Docker-Content-Digest`.
    pub digest: HeaderValue,
    /// `ETag`: the digest in quotes.
    pub etag: HeaderValue,
    /// `Warning` of an audited decision.
    pub warning: Option<HeaderValue>,
}

impl ManifestHeaders {
    /// The headers of `manifest`, without a warning.
    pub(in crate::gate) fn of(manifest: &Manifest, digest: &Digest) -> Self {
        let text = digest.to_string();
        let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
        Self { content_type: value(manifest.media_type()), digest: value(&text), etag: value(&format!("\"{text}\"")), warning: None }
    }
}

/// The parts of a [`Decided`], before its bytes are locked in.
#[derive(Debug)]
pub struct DecidedParts {
    /// See [`Decided::repository`].
    pub repository: Repository,
    /// See [`Decided::digest`].
    pub digest: Digest,
    /// See [`Decided::manifest`].
    pub manifest: Manifest,
    /// See [`Decided::outcome`].
    pub outcome: Outcome,
    /// See [`Decided::edition`].
    pub edition: Edition,
    /// See [`Decided::valid_until`].
    pub valid_until: Timestamp,
    /// See [`Decided::id`].
    pub id: String,
    /// See [`Decided::line`].
    pub line: String,
    /// The manifest's bytes.
    pub bytes: Bytes,
}

/// Proof that bytes may leave the gate. Only [`Decided`] makes one.
#[derive(Debug, Clone)]
pub struct Admitted<T>(T);

impl<T> Admitted<T> {
    /// The admitted value.
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// The admitted value.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// Several admitted values in one; none at all says nothing.
    pub(in crate::gate) fn all(values: impl IntoIterator<Item = Self>) -> Admitted<Vec<T>> {
        Admitted(values.into_iter().map(|value| value.0).collect())
    }

    /// What the gate makes of an admitted value.
    pub(in crate::gate) fn map<U>(self, make: impl FnOnce(T) -> U) -> Admitted<U> {
        Admitted(make(self.0))
    }
}

/// A manifest as it leaves the gate.
#[derive(Debug, Clone)]
pub struct ServedManifest {
    /// Its digest.
    pub digest: Digest,
    /// The bytes, exactly as the upstream sent them.
    pub bytes: Bytes,
    /// The response's headers.
    pub headers: ManifestHeaders,
}

/// A blob that an admitted manifest lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServedBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its size, as the manifest says.
    pub size: u64,
}

impl Decided {
    /// Locks the bytes in.
    #[must_use]
    pub fn new(parts: DecidedParts) -> Self {
        let DecidedParts { repository, digest, manifest, outcome, edition, valid_until, id, line, bytes } = parts;
        let warning = match &outcome {
            Outcome::Audited(_) => HeaderValue::from_str(&format!("299 - \"{}\"", line.replace(['"', '\\'], "'"))).ok(),
            Outcome::Admitted(_) | Outcome::Evidence { .. } | Outcome::Leased { .. } | Outcome::Denied(_) => None,
        };
        let headers = ManifestHeaders { warning, ..ManifestHeaders::of(&manifest, &digest) };
        Self { repository, digest, manifest, outcome, edition, valid_until, id, line, bytes, headers }
    }

    /// Whether the decision still counts under the policy and pushes of `edition` at `now`.
    #[must_use]
    pub fn is_current(&self, edition: Edition, now: Timestamp) -> bool {
        self.edition == edition && now < self.valid_until
    }

    /// The manifest, where the decision lets it out.
    #[must_use]
    pub fn admitted_manifest(&self) -> Option<Admitted<ServedManifest>> {
        match self.outcome {
            Outcome::Admitted(_) | Outcome::Evidence { .. } | Outcome::Audited(_) => {
                Some(Admitted(ServedManifest { digest: self.digest, bytes: self.bytes.clone(), headers: self.headers.clone() }))
            }
            Outcome::Leased { .. } | Outcome::Denied(_) => None,
        }
    }

    /// The blob `digest`, where the decision lets it out and the manifest lists it.
    #[must_use]
    pub fn admitted_blob(&self, digest: &Digest) -> Option<Admitted<ServedBlob>> {
        match self.outcome {
            Outcome::Admitted(_) | Outcome::Evidence { .. } | Outcome::Audited(_) | Outcome::Leased { .. } => {}
            Outcome::Denied(_) => return None,
        }
        let Manifest::Image(image) = &self.manifest else { return None };
        let listed = std::iter::once(&image.config).chain(&image.layers).find(|descriptor| descriptor.digest == *digest)?;
        Some(Admitted(ServedBlob { digest: *digest, size: listed.size }))
    }

    /// The manifest's bytes, for deciding on what it lists. Not for clients.
    pub(in crate::gate) const fn undecided_bytes(&self) -> &Bytes {
        &self.bytes
    }
}
