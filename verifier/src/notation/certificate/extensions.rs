//! A certificate's extensions (RFC 5280, section 4.2).

use super::{CertificateError, path_length};
use crate::limits;
use crate::notation::asn1::{Asn1Error, Reader, dotted, tag};

const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 14];
const AUTHORITY_INFORMATION_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1];

/// Key usage bits, the first named bit highest (RFC 5280, section 4.2.1.3).
pub(in crate::notation) const DIGITAL_SIGNATURE: u16 = 0x8000;
pub(in crate::notation) const NON_REPUDIATION: u16 = 0x4000;
pub(in crate::notation) const KEY_CERT_SIGN: u16 = 0x0400;
pub(in crate::notation) const CRL_SIGN: u16 = 0x0200;

/// Those that are read.
#[derive(Debug, Clone, Default)]
pub(in crate::notation) struct Extensions<'a> {
    pub(in crate::notation) basic_constraints: Option<BasicConstraints>,
    pub(in crate::notation) key_usage: Option<KeyUsage>,
    pub(in crate::notation) extended_key_usage: Option<ExtendedKeyUsage<'a>>,
    pub(in crate::notation) subject_key_identifier: Option<&'a [u8]>,
    /// Whether it names a place that tells whether it is revoked: a distribution point or an OCSP responder.
    pub(in crate::notation) names_revocation: bool,
}

#[derive(Debug, Clone, Copy)]
pub(in crate::notation) struct BasicConstraints {
    pub(in crate::notation) critical: bool,
    pub(in crate::notation) ca: bool,
    pub(in crate::notation) path_length: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(in crate::notation) struct KeyUsage {
    pub(in crate::notation) critical: bool,
    pub(in crate::notation) bits: u16,
}

#[derive(Debug, Clone)]
pub(in crate::notation) struct ExtendedKeyUsage<'a> {
    pub(in crate::notation) critical: bool,
    pub(in crate::notation) purposes: Vec<&'a [u8]>,
}

/// Calls `each` with the identifier, criticality and value of every extension in `Extensions`, each of which must stand there
/// once.
pub(in crate::notation) fn walk<'a>(
    list: &'a [u8],
    mut each: impl FnMut(&'a [u8], bool, &'a [u8]) -> Result<(), CertificateError>,
) -> Result<(), CertificateError> {
    let mut list = Reader::only(list, tag::SEQUENCE)?;
    let mut seen: Vec<&[u8]> = Vec::new();
    while !list.is_empty() {
        let mut extension = list.enter(tag::SEQUENCE)?;
        let oid = extension.oid()?;
        let critical = extension.flag()?;
        let value = extension.take(tag::OCTET_STRING)?;
        extension.end()?;
        if seen.contains(&oid) {
            return Err(CertificateError::DuplicateExtension { oid: dotted(oid) });
        }
        seen.push(oid);
        if seen.len() > limits::EXTENSIONS {
            return Err(CertificateError::TooLarge { unit: "extensions", found: seen.len(), limit: limits::EXTENSIONS });
        }
        each(oid, critical, value)?;
    }
    Ok(())
}

impl<'a> Extensions<'a> {
    /// Reads the content of a certificate's `extensions` field.
    pub(super) fn read(list: Option<&'a [u8]>) -> Result<Self, CertificateError> {
        let mut found = Self::default();
        let Some(list) = list else { return Ok(found) };
        walk(list, |oid, critical, value| {
            match oid {
                BASIC_CONSTRAINTS => found.basic_constraints = Some(basic_constraints(critical, value)?),
                KEY_USAGE => found.key_usage = Some(KeyUsage { critical, bits: key_usage(value)? }),
                EXTENDED_KEY_USAGE => {
                    found.extended_key_usage = Some(ExtendedKeyUsage { critical, purposes: purposes(value)? });
                }
                SUBJECT_KEY_IDENTIFIER => {
                    let mut reader = Reader::new(value);
                    found.subject_key_identifier = Some(reader.take(tag::OCTET_STRING)?);
                    reader.end()?;
                }
                CRL_DISTRIBUTION_POINTS => found.names_revocation = true,
                AUTHORITY_INFORMATION_ACCESS => found.names_revocation |= names_ocsp(value),
                // "implementations … MUST fail open": nothing else is evaluated.
                _ => {}
            }
            Ok(())
        })?;
        Ok(found)
    }
}

fn basic_constraints(critical: bool, value: &[u8]) -> Result<BasicConstraints, Asn1Error> {
    let mut fields = Reader::only(value, tag::SEQUENCE)?;
    let ca = fields.flag()?;
    let path_length = if fields.is_empty() { None } else { Some(path_length(fields.integer()?)?) };
    fields.end()?;
    Ok(BasicConstraints { critical, ca, path_length })
}

fn key_usage(value: &[u8]) -> Result<u16, Asn1Error> {
    let mut reader = Reader::new(value);
    let bits = reader.take(tag::BIT_STRING)?;
    reader.end()?;
    match *bits {
        [unused @ 0..=7, first] => Ok(u16::from(first) << 8 & !((1 << (8 + unused)) - 1)),
        [unused @ 0..=7, first, second] => Ok((u16::from(first) << 8 | u16::from(second)) & !((1 << unused) - 1)),
        _ => Err(Asn1Error::Content { expected: "key usage" }),
    }
}

fn purposes(value: &[u8]) -> Result<Vec<&[u8]>, CertificateError> {
    let mut list = Reader::only(value, tag::SEQUENCE)?;
    let mut purposes = Vec::new();
    while !list.is_empty() {
        purposes.push(list.oid()?);
        if purposes.len() > limits::EXTENSIONS {
            return Err(CertificateError::TooLarge { unit: "extended key usages", found: purposes.len(), limit: limits::EXTENSIONS });
        }
    }
    Ok(purposes)
}

/// Whether an `AuthorityInfoAccessSyntax` names an OCSP responder. A malformed one does, so that nobody hides one in it.
fn names_ocsp(value: &[u8]) -> bool {
    let Ok(mut list) = Reader::only(value, tag::SEQUENCE) else { return true };
    while !list.is_empty() {
        match list.enter(tag::SEQUENCE).and_then(|mut access| access.oid()) {
            Ok(OCSP) | Err(_) => return true,
            Ok(_) => {}
        }
    }
    false
}
