//! Timestamps by RFC 3161 authorities: that some bytes existed at some time.
//!
//! Certificates inside a token are untrusted: they may help to find the signer, who has to reach the authority's own root
//! through the authority's own intermediates (CVE-2026-39984).

use rustls_pki_types::CertificateDer;
use spki::der::{Decode as _, Encode as _};
use x509_cert::Certificate;

use super::path::{self, Anchor, PathError};
use super::window::Window;
use crate::key::PublicKey;
use crate::time::Timestamp;

mod token;

use token::{Imprint, Token};

/// Why a token proves no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// Not a token (RFC 3161, section 2.4.2) in DER, or with parts that are not understood.
    #[error("timestamp: malformed {part}")]
    Malformed {
        /// Which part.
        part: &'static str,
    },
    /// The authority did not grant it.
    #[error("timestamp: status {found}, expected 0 or 1 (granted)")]
    Status {
        /// PKIStatus.
        found: u8,
    },
    /// A hash algorithm other than SHA-256, SHA-384 and SHA-512.
    #[error("timestamp: unsupported hash algorithm {oid}")]
    Hash {
        /// Its object identifier.
        oid: String,
    },
    /// It is a timestamp of something else.
    #[error("timestamp of other bytes than the signature")]
    Imprint,
    /// The signed attributes do not describe the token that they stand in (RFC 5652, section 11; RFC 5816).
    #[error("timestamp: its signed attribute {attribute} does not match")]
    Attribute {
        /// Which.
        attribute: &'static str,
    },
    /// No authority of the trust root made it.
    #[error("timestamp by an unknown authority")]
    Unknown,
    /// The signature is not by the certificate that it names.
    #[error("timestamp: the signature is wrong")]
    Signature,
    /// The signer's certificate does not reach the authority's root.
    #[error("timestamp: the authority's certificate: {0}")]
    Path(#[from] PathError),
    /// The authority did not count at that time.
    #[error("timestamp of {at}, at which its authority did not count")]
    Window {
        /// The time.
        at: Timestamp,
    },
}

/// A timestamp authority.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    anchor: Anchor,
    intermediates: Vec<CertificateDer<'static>>,
    /// The one certificate that signs, where the trust root names it.
    signer: Option<Vec<u8>>,
    window: Window,
}

impl Authority {
    /// `chain`: from the signing certificate, where it is named, to the root; at least one.
    pub(crate) fn new(chain: &[Vec<u8>], window: Window) -> Option<Self> {
        let (root, rest) = chain.split_last()?;
        let signs = |der: &[u8]| Some(!path::is_authority(&Certificate::from_der(der).ok()?));
        let (signer, intermediates) = match rest.split_first() {
            Some((first, others)) if signs(first)? => (Some(first.clone()), others),
            Some(_) => (None, rest),
            None => (signs(root)?.then(|| root.clone()), rest),
        };
        let intermediates = intermediates.iter().map(|der| CertificateDer::from(der.clone())).collect();
        Some(Self { anchor: Anchor::new(root)?, intermediates, signer, window })
    }

    fn verify(&self, token: &Token) -> Result<Timestamp, TimestampError> {
        let at = token.time;
        let der = match &self.signer {
            Some(der) if token.is_by(&Certificate::from_der(der).map_err(|_| TimestampError::Unknown)?) => der.clone(),
            Some(_) => return Err(TimestampError::Unknown),
            None => token.embedded_signer().ok_or(TimestampError::Unknown)?,
        };
        token.check_signing_certificate(&der)?;
        let certificate = Certificate::from_der(&der).map_err(|_| TimestampError::Unknown)?;
        let info = certificate.tbs_certificate.subject_public_key_info.to_der().map_err(|_| TimestampError::Signature)?;
        let key = PublicKey::from_der(&info).map_err(|_| TimestampError::Signature)?;
        let signed = token.signed_attributes()?;
        if !key.verify(&signed, token.signature()) && !key.verify_prehashed(token.digest_of(&signed).as_ref(), token.signature()) {
            return Err(TimestampError::Signature);
        }
        self.anchor.reach(&der, &self.intermediates, at, &path::TIME_STAMPING)?;
        // The window of the authority that signed, never of another one.
        if self.window.contains(at) { Ok(at) } else { Err(TimestampError::Window { at }) }
    }
}

/// The time at which one of `authorities` saw `message`, by `token`: a TimeStampResp or the TimeStampToken inside.
///
/// # Errors
/// The first step that failed; of several authorities, that of the one which came furthest.
pub(crate) fn verify(token: &[u8], message: &[u8], authorities: &[Authority]) -> Result<Timestamp, TimestampError> {
    let token = Token::parse(token)?;
    let Imprint { algorithm, hash } = &token.imprint;
    if ring::digest::digest(algorithm, message).as_ref() != &**hash {
        return Err(TimestampError::Imprint);
    }
    token.check_attributes()?;
    let mut failure = TimestampError::Unknown;
    for authority in authorities {
        match authority.verify(&token) {
            Ok(time) => return Ok(time),
            Err(TimestampError::Unknown) => {}
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
