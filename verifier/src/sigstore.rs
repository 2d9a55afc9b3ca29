//! Sigstore signatures against a [`TrustRoot`]: keyless (Fulcio certificates), and by a key with a log entry.
//!
//! Every function takes raw bytes and answers with what was proven, or with the first step that failed. No clock is read: the
//! times are those that a timestamp authority or the log's promise vouches for, and whoever decides compares them with its own
//! `now` (a time in the future is a reason to deny). The order is that of sigstore/architecture-docs, client-spec.md, section 4:
//!
//! 1. times of signing: every timestamp, every promise; one that is there and wrong is an error;
//! 2. the certificate chains to an authority that counted then, at *every* such time, for code signing;
//! 3. a CT log has seen the certificate (SCT);
//! 4. every log entry: inclusion proof, checkpoint, key window, and that its body is about this signature;
//! 5. the signature;
//! 6. what is signed is the artifact.
//!
//! A root that lists no CT log, or no transparency log (GitHub's own), asks for none; it is the operator who chose it.

mod artifact;
mod body;
mod certificate;
mod checkpoint;
mod error;
mod legacy;
mod log_entry;
mod material;
mod merkle;
mod path;
mod pem;
mod sct;
mod timestamp;
mod trust_root;
mod window;

pub use artifact::Artifact;
pub use certificate::{CertificateIdentity, Claims};
pub use error::{CertificateError, VerifyError};
pub use legacy::{Annotations, BUNDLE, CHAIN, TIMESTAMP};
pub use path::PathError;
pub use timestamp::TimestampError;
pub use trust_root::{TrustRoot, TrustRootError};

use artifact::Signed;
use body::Signer;
use certificate::SigningCertificate;
use material::Material;

use crate::bundle::Bundle;
use crate::dsse::Envelope;
use crate::key::PublicKey;
use crate::time::Timestamp;

/// A keyless signature that holds: whose it is remains to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyless {
    /// What the certificate says.
    pub identity: CertificateIdentity,
    /// The signed in-toto statement, which names the artifact; `None` where the artifact itself is signed.
    pub statement: Option<Vec<u8>>,
}

/// A signature by a key, with a log entry, that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The earliest verified time of signing. `None` where the only log is Rekor v2, which knows no time, and no timestamp
    /// authority was asked; a key needs none (rekor-v2-spec, "Timestamps").
    pub signed_at: Option<Timestamp>,
    /// The signed in-toto statement, which names the artifact; `None` where the artifact itself is signed.
    pub statement: Option<Vec<u8>>,
}

/// Verifies a bundle (v0.1 to v0.3) with certificate material: a message signature over `artifact`, or a DSSE envelope with an
/// in-toto statement that names it.
///
/// # Errors
/// The first step that failed.
pub fn verify_certificate(bundle: &[u8], artifact: Artifact<'_>, root: &TrustRoot) -> Result<Keyless, VerifyError> {
    let parsed = Bundle::parse(bundle)?;
    keyless(&Material::parse(bundle)?, &Signed::of(&parsed, artifact)?, artifact, root)
}

/// Whose certificate this is, once it is known to come from an authority of `root` that counts at `at` and to have been shown to a CT
/// log: what a signer asks before it signs with a certificate that was just issued. `chain`: the certificate first, then intermediates.
///
/// # Errors
/// The first step that failed.
pub fn verify_issued(chain: &[Vec<u8>], root: &TrustRoot, at: Timestamp) -> Result<CertificateIdentity, VerifyError> {
    let (leaf, intermediates) = chain.split_first().ok_or(VerifyError::Shape { expected: "a signing certificate" })?;
    let certificate = SigningCertificate::parse(leaf)?;
    let issuer = self::chain(&certificate, intermediates, at, root)?;
    if root.lists_ct_logs {
        sct::verify(&certificate.parsed.tbs_certificate, &issuer, &root.ct_logs)?;
    }
    Ok(certificate.identity(at))
}

/// Verifies a bundle whose key both sides know, with its log entries and timestamps: what a policy asks for with
/// `log: required`. At least one log entry.
///
/// # Errors
/// The first step that failed.
pub fn verify_key_logged(bundle: &[u8], artifact: Artifact<'_>, key: &PublicKey, root: &TrustRoot) -> Result<Logged, VerifyError> {
    let parsed = Bundle::parse(bundle)?;
    let material = Material::parse(bundle)?;
    if !material.certificates.is_empty() {
        return Err(VerifyError::Shape { expected: "a public key, no certificate" });
    }
    logged(&material, &Signed::of(&parsed, artifact)?, artifact, key, root)
}

/// Verifies cosign's older keyless signature: `payload` (simple signing) and the annotations of its layer. What the payload
/// names is the caller's to compare ([`crate::simple_signing::Payload`]).
///
/// # Errors
/// The first step that failed.
pub fn verify_legacy_certificate(payload: &[u8], annotations: Annotations<'_>, root: &TrustRoot) -> Result<Keyless, VerifyError> {
    let (artifact, signature) = (Artifact::Bytes(payload), annotations.signature()?);
    keyless(&annotations.material()?, &Signed::Message { artifact, signature: &signature }, artifact, root)
}

