//! The whole decision over foreign bytes: a manifest, and what is attached to it. Nobody holds the trusted key, so nothing is admitted.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sealgate_verifier::{
    Attachment, Collected, Digest, Evidence, ImageFacts, Location, Policy, PolicyParts, PublicKey, Quorum, Requirement, Revision, Rule,
    SignedBy, Signer, SignerIdentity, Subject, Timestamp, TrustedKey, Verdict, evaluate, media_type,
};

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let key = PublicKey::from_pem(include_str!("../seeds/key.pub")).expect("a key");
    let identity = SignerIdentity::Keys(vec![TrustedKey { key, until: None }]);
    let requirement = Requirement::SignedBy(SignedBy { quorum: Quorum::Any, signers: vec!["ci".to_owned()] });
    Policy::new(PolicyParts {
        signers: BTreeMap::from([("ci".to_owned(), Signer { identity, images: Vec::new() })]),
        rules: vec![Rule::of("**".parse().expect("a pattern"), vec![requirement])],
        ..PolicyParts::empty(Revision(Digest::sha256(b"fuzz")))
    })
    .expect("a policy")
});

/// A manifest with one layer of this type, under the annotation that holds a signature.
fn manifest(layer: &[u8], kind: &str, annotation: &str) -> Bytes {
    let empty = Digest::sha256(b"{}");
    let annotation = serde_json::Value::from(annotation);
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{empty}","size":2}},"layers":[{{"mediaType":"{kind}","digest":"{}","size":{},"annotations":{{"dev.cosignproject.cosign/signature":{annotation}}}}}]}}"#,
        media_type::OCI_MANIFEST,
        media_type::OCI_EMPTY,
        Digest::sha256(layer),
        layer.len(),
    )
    .into()
}

fuzz_target!(|input: (u8, String, Vec<u8>, Vec<u8>)| {
    let (choice, annotation, layer, own) = input;
    let kinds = [media_type::SIMPLE_SIGNING, media_type::BUNDLE_V03, media_type::DSSE, media_type::JOSE, media_type::COSE];
    let kind = kinds[usize::from(choice) % kinds.len()];
    let attached = if choice & 0x80 == 0 { manifest(&layer, kind, &annotation) } else { own.clone().into() };
    let subject = if choice & 0x40 == 0 { manifest(b"layer", "application/vnd.oci.image.layer.v1.tar", "") } else { own.into() };
    let items = vec![Attachment {
        location: Location::Referrers,
        digest: Digest::sha256(&attached),
        manifest: attached,
        layers: vec![layer.into()],
    }];
    let evidence = Evidence {
        subject: Subject {
            repository: "docker.io/library/nginx".parse().expect("a repository"),
            tag: None,
            digest: Digest::sha256(&subject),
            manifest: subject,
        },
        attachments: Collected { items, gaps: Vec::new(), collected_at: Timestamp(0), stale_at: Timestamp(i64::MAX) },
        parents: Vec::new(),
        image: ImageFacts::not_collected(Timestamp(0)),
        children: Vec::new(),
    };
    assert!(matches!(evaluate(&evidence, &POLICY, Timestamp(1_800_000_000)), Verdict::Deny(_)));
});
