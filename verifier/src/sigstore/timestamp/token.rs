//! A token's ASN.1 (RFC 3161, section 2.4.2, in a SignedData of RFC 5652).

use cms::cert::CertificateChoices;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use ring::digest::{self, Algorithm, Digest};
use spki::der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use spki::der::{Decode, Encode as _, Reader as _, SliceReader, Tag, Tagged as _};
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectKeyIdentifier;

use super::TimestampError;
use crate::limits;
use crate::sigstore::window;
use crate::time::Timestamp;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// id-ct-TSTInfo (RFC 3161, section 2.4.2).
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
/// id-contentType, id-messageDigest (RFC 5652, section 11).
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// id-aa-signingCertificate (RFC 2634, section 5.4) and id-aa-signingCertificateV2 (RFC 5035, section 3).
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

/// What was stamped: `MessageImprint`.
pub(super) struct Imprint {
    pub(super) algorithm: &'static Algorithm,
    pub(super) hash: Vec<u8>,
}

/// A token, read but not believed.
pub(super) struct Token {
    pub(super) imprint: Imprint,
    pub(super) time: Timestamp,
    info: Vec<u8>,
    algorithm: &'static Algorithm,
    signer: SignerInfo,
    certificates: Vec<Certificate>,
}

fn malformed<T>(part: &'static str) -> impl Fn(T) -> TimestampError {
    move |_| TimestampError::Malformed { part }
}

fn hash(oid: ObjectIdentifier) -> Result<&'static Algorithm, TimestampError> {
    match oid {
        SHA256 => Ok(&digest::SHA256),
        SHA384 => Ok(&digest::SHA384),
        SHA512 => Ok(&digest::SHA512),
        other => Err(TimestampError::Hash { oid: other.to_string() }),
    }
}

impl Token {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, TimestampError> {
        if bytes.len() > limits::TIMESTAMP_BYTES {
            return Err(TimestampError::Malformed { part: "token: too long" });
        }
        let content = match ContentInfo::from_der(bytes) {
            Ok(content) => content,
            Err(_) => response(bytes)?,
        };
        if content.content_type != SIGNED_DATA {
            return Err(TimestampError::Malformed { part: "token: not SignedData" });
        }
        let data: SignedData = content.content.decode_as().map_err(malformed("SignedData"))?;
        let encapsulated = &data.encap_content_info;
        if encapsulated.econtent_type != TST_INFO {
            return Err(TimestampError::Malformed { part: "content: not TSTInfo" });
        }
        let info = encapsulated.econtent.as_ref().ok_or(TimestampError::Malformed { part: "content: none" })?;
        let info = info.decode_as::<OctetStringRef<'_>>().map_err(malformed("content"))?.as_bytes().to_vec();
        // RFC 3161, section 2.4.2: exactly one signature, that of the authority.
        let [signer] = data.signer_infos.0.as_slice() else {
            return Err(TimestampError::Malformed { part: "SignedData: not exactly one signer" });
        };
        // RFC 5652, sections 5.1 and 5.3.
        let version = match signer.sid {
            SignerIdentifier::IssuerAndSerialNumber(_) => CmsVersion::V1,
            SignerIdentifier::SubjectKeyIdentifier(_) => CmsVersion::V3,
        };
        if data.version != CmsVersion::V3 || signer.version != version {
            return Err(TimestampError::Malformed { part: "SignedData: version" });
        }
        let (imprint, time) = tst_info(&info)?;
        let certificates: Vec<_> = data
            .certificates
            .iter()
            .flat_map(|set| set.0.iter())
            .filter_map(|choice| match choice {
                CertificateChoices::Certificate(certificate) => Some(certificate.clone()),
                CertificateChoices::Other(_) => None,
            })
            .take(limits::CERTIFICATES)
            .collect();
        Ok(Self { imprint, time, algorithm: hash(signer.digest_alg.oid)?, signer: signer.clone(), info, certificates })
    }