/// Verifies cosign's older signature by a key, with its log entry. What the payload names is the caller's to compare.
///
/// # Errors
/// The first step that failed.
pub fn verify_legacy_key_logged(
    payload: &[u8],
    annotations: Annotations<'_>,
    key: &PublicKey,
    root: &TrustRoot,
) -> Result<Logged, VerifyError> {
    let (artifact, signature) = (Artifact::Bytes(payload), annotations.signature()?);
    logged(&annotations.material()?, &Signed::Message { artifact, signature: &signature }, artifact, key, root)
}

/// Verifies a keyless attestation as cosign's `.att` tags hold it: a DSSE envelope, as the layer's bytes, with annotations.
///
/// # Errors
/// The first step that failed.
pub fn verify_legacy_attestation_certificate(
    envelope: &[u8],
    annotations: Annotations<'_>,
    artifact: Artifact<'_>,
    root: &TrustRoot,
) -> Result<Keyless, VerifyError> {
    let parsed = Envelope::parse(envelope)?;
    keyless(&annotations.material()?, &Signed::dsse(&parsed, Some(envelope))?, artifact, root)
}

/// Verifies an attestation by a key, with its log entry, as cosign's `.att` tags hold it.
///
/// # Errors
/// The first step that failed.
pub fn verify_legacy_attestation_key_logged(
    envelope: &[u8],
    annotations: Annotations<'_>,
    artifact: Artifact<'_>,
    key: &PublicKey,
    root: &TrustRoot,
) -> Result<Logged, VerifyError> {
    let parsed = Envelope::parse(envelope)?;
    logged(&annotations.material()?, &Signed::dsse(&parsed, Some(envelope))?, artifact, key, root)
}

fn keyless(material: &Material, signed: &Signed<'_>, artifact: Artifact<'_>, root: &TrustRoot) -> Result<Keyless, VerifyError> {
    let (leaf, intermediates) = material.certificates.split_first().ok_or(VerifyError::Shape { expected: "a signing certificate" })?;
    let certificate = SigningCertificate::parse(leaf)?;
    // Step 1
    let times = times(material, signed, root)?;
    let signed_at = *times.first().ok_or(VerifyError::NoTime)?;
    // Step 2: at every time, so that one that is backdated vouches for nothing.
    let mut issuer = Vec::new();
    for at in &times {
        issuer = chain(&certificate, intermediates, *at, root)?;
    }
    // Step 3
    if root.lists_ct_logs {
        sct::verify(&certificate.parsed.tbs_certificate, &issuer, &root.ct_logs)?;
    }
    // Steps 4 to 6
    if root.lists_logs && material.entries.is_empty() {
        return Err(VerifyError::NoEntry);
    }
    for entry in &material.entries {
        entry.verify(root, &times, signed, &Signer::Certificate(leaf))?;
    }
    signed.verify(&certificate.key)?;
    let statement = signed.statement(artifact)?;
    Ok(Keyless { identity: certificate.identity(signed_at), statement })
}

fn logged(
    material: &Material,
    signed: &Signed<'_>,
    artifact: Artifact<'_>,
    key: &PublicKey,
    root: &TrustRoot,
) -> Result<Logged, VerifyError> {
    let times = times(material, signed, root)?;
    if material.entries.is_empty() {
        return Err(VerifyError::NoEntry);
    }
    for entry in &material.entries {
        entry.verify(root, &times, signed, &Signer::Key(key))?;
    }
    signed.verify(key)?;
    Ok(Logged { signed_at: times.first().copied(), statement: signed.statement(artifact)? })
}

/// All verified times of signing, the earliest first. Each source that is there has to hold.
fn times(material: &Material, signed: &Signed<'_>, root: &TrustRoot) -> Result<Vec<Timestamp>, VerifyError> {
    let mut times = Vec::new();
    for token in &material.timestamps {
        let time = timestamp::verify(token, signed.signature(), &root.timestamp_authorities);
        times.push(match (time, signed.raw()) {
            // cosign has the envelope of an `.att` layer stamped, which holds the signature (pkg/cosign, VerifyRFC3161Timestamp).
            (Err(TimestampError::Imprint), Some(envelope)) => timestamp::verify(token, envelope, &root.timestamp_authorities)?,
            (time, _) => time?,
        });
    }
    for entry in &material.entries {
        times.extend(entry.promised_time(root)?);
    }
    times.sort_unstable();
    times.dedup();
    Ok(times)
}

/// The DER SubjectPublicKeyInfo of the authority that issued the certificate, as seen at `at`.
fn chain(certificate: &SigningCertificate, intermediates: &[Vec<u8>], at: Timestamp, root: &TrustRoot) -> Result<Vec<u8>, VerifyError> {
    let mut failure = VerifyError::NoAuthority { at };
    for authority in &root.authorities {
        match authority.issued(&certificate.der, intermediates, at) {
            Some(Ok(issuer)) => return Ok(issuer),
            Some(Err(error)) => failure = error.into(),
            None => {}
        }
    }
    Err(failure)
}
