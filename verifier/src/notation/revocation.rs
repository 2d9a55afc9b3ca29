//! Revocation lists that an admin gives (RFC 5280, sections 5 and 6.3; trust-store-trust-policy.md, "CRLs"). Only complete
//! lists signed by the certificates' own issuer are read: delta, indirect and partial ones are refused when they are given.

use super::asn1::{Asn1Error, Reader, order, tag};
use super::certificate::{CRL_SIGN, Certificate, CertificateError, walk_extensions};
use super::chain::Chain;
use super::error::{NotationError, RevocationGap};
use super::signer::TrustStore;
use crate::limits;
use crate::time::Timestamp;

const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
const DELTA_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];
const FRESHEST: &[u8] = &[0x55, 0x1d, 46];
/// `removeFromCRL` (RFC 5280, section 5.3.1), for delta lists only.
const REMOVE_FROM_CRL: u8 = 8;

/// Why bytes are no revocation list that can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevocationListError {
    /// Malformed.
    #[error("{0}")]
    Malformed(#[from] CertificateError),
    /// Over [`limits::REVOCATION_LIST_BYTES`].
    #[error("{found} bytes: expected at most {limit}")]
    TooLarge {
        /// Bytes.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Not version 2.
    #[error("expected version 2")]
    Version,
    /// Without a time at which the next one comes, it could never be seen to be stale (RFC 5280, section 5.1.2.5).
    #[error("without nextUpdate: expected one")]
    NoNextUpdate,
    /// Delta, indirect, partial, or with a critical extension that is not known.
    #[error("a delta, indirect or partial list, or one with an unknown critical extension: expected a complete list of one issuer")]
    Unsupported,
    /// An entry that stands there twice with different facts.
    #[error("a serial number twice: expected each once")]
    Duplicate,
}

impl From<Asn1Error> for RevocationListError {
    fn from(error: Asn1Error) -> Self {
        Self::Malformed(error.into())
    }
}

/// A revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    serial: Box<[u8]>,
    /// From when on the key is suspected, where the list says so.
    invalid_from: Option<Timestamp>,
}

/// A parsed list. Its signature is checked when it is used, against the issuer that the chain shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RevocationList {
    tbs: Box<[u8]>,
    algorithm: Box<[u8]>,
    signature: Box<[u8]>,
    issuer: Box<[u8]>,
    this_update: Timestamp,
    next_update: Timestamp,
    /// By serial number.
    entries: Vec<Entry>,
}

impl RevocationList {
    /// Reads exactly one `CertificateList`.
    pub(super) fn parse(der: &[u8]) -> Result<Self, RevocationListError> {
        if der.len() > limits::REVOCATION_LIST_BYTES {
            return Err(RevocationListError::TooLarge { found: der.len(), limit: limits::REVOCATION_LIST_BYTES });
        }
        let mut list = Reader::only(der, tag::SEQUENCE)?;
        let tbs = list.whole(tag::SEQUENCE)?;
        let algorithm = list.whole(tag::SEQUENCE)?.whole;
        let signature = list.bits()?;
        list.end()?;
        let mut fields = Reader::new(tbs.value);
        if fields.integer().map_err(|_| RevocationListError::Version)? != [1] {
            return Err(RevocationListError::Version);
        }
        if fields.whole(tag::SEQUENCE)?.whole != algorithm {
            return Err(CertificateError::AlgorithmMismatch.into());
        }
        let issuer = fields.whole(tag::SEQUENCE)?.whole;
        let this_update = fields.time()?;
        let next_update = fields.time().map_err(|_| RevocationListError::NoNextUpdate)?;
        let revoked = fields.optional(tag::SEQUENCE)?.unwrap_or_default();
        if let Some(extensions) = fields.optional(tag::context_constructed(0))? {
            check_list_extensions(extensions)?;
        }
        fields.end()?;
        Ok(Self {
            tbs: tbs.whole.into(),
            algorithm: algorithm.into(),
            signature: signature.into(),
            issuer: issuer.into(),
            this_update,
            next_update,
            entries: entries(revoked)?,
        })
    }

    /// Whether `issuer` signed it, with a key that may sign lists (RFC 5280, section 6.3.3, steps f and g).
    fn is_signed_by(&self, issuer: &Certificate<'_>) -> bool {
        let may = issuer.extensions.key_usage.is_some_and(|usage| usage.bits & CRL_SIGN != 0);
        may && issuer.key.signed(&self.algorithm, None, &self.tbs, &self.signature).unwrap_or(false)
    }

    fn find(&self, serial: &[u8]) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| order(&entry.serial, serial)).ok()?;
        self.entries.get(at)
    }
}

