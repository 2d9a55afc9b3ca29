//! Images, signatures and policies for the tests of the decision. Signatures in here are made with ring; that cosign's are
//! read as well is the business of `cosign.rs`.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod inside;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use sealgate_verifier::media_type::{BUNDLE_V03, COSIGN_SIGN_PREDICATE, OCI_EMPTY, OCI_MANIFEST, SIMPLE_SIGNING};
use sealgate_verifier::{
    Attachment, Collected, Denial, Digest, Evidence, EvidenceSource, Failure, Gap, ImageFacts, Location, ParentEvidence, Policy,
    PolicyParts, PublicKey, Quorum, Reason, Requirement, Revision, Rule, SignedBy, Signer, SignerIdentity, Subject, Timestamp, TrustedKey,
    Verdict, evaluate,
};

/// The time of every decision that names no other.
pub const NOW: Timestamp = Timestamp(1_800_000_000);
/// The image's name.
pub const NAME: &str = "docker.io/library/nginx";

/// A P-256 key pair.
pub struct Key {
    pair: EcdsaKeyPair,
    /// Its public half.
    pub public: PublicKey,
}

/// Five key pairs, made once per test binary.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| (0..5).map(|_| Key::generate()).collect());

impl Key {
    fn generate() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("a key pair");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).expect("a key pair");
        // SubjectPublicKeyInfo of P-256 (RFC 5480) before the point.
        let mut der = vec![0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        der.extend([6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0]);
        der.extend(pair.public_key().as_ref());
        Self { pair, public: PublicKey::from_der(&der).expect("a public key") }
    }

    /// A signature over `message`.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec()
    }
}

/// A descriptor in JSON.
pub fn descriptor(media_type: &str, bytes: &[u8], extra: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}{extra}}}"#, Digest::sha256(bytes), bytes.len())
}

/// An image manifest; another `seed`, another image.
pub fn image(seed: u8) -> Bytes {
    let layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &[seed], "");
    let config = descriptor("application/vnd.oci.image.config.v1+json", b"{\"os\":\"linux\"}", "");
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{config},"layers":[{layer}]}}"#).into()
}

/// An index that lists `children`.
pub fn index(children: &[&Bytes]) -> Bytes {
    let children: Vec<String> = children.iter().map(|child| descriptor(OCI_MANIFEST, child, "")).collect();
    format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, children.join(",")).into()
}

/// A manifest that carries `layer`, as an attachment.
pub fn attachment(location: Location, media_type: &str, layer: Bytes, layer_extra: &str, manifest_extra: &str) -> Attachment {
    let config = descriptor(OCI_EMPTY, b"{}", "");
    let layers = descriptor(media_type, &layer, layer_extra);
    let manifest: Bytes =
        format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{config},"layers":[{layers}]{manifest_extra}}}"#).into();
    Attachment { location, digest: Digest::sha256(&manifest), manifest, layers: vec![layer] }
}

/// cosign's simple signing by `key` over a payload that names `digest` and `reference`.
pub fn simple_signing(key: &Key, digest: Digest, reference: &str) -> Attachment {
    let payload: Bytes = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"{reference}"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
    )
    .into();
    let signature = STANDARD.encode(key.sign(&payload));
    let annotation = format!(r#","annotations":{{"dev.cosignproject.cosign/signature":"{signature}"}}"#);
    attachment(Location::SignatureTag, SIMPLE_SIGNING, payload, &annotation, "")
}

