//! Timestamp countersignatures (RFC 3161; trust-store-trust-policy.md, "Validate Trusted Timestamp"): a CMS SignedData over a
//! TSTInfo. DER only; a token in BER is refused.

use super::algorithm::{AlgorithmError, Hash};
use super::asn1::{Asn1Error, Reader, natural, tag};
use super::certificate::{Certificate, CertificateError};
use super::chain::{Chain, Purpose};
use super::date::generated_time;
use super::error::NotationError;
use crate::limits;
use crate::time::Timestamp;

mod token;

use token::Token;

/// The baseline time-stamp policy, whose accuracy is a second (RFC 3628, section 5.2).
const BASELINE_POLICY: &[u8] = &[0x04, 0, 0x8f, 0x67, 1, 1];

/// Why a timestamp does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// Malformed, or not in DER.
    #[error("{0}")]
    Asn1(#[from] Asn1Error),
    /// An algorithm that does not count.
    #[error("{0}")]
    Algorithm(#[from] AlgorithmError),
    /// A certificate in it that cannot be read.
    #[error("certificate {number} in it: {problem}")]
    Certificate {
        /// Its place in the bag, from 1.
        number: usize,
        /// What is wrong with it.
        problem: CertificateError,
    },
    /// Another content.
    #[error("{found}: expected {expected}")]
    Content {
        /// What should stand there.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// Not exactly one signer (RFC 3161, section 2.4.2).
    #[error("{found} signers: expected exactly one")]
    Signers {
        /// How many.
        found: usize,
    },
    /// Too many certificates.
    #[error("{found} certificates: expected at most {limit}")]
    Certificates {
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A signed attribute that must be there once, with one value.
    #[error("signed attribute {attribute}: expected it once, with one value")]
    Attribute {
        /// Its name.
        attribute: &'static str,
    },
    /// The content's hash is not the signed one.
    #[error("content that is not what its signer signed")]
    ContentDigest,
    /// No certificate in it is the signer's.
    #[error("no certificate of its signer: expected the one that the signer's attributes name")]
    NoSigner,
    /// Not signed by its signer's certificate.
    #[error("signature that is not by its signer's certificate")]
    Signature,
    /// Made for another signature.
    #[error("made for other bytes: expected a timestamp of this signature")]
    OtherMessage,
    /// An extension that must be understood.
    #[error("unknown critical extension")]
    Extension,
    /// No root of the trust store is above its signer.
    #[error("no root of the tsa trust store above its signer")]
    UntrustedRoot,
    /// Its chain does not hold.
    #[error("its signer's chain: {0}")]
    Chain(Box<NotationError>),
}

/// The range in which the time lies, ends included, to whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) earliest: Timestamp,
    pub(super) latest: Timestamp,
}

/// A verified timestamp of `message`.
#[derive(Debug)]
pub(super) struct Verified<'a> {
    pub(super) range: Range,
    /// From the signer to a trusted root.
    pub(super) chain: Chain<'a>,
}

/// Verifies that `token` is a timestamp of `message` by an authority under one of `roots`, whose certificates were all valid then.
pub(super) fn verify<'a>(token: &'a [u8], message: &[u8], roots: &'a [Box<[u8]>]) -> Result<Verified<'a>, TimestampError> {
    let token = Token::parse(token)?;
    let range = info(token.content, message)?;
    let bag = parse_all(&token.certificates)?;
    // The signer is the certificate that its own signed attributes name, wherever it stands in the bag (CVE-2026-39984).
    let signer = token.signer.check(token.content, &bag)?;
    let roots: Vec<Certificate<'_>> = roots.iter().filter_map(|root| Certificate::parse(root).ok()).collect();
    let mut search = Search { bag: &bag, roots: &roots, checks: limits::ISSUER_CHECKS };
    let path = search.path(signer, 0).ok_or(TimestampError::UntrustedRoot)?;
    let chain = Chain::of(signer.clone(), path);
    let failed = |error| TimestampError::Chain(Box::new(error));
    chain.check(Purpose::TimeStamping).map_err(failed)?;
    for (index, certificate) in chain.certificates().iter().enumerate() {
        let valid = certificate.check_valid(range.earliest, range.latest);
        valid.map_err(|error| failed(NotationError::chain(index, error)))?;
    }
    Ok(Verified { range, chain })
}

fn parse_all<'a>(ders: &[&'a [u8]]) -> Result<Vec<Certificate<'a>>, TimestampError> {
    let parse = |(index, der): (usize, &&'a [u8])| {
        Certificate::parse(der).map_err(|problem| TimestampError::Certificate { number: index + 1, problem })
    };
    ders.iter().enumerate().map(parse).collect()
}

