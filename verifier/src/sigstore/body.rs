//! What a log entry says was logged: it has to be this signature, by this signer, over these bytes (CVE-2022-36056,
//! CVE-2026-22703).

use ring::digest::{self, Algorithm, SHA256, SHA384, SHA512};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::VerifyError;
use super::artifact::Signed;
use super::pem;
use crate::encoding::{self, Base64};
use crate::json::{self, Keys, Object};
use crate::key::PublicKey;

const KEYS: Keys = Keys {
    known: &[
        "apiVersion",
        "kind",
        "spec",
        "data",
        "hash",
        "algorithm",
        "value",
        "signature",
        "content",
        "verifier",
        "digest",
        "signatures",
        "payloadHash",
        "envelopeHash",
        "rawBytes",
        "x509Certificate",
        "hashedRekordV002",
        "dsseV002",
        "payloadType",
        "sig",
    ],
    maps: &[],
    compared: usize::MAX,
};

/// Who signed.
pub(super) enum Signer<'a> {
    /// The holder of a certificate, in DER.
    Certificate(&'a [u8]),
    /// The holder of a key.
    Key(&'a PublicKey),
}

/// A body of a kind that is known.
pub(super) enum Body {
    HashedRekord1(HashedRekord1),
    HashedRekord2(HashedRekord2),
    Dsse1(Dsse1),
    Dsse2(Dsse2),
    Intoto1(Intoto1),
    Intoto2(Intoto2),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outer {
    api_version: String,
    kind: String,
    spec: Box<RawValue>,
}

/// `hashedrekord` 0.0.1.
#[derive(Deserialize)]
pub(super) struct HashedRekord1 {
    data: Object<Data1>,
    signature: Object<Signature1>,
}

#[derive(Deserialize)]
struct Data1 {
    hash: Object<Hash1>,
}

/// A hash in hex.
#[derive(Deserialize)]
struct Hash1 {
    algorithm: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature1 {
    content: Base64,
    public_key: Object<Content1>,
}

#[derive(Deserialize)]
struct Content1 {
    content: Base64,
}

/// `hashedrekord` 0.0.2: what a Rekor v2 log holds, of messages and of envelopes.
#[derive(Deserialize)]
pub(super) struct HashedRekord2 {
    #[serde(rename = "hashedRekordV002")]
    inner: Object<Inner2>,
}

#[derive(Deserialize)]
struct Inner2 {
    data: Object<Hash2>,
    signature: Object<Signature2>,
}

/// A hash in base64.
#[derive(Deserialize)]
struct Hash2 {
    algorithm: String,
    digest: Base64,
}

#[derive(Deserialize)]
struct Signature2 {
    content: Base64,
    verifier: Object<Verifier2>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verifier2 {
    #[serde(rename = "x509Certificate")]
    certificate: Option<Object<Raw2>>,
    public_key: Option<Object<Raw2>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw2 {
    raw_bytes: Base64,
}

/// `dsse` 0.0.1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dsse1 {
    envelope_hash: Option<Object<Hash1>>,
    payload_hash: Object<Hash1>,
    signatures: Vec<Object<DsseSignature1>>,
}

#[derive(Deserialize)]
struct DsseSignature1 {
    signature: Base64,
    verifier: Base64,
}

/// `dsse` 0.0.2, which the first Rekor v2 logs held.
#[derive(Deserialize)]
pub(super) struct Dsse2 {
    #[serde(rename = "dsseV002")]
    inner: Object<DsseInner2>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DsseInner2 {
    payload_hash: Object<Hash2>,
    signatures: Vec<Object<Signature2>>,
}

/// `intoto` 0.0.1: it holds no signature, only the hash of the envelope.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Intoto1 {
    content: Object<IntotoContent1>,
    public_key: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoContent1 {
    hash: Object<Hash1>,
    payload_hash: Option<Object<Hash1>>,
}

/// `intoto` 0.0.2.
#[derive(Deserialize)]
pub(super) struct Intoto2 {
    content: Object<IntotoContent2>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoContent2 {
    envelope: Object<IntotoEnvelope2>,
    payload_hash: Object<Hash1>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoEnvelope2 {
    payload_type: String,
    signatures: Vec<Object<IntotoSignature2>>,
}

/// The signature is base64 of base64: rekor takes the envelope's text for bytes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoSignature2 {
    sig: Base64,
    public_key: Base64,
}

fn differs(problem: &'static str) -> VerifyError {
    VerifyError::Body { problem }
}

impl Hash1 {
    fn is_of(&self, digest: impl Fn(&'static Algorithm) -> Option<Vec<u8>>, problem: &'static str) -> Result<(), VerifyError> {
        let algorithm = match &*self.algorithm {
            "sha256" => &SHA256,
            "sha384" => &SHA384,
            "sha512" => &SHA512,
            _ => return Err(differs("a hash by an unknown algorithm")),
        };
        let mut expected = String::new();
        crate::digest::push_hex(&mut expected, &digest(algorithm).ok_or(differs("a hash by another algorithm than the digest at hand"))?);
        if self.value == expected { Ok(()) } else { Err(differs(problem)) }
    }
}

impl Hash2 {
    /// `sigstore_common.proto`, `HashAlgorithm`.
    fn is_of(&self, digest: impl Fn(&'static Algorithm) -> Option<Vec<u8>>, problem: &'static str) -> Result<(), VerifyError> {
        let algorithm = match &*self.algorithm {
            "SHA2_256" => &SHA256,
            "SHA2_384" => &SHA384,
            "SHA2_512" => &SHA512,
            _ => return Err(differs("a hash by an unknown algorithm")),
        };
        let expected = digest(algorithm).ok_or(differs("a hash by another algorithm than the digest at hand"))?;
        if self.digest.0 == expected { Ok(()) } else { Err(differs(problem)) }
    }
}

/// Digests of `bytes`.
fn of(bytes: &[u8]) -> impl Fn(&'static Algorithm) -> Option<Vec<u8>> {
    move |algorithm| Some(digest::digest(algorithm, bytes).as_ref().to_vec())
}

fn one<T>(list: &[Object<T>]) -> Result<&T, VerifyError> {
    match list {
        [Object(one)] => Ok(one),
        _ => Err(differs("it holds not exactly one signature")),
    }
}

impl Signer<'_> {
    /// Whether `text` is PEM of this signer's certificate or key.
    fn is_pem(&self, text: &[u8]) -> Result<(), VerifyError> {
        let text = std::str::from_utf8(text).map_err(|_| differs("its verifier is not PEM"))?;
        let same = match self {
            Self::Certificate(der) => pem::certificates(text).is_some_and(|found| found.len() == 1 && found[0] == *der),
            Self::Key(key) => PublicKey::from_pem(text).is_ok_and(|found| found.id() == key.id()),
        };
        if same { Ok(()) } else { Err(differs("it was made by another certificate or key")) }
    }

    fn is_verifier(&self, verifier: &Verifier2) -> Result<(), VerifyError> {
        let same = match (self, &verifier.certificate, &verifier.public_key) {
            (Self::Certificate(der), Some(Object(found)), None) => found.raw_bytes.0 == *der,
            (Self::Key(key), None, Some(Object(found))) => {
                PublicKey::from_der(&found.raw_bytes.0).is_ok_and(|found| found.id() == key.id())
            }
            (Self::Certificate(_) | Self::Key(_), _, _) => false,
        };
        if same { Ok(()) } else { Err(differs("it was made by another certificate or key")) }
    }
}

fn same_signature(found: &[u8], signed: &Signed<'_>) -> Result<(), VerifyError> {
    if found == signed.signature() { Ok(()) } else { Err(differs("it holds another signature")) }
}

impl Body {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, VerifyError> {
        let malformed = |_| differs("its body is malformed");
        let Outer { api_version, kind, spec } = json::read(bytes, &KEYS).map_err(malformed)?;
        let spec = spec.get().as_bytes();
        match (&*kind, &*api_version) {
            ("hashedrekord", "0.0.1") => json::read(spec, &KEYS).map(Self::HashedRekord1),
            ("hashedrekord", "0.0.2") => json::read(spec, &KEYS).map(Self::HashedRekord2),
            ("dsse", "0.0.1") => json::read(spec, &KEYS).map(Self::Dsse1),
            ("dsse", "0.0.2") => json::read(spec, &KEYS).map(Self::Dsse2),
            ("intoto", "0.0.1") => json::read(spec, &KEYS).map(Self::Intoto1),
            ("intoto", "0.0.2") => json::read(spec, &KEYS).map(Self::Intoto2),
            _ => return Err(differs("an entry of an unknown kind")),
        }
        .map_err(malformed)
    }

    pub(super) fn is(&self, kind: &str, version: &str) -> bool {
        let own = match self {
            Self::HashedRekord1(_) => ("hashedrekord", "0.0.1"),
            Self::HashedRekord2(_) => ("hashedrekord", "0.0.2"),
            Self::Dsse1(_) => ("dsse", "0.0.1"),
            Self::Dsse2(_) => ("dsse", "0.0.2"),
            Self::Intoto1(_) => ("intoto", "0.0.1"),
            Self::Intoto2(_) => ("intoto", "0.0.2"),
        };
        own == (kind, version)
    }

    /// Whether it is of a kind that only Rekor v2 logs hold.
    pub(super) fn is_tiled(&self) -> bool {
        match self {
            Self::HashedRekord2(_) | Self::Dsse2(_) => true,
            Self::HashedRekord1(_) | Self::Dsse1(_) | Self::Intoto1(_) | Self::Intoto2(_) => false,
        }
    }

    /// Checks that it is about `signed` by `signer`.
    pub(super) fn describes(&self, signed: &Signed<'_>, signer: &Signer<'_>) -> Result<(), VerifyError> {
        match (self, signed) {
            // Of an envelope it is over the pre-authentication encoding (client-spec, section 4.4).
            (Self::HashedRekord1(body), Signed::Message { .. } | Signed::Dsse { .. }) => {
                body.data.0.hash.0.is_of(|algorithm| signed.digest(algorithm), "it is over something else")?;
                same_signature(&body.signature.0.content.0, signed)?;
                signer.is_pem(&body.signature.0.public_key.0.content.0)
            }
            (Self::HashedRekord2(body), Signed::Message { .. } | Signed::Dsse { .. }) => {
                let inner = &body.inner.0;
                inner.data.0.is_of(|algorithm| signed.digest(algorithm), "it is over something else")?;
                same_signature(&inner.signature.0.content.0, signed)?;
                signer.is_verifier(&inner.signature.0.verifier.0)
            }
            (Self::Dsse1(body), Signed::Dsse { envelope, raw, .. }) => {
                body.payload_hash.0.is_of(of(&envelope.payload), "it is over another payload")?;
                // The hash of the envelope's text, which a bundle does not keep.
                if let (Some(Object(hash)), Some(raw)) = (&body.envelope_hash, raw) {
                    hash.is_of(of(raw), "it is over another envelope")?;
                }
                let signature = one(&body.signatures)?;
                same_signature(&signature.signature.0, signed)?;
                signer.is_pem(&signature.verifier.0)
            }
            (Self::Dsse2(body), Signed::Dsse { envelope, .. }) => {
                body.inner.0.payload_hash.0.is_of(of(&envelope.payload), "it is over another payload")?;
                let signature = one(&body.inner.0.signatures)?;
                same_signature(&signature.content.0, signed)?;
                signer.is_verifier(&signature.verifier.0)
            }
            // Only the hash of the envelope's text binds the signature, so the text has to be at hand.
            (Self::Intoto1(body), Signed::Dsse { envelope, raw: Some(raw), .. }) => {
                let content = &body.content.0;
                content.hash.0.is_of(of(raw), "it is over another envelope")?;
                if let Some(Object(hash)) = &content.payload_hash {
                    hash.is_of(of(&envelope.payload), "it is over another payload")?;
                }
                signer.is_pem(&body.public_key.0)
            }
            (Self::Intoto2(body), Signed::Dsse { envelope, .. }) => {
                let content = &body.content.0;
                content.payload_hash.0.is_of(of(&envelope.payload), "it is over another payload")?;
                if content.envelope.0.payload_type != envelope.payload_type {
                    return Err(differs("it is over a payload of another type"));
                }
                let signature = one(&content.envelope.0.signatures)?;
                let text = std::str::from_utf8(&signature.sig.0).ok().and_then(encoding::decode);
                same_signature(&text.ok_or(differs("it holds a malformed signature"))?, signed)?;
                signer.is_pem(&signature.public_key.0)
            }
            (Self::Intoto1(_), Signed::Dsse { raw: None, .. })
            | (Self::Dsse1(_) | Self::Dsse2(_) | Self::Intoto1(_) | Self::Intoto2(_), Signed::Message { .. }) => {
                Err(differs("its kind cannot describe such a signature"))
            }
        }
    }
}
