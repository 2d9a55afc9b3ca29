//! Notary Project signatures, as `notation sign` makes them (notaryproject/specifications: signature-specification.md,
//! signature-envelope-jws.md, signature-envelope-cose.md, signing-scheme.md, trust-store-trust-policy.md).
//!
//! [`verify`] is pure and total: the time, the roots and the revocation lists are passed in, and every loop over foreign bytes
//! is bounded. Only DER, plain CBOR and canonical base64 are read, so that an envelope that verifies has one form.
//!
//! Not supported, and so refused: keys on P-521 (ES512), verification plugins, COSE hash envelopes, timestamp tokens in BER, OCSP, and
//! delta, indirect or partial revocation lists.

use crate::digest::Digest;
use crate::message::quote;
use crate::time::Timestamp;

mod algorithm;
mod asn1;
mod cbor;
mod certificate;
mod chain;
mod cose;
mod date;
mod envelope;
mod error;
mod identity;
mod jws;
mod level;
mod name;
mod payload;
mod revocation;
mod signer;
mod timestamp;

pub use algorithm::{AlgorithmError, EnvelopeAlgorithm};
pub use asn1::Asn1Error;
pub use cbor::CborError;
pub use certificate::CertificateError;
pub use cose::CoseError;
pub use error::{NotationError, RevocationGap, Warning};
pub use identity::{IdentityError, IdentityPattern};
pub use level::{Level, RevocationCheck, TimestampCheck, Validation};
pub use name::{Name, NameError};
pub use payload::Target;
pub use revocation::RevocationListError;
pub use signer::{NotationSigner, SignerError, StoreError, StoreKind, TrustStore};
pub use timestamp::TimestampError;

use chain::{Chain, Purpose};
use envelope::{Envelope, Scheme};
use revocation::earliest;

/// A signature that [`verify`] let pass: the only way to get one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedNotation {
    root: Digest,
    subject: String,
    signed_at: Option<Timestamp>,
    valid_until: Option<Timestamp>,
    warnings: Vec<Warning>,
}

impl VerifiedNotation {
    /// SHA-256 of the chain's root certificate. With [`Self::subject`], the principal.
    #[must_use]
    pub const fn root(&self) -> Digest {
        self.root
    }

    /// The signing certificate's subject, in one form whatever the order of its parts: `C=US, ST=WA, O=Acme, CN=…`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// When it was signed at the latest, where a timestamp or a signing authority vouches for it.
    #[must_use]
    pub const fn signed_at(&self) -> Option<Timestamp> {
        self.signed_at
    }

    /// The last second at which it verifies with the same signer, where it is known: the earliest of its own expiry, the
    /// certificates' end where nothing vouches for the signing time, and the end of the revocation lists that were used.
    #[must_use]
    pub const fn valid_until(&self) -> Option<Timestamp> {
        self.valid_until
    }

    /// What failed and is not enforced at the signer's level.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Whether it is by one of the signer's identities under the signer's trust store. Always true at levels `strict` and
    /// `permissive`; at `audit` anybody's signature verifies, and one that is not authentic must not count as anybody's approval.
    #[must_use]
    pub fn is_authentic(&self) -> bool {
        !self.warnings.iter().any(|warning| warning.validation == Validation::Authenticity)
    }
}

/// Verifies that `envelope`, of type `media_type`, is a signature of `target` by `signer` that counts at `now`
/// (trust-store-trust-policy.md, "Steps").
///
/// # Errors
/// The first check that failed and that the signer's level enforces.
pub fn verify(
    envelope: &[u8],
    media_type: &str,
    target: &Target<'_>,
    signer: &NotationSigner,
    now: Timestamp,
) -> Result<VerifiedNotation, NotationError> {
    // Validate integrity.
    let envelope = Envelope::parse(envelope, media_type)?;
    let chain = Chain::parse(&envelope.certificates)?;
    check_integrity(&envelope, &chain, target)?;
    let mut outcome = Outcome { signer, now, warnings: Vec::new(), valid_until: None };
    // Validate authenticity.
    outcome.note(Validation::Authenticity, check_authenticity(&envelope, &chain, signer))?;
    // Validate expiry: "greater than or equal to expiry time".
    if let Some(expires) = envelope.attributes.expiry {
        let expired = if now >= expires { Err(NotationError::Expired { expires }) } else { Ok(()) };
        outcome.ends(Validation::Expiry, Some(expires.plus(-1)));
        outcome.note(Validation::Expiry, expired)?;
    }
    // Validate trusted timestamp.
    let time = outcome.check_time(&envelope, &chain);
    let signed_at = outcome.note(Validation::AuthenticTimestamp, time)?.flatten();
    // Validate revocation status.
    if signer.revocation == RevocationCheck::Check {
        let lists = revocation::check(&chain, &signer.store, signed_at, now);
        let ends = outcome.note(Validation::Revocation, lists)?.flatten();
        outcome.ends(Validation::Revocation, ends);
    }
    Ok(VerifiedNotation {
        root: chain.root().digest(),
        subject: chain.leaf().subject_text(),
        signed_at,
        valid_until: outcome.valid_until,
        warnings: outcome.warnings,
    })
}

