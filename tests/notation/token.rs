//! Timestamp tokens as no honest authority makes them, signed for real with a P-256 key (RFC 3161; RFC 5652).

use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use sealgate_tests::pki::Identity;
use sealgate_verifier::Timestamp;

/// Content bytes of the object identifiers.
pub mod oid {
    pub const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
    pub const SHA1: &[u8] = &[0x2b, 0x0e, 3, 2, 0x1a];
    pub const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    pub const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
    pub const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    pub const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4];
    pub const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
    pub const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
    pub const SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 47];
}

pub fn tlv(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let head = match length {
        0..=0x7f => vec![u8::try_from(length).expect("short")],
        0x80..=0xff => vec![0x81, u8::try_from(length).expect("a byte")],
        _ => [&[0x82][..], &u16::try_from(length).expect("under 64 KiB").to_be_bytes()].concat(),
    };
    [vec![tag], head, content].concat()
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, parts)
}

fn object(oid: &[u8]) -> Vec<u8> {
    tlv(6, &[oid.to_vec()])
}

fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(4, &[bytes.to_vec()])
}

fn small(number: u8) -> Vec<u8> {
    vec![2, 1, number]
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

/// A token's parts, good until changed.
#[derive(Clone)]
pub struct Token {
    /// Who signs; the first certificate is the one that the attributes name.
    pub stamper: Identity,
    /// The bag.
    pub certificates: Vec<Vec<u8>>,
    pub message: Vec<u8>,
    pub imprint_hash: &'static [u8],
    pub version: u8,
    /// `YYYYMMDDHHMMSS[.f]Z`.
    pub time: String,
    /// What follows the time in the TSTInfo.
    pub rest: Vec<u8>,
    pub content_type: &'static [u8],
    /// Attributes that are left out.
    pub without: Vec<&'static [u8]>,
    /// How often the one SignerInfo stands there.
    pub signers: usize,
    /// The digest that the attributes state, where it is not the content's.
    pub stated_digest: Option<Vec<u8>>,
}

pub fn compact(time: Timestamp) -> String {
    time.to_string().chars().filter(|c| !"-:T".contains(*c)).collect()
}

impl Token {
    /// A good timestamp of `message` at `time`.
    pub fn new(stamper: &Identity, message: &[u8], time: Timestamp) -> Self {
        Self {
            stamper: stamper.clone(),
            certificates: stamper.chain_der(),
            message: message.to_vec(),
            imprint_hash: oid::SHA256,
            version: 1,
            time: compact(time),
            rest: vec![],
            content_type: oid::TST_INFO,
            without: vec![],
            signers: 1,
            stated_digest: None,
        }
    }

    fn info(&self) -> Vec<u8> {
        let algorithm = sequence(&[object(self.imprint_hash)]);
        let imprint = sequence(&[algorithm, octets(&hash(&self.message))]);
        let time = tlv(0x18, &[self.time.as_bytes().to_vec()]);
        sequence(&[small(self.version), object(&[42, 3, 4]), imprint, small(7), time, self.rest.clone()])
    }

    fn attributes(&self, info: &[u8]) -> Vec<u8> {
        let leaf = hash(&self.stamper.chain_der()[0]);
        let stated = self.stated_digest.clone().unwrap_or_else(|| hash(info));
        let named = sequence(&[sequence(&[sequence(&[octets(&leaf)])])]);
        let all =
            [(oid::CONTENT_TYPE, object(self.content_type)), (oid::MESSAGE_DIGEST, octets(&stated)), (oid::SIGNING_CERTIFICATE_V2, named)];
        let kept = all.into_iter().filter(|(oid, _)| !self.without.contains(oid));
        kept.flat_map(|(oid, value)| sequence(&[object(oid), tlv(0x31, &[value])])).collect()
    }

    fn signer(&self, info: &[u8]) -> Vec<u8> {
        let (issuer, serial) = issuer_and_serial(&self.stamper.chain_der()[0]);
        let attributes = self.attributes(info);
        let signature = self.sign(&tlv(0x31, std::slice::from_ref(&attributes)));
        sequence(&[
            small(1),
            sequence(&[issuer, serial]),
            sequence(&[object(oid::SHA256)]),
            tlv(0xa0, &[attributes]),
            sequence(&[object(oid::ECDSA_SHA256)]),
            octets(&signature),
        ])
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let pkcs8 = self.stamper.key_der();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &random).expect("a P-256 key");
        key.sign(&random, message).expect("a signature").as_ref().to_vec()
    }

    pub fn der(&self) -> Vec<u8> {
        let info = self.info();
        let content = sequence(&[object(self.content_type), tlv(0xa0, &[octets(&info)])]);
        let signers = vec![self.signer(&info); self.signers];
        let algorithms = tlv(0x31, &[sequence(&[object(oid::SHA256)])]);
        let data = sequence(&[small(3), algorithms, content, tlv(0xa0, &self.certificates), tlv(0x31, &signers)]);
        sequence(&[object(oid::SIGNED_DATA), tlv(0xa0, &[data])])
    }
}

/// The first element in `der`: its content, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (head, length) = match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        0x81 => (3, usize::from(der[2])),
        _ => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
    };
    (&der[..head + length], &der[head..head + length], &der[head + length..])
}

/// Both in DER, of a certificate.
fn issuer_and_serial(certificate: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let tbs = element(element(certificate).1).1;
    let (serial, _, rest) = element(element(tbs).2);
    let issuer = element(element(rest).2).0;
    (issuer.to_vec(), serial.to_vec())
}
