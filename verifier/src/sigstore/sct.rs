//! Signed certificate timestamps: a CT log has seen the certificate (RFC 6962, section 3).

use spki::der::asn1::{ObjectIdentifier, OctetStringRef};
use spki::der::{Decode as _, Encode as _};
use x509_cert::TbsCertificate;

use super::VerifyError;
use super::trust_root::LogKey;
use crate::digest::Digest;
use crate::time::Timestamp;

/// The extension that holds the list (RFC 6962, section 3.3).
const LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
/// Timestamps in one certificate that are read; Fulcio embeds one.
const SCTS: usize = 8;

/// One timestamp of the list.
struct Sct<'a> {
    log_id: &'a [u8],
    milliseconds: u64,
    extensions: &'a [u8],
    signature: &'a [u8],
}

/// Checks that the certificate carries a timestamp by one of `logs`; `issuer` is the DER SubjectPublicKeyInfo of the key that
/// signed the certificate.
pub(super) fn verify(certificate: &TbsCertificate, issuer: &[u8], logs: &[LogKey]) -> Result<(), VerifyError> {
    let wrong = |problem| VerifyError::Sct { problem };
    let mut lists = certificate.extensions.iter().flatten().filter(|extension| extension.extn_id == LIST);
    let list = lists.next().ok_or(wrong("none in the certificate"))?;
    if lists.next().is_some() {
        return Err(wrong("two lists in the certificate"));
    }
    let list = OctetStringRef::from_der(list.extn_value.as_bytes()).map_err(|_| wrong("malformed list"))?;
    let scts = parse_list(list.as_bytes()).ok_or(wrong("malformed list"))?;
    let certificate = precertificate(certificate).ok_or(wrong("malformed certificate"))?;
    let mut failure = wrong("none in the certificate");
    for sct in &scts {
        match check(sct, &certificate, issuer, logs) {
            Ok(()) => return Ok(()),
            Err(problem) => failure = wrong(problem),
        }
    }
    Err(failure)
}

fn check(sct: &Sct<'_>, certificate: &[u8], issuer: &[u8], logs: &[LogKey]) -> Result<(), &'static str> {
    let log = logs.iter().find(|log| log.id == sct.log_id).ok_or("by a CT log that the trust root does not know")?;
    let seconds = i64::try_from(sct.milliseconds / 1_000).map_err(|_| "malformed time")?;
    if !log.window.contains(Timestamp(seconds)) {
        return Err("from a time at which the CT log's key did not count");
    }
    let signed = signed(sct, certificate, issuer).ok_or("malformed certificate")?;
    if log.key.verify(&signed, sct.signature) { Ok(()) } else { Err("the signature is not by the CT log") }
}

/// The TBSCertificate without the list (RFC 6962, section 3.2).
fn precertificate(certificate: &TbsCertificate) -> Option<Vec<u8>> {
    let mut stripped = certificate.clone();
    stripped.extensions.as_mut()?.retain(|extension| extension.extn_id != LIST);
    stripped.to_der().ok()
}

/// What the log signs: version, signature type, time, entry type, issuer's key hash, certificate, extensions.
fn signed(sct: &Sct<'_>, certificate: &[u8], issuer: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(certificate.len()).ok().filter(|length| *length < 1 << 24)?.to_be_bytes();
    let extensions = u16::try_from(sct.extensions.len()).ok()?.to_be_bytes();
    let mut bytes = vec![0, 0];
    bytes.extend_from_slice(&sct.milliseconds.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    bytes.extend_from_slice(Digest::sha256(issuer).as_bytes());
    bytes.extend_from_slice(&length[1..]);
    bytes.extend_from_slice(certificate);
    bytes.extend_from_slice(&extensions);
    bytes.extend_from_slice(sct.extensions);
    Some(bytes)
}

/// `SignedCertificateTimestampList` in TLS encoding, whole.
fn parse_list(mut bytes: &[u8]) -> Option<Vec<Sct<'_>>> {
    let mut list = vector(&mut bytes)?;
    let mut scts = Vec::new();
    while !list.is_empty() {
        if scts.len() == SCTS {
            return None;
        }
        scts.push(parse(vector(&mut list)?)?);
    }
    bytes.is_empty().then_some(scts)
}

fn parse(mut bytes: &[u8]) -> Option<Sct<'_>> {
    // sct_version v1
    if take(&mut bytes, 1)? != [0] {
        return None;
    }
    let log_id = take(&mut bytes, 32)?;
    let milliseconds = u64::from_be_bytes(take(&mut bytes, 8)?.try_into().ok()?);
    let extensions = vector(&mut bytes)?;
    // SignatureAndHashAlgorithm (RFC 5246, section 7.4.1.4.1): the log's key decides, not what is written here.
    let _algorithm = take(&mut bytes, 2)?;
    let signature = vector(&mut bytes)?;
    bytes.is_empty().then_some(Sct { log_id, milliseconds, extensions, signature })
}

fn vector<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?);
    take(bytes, length.into())
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}