/// The way from a signer to a root, with bounded work whatever the bag holds.
struct Search<'s, 'a> {
    bag: &'s [Certificate<'a>],
    roots: &'s [Certificate<'a>],
    /// Signature checks that are left.
    checks: usize,
}

impl<'a> Search<'_, 'a> {
    /// The issuers of `certificate` up to a root.
    fn path(&mut self, certificate: &Certificate<'_>, depth: usize) -> Option<Vec<Certificate<'a>>> {
        let (bag, roots) = (self.bag, self.roots);
        if depth >= limits::CHAIN {
            return None;
        }
        if let Some(root) = roots.iter().find(|root| self.issued(certificate, root)) {
            return Some(vec![root.clone()]);
        }
        for issuer in bag.iter().filter(|issuer| !issuer.is_self_issued()) {
            if issuer.der != certificate.der
                && self.issued(certificate, issuer)
                && let Some(mut path) = self.path(issuer, depth + 1)
            {
                path.insert(0, issuer.clone());
                return Some(path);
            }
        }
        None
    }

    fn issued(&mut self, certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> bool {
        if certificate.issuer != issuer.subject || self.checks == 0 {
            return false;
        }
        self.checks -= 1;
        certificate.check_issued_by(issuer).is_ok()
    }
}

/// Reads a `TSTInfo` of `message` (RFC 3161, section 2.4.2).
fn info(der: &[u8], message: &[u8]) -> Result<Range, TimestampError> {
    let mut fields = Reader::only(der, tag::SEQUENCE)?;
    if fields.integer()? != [1] {
        return Err(TimestampError::Content { expected: "TSTInfo of version 1", found: "another version".to_owned() });
    }
    let policy = fields.oid()?;
    let mut imprint = fields.enter(tag::SEQUENCE)?;
    let hash = Hash::read(&mut imprint)?;
    let hashed = imprint.take(tag::OCTET_STRING)?;
    imprint.end()?;
    if hashed != hash.digest(message).as_ref() {
        return Err(TimestampError::OtherMessage);
    }
    fields.integer()?;
    let generated = generated_time(fields.take(tag::GENERALIZED_TIME)?).ok_or(Asn1Error::Content { expected: "genTime" })?;
    let accuracy = fields.optional(tag::SEQUENCE)?.map(accuracy).transpose()?;
    fields.flag()?;
    // The nonce was between the signer and the authority; the authority's name is a hint.
    fields.optional(tag::INTEGER)?;
    fields.optional(tag::context_constructed(0))?;
    if let Some(extensions) = fields.optional(tag::context_constructed(1))? {
        check_extensions(extensions)?;
    }
    fields.end()?;
    Ok(range(generated, accuracy, policy))
}

/// "Calculate the timestamp range": outward to whole seconds.
fn range((second, fraction): (Timestamp, bool), accuracy: Option<Accuracy>, policy: &[u8]) -> Range {
    let baseline = Accuracy { seconds: i64::from(policy == BASELINE_POLICY), fraction: false };
    let accuracy = accuracy.filter(|accuracy| accuracy.seconds > 0 || accuracy.fraction).unwrap_or(baseline);
    let spread = accuracy.seconds.saturating_add(i64::from(accuracy.fraction));
    Range { earliest: second.plus(-spread), latest: second.plus(spread.saturating_add(i64::from(fraction))) }
}

#[derive(Debug, Clone, Copy)]
struct Accuracy {
    seconds: i64,
    /// Whether milliseconds or microseconds come on top.
    fraction: bool,
}

fn accuracy(value: &[u8]) -> Result<Accuracy, TimestampError> {
    let mut fields = Reader::new(value);
    let malformed = Asn1Error::Content { expected: "accuracy" };
    let seconds = fields.optional(tag::INTEGER)?.map_or(Some(0), natural).ok_or(malformed)?;
    let millis = fields.optional(tag::context(0))?;
    let micros = fields.optional(tag::context(1))?;
    fields.end()?;
    let seconds = i64::try_from(seconds).map_err(|_| malformed)?;
    Ok(Accuracy { seconds, fraction: millis.is_some() || micros.is_some() })
}

/// `[1] IMPLICIT Extensions`: none is known, so none may be critical.
fn check_extensions(list: &[u8]) -> Result<(), TimestampError> {
    let mut list = Reader::new(list);
    while !list.is_empty() {
        let mut extension = list.enter(tag::SEQUENCE)?;
        extension.oid()?;
        if extension.flag()? {
            return Err(TimestampError::Extension);
        }
        extension.take(tag::OCTET_STRING)?;
        extension.end()?;
    }
    Ok(())
}