fn check_list_extensions(list: &[u8]) -> Result<(), RevocationListError> {
    let mut supported = true;
    walk_extensions(list, |oid, critical, _| {
        supported &= match oid {
            CRL_NUMBER | AUTHORITY_KEY_IDENTIFIER => true,
            // A distribution point narrows what the list covers; a fresher list would have to be asked for.
            DELTA_INDICATOR | ISSUING_DISTRIBUTION_POINT | FRESHEST => false,
            _ => !critical,
        };
        Ok(())
    })?;
    if supported { Ok(()) } else { Err(RevocationListError::Unsupported) }
}

fn entries(list: &[u8]) -> Result<Vec<Entry>, RevocationListError> {
    let mut list = Reader::new(list);
    let mut entries = Vec::new();
    while !list.is_empty() {
        let mut fields = list.enter(tag::SEQUENCE)?;
        let serial = fields.integer()?;
        fields.time()?;
        let invalid_from = if fields.is_empty() { None } else { entry_extensions(fields.whole(tag::SEQUENCE)?.whole)? };
        fields.end()?;
        entries.push(Entry { serial: serial.into(), invalid_from });
    }
    entries.sort_unstable_by(|a, b| order(&a.serial, &b.serial));
    if entries.windows(2).any(|pair| matches!(pair, [a, b] if a.serial == b.serial)) {
        return Err(RevocationListError::Duplicate);
    }
    Ok(entries)
}

/// The invalidity date of an entry (RFC 5280, section 5.3).
fn entry_extensions(list: &[u8]) -> Result<Option<Timestamp>, RevocationListError> {
    let (mut supported, mut invalid_from) = (true, None);
    walk_extensions(list, |oid, critical, value| {
        let mut reader = Reader::new(value);
        match oid {
            INVALIDITY_DATE => invalid_from = Some(reader.time()?),
            REASON_CODE => supported &= reader.take(tag::ENUMERATED)? != [REMOVE_FROM_CRL],
            CERTIFICATE_ISSUER => supported = false,
            _ => supported &= !critical,
        }
        Ok(())
    })?;
    if supported { Ok(invalid_from) } else { Err(RevocationListError::Unsupported) }
}

/// Checks every certificate of a chain but its root, which nobody above it can revoke ("Certificate Revocation Evaluation").
/// `signed_at` is the authentic time of the signature, where there is one. Tells when the first list that was used ends.
pub(super) fn check(
    chain: &Chain<'_>,
    store: &TrustStore,
    signed_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Timestamp>, NotationError> {
    let mut ends = None;
    let links = chain.certificates().iter().zip(chain.certificates().iter().skip(1)).enumerate();
    for (index, (certificate, issuer)) in links.rev() {
        let end = check_one(index + 1, certificate, issuer, store, signed_at, now)?;
        ends = earliest(ends, end);
    }
    Ok(ends)
}

/// The earlier of two times that need not be there.
pub(super) fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}

fn check_one(
    number: usize,
    certificate: &Certificate<'_>,
    issuer: &Certificate<'_>,
    store: &TrustStore,
    signed_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Timestamp>, NotationError> {
    let unknown = |problem| Err(NotationError::RevocationUnknown { number, problem });
    let mut named = store.revocation_lists().iter().filter(|list| *list.issuer == *issuer.subject).peekable();
    if named.peek().is_none() {
        // "If the certificate … doesn't include information OCSP or CRLs then … the certificate is considered valid".
        return if certificate.extensions.names_revocation { unknown(RevocationGap::Missing) } else { Ok(None) };
    }
    let mut newest: Option<&RevocationList> = None;
    for list in named.filter(|list| list.is_signed_by(issuer)) {
        // An entry counts even in a list that has ended. "If the invalidity date is before the timestamping date, the
        // certificate is considered revoked"; without one, always.
        if let Some(entry) = list.find(certificate.serial) {
            let earlier = entry.invalid_from.zip(signed_at).is_some_and(|(invalid_from, signed_at)| signed_at < invalid_from);
            if !earlier {
                return Err(NotationError::Revoked { number });
            }
        }
        newest = newest.filter(|newest| newest.next_update >= list.next_update).or(Some(list));
    }
    match newest {
        None => unknown(RevocationGap::Signature),
        Some(list) if now < list.this_update => unknown(RevocationGap::NotYetValid { this_update: list.this_update }),
        Some(list) if now > list.next_update => unknown(RevocationGap::Stale { next_update: list.next_update }),
        Some(list) => Ok(Some(list.next_update)),
    }
}
