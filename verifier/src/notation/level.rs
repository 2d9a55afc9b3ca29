//! Verification levels (trust-store-trust-policy.md, "Signature Verification details").

use serde::{Deserialize, Serialize};

/// How much of a signature's verification is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Everything is enforced.
    #[default]
    Strict,
    /// Integrity and authenticity are enforced; a failed timestamp, expiry or revocation check is a warning.
    Permissive,
    /// Integrity is enforced. Everything else is a warning, so that a signature need not be by anybody that is trusted:
    /// see [`super::VerifiedNotation::is_authentic`].
    Audit,
}

impl Level {
    /// The name in a trust policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Permissive => "permissive",
            Self::Audit => "audit",
        }
    }

    /// Whether a failure of `validation` fails the signature. Otherwise it is a warning.
    #[must_use]
    pub const fn enforces(self, validation: Validation) -> bool {
        match (self, validation) {
            (Self::Strict, _) | (_, Validation::Integrity) | (Self::Permissive, Validation::Authenticity) => true,
            (Self::Permissive | Self::Audit, Validation::AuthenticTimestamp | Validation::Expiry | Validation::Revocation)
            | (Self::Audit, Validation::Authenticity) => false,
        }
    }
}

/// A step of verification (trust-store-trust-policy.md, "Steps").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validation {
    /// The envelope is well formed, names the subject, and is signed by the certificate in it.
    Integrity,
    /// The certificate leads to the trust store and has a trusted identity.
    Authenticity,
    /// The certificates were valid when the signature was made.
    AuthenticTimestamp,
    /// The signature's own "best before" has not passed.
    Expiry,
    /// No certificate is revoked.
    Revocation,
}

impl Validation {
    /// The specification's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Integrity => "integrity",
            Self::Authenticity => "authenticity",
            Self::AuthenticTimestamp => "authentic timestamp",
            Self::Expiry => "expiry",
            Self::Revocation => "revocation",
        }
    }
}

/// Whether revocation is checked at all (trust policy, `override: { revocation: skip }`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationCheck {
    /// As the level says. A certificate that names a place for its revocation state needs a list that was given.
    #[default]
    Check,
    /// Not at all. Only ever chosen by name.
    Skip,
}

/// When a timestamp countersignature must be there, if the signer has TSA certificates (trust policy, `verifyTimestamp`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimestampCheck {
    /// On every signature.
    #[default]
    Always,
    /// Only once a certificate of the chain has expired.
    AfterCertExpiry,
}