    /// Checks the attributes that bind the signature to the content (RFC 5652, section 5.4: both are required).
    pub(super) fn check_attributes(&self) -> Result<(), TimestampError> {
        let content_type: ObjectIdentifier = self.attribute(CONTENT_TYPE, "content-type")?;
        if content_type != TST_INFO {
            return Err(TimestampError::Attribute { attribute: "content-type" });
        }
        let found: spki::der::asn1::OctetString = self.attribute(MESSAGE_DIGEST, "message-digest")?;
        if self.digest_of(&self.info).as_ref() != found.as_bytes() {
            return Err(TimestampError::Attribute { attribute: "message-digest" });
        }
        Ok(())
    }

    /// The one value of the one attribute of this type.
    fn attribute<T: for<'a> Decode<'a> + spki::der::Tagged>(&self, oid: ObjectIdentifier, name: &'static str) -> Result<T, TimestampError> {
        self.any_attribute(oid, name)?.and_then(|bytes| T::from_der(&bytes).ok()).ok_or(TimestampError::Attribute { attribute: name })
    }

    fn any_attribute(&self, oid: ObjectIdentifier, name: &'static str) -> Result<Option<Vec<u8>>, TimestampError> {
        let failed = TimestampError::Attribute { attribute: name };
        let mut found = self.signer.signed_attrs.iter().flat_map(|set| set.iter()).filter(|attribute| attribute.oid == oid);
        let Some(attribute) = found.next() else {
            return Ok(None);
        };
        match (attribute.values.as_slice(), found.next()) {
            ([value], None) => value.to_der().map(Some).map_err(|_| failed),
            _ => Err(failed),
        }
    }

    /// Checks that the signed certificate identifier, where there is one, is that of `der` (RFC 5816, section 2.2.1).
    pub(super) fn check_signing_certificate(&self, der: &[u8]) -> Result<(), TimestampError> {
        let name = "signing-certificate";
        let failed = || TimestampError::Attribute { attribute: name };
        if let Some(bytes) = self.any_attribute(SIGNING_CERTIFICATE_V2, name)? {
            let (oid, expected) = certificate_id(&bytes).ok_or_else(failed)?;
            let algorithm = hash(oid.unwrap_or(SHA256))?;
            return if digest::digest(algorithm, der).as_ref() == expected { Ok(()) } else { Err(failed()) };
        }
        if let Some(bytes) = self.any_attribute(SIGNING_CERTIFICATE, name)? {
            let (_, expected) = certificate_id(&bytes).ok_or_else(failed)?;
            // RFC 2634: SHA-1. The signature does not rest on it; the path and the key do.
            let found = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der);
            return if found.as_ref() == expected { Ok(()) } else { Err(failed()) };
        }
        Ok(())
    }

    /// Whether the signer's identifier is that of `certificate`.
    pub(super) fn is_by(&self, certificate: &Certificate) -> bool {
        let found = &certificate.tbs_certificate;
        match &self.signer.sid {
            SignerIdentifier::IssuerAndSerialNumber(id) => found.issuer == id.issuer && found.serial_number == id.serial_number,
            SignerIdentifier::SubjectKeyIdentifier(id) => {
                matches!(found.get::<SubjectKeyIdentifier>(), Ok(Some((_, identifier))) if identifier == *id)
            }
        }
    }

    /// The embedded certificate that the signer's identifier names. It proves nothing by itself.
    pub(super) fn embedded_signer(&self) -> Option<Vec<u8>> {
        self.certificates.iter().find(|certificate| self.is_by(certificate))?.to_der().ok()
    }

    /// What is signed: the attributes as a SET OF in DER (RFC 5652, section 5.4).
    pub(super) fn signed_attributes(&self) -> Result<Vec<u8>, TimestampError> {
        let attributes = self.signer.signed_attrs.as_ref().ok_or(TimestampError::Malformed { part: "signer: no signed attributes" })?;
        attributes.to_der().map_err(malformed("signed attributes"))
    }

    pub(super) fn signature(&self) -> &[u8] {
        self.signer.signature.as_bytes()
    }

    /// A digest by the signer's algorithm.
    pub(super) fn digest_of(&self, bytes: &[u8]) -> Digest {
        digest::digest(self.algorithm, bytes)
    }
}