fn check_integrity(envelope: &Envelope, chain: &Chain<'_>, target: &Target<'_>) -> Result<(), NotationError> {
    // The key says how it signs; the header must agree ("to mitigate algorithm substitution attacks").
    let key = &chain.leaf().key;
    let (expected, found) = (key.envelope_algorithm()?, envelope.attributes.algorithm);
    if expected != found {
        return Err(NotationError::Algorithm { expected, found });
    }
    if !key.signed_envelope(expected, &envelope.signed, &envelope.signature) {
        return Err(NotationError::Signature);
    }
    chain.check(Purpose::CodeSigning)?;
    payload::check(&envelope.payload, target)
}

fn check_authenticity(envelope: &Envelope, chain: &Chain<'_>, signer: &NotationSigner) -> Result<(), NotationError> {
    let store = match envelope.attributes.scheme {
        Scheme::X509 { .. } => StoreKind::Ca,
        Scheme::SigningAuthority { .. } => StoreKind::SigningAuthority,
    };
    let root = chain.root();
    if !signer.store.roots(store).iter().any(|trusted| **trusted == *root.der) {
        return Err(NotationError::UntrustedRoot { root: root.digest(), store });
    }
    if signer.identities.contains(&IdentityPattern::Any) {
        return Ok(());
    }
    let name = chain.leaf().name()?;
    name.check_complete()?;
    let matches = |identity: &IdentityPattern| match identity {
        IdentityPattern::Any => true,
        IdentityPattern::Subject(pattern) => pattern.is_within(&name),
    };
    if signer.identities.iter().any(matches) { Ok(()) } else { Err(NotationError::Identity { found: quote(&name.to_string()) }) }
}

/// What verification has found so far.
struct Outcome<'a> {
    signer: &'a NotationSigner,
    now: Timestamp,
    warnings: Vec<Warning>,
    valid_until: Option<Timestamp>,
}

impl Outcome<'_> {
    /// Fails with a failure that is enforced, and keeps one that is not as a warning.
    fn note<T>(&mut self, validation: Validation, result: Result<T, NotationError>) -> Result<Option<T>, NotationError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(problem) if self.signer.level.enforces(validation) => Err(problem),
            Err(problem) => {
                self.warnings.push(Warning { validation, problem });
                Ok(None)
            }
        }
    }

    /// Notes the last second at which a validation that is enforced succeeds.
    fn ends(&mut self, validation: Validation, end: Option<Timestamp>) {
        if self.signer.level.enforces(validation) {
            self.valid_until = earliest(self.valid_until, end);
        }
    }

    /// Whether every certificate was valid when the signature was made, as far as that is known, or else is valid now. Tells
    /// the latest time at which it can have been made, where somebody vouches for it.
    fn check_time(&mut self, envelope: &Envelope, chain: &Chain<'_>) -> Result<Option<Timestamp>, NotationError> {
        match envelope.attributes.scheme {
            Scheme::SigningAuthority { authentic } => {
                check_valid(chain, authentic, authentic)?;
                Ok(Some(authentic))
            }
            Scheme::X509 { .. } if self.needs_timestamp(chain) => self.check_timestamp(envelope, chain).map(Some),
            Scheme::X509 { .. } => {
                check_valid(chain, self.now, self.now)?;
                let end = chain.certificates().iter().map(|certificate| certificate.not_after).min();
                self.ends(Validation::AuthenticTimestamp, end);
                Ok(None)
            }
        }
    }

    fn needs_timestamp(&self, chain: &Chain<'_>) -> bool {
        let expired = || chain.certificates().iter().any(|certificate| self.now > certificate.not_after);
        !self.signer.store.is_empty(StoreKind::Tsa)
            && match self.signer.timestamps {
                TimestampCheck::Always => true,
                TimestampCheck::AfterCertExpiry => expired(),
            }
    }

    fn check_timestamp(&mut self, envelope: &Envelope, chain: &Chain<'_>) -> Result<Timestamp, NotationError> {
        let token = envelope.timestamp.as_deref().ok_or(NotationError::NoTimestamp)?;
        let verified = timestamp::verify(token, &envelope.signature, self.signer.store.roots(StoreKind::Tsa))?;
        let range = verified.range;
        check_valid(chain, range.earliest, range.latest)?;
        if self.signer.revocation == RevocationCheck::Check {
            let lists = revocation::check(&verified.chain, &self.signer.store, None, self.now);
            let ends = lists.map_err(|error| TimestampError::Chain(Box::new(error)))?;
            self.ends(Validation::AuthenticTimestamp, ends);
        }
        Ok(range.latest)
    }
}

fn check_valid(chain: &Chain<'_>, from: Timestamp, to: Timestamp) -> Result<(), NotationError> {
    for (index, certificate) in chain.certificates().iter().enumerate() {
        certificate.check_valid(from, to).map_err(|error| NotationError::chain(index, error))?;
    }
    Ok(())
}
