//! X.509 certificates (RFC 5280), as far as signature-specification.md, "Certificate Requirements", honours them: basic
//! constraints, key usage and extended key usage. Other extensions are not evaluated, as it demands.

use super::algorithm::{AlgorithmError, Key};
use super::asn1::{Asn1Error, Element, Reader, natural, tag};
use super::name::{Name, NameError};
use crate::digest::Digest;
use crate::limits;
use crate::time::Timestamp;

mod extensions;

pub(super) use extensions::{CRL_SIGN, DIGITAL_SIGNATURE, Extensions, KEY_CERT_SIGN, NON_REPUDIATION, walk as walk_extensions};

/// Why a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not the DER of a certificate.
    #[error("{0}")]
    Asn1(#[from] Asn1Error),
    /// A key or signature algorithm that does not count.
    #[error("{0}")]
    Algorithm(#[from] AlgorithmError),
    /// Its subject cannot be read.
    #[error("{0}")]
    Name(#[from] NameError),
    /// Over a limit.
    #[error("{found} {unit}: expected at most {limit}")]
    TooLarge {
        /// `bytes` or `extensions`.
        unit: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Not version 3, so without extensions.
    #[error("expected version 3")]
    Version,
    /// The two places that name the signature algorithm differ (RFC 5280, section 4.1.1.2).
    #[error("two different signature algorithms named: expected one")]
    AlgorithmMismatch,
    /// An extension that stands there twice (RFC 5280, section 4.2).
    #[error("extension {oid} twice: expected once")]
    DuplicateExtension {
        /// Dotted object identifier.
        oid: String,
    },
    /// An extension that must be there and critical.
    #[error("{extension} extension: expected it to be there{}", if *.critical { " and critical" } else { "" })]
    MissingExtension {
        /// Its name.
        extension: &'static str,
        /// Whether it must be critical.
        critical: bool,
    },
    /// A CA certificate where an end certificate belongs, or the reverse.
    #[error("{}", if *.expected_ca { "no CA certificate: expected cA to be true" } else { "a CA certificate: expected an end certificate" })]
    CertificateAuthority {
        /// What `cA` should be.
        expected_ca: bool,
    },
    /// More CA certificates below than it allows.
    #[error("{found} CA certificates below it: expected at most {limit}, its path length")]
    PathLength {
        /// Its path length constraint.
        limit: u64,
        /// How many there are.
        found: usize,
    },
    /// A key usage that must or must not be there.
    #[error("key usage: expected {expected}")]
    KeyUsage {
        /// What is expected.
        expected: &'static str,
    },
    /// An extended key usage that must or must not be there.
    #[error("extended key usage: expected {expected}")]
    ExtendedKeyUsage {
        /// What is expected.
        expected: &'static str,
    },
    /// Its issuer's name is not the next certificate's subject.
    #[error("issued by another than the next certificate in the chain")]
    Issuer,
    /// Its signature is not by the next certificate's key.
    #[error("not signed by the key of the next certificate in the chain")]
    Signature,
    /// A root that is not signed by itself.
    #[error("not self-signed: expected a root certificate at the end of the chain")]
    NotRoot,
    /// A self-signed certificate before the end of the chain.
    #[error("self-signed: expected only the last certificate of the chain to be")]
    EarlyRoot,
    /// Not valid at the time that counts.
    #[error("valid from {not_before} to {not_after}: expected it to be valid at {at}")]
    Validity {
        /// Start.
        not_before: Timestamp,
        /// End, itself included.
        not_after: Timestamp,
        /// The time that counts.
        at: Timestamp,
    },
}

/// A parsed certificate. Nothing in it has been checked.
#[derive(Debug, Clone)]
pub(super) struct Certificate<'a> {
    pub(super) der: &'a [u8],
    tbs: &'a [u8],
    pub(super) serial: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) key: Key<'a>,
    signature_algorithm: &'a [u8],
    signature: &'a [u8],
    pub(super) extensions: Extensions<'a>,
}

impl<'a> Certificate<'a> {
    /// Reads exactly one certificate.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self, CertificateError> {
        if der.len() > limits::CERTIFICATE_BYTES {
            return Err(CertificateError::TooLarge { unit: "bytes", found: der.len(), limit: limits::CERTIFICATE_BYTES });
        }
        let mut certificate = Reader::only(der, tag::SEQUENCE)?;
        let tbs = certificate.whole(tag::SEQUENCE)?;
        let signature_algorithm = certificate.whole(tag::SEQUENCE)?.whole;
        let signature = certificate.bits()?;
        certificate.end()?;
        Self::parse_signed(der, tbs, signature_algorithm, signature)
    }

    fn parse_signed(der: &'a [u8], tbs: Element<'a>, algorithm: &'a [u8], signature: &'a [u8]) -> Result<Self, CertificateError> {
        let mut fields = Reader::new(tbs.value);
        let mut version = Reader::new(fields.optional(tag::context_constructed(0))?.ok_or(CertificateError::Version)?);
        if version.integer()? != [2] || !version.is_empty() {
            return Err(CertificateError::Version);
        }
        let serial = fields.integer()?;
        if fields.whole(tag::SEQUENCE)?.whole != algorithm {
            return Err(CertificateError::AlgorithmMismatch);
        }
        let issuer = fields.whole(tag::SEQUENCE)?.whole;
        let mut validity = fields.enter(tag::SEQUENCE)?;
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        validity.end()?;
        let subject = fields.whole(tag::SEQUENCE)?.whole;
        let key = Key::read(&mut fields)?;
        // Unique identifiers: historical, unread.
        fields.optional(tag::context(1))?;
        fields.optional(tag::context(2))?;
        let extensions = Extensions::read(fields.optional(tag::context_constructed(3))?)?;
        fields.end()?;
        Ok(Self {
            der,
            tbs: tbs.whole,
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            key,
            signature_algorithm: algorithm,
            signature,
            extensions,
        })
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::sha256(self.der)
    }

    pub(super) fn name(&self) -> Result<Name, NameError> {
        Name::from_der(self.subject)
    }

    /// The subject for messages and principals, whatever its form.
    pub(super) fn subject_text(&self) -> String {
        self.name().map_or_else(|_| format!("unreadable subject {}", Digest::sha256(self.subject)), |name| name.to_string())
    }

    /// Whether it says that it issued itself.
    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Checks that `issuer` issued and signed it.
    pub(super) fn check_issued_by(&self, issuer: &Certificate<'_>) -> Result<(), CertificateError> {
        if self.issuer != issuer.subject {
            return Err(CertificateError::Issuer);
        }
        let signed = issuer.key.signed(self.signature_algorithm, None, self.tbs, self.signature)?;
        if signed { Ok(()) } else { Err(CertificateError::Signature) }
    }

    /// Checks that it is valid over the whole range, ends included (RFC 5280, section 4.1.2.5).
    pub(super) fn check_valid(&self, from: Timestamp, to: Timestamp) -> Result<(), CertificateError> {
        let error = |at| CertificateError::Validity { not_before: self.not_before, not_after: self.not_after, at };
        if from < self.not_before {
            return Err(error(from));
        }
        if to > self.not_after { Err(error(to)) } else { Ok(()) }
    }
}

/// A path length constraint's content; a negative or huge one is malformed.
fn path_length(value: &[u8]) -> Result<u64, Asn1Error> {
    natural(value).ok_or(Asn1Error::Content { expected: "path length" })
}
