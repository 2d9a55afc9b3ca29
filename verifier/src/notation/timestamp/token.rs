//! The CMS around a TSTInfo (RFC 5652, section 5; RFC 3161, section 2.4.2; RFC 5816).

use super::TimestampError;
use crate::limits;
use crate::notation::algorithm::Hash;
use crate::notation::asn1::{Asn1Error, Reader, dotted, tag};
use crate::notation::certificate::Certificate;

const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
const SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 47];

/// A parsed token. Nothing in it has been checked.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// The TSTInfo.
    pub(super) content: &'a [u8],
    pub(super) certificates: Vec<&'a [u8]>,
    pub(super) signer: SignerInfo<'a>,
}

/// `SignerInfo`.
#[derive(Debug)]
pub(super) struct SignerInfo<'a> {
    identifier: SignerIdentifier<'a>,
    hash: Hash,
    /// The content of the SET of signed attributes.
    attributes: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

#[derive(Debug)]
enum SignerIdentifier<'a> {
    IssuerAndSerial { issuer: &'a [u8], serial: &'a [u8] },
    SubjectKey(&'a [u8]),
}

/// The signed attributes that count.
#[derive(Default)]
struct Attributes<'a> {
    content_type: Option<&'a [u8]>,
    message_digest: Option<&'a [u8]>,
    signing_certificate: Option<&'a [u8]>,
}

impl<'a> Token<'a> {
    /// Reads a `ContentInfo` of a `SignedData` of a `TSTInfo`.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self, TimestampError> {
        let mut info = Reader::only(der, tag::SEQUENCE)?;
        expect_oid(&mut info, SIGNED_DATA, "CMS signed data")?;
        let mut wrapper = info.enter(tag::context_constructed(0))?;
        let mut data = wrapper.enter(tag::SEQUENCE)?;
        wrapper.end()?;
        info.end()?;
        data.integer()?;
        data.take(tag::SET)?;
        let content = content(&mut data)?;
        let certificates = bag(data.optional(tag::context_constructed(0))?.unwrap_or_default())?;
        // Revocation lists that it brings along: nobody's that an admin gave.
        data.optional(tag::context_constructed(1))?;
        let signer = one_signer(data.take(tag::SET)?)?;
        data.end()?;
        Ok(Self { content, certificates, signer })
    }
}

fn expect_oid(reader: &mut Reader<'_>, oid: &[u8], expected: &'static str) -> Result<(), TimestampError> {
    match reader.oid()? {
        found if found == oid => Ok(()),
        found => Err(TimestampError::Content { expected, found: format!("content of type {}", dotted(found)) }),
    }
}

/// `EncapsulatedContentInfo`.
fn content<'a>(data: &mut Reader<'a>) -> Result<&'a [u8], TimestampError> {
    let mut info = data.enter(tag::SEQUENCE)?;
    expect_oid(&mut info, TST_INFO, "TSTInfo")?;
    let mut wrapper = info.enter(tag::context_constructed(0))?;
    let content = wrapper.take(tag::OCTET_STRING)?;
    wrapper.end()?;
    info.end()?;
    Ok(content)
}

fn bag(set: &[u8]) -> Result<Vec<&[u8]>, TimestampError> {
    let mut set = Reader::new(set);
    let mut certificates = Vec::new();
    while !set.is_empty() {
        certificates.push(set.whole(tag::SEQUENCE)?.whole);
        if certificates.len() > limits::CHAIN {
            return Err(TimestampError::Certificates { found: certificates.len(), limit: limits::CHAIN });
        }
    }
    Ok(certificates)
}

/// RFC 3161, section 2.4.2: "The time-stamp token MUST NOT contain any signatures other than the signature of the TSA."
fn one_signer(set: &[u8]) -> Result<SignerInfo<'_>, TimestampError> {
    let mut set = Reader::new(set);
    if set.is_empty() {
        return Err(TimestampError::Signers { found: 0 });
    }
    let info = set.enter(tag::SEQUENCE)?;
    if !set.is_empty() {
        return Err(TimestampError::Signers { found: 2 });
    }
    SignerInfo::parse(info)
}

impl<'a> SignerInfo<'a> {
    fn parse(mut info: Reader<'a>) -> Result<Self, TimestampError> {
        info.integer()?;
        let identifier = match info.optional(tag::context(0))? {
            Some(key) => SignerIdentifier::SubjectKey(key),
            None => {
                let mut pair = info.enter(tag::SEQUENCE)?;
                let (issuer, serial) = (pair.whole(tag::SEQUENCE)?.whole, pair.integer()?);
                pair.end()?;
                SignerIdentifier::IssuerAndSerial { issuer, serial }
            }
        };
        let hash = Hash::read(&mut info)?;
        let attributes = info.take(tag::context_constructed(0))?;
        let algorithm = info.whole(tag::SEQUENCE)?.whole;
        let signature = info.take(tag::OCTET_STRING)?;
        info.optional(tag::context_constructed(1))?;
        info.end()?;
        Ok(Self { identifier, hash, attributes, algorithm, signature })
    }

