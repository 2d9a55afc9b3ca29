//! `trusted_root.json` (sigstore/protobuf-specs, `sigstore_trustroot.proto`): whom an instance of Sigstore consists of.

use rustls_pki_types::CertificateDer;

use super::path::{self, Anchor, PathError};
use super::timestamp::Authority;
use super::window::Window;
use crate::digest::Digest;
use crate::key::PublicKey;
use crate::time::Timestamp;

#[cfg(test)]
mod tests;
mod wire;

pub use wire::TrustRootError;

/// Trust material of one Sigstore instance: certificate authorities, CT logs, transparency logs, timestamp authorities.
///
/// The operator chooses it, never an image. Keys of kinds that cannot be verified are left out: what only they vouch for is denied.
#[derive(Debug, Clone)]
pub struct TrustRoot {
    pub(super) authorities: Vec<CertificateAuthority>,
    pub(super) ct_logs: Vec<LogKey>,
    pub(super) logs: Vec<TransparencyLog>,
    pub(super) timestamp_authorities: Vec<Authority>,
    /// Whether the document lists CT logs, also such as cannot be verified.
    pub(super) lists_ct_logs: bool,
    /// Whether the document lists transparency logs, also such as cannot be verified.
    pub(super) lists_logs: bool,
    digest: Digest,
}

/// The public-good instance of Sigstore, as sigstore-trust-root 0.15.1 embeds it (Apache-2.0).
const PUBLIC: &[u8] = include_bytes!("public-good.trusted_root.json");
/// GitHub's own instance, from the same place.
const GITHUB: &[u8] = include_bytes!("github.trusted_root.json");

impl TrustRoot {
    /// The day on which the embedded root of [`Self::public`] was last known to be current: that of the release it comes from.
    pub const PUBLIC_DATE: &str = "2026-10-23";
    /// Likewise of [`Self::github`].
    pub const GITHUB_DATE: &str = "2026-10-23";

    /// Reads a `trusted_root.json`.
    ///
    /// # Errors
    /// When it is none, or part of it is malformed: half a trust root is none.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TrustRootError> {
        wire::read(bytes)
    }

    /// The public-good instance, embedded.
    ///
    /// # Errors
    /// Never: a test reads it.
    pub fn public() -> Result<Self, TrustRootError> {
        Self::from_json(PUBLIC)
    }

    /// GitHub's own instance, which signs the attestations of private repositories, embedded.
    ///
    /// # Errors
    /// Never: a test reads it.
    pub fn github() -> Result<Self, TrustRootError> {
        Self::from_json(GITHUB)
    }

    /// SHA-256 of the document: its version, for keys of caches.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

/// A certificate authority (Fulcio).
#[derive(Debug, Clone)]
pub(super) struct CertificateAuthority {
    anchor: Anchor,
    intermediates: Vec<CertificateDer<'static>>,
    window: Window,
}

impl CertificateAuthority {
    /// `chain`: from the issuing certificate to the root, at least one.
    fn new(chain: &[Vec<u8>], window: Window) -> Option<Self> {
        let (root, intermediates) = chain.split_last()?;
        let intermediates = intermediates.iter().map(|der| CertificateDer::from(der.clone())).collect();
        Some(Self { anchor: Anchor::new(root)?, intermediates, window })
    }

    /// Whether it issued `leaf`, as seen at `at`; `extra` are untrusted intermediates. Answers with the issuer's DER
    /// SubjectPublicKeyInfo.
    pub(super) fn issued(&self, leaf: &[u8], extra: &[Vec<u8>], at: Timestamp) -> Option<Result<Vec<u8>, PathError>> {
        if !self.window.contains(at) {
            return None;
        }
        let intermediates: Vec<_> = self
            .intermediates
            .iter()
            .map(|der| CertificateDer::from(der.as_ref()))
            .chain(extra.iter().map(|der| CertificateDer::from(&**der)))
            .collect();
        Some(self.anchor.reach(leaf, &intermediates, at, &path::CODE_SIGNING))
    }
}

/// The key of a log.
#[derive(Debug, Clone)]
pub(super) struct LogKey {
    /// SHA-256 of the SubjectPublicKeyInfo (RFC 6962, section 3.2), or the key id of a signed note's key (C2SP signed-note).
    pub(super) id: Vec<u8>,
    pub(super) key: PublicKey,
    pub(super) window: Window,
}

/// A transparency log (Rekor).
#[derive(Debug, Clone)]
pub(super) struct TransparencyLog {
    pub(super) key: LogKey,
    /// Host and port of its base URL: the origin of a Rekor v2 log's checkpoints.
    pub(super) host: String,
}