/// A bundle around `content`, as a referrer of `subject`.
pub fn bundle(material: &str, content: &str, subject: &Bytes) -> Attachment {
    let text = format!(r#"{{"mediaType":"{BUNDLE_V03}","verificationMaterial":{{{material}}},{content}}}"#);
    let refers = format!(r#","subject":{}"#, descriptor(OCI_MANIFEST, subject, ""));
    attachment(Location::Referrers, BUNDLE_V03, text.into(), "", &refers)
}

/// A DSSE envelope by `key` with a statement of type `predicate` about `subject`, in JSON.
pub fn dsse(key: &Key, subject: Digest, predicate_type: &str) -> String {
    envelope(key, subject, predicate_type, "{}")
}

/// The same, with a predicate in JSON.
pub fn envelope(key: &Key, subject: Digest, predicate_type: &str, predicate: &str) -> String {
    let statement = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{}"}}}}],"predicateType":"{predicate_type}","predicate":{predicate}}}"#,
        subject.hex()
    );
    let kind = "application/vnd.in-toto+json";
    let signature = key.sign(format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len()).as_bytes());
    let (payload, signature) = (STANDARD.encode(statement), STANDARD.encode(signature));
    format!(r#""dsseEnvelope":{{"payload":"{payload}","payloadType":"{kind}","signatures":[{{"sig":"{signature}"}}]}}"#)
}

/// What `cosign sign --key` of version 3 writes for `subject`.
pub fn cosign_bundle(key: &Key, subject: &Bytes) -> Attachment {
    bundle(r#""publicKey":{"hint":""}"#, &dsse(key, Digest::sha256(subject), COSIGN_SIGN_PREDICATE), subject)
}

/// A message signature by `key` over `subject`.
pub fn message_bundle(key: &Key, subject: &Bytes) -> Attachment {
    let signature = STANDARD.encode(key.sign(subject));
    let digest = STANDARD.encode(Digest::sha256(subject).as_bytes());
    let content =
        format!(r#""messageSignature":{{"messageDigest":{{"algorithm":"SHA2_256","digest":"{digest}"}},"signature":"{signature}"}}"#);
    bundle(r#""publicKey":{}"#, &content, subject)
}

/// Freshly collected items.
pub fn collected(items: Vec<Attachment>) -> Collected<Attachment> {
    Collected { items, gaps: Vec::new(), collected_at: NOW, stale_at: NOW.plus(600) }
}

/// A gap.
pub fn gap(failure: Failure) -> Gap {
    Gap { source: EvidenceSource::Signatures, place: "referrers API".to_owned(), failure, detail: String::new() }
}

/// Evidence on `manifest` with its own attachments.
pub fn evidence(manifest: &Bytes, items: Vec<Attachment>) -> Evidence {
    let subject = Subject {
        repository: NAME.parse().expect("a repository"),
        tag: None,
        digest: Digest::sha256(manifest),
        manifest: manifest.clone(),
    };
    let image = ImageFacts::not_collected(NOW);
    Evidence { subject, attachments: collected(items), parents: Vec::new(), image, children: Vec::new() }
}

/// An index with its attachments.
pub fn parent(manifest: &Bytes, items: Vec<Attachment>) -> ParentEvidence {
    ParentEvidence { digest: Digest::sha256(manifest), manifest: manifest.clone(), attachments: collected(items) }
}

/// A signer with one key.
pub fn signer(key: &Key) -> Signer {
    signer_of(&[key])
}

/// A signer with several keys.
pub fn signer_of(keys: &[&Key]) -> Signer {
    let keys = keys.iter().map(|key| TrustedKey { key: key.public.clone(), until: None }).collect();
    Signer { identity: SignerIdentity::Keys(keys), images: Vec::new() }
}

/// A `signed-by`.
pub fn signed_by(quorum: Quorum, signers: &[&str]) -> Requirement {
    Requirement::SignedBy(SignedBy { quorum, signers: signers.iter().map(|name| (*name).to_owned()).collect() })
}

/// A rule for `docker.io/library/*`.
pub fn rule(requirements: Vec<Requirement>) -> Rule {
    Rule::of("docker.io/library/*".parse().expect("a pattern"), requirements)
}

/// A policy with these signers and rules.
pub fn policy(signers: Vec<(&str, Signer)>, rules: Vec<Rule>) -> Policy {
    let signers: BTreeMap<String, Signer> = signers.into_iter().map(|(name, signer)| (name.to_owned(), signer)).collect();
    Policy::new(PolicyParts { signers, rules, ..PolicyParts::empty(Revision(Digest::sha256(b"test"))) }).expect("a policy")
}

/// The usual policy: `signed-by` any of `ci`, whose key is the first.
pub fn ci_policy() -> Policy {
    policy(vec![("ci", signer(&KEYS[0]))], vec![rule(vec![signed_by(Quorum::Any, &["ci"])])])
}

/// The denial of a decision at [`NOW`].
pub fn denial(evidence: &Evidence, policy: &Policy) -> Denial {
    match evaluate(evidence, policy, NOW) {
        Verdict::Deny(denial) => denial,
        Verdict::Admit(admission) => panic!("admitted: {admission:?}"),
    }
}

/// Whether the decision at [`NOW`] admits.
pub fn admits(evidence: &Evidence, policy: &Policy) -> bool {
    matches!(evaluate(evidence, policy, NOW), Verdict::Admit(_))
}

/// The reason of a denial, asserted to be the only one.
pub fn only_reason(evidence: &Evidence, policy: &Policy) -> Reason {
    let denial = denial(evidence, policy);
    assert_eq!(denial.reasons.len(), 1, "{:?}", denial.reasons);
    denial.reasons.into_iter().next().expect("a reason")
}