/// `TimeStampResp`: a status, and the token where it was granted.
fn response(bytes: &[u8]) -> Result<ContentInfo, TimestampError> {
    let outer = AnyRef::from_der(bytes).ok().filter(|any| any.tag() == Tag::Sequence);
    let outer = outer.ok_or(TimestampError::Malformed { part: "token" })?;
    let mut reader = SliceReader::new(outer.value()).map_err(malformed("response"))?;
    let info: AnyRef<'_> = reader.decode().map_err(malformed("status"))?;
    let mut inner = SliceReader::new(info.value()).map_err(malformed("status"))?;
    match inner.decode::<u8>().map_err(malformed("status"))? {
        0 | 1 => {}
        found => return Err(TimestampError::Status { found }),
    }
    let content = reader.decode().map_err(malformed("token"))?;
    if reader.is_finished() { Ok(content) } else { Err(TimestampError::Malformed { part: "response" }) }
}

/// `TSTInfo`: version, policy, messageImprint, serialNumber, genTime; what follows is optional and not read.
fn tst_info(bytes: &[u8]) -> Result<(Imprint, Timestamp), TimestampError> {
    let failed = || TimestampError::Malformed { part: "TSTInfo" };
    let outer = AnyRef::from_der(bytes).ok().filter(|any| any.tag() == Tag::Sequence).ok_or_else(failed)?;
    let mut reader = SliceReader::new(outer.value()).map_err(|_| failed())?;
    let mut next = || reader.decode::<AnyRef<'_>>().map_err(|_| failed());
    let version: u8 = next()?.decode_as().map_err(|_| failed())?;
    let _policy: ObjectIdentifier = next()?.decode_as().map_err(|_| failed())?;
    let imprint = next()?;
    let _serial = next()?;
    let time = next()?;
    if version != 1 || imprint.tag() != Tag::Sequence || time.tag() != Tag::GeneralizedTime {
        return Err(failed());
    }
    let mut inner = SliceReader::new(imprint.value()).map_err(|_| failed())?;
    let algorithm: spki::AlgorithmIdentifierRef<'_> = inner.decode().map_err(|_| failed())?;
    let stamped: OctetStringRef<'_> = inner.decode().map_err(|_| failed())?;
    if !inner.is_finished() {
        return Err(failed());
    }
    let imprint = Imprint { algorithm: hash(algorithm.oid)?, hash: stamped.as_bytes().to_vec() };
    let time = std::str::from_utf8(time.value()).ok().and_then(generalized_time);
    Ok((imprint, time.ok_or(TimestampError::Malformed { part: "genTime" })?))
}

/// RFC 3161, section 2.4.2: `YYYYMMDDhhmmss[.s...]Z`. Fractions of a second are cut off.
fn generalized_time(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| whole.get(range)?.parse::<i64>().ok();
    window::civil(number(0..4)?, number(4..6)?, number(6..8)?, number(8..10)?, number(10..12)?, number(12..14)?)
}

/// The first `ESSCertID` or `ESSCertIDv2` of a signing-certificate attribute: its hash, and the algorithm where one is named.
fn certificate_id(attribute: &[u8]) -> Option<(Option<ObjectIdentifier>, &[u8])> {
    let sequence = |any: AnyRef<'_>| (any.tag() == Tag::Sequence).then_some(());
    let outer = AnyRef::from_der(attribute).ok()?;
    sequence(outer)?;
    let list = SliceReader::new(outer.value()).ok()?.decode::<AnyRef<'_>>().ok()?;
    sequence(list)?;
    let first = SliceReader::new(list.value()).ok()?.decode::<AnyRef<'_>>().ok()?;
    sequence(first)?;
    let mut reader = SliceReader::new(first.value()).ok()?;
    let mut any: AnyRef<'_> = reader.decode().ok()?;
    let mut algorithm = None;
    if any.tag() == Tag::Sequence {
        algorithm = Some(SliceReader::new(any.value()).ok()?.decode::<ObjectIdentifier>().ok()?);
        any = reader.decode().ok()?;
    }
    (any.tag() == Tag::OctetString).then(|| (algorithm, any.value()))
}
