use super::*;
use crate::key::PublicKey;

const BUNDLE: &str = include_str!("../../tests/fixtures/p256/bundle.json");

fn message(digest: &str) -> String {
    format!(
        r#"{{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.1","verificationMaterial":{{"publicKey":{{"hint":"x"}},"tlogEntries":[{{"logId":{{"keyId":"AA=="}}}}]}},"messageSignature":{{{digest}"signature":"AAAA"}},"unknown":1}}"#
    )
}

#[test]
fn cosigns_bundle_is_read_and_its_hint_is_the_keys_id() {
    let bundle = Bundle::parse(BUNDLE.as_bytes()).expect("a bundle");
    let key = PublicKey::from_pem(include_str!("../../tests/fixtures/p256/key.pub")).expect("a key");
    assert_eq!(bundle.material, Material::PublicKey { hint: Some(key.id().digest()) });
    match bundle.content {
        Content::Dsse(envelope) => assert!(key.verify(&envelope.pre_authentication_encoding(), &envelope.signatures[0])),
        Content::Message { .. } => panic!("an envelope"),
    }
}

#[test]
fn message_digests_are_compared_under_their_own_algorithm() {
    // V15
    use base64::Engine as _;
    let parse = |algorithm: &str, digest: &[u8]| {
        let digest = base64::engine::general_purpose::STANDARD.encode(digest);
        let text = message(&format!(r#""messageDigest":{{"algorithm":{algorithm},"digest":"{digest}"}},"#));
        match Bundle::parse(text.as_bytes()).expect("a bundle").content {
            Content::Message { digest, .. } => digest.expect("a digest"),
            Content::Dsse(_) => panic!("a message"),
        }
    };
    let sha256 = Digest::sha256(b"m");
    for algorithm in ["\"SHA2_256\"", "1"] {
        assert!(parse(algorithm, sha256.as_bytes()).matches(b"m"));
        assert!(!parse(algorithm, sha256.as_bytes()).matches(b"n"));
        assert!(!parse(algorithm, &sha256.as_bytes()[..31]).matches(b"m"));
    }
    assert!(parse("\"SHA2_384\"", ring::digest::digest(&ring::digest::SHA384, b"m").as_ref()).matches(b"m"));
    for other in ["\"SHA2_512\"", "\"SHA3_256\"", "0", "-7", "null"] {
        assert!(!parse(other, sha256.as_bytes()).matches(b"m"), "{other}");
    }
    assert!(matches!(Bundle::parse(message("").as_bytes()).expect("a bundle").content, Content::Message { digest: None, .. }));
}

#[test]
fn a_certificate_is_told_from_a_key() {
    // V3
    for (name, value) in [("certificate", r#"{"rawBytes":"AA=="}"#), ("x509CertificateChain", r#"{"certificates":[]}"#)] {
        let text = message("").replace(r#""publicKey":{"hint":"x"}"#, &format!(r#""{name}":{value}"#));
        assert_eq!(Bundle::parse(text.as_bytes()).expect("a bundle").material, Material::Certificate);
        let both = message("").replace(r#""tlogEntries""#, &format!(r#""{name}":{value},"tlogEntries""#));
        assert_eq!(Bundle::parse(both.as_bytes()), Err(BundleError::Material { found: 2 }));
    }
}

#[test]
fn malformed_bundles_are_refused() {
    // V14, V36, C5
    let signature = r#""signatures":[{"#;
    for (from, to) in [
        ("bundle.v0.3", "bundle.v0.9"),
        ("\"publicKey\"", "\"PublicKey\""),
        ("\"publicKey\"", "\"other\""),
        ("\"dsseEnvelope\"", "\"other\""),
        ("\"dsseEnvelope\"", "\"messageSignature\":{\"signature\":\"\"},\"dsseEnvelope\""),
        (signature, r#""signatures":[{"sig":"AAAA"},{"#),
        (signature, r#""x":[{"#),
        ("\"payload\":\"", "\"payload\":\"*"),
        ("\"payloadType\"", "\"payloadType\":\"a\",\"payloadType\""),
        ("{\"mediaType\"", "[{\"mediaType\""),
    ] {
        assert!(BUNDLE.contains(from), "{from}");
        assert!(Bundle::parse(BUNDLE.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
    }
}
