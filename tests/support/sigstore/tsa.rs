//! A timestamp authority (RFC 3161).

use rcgen::{CertificateParams, CustomExtension, DnType, Issuer, KeyPair, KeyUsagePurpose};
use ring::digest::{SHA256, digest};
use time::OffsetDateTime;

use super::der;
use super::fulcio::{authority, years};
use super::key::Key;

const SIGNED_DATA: [u64; 7] = [1, 2, 840, 113549, 1, 7, 2];
const TST_INFO: [u64; 9] = [1, 2, 840, 113549, 1, 9, 16, 1, 4];
const CONTENT_TYPE: [u64; 7] = [1, 2, 840, 113549, 1, 9, 3];
const MESSAGE_DIGEST: [u64; 7] = [1, 2, 840, 113549, 1, 9, 4];
const SIGNING_CERTIFICATE_V2: [u64; 9] = [1, 2, 840, 113549, 1, 9, 16, 2, 47];
const OID_SHA256: [u64; 9] = [2, 16, 840, 1, 101, 3, 4, 2, 1];
const ECDSA_SHA256: [u64; 7] = [1, 2, 840, 10045, 4, 3, 2];

/// An authority.
#[derive(Debug)]
pub struct Tsa {
    key: Key,
    /// The signing certificate and the root, DER.
    pub chain: Vec<Vec<u8>>,
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

impl Tsa {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let root_key = KeyPair::generate().expect("a key");
        let root_params = authority("tsa root");
        let root = root_params.self_signed(&root_key).expect("a root");
        let issuer = Issuer::new(root_params, root_key);
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "tsa");
        params.serial_number = Some(rcgen::SerialNumber::from(vec![9; 8]));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        // RFC 3161, section 2.3: critical, and nothing else.
        let usage = der::sequence(&[&der::oid(&[1, 3, 6, 1, 5, 5, 7, 3, 8])]);
        let mut usage = CustomExtension::from_oid_content(&[2, 5, 29, 37], usage);
        usage.set_criticality(true);
        params.custom_extensions = vec![usage];
        years(&mut params);
        let key = Key::generate();
        let leaf = params.signed_by(&key.pair, &issuer).expect("a certificate");
        Self { chain: vec![leaf.der().to_vec(), root.der().to_vec()], key }
    }

    /// A TimeStampResp for `message` at `at`.
    #[must_use]
    pub fn stamp(&self, message: &[u8], at: i64) -> Vec<u8> {
        let algorithm = der::sequence(&[&der::oid(&OID_SHA256)]);
        self.stamp_imprint(&der::sequence(&[&algorithm, &der::octets(&sha256(message))]), &[], at)
    }

    /// The TimeStampResp for a TimeStampReq (RFC 3161, section 2.4) at `at`; none for bytes that are no request.
    #[must_use]
    pub fn answer(&self, request: &[u8], at: i64) -> Option<Vec<u8>> {
        if request.len() < 16 || request.len() > 256 || request[0] != 0x30 {
            return None;
        }
        let (mut rest, _) = der::first(request);
        let mut values = Vec::new();
        while rest.len() > 2 {
            let (_, whole) = der::first(rest);
            values.push(whole);
            rest = &rest[whole.len()..];
        }
        let [version, imprint, others @ ..] = &*values else { return None };
        let nonce = others.iter().find(|value| value[0] == 2).copied().unwrap_or_default();
        (*version == der::integer(1)).then(|| self.stamp_imprint(imprint, nonce, at))
    }

    fn stamp_imprint(&self, imprint: &[u8], nonce: &[u8], at: i64) -> Vec<u8> {
        let algorithm = der::sequence(&[&der::oid(&OID_SHA256)]);
        let time = OffsetDateTime::from_unix_timestamp(at).expect("a time");
        let (date, clock) = (time.date(), time.time());
        let time = format!(
            "{:04}{:02}{:02}{:02}{:02}{:02}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second()
        );
        let policy = der::oid(&[1, 3, 6, 1, 4, 1, 57264, 2]);
        let info = der::sequence(&[&der::integer(1), &policy, imprint, &der::integer(5), &der::tlv(24, time.as_bytes()), nonce]);
        let attribute = |arcs: &[u64], value: &[u8]| der::sequence(&[&der::oid(arcs), &der::set(&[value])]);
        let certificate = der::sequence(&[&der::sequence(&[&der::sequence(&[&der::octets(&sha256(&self.chain[0]))])])]);
        let attributes = der::set(&[
            &attribute(&CONTENT_TYPE, &der::oid(&TST_INFO)),
            &attribute(&MESSAGE_DIGEST, &der::octets(&sha256(&info))),
            &attribute(&SIGNING_CERTIFICATE_V2, &certificate),
        ]);
        let signature = self.key.sign(&attributes);
        let (inner, _) = der::first(&attributes);
        let signer = der::sequence(&[
            &der::integer(1),
            &self.signer_id(),
            &algorithm,
            &der::tlv(0xa0, inner),
            &der::sequence(&[&der::oid(&ECDSA_SHA256)]),
            &der::octets(&signature),
        ]);
        let content = der::sequence(&[&der::oid(&TST_INFO), &der::tlv(0xa0, &der::octets(&info))]);
        let certificates = der::tlv(0xa0, &self.chain[0]);
        let data = der::sequence(&[&der::integer(3), &der::set(&[&algorithm]), &content, &certificates, &der::set(&[&signer])]);
        let token = der::sequence(&[&der::oid(&SIGNED_DATA), &der::tlv(0xa0, &data)]);
        der::sequence(&[&der::sequence(&[&der::integer(0)]), &token])
    }

    /// Issuer and serial number of the signing certificate.
    fn signer_id(&self) -> Vec<u8> {
        let (certificate, _) = der::first(&self.chain[0]);
        let (fields, _) = der::first(certificate);
        // version [0], serialNumber, signature, issuer
        let mut rest = fields;
        let mut values = Vec::new();
        for _ in 0..4 {
            let (_, whole) = der::first(rest);
            values.push(whole);
            rest = &rest[whole.len()..];
        }
        der::sequence(&[values[3], values[1]])
    }
}

impl Default for Tsa {
    fn default() -> Self {
        Self::new()
    }
}
