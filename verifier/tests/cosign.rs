//! What cosign wrote counts, for each kind of key and in both ways of storing; and nothing that was changed in it does.
//! `fixtures/SOURCE.md` says how the files were made.

mod scene;

use bytes::Bytes;
use scene::{NOW, policy, rule, signed_by};
use sealgate_verifier::{
    Attachment, Digest, Evidence, FindingOutcome, KeyError, Location, Policy, PublicKey, Quorum, Signer, SignerIdentity, TrustedKey,
    Verdict, evaluate,
};

const MANIFEST: &[u8] = include_bytes!("fixtures/manifest.json");

/// The bits that are flipped in byte `at`: one, or every one when the tests are built with `SEALGATE_CASES` set.
fn bits(at: usize) -> std::ops::Range<usize> {
    if option_env!("SEALGATE_CASES").is_some() { 0..8 } else { at % 8..at % 8 + 1 }
}

/// What cosign stored for one key.
struct Fixture {
    name: &'static str,
    key: &'static str,
    /// `.sig` manifest and payload.
    legacy: [&'static [u8]; 2],
    /// Referrer manifest and bundle.
    bundle: [&'static [u8]; 2],
}

macro_rules! fixture {
    ($name:literal) => {
        Fixture {
            name: $name,
            key: include_str!(concat!("fixtures/", $name, "/key.pub")),
            legacy: [
                include_bytes!(concat!("fixtures/", $name, "/sig-manifest.json")),
                include_bytes!(concat!("fixtures/", $name, "/payload.json")),
            ],
            bundle: [
                include_bytes!(concat!("fixtures/", $name, "/bundle-manifest.json")),
                include_bytes!(concat!("fixtures/", $name, "/bundle.json")),
            ],
        }
    };
}

const FIXTURES: [Fixture; 5] = [fixture!("p256"), fixture!("p384"), fixture!("ed25519"), fixture!("rsa2048"), fixture!("rsa4096")];

fn policy_of(key: &str) -> Policy {
    let keys = vec![TrustedKey { key: PublicKey::from_pem(key).expect("a key"), until: None }];
    let signer = Signer { identity: SignerIdentity::Keys(keys), images: vec![] };
    policy(vec![("ci", signer)], vec![rule(vec![signed_by(Quorum::Any, &["ci"])])])
}

/// The attachment with these bytes, under the digest of the manifest as it now is.
fn attachment(location: Location, manifest: &[u8], layer: &[u8]) -> Attachment {
    let (manifest, layer) = (Bytes::copy_from_slice(manifest), Bytes::copy_from_slice(layer));
    Attachment { location, digest: Digest::sha256(&manifest), manifest, layers: vec![layer] }
}

fn evidence(items: Vec<Attachment>) -> Evidence {
    scene::evidence(&Bytes::from_static(MANIFEST), items)
}

impl Fixture {
    fn forms(&self) -> [(Location, [&'static [u8]; 2]); 2] {
        [(Location::SignatureTag, self.legacy), (Location::FallbackTag, self.bundle)]
    }
}

#[test]
fn what_cosign_signed_is_admitted_by_its_key_and_by_no_other() {
    for fixture in FIXTURES {
        for (location, [manifest, layer]) in fixture.forms() {
            let evidence = evidence(vec![attachment(location, manifest, layer)]);
            for other in FIXTURES {
                let verdict = evaluate(&evidence, &policy_of(other.key), NOW);
                let admitted = matches!(&verdict, Verdict::Admit(_));
                assert_eq!(admitted, other.name == fixture.name, "{} {location:?} by {}: {}", fixture.name, other.name, verdict.line());
            }
        }
    }
}

#[test]
fn what_cosign_signed_with_p521_has_no_key_here() {
    let fixture = fixture!("p521");
    assert_eq!(PublicKey::from_pem(fixture.key), Err(KeyError::Unsupported { oid: "1.3.132.0.35".to_owned() }));
    let items = fixture.forms().map(|(location, [manifest, layer])| attachment(location, manifest, layer));
    let denial = scene::denial(&evidence(items.into()), &policy_of(FIXTURES[0].key));
    assert!(denial.findings.len() == 2 && denial.outcome_code() == 12, "{denial:?}");
}

#[test]
fn what_cosign_signs_with_ed25519_is_prehashed_and_says_so() {
    let fixture = fixture!("ed25519ph");
    let items = fixture.forms().map(|(location, [manifest, layer])| attachment(location, manifest, layer));
    let denial = scene::denial(&evidence(items.into()), &policy_of(fixture.key));
    let why = denial.findings.iter().filter(|finding| match &finding.outcome {
        FindingOutcome::Failed { why, .. } => why.contains("Ed25519ph"),
        FindingOutcome::Verified { .. } => false,
    });
    assert_eq!((why.count(), denial.findings.len()), (2, 2), "{denial:?}");
}

#[test]
fn each_hash_counts_that_a_tool_may_have_used() {
    use base64::Engine as _;
    for (fixture, signature) in [
        (fixture!("p256"), include_str!("fixtures/p256/payload.sha384.sig")),
        (fixture!("p384"), include_str!("fixtures/p384/payload.sha256.sig")),
        (fixture!("rsa2048"), include_str!("fixtures/rsa2048/payload.sha384.sig")),
        (fixture!("rsa2048"), include_str!("fixtures/rsa2048/payload.sha512.sig")),
    ] {
        let key = PublicKey::from_pem(fixture.key).expect("a key");
        let mut signature = base64::engine::general_purpose::STANDARD.decode(signature).expect("base64");
        assert!(key.verify(fixture.legacy[1], &signature), "{}", fixture.name);
        assert!(!key.verify(fixture.bundle[1], &signature), "{}", fixture.name);
        signature.push(0);
        assert!(!key.verify(fixture.legacy[1], &signature), "{}", fixture.name);
    }
}

/// With every digest mended around the change, as one who can push to the registry would do.
fn mended(location: Location, manifest: &[u8], layer: &[u8], changed: &[u8]) -> Attachment {
    let text = String::from_utf8(manifest.to_vec()).expect("text");
    let text = text
        .replace(&Digest::sha256(layer).to_string(), &Digest::sha256(changed).to_string())
        .replace(&format!("\"size\":{}", layer.len()), &format!("\"size\":{}", changed.len()));
    attachment(location, text.as_bytes(), changed)
}

/// Parts of a bundle that this version does not authenticate: a change in them may leave the signature as good as it was.
fn is_unsigned_text(layer: &[u8], at: usize) -> bool {
    let text = std::str::from_utf8(layer).expect("text");
    let within = |key: &str| {
        let start = text.find(key).map(|start| start + key.len());
        start.is_some_and(|start| (start..start + text[start..].find('"').expect("a string")).contains(&at))
    };
    within("\"hint\":\"") || within("\"mediaType\":\"")
}

#[test]
fn no_flipped_bit_in_a_signed_layer_is_admitted() {
    let policy = policy_of(FIXTURES[0].key);
    let mut admitted = Vec::new();
    for (location, [manifest, layer]) in FIXTURES[0].forms() {
        for at in 0..layer.len() {
            for bit in bits(at) {
                let mut changed = layer.to_vec();
                changed[at] ^= 1 << bit;
                let evidence = evidence(vec![mended(location, manifest, layer, &changed)]);
                if matches!(evaluate(&evidence, &policy, NOW), Verdict::Admit(_)) && !is_unsigned_text(layer, at) {
                    admitted.push((location, at, bit));
                }
            }
        }
    }
    // Another spelling of the same bytes in base64 or of a key that nobody reads changes nothing that is signed.
    let harmless = |(location, at, bit): &(Location, usize, usize)| {
        let [_, layer] = FIXTURES[0].forms().into_iter().find(|(l, _)| l == location).expect("a form").1;
        let mut changed = layer.to_vec();
        changed[*at] ^= 1 << bit;
        signed_parts(layer) == signed_parts(&changed)
    };
    let harmful: Vec<_> = admitted.into_iter().filter(|found| !harmless(found)).collect();
    assert_eq!(harmful, []);
}

/// Payload and signature of a bundle, decoded; the bytes themselves for a payload.
fn signed_parts(layer: &[u8]) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    match sealgate_verifier::bundle::Bundle::parse(layer).ok()?.content {
        sealgate_verifier::bundle::Content::Dsse(envelope) => Some((envelope.payload, envelope.signatures)),
        sealgate_verifier::bundle::Content::Message { .. } => None,
    }
}

#[test]
fn no_flipped_bit_in_a_legacy_signature_is_admitted() {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    for fixture in FIXTURES {
        let policy = policy_of(fixture.key);
        let [manifest, layer] = fixture.legacy;
        let text = String::from_utf8(manifest.to_vec()).expect("text");
        let start = text.find("cosign/signature\":\"").expect("the annotation") + "cosign/signature\":\"".len();
        let encoded = &text[start..start + text[start..].find('"').expect("its end")];
        let signature = engine.decode(encoded).expect("base64");
        for at in 0..signature.len() {
            for bit in bits(at) {
                let mut changed = signature.clone();
                changed[at] ^= 1 << bit;
                let manifest = text.replace(encoded, &engine.encode(changed));
                let evidence = evidence(vec![attachment(Location::SignatureTag, manifest.as_bytes(), layer)]);
                assert!(!scene::admits(&evidence, &policy), "{} byte {at} bit {bit}", fixture.name);
            }
        }
    }
}

#[test]
fn truncated_attachments_are_not_admitted() {
    let policy = policy_of(FIXTURES[0].key);
    for (location, [manifest, layer]) in FIXTURES[0].forms() {
        for end in 0..layer.len() {
            let evidence = evidence(vec![mended(location, manifest, layer, &layer[..end])]);
            assert!(!scene::admits(&evidence, &policy), "{location:?} layer of {end} bytes");
        }
        for end in 0..manifest.len() {
            let evidence = evidence(vec![attachment(location, &manifest[..end], layer)]);
            assert!(!scene::admits(&evidence, &policy), "{location:?} manifest of {end} bytes");
        }
    }
}

#[test]
fn a_digest_stands_for_the_message_with_every_key_but_ed25519() {
    // Sigstore's conformance suite verifies each bundle by the artifact's digest too.
    use base64::Engine as _;
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text.trim()).expect("base64");
    let hash = |algorithm, message: &[u8]| ring::digest::digest(algorithm, message).as_ref().to_vec();
    let (sha256, sha384, sha512) = (&ring::digest::SHA256, &ring::digest::SHA384, &ring::digest::SHA512);
    let mut signatures: Vec<(&Fixture, _, Vec<u8>)> = vec![];
    for fixture in &FIXTURES {
        let manifest: serde_json::Value = serde_json::from_slice(fixture.legacy[0]).expect("JSON");
        let text = manifest["layers"][0]["annotations"]["dev.cosignproject.cosign/signature"].as_str().expect("a signature");
        let made_with = if fixture.name == "p384" { sha384 } else { sha256 };
        signatures.push((fixture, made_with, decode(text)));
    }
    let rsa = FIXTURES.iter().find(|fixture| fixture.name == "rsa2048").expect("a fixture");
    signatures.push((rsa, sha384, decode(include_str!("fixtures/rsa2048/payload.sha384.sig"))));
    signatures.push((rsa, sha512, decode(include_str!("fixtures/rsa2048/payload.sha512.sig"))));
    for (fixture, made_with, signature) in signatures {
        let key = PublicKey::from_pem(fixture.key).expect("a key");
        let payload = fixture.legacy[1];
        let verified = |algorithm| key.verify_prehashed(&hash(algorithm, payload), &signature);
        let by_message = key.verify(payload, &signature);
        assert!(by_message, "{}", fixture.name);
        if fixture.name == "ed25519" {
            assert!([sha256, sha384, sha512].iter().all(|algorithm| !verified(algorithm)));
            continue;
        }
        for algorithm in [sha256, sha384, sha512] {
            assert_eq!(verified(algorithm), algorithm == made_with, "{}", fixture.name);
        }
        assert!(!key.verify_prehashed(&hash(made_with, b"another"), &signature), "{}", fixture.name);
        for at in (0..signature.len()).step_by(7) {
            let mut changed = signature.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(!key.verify_prehashed(&hash(made_with, payload), &changed), "{} byte {at}", fixture.name);
        }
        for other in
            [&signature[1..], &[&signature[..], &[0]].concat(), &[&[0], &signature[..]].concat(), &[], &vec![0xff; signature.len()]]
        {
            assert!(!key.verify_prehashed(&hash(made_with, payload), other), "{}", fixture.name);
        }
        for length in [0, 20, 28, 31, 33, 128] {
            assert!(!key.verify_prehashed(&vec![7; length], &signature), "{}: a digest of {length} bytes", fixture.name);
        }
    }
}