    /// Checks that it signs `content`, and tells with which certificate of `bag`.
    pub(super) fn check<'b, 'c>(&self, content: &[u8], bag: &'b [Certificate<'c>]) -> Result<&'b Certificate<'c>, TimestampError> {
        let attribute = |attribute| TimestampError::Attribute { attribute };
        let attributes = Attributes::read(self.attributes)?;
        let content_type = attributes.content_type.ok_or_else(|| attribute("contentType"))?;
        if Reader::new(content_type).oid()? != TST_INFO {
            return Err(attribute("contentType"));
        }
        let digest = attributes.message_digest.ok_or_else(|| attribute("messageDigest"))?;
        if Reader::new(digest).take(tag::OCTET_STRING)? != self.hash.digest(content).as_ref() {
            return Err(TimestampError::ContentDigest);
        }
        let named = attributes.signing_certificate.ok_or_else(|| attribute("signingCertificateV2"))?;
        let (hash, hashed) = signing_certificate(named)?;
        let is_signer =
            |certificate: &&Certificate<'_>| self.identifier.is_of(certificate) && hash.digest(certificate.der).as_ref() == hashed;
        let signer = bag.iter().find(is_signer).ok_or(TimestampError::NoSigner)?;
        // RFC 5652, section 5.4: signed as a SET OF, whatever tag stands in the message.
        let signed = set_of(self.attributes);
        if signer.key.signed(self.algorithm, Some(self.hash), &signed, self.signature)? {
            Ok(signer)
        } else {
            Err(TimestampError::Signature)
        }
    }
}

impl SignerIdentifier<'_> {
    fn is_of(&self, certificate: &Certificate<'_>) -> bool {
        match self {
            Self::IssuerAndSerial { issuer, serial } => certificate.issuer == *issuer && certificate.serial == *serial,
            Self::SubjectKey(key) => certificate.extensions.subject_key_identifier == Some(key),
        }
    }
}

impl<'a> Attributes<'a> {
    /// RFC 5652, section 11: each of these once, with one value.
    fn read(set: &'a [u8]) -> Result<Self, TimestampError> {
        let (mut set, mut found) = (Reader::new(set), Self::default());
        while !set.is_empty() {
            let mut pair = set.enter(tag::SEQUENCE)?;
            let oid = pair.oid()?;
            let mut values = pair.enter(tag::SET)?;
            pair.end()?;
            let (place, attribute) = match oid {
                CONTENT_TYPE => (&mut found.content_type, "contentType"),
                MESSAGE_DIGEST => (&mut found.message_digest, "messageDigest"),
                SIGNING_CERTIFICATE_V2 => (&mut found.signing_certificate, "signingCertificateV2"),
                _ => continue,
            };
            let value = values.element()?.whole;
            if !values.is_empty() || place.replace(value).is_some() {
                return Err(TimestampError::Attribute { attribute });
            }
        }
        Ok(found)
    }
}

/// The hash of the signer's certificate in a `SigningCertificateV2` (RFC 5035, section 4): its first entry.
fn signing_certificate(value: &[u8]) -> Result<(Hash, &[u8]), TimestampError> {
    let mut fields = Reader::only(value, tag::SEQUENCE)?;
    let mut certificates = fields.enter(tag::SEQUENCE)?;
    let mut first = certificates.enter(tag::SEQUENCE)?;
    // The hash is an AlgorithmIdentifier with SHA-256 as default; what follows is an OCTET STRING.
    let mut probe = first;
    let hash = if probe.element()?.tag == tag::SEQUENCE { Hash::read(&mut first)? } else { Hash::Sha256 };
    let hashed = first.take(tag::OCTET_STRING)?;
    if hashed.is_empty() {
        return Err(Asn1Error::Content { expected: "certHash" }.into());
    }
    Ok((hash, hashed))
}

fn set_of(content: &[u8]) -> Vec<u8> {
    let length = content.len() as u64;
    let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let mut out = vec![tag::SET];
    match (length, u8::try_from(digits.len())) {
        (0..=0x7f, _) => out.push(length.to_le_bytes()[0]),
        (_, Ok(count)) => {
            out.push(0x80 | count);
            out.extend(digits);
        }
        // A length of at most eight digits.
        (_, Err(_)) => {}
    }
    out.extend(content);
    out
}
