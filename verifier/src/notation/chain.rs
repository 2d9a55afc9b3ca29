//! A certificate chain, leaf first, root last (signature-specification.md, "Certificate Requirements"). What is checked here
//! does not depend on the time or on any trust store.

use super::certificate::{Certificate, CertificateError, DIGITAL_SIGNATURE, KEY_CERT_SIGN, NON_REPUDIATION};
use super::error::NotationError;
use crate::limits;

const ANY_PURPOSE: &[u8] = &[0x55, 0x1d, 37, 0];
/// id-kp, without the last number (RFC 5280, section 4.2.1.12).
const PURPOSE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3];
const SERVER_AUTH: u8 = 1;
const CLIENT_AUTH: u8 = 2;
const EMAIL_PROTECTION: u8 = 4;
const TIME_STAMPING: u8 = 8;
const OCSP_SIGNING: u8 = 9;

/// What a chain's leaf signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    CodeSigning,
    TimeStamping,
}

/// Certificates of which each was issued by the next. Never empty.
#[derive(Debug)]
pub(super) struct Chain<'a>(Vec<Certificate<'a>>);

impl<'a> Chain<'a> {
    /// Reads the certificates of an envelope.
    pub(super) fn parse(ders: &'a [Vec<u8>]) -> Result<Self, NotationError> {
        if ders.is_empty() || ders.len() > limits::CHAIN {
            return Err(NotationError::ChainLength { found: ders.len(), limit: limits::CHAIN });
        }
        let parse = |(index, der): (usize, &'a Vec<u8>)| Certificate::parse(der).map_err(|error| NotationError::chain(index, error));
        Ok(Self(ders.iter().enumerate().map(parse).collect::<Result<_, _>>()?))
    }

    /// One that was found link by link.
    pub(super) fn of(leaf: Certificate<'a>, rest: Vec<Certificate<'a>>) -> Self {
        Self(std::iter::once(leaf).chain(rest).collect())
    }

    pub(super) fn certificates(&self) -> &[Certificate<'a>] {
        &self.0
    }

    pub(super) fn leaf(&self) -> &Certificate<'a> {
        #[expect(clippy::indexing_slicing, reason = "never empty")]
        &self.0[0]
    }

    pub(super) fn root(&self) -> &Certificate<'a> {
        self.0.last().unwrap_or_else(|| self.leaf())
    }

    /// Checks order, signatures, and each certificate's fitness for its place.
    pub(super) fn check(&self, purpose: Purpose) -> Result<(), NotationError> {
        for (index, certificate) in self.0.iter().enumerate() {
            self.check_at(index, certificate, purpose).map_err(|error| NotationError::chain(index, error))?;
        }
        Ok(())
    }

    fn check_at(&self, index: usize, certificate: &Certificate<'_>, purpose: Purpose) -> Result<(), CertificateError> {
        if index == 0 {
            check_leaf(certificate, purpose)?;
        } else {
            check_authority(certificate, index - 1)?;
        }
        match self.0.get(index + 1) {
            // "The certificate MUST NOT chain to multiple parents/roots." A self-issued certificate before the end may be a
            // key rollover, unless it is signed by its own key.
            Some(_) if certificate.is_self_issued() && certificate.check_issued_by(certificate).is_ok() => Err(CertificateError::EarlyRoot),
            Some(issuer) => certificate.check_issued_by(issuer),
            None if certificate.is_self_issued() => certificate.check_issued_by(certificate).map_err(|_| CertificateError::NotRoot),
            None => Err(CertificateError::NotRoot),
        }
    }
}

/// "Root and Intermediate CA Certificates": `below` CA certificates stand between it and the leaf.
pub(super) fn check_authority(certificate: &Certificate<'_>, below: usize) -> Result<(), CertificateError> {
    let missing = |extension| CertificateError::MissingExtension { extension, critical: true };
    let constraints = certificate.extensions.basic_constraints.ok_or_else(|| missing("basicConstraints"))?;
    if !constraints.ca {
        return Err(CertificateError::CertificateAuthority { expected_ca: true });
    }
    if !constraints.critical {
        return Err(missing("basicConstraints"));
    }
    if let Some(limit) = constraints.path_length.filter(|limit| *limit < below as u64) {
        return Err(CertificateError::PathLength { limit, found: below });
    }
    let usage = certificate.extensions.key_usage.filter(|usage| usage.critical).ok_or_else(|| missing("keyUsage"))?;
    if usage.bits & KEY_CERT_SIGN == 0 {
        return Err(CertificateError::KeyUsage { expected: "keyCertSign" });
    }
    Ok(())
}

/// "Leaf Certificates".
pub(super) fn check_leaf(certificate: &Certificate<'_>, purpose: Purpose) -> Result<(), CertificateError> {
    if certificate.extensions.basic_constraints.is_some_and(|constraints| constraints.ca) {
        return Err(CertificateError::CertificateAuthority { expected_ca: false });
    }
    // Time-stamping certificates in use do not all mark it critical; notation-core-go takes those too.
    let critical = purpose == Purpose::CodeSigning;
    let usage = certificate.extensions.key_usage.filter(|usage| usage.critical || !critical);
    let usage = usage.ok_or(CertificateError::MissingExtension { extension: "keyUsage", critical })?;
    if usage.bits & DIGITAL_SIGNATURE == 0 || usage.bits & !(DIGITAL_SIGNATURE | NON_REPUDIATION) != 0 {
        return Err(CertificateError::KeyUsage { expected: "digitalSignature, and nothing else but nonRepudiation" });
    }
    certificate.key.envelope_algorithm()?;
    match purpose {
        Purpose::CodeSigning => check_code_signing(certificate),
        Purpose::TimeStamping => check_time_stamping(certificate),
    }
}

/// "If present, the value MAY contain id-kp-codeSigning and MUST NOT contain …"; OCSP signing as notation-core-go adds.
fn check_code_signing(certificate: &Certificate<'_>) -> Result<(), CertificateError> {
    const REFUSED: [u8; 5] = [SERVER_AUTH, CLIENT_AUTH, EMAIL_PROTECTION, TIME_STAMPING, OCSP_SIGNING];
    let Some(usage) = &certificate.extensions.extended_key_usage else { return Ok(()) };
    let refused = |purpose: &&[u8]| *purpose == ANY_PURPOSE || REFUSED.iter().any(|number| is_purpose(purpose, *number));
    if usage.purposes.iter().any(refused) {
        let expected = "codeSigning, without anyExtendedKeyUsage, serverAuth, clientAuth, emailProtection, timeStamping and OCSPSigning";
        return Err(CertificateError::ExtendedKeyUsage { expected });
    }
    Ok(())
}

/// RFC 3161, section 2.3: exactly timeStamping, and critical.
fn check_time_stamping(certificate: &Certificate<'_>) -> Result<(), CertificateError> {
    let right = certificate
        .extensions
        .extended_key_usage
        .as_ref()
        .is_some_and(|usage| usage.critical && matches!(usage.purposes.as_slice(), [purpose] if is_purpose(purpose, TIME_STAMPING)));
    if right { Ok(()) } else { Err(CertificateError::ExtendedKeyUsage { expected: "exactly timeStamping, critical" }) }
}

fn is_purpose(oid: &[u8], number: u8) -> bool {
    oid.strip_prefix(PURPOSE) == Some(&[number])
}
