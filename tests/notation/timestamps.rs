//! RFC 3161 countersignatures, by `openssl ts` behind `notation sign --timestamp-url`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealgate_tests::notation::{Envelope, Format};
use sealgate_tests::pki::{
    Ca, Identity, KeyType, ca_params, chain_der, name, purpose_extension, signing_params, timestamping_params, valid,
};
use sealgate_tests::process::wait_until;
use sealgate_tests::timestamp::Authority;
use sealgate_verifier::notation::{
    CertificateError, Level, NotationError, NotationSigner, RevocationCheck, StoreKind, TimestampCheck, TimestampError, Validation,
};
use serde_json::{Value, json};

use crate::forge::Forge;
use crate::scene::{Policy, Scene, now};
use crate::token::{Token, compact, oid};

const JOSE: &str = "application/jose+json";

/// A signing CA, and a time-stamping CA with its signer.
struct Authorities {
    ca: Ca,
    tsa: Ca,
    stamper: Identity,
}

impl Authorities {
    fn new(kind: KeyType) -> Self {
        let tsa = Ca::root(ca_params(name("Time", "root")), kind);
        let stamper =
            tsa.intermediate(ca_params(name("Time", "middle")), KeyType::P256).issue(&timestamping_params(name("Time", "tsa")), kind);
        Self { ca: Ca::of("Acme"), tsa, stamper }
    }

    fn policy(&self) -> Policy<'_> {
        Policy::strict(self.ca.root_pem()).and(StoreKind::Tsa, self.tsa.root_pem())
    }

    /// A timestamped signature by a certificate that ends in `seconds`.
    fn sign(&self, scene: &Scene, format: Format, seconds: i64) -> Envelope {
        let identity = self.ca.issue(&valid(signing_params(name("Acme", "release")), -60, seconds), KeyType::P256);
        let authority = Authority::start(&self.stamper);
        let root = scene.notation.file("tsa.pem", self.tsa.root_pem());
        let root = root.to_str().expect("a path");
        let envelope = scene.sign(&identity, format, &["--timestamp-url", &authority.url(), "--timestamp-root-cert", root]);
        assert_eq!(authority.served(), 1);
        envelope
    }
}

/// An envelope in JWS with its timestamp changed.
fn with_token(envelope: &Envelope, change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) -> Envelope {
    let mut document: Value = serde_json::from_slice(&envelope.bytes).expect("JWS");
    let header = document["header"].as_object_mut().expect("a header");
    let token = header.remove("io.cncf.notary.timestampSignature").expect("a timestamp");
    let token = STANDARD.decode(token.as_str().expect("text")).expect("base64");
    if let Some(token) = change(token) {
        header.insert("io.cncf.notary.timestampSignature".to_owned(), json!(STANDARD.encode(token)));
    }
    Envelope { media_type: envelope.media_type.clone(), bytes: document.to_string().into_bytes() }
}

fn token(envelope: &Envelope) -> Vec<u8> {
    let mut found = vec![];
    let _ = with_token(envelope, |token| {
        found.clone_from(&token);
        Some(token)
    });
    found
}

#[test]
fn a_timestamp_carries_a_signature_over_the_end_of_its_certificate() {
    for (format, kind) in [(Format::Jws, KeyType::P256), (Format::Cose, KeyType::Rsa(2048)), (Format::Jws, KeyType::P384)] {
        let (scene, authorities) = (Scene::new(), Authorities::new(kind));
        let envelope = authorities.sign(&scene, format, 12);
        let verified = scene.agreed(&envelope, &authorities.policy()).expect("a timestamped signature");
        let signed_at = verified.signed_at().expect("an authentic time");
        assert!((signed_at.since(now())).abs() < 120, "{signed_at}");
        assert_eq!(verified.valid_until(), None, "nothing that is known ends it");
        assert!(wait_until(Duration::from_secs(30), || now() > signed_at.plus(13)));
        let again = scene.agreed(&envelope, &authorities.policy()).expect("after the certificate's end");
        assert_eq!(again.signed_at(), Some(signed_at));
        // Without a TSA in the trust store nobody vouches for the time.
        let error = scene.agreed(&envelope, &Policy::strict(authorities.ca.root_pem())).expect_err("expired");
        assert!(matches!(error, NotationError::Certificate { number: 1, problem: CertificateError::Validity { .. } }), "{error}");
    }
}

#[test]
fn a_signature_without_the_timestamp_that_its_signer_needs_is_refused() {
    let (scene, authorities) = (Scene::new(), Authorities::new(KeyType::P256));
    let stamped = authorities.sign(&scene, Format::Jws, 3600);
    let bare = with_token(&stamped, |_| None);
    let policy = authorities.policy();
    assert_eq!(scene.agreed_on(&bare.media_type, bare.bytes.clone(), &policy), Err(NotationError::NoTimestamp));
    let lenient = policy.signer().with_level(Level::Permissive);
    let verified = scene.ours(&bare, &lenient, now()).expect("permissive");
    assert!(matches!(verified.warnings(), [warning] if warning.validation == Validation::AuthenticTimestamp));
    assert_eq!(verified.signed_at(), None);
    // `verifyTimestamp: afterCertExpiry`
    let late = policy.signer().with_timestamps(TimestampCheck::AfterCertExpiry);
    assert!(scene.ours(&bare, &late, now()).is_ok());
    assert_eq!(scene.ours(&bare, &late, now().plus(7200)), Err(NotationError::NoTimestamp));
    assert!(scene.ours(&stamped, &late, now().plus(7200)).is_ok());
}

#[test]
fn a_timestamp_by_an_authority_that_is_not_trusted_is_refused() {
    let (scene, authorities) = (Scene::new(), Authorities::new(KeyType::P256));
    let envelope = authorities.sign(&scene, Format::Jws, 3600);
    let other = Ca::root(ca_params(name("Time", "root")), KeyType::P256);
    let policy = Policy::strict(authorities.ca.root_pem()).and(StoreKind::Tsa, other.root_pem());
    let error = scene.agreed(&envelope, &policy).expect_err("another TSA");
    assert_eq!(error, NotationError::Timestamp(TimestampError::UntrustedRoot));
    // Roots for signing are none for timestamps, and the reverse.
    let swapped = Policy::strict(authorities.tsa.root_pem()).and(StoreKind::Tsa, authorities.ca.root_pem());
    assert!(matches!(scene.agreed(&envelope, &swapped), Err(NotationError::UntrustedRoot { .. })));
}

#[test]
fn a_timestamp_of_another_signature_is_refused() {
    let (scene, authorities) = (Scene::new(), Authorities::new(KeyType::P256));
    let envelope = authorities.sign(&scene, Format::Jws, 3600);
    let other = authorities.sign(&Scene::new(), Format::Jws, 3600);
    let moved = with_token(&envelope, |_| Some(token(&other)));
    let error = scene.agreed_on(&moved.media_type, moved.bytes, &authorities.policy()).expect_err("another signature's");
    assert_eq!(error, NotationError::Timestamp(TimestampError::OtherMessage));
}

#[test]
fn a_timestamp_outside_of_the_certificates_validity_is_refused() {
    // V12, C6: the certificate began after the timestamp was made.
    let (scene, authorities) = (Scene::new(), Authorities::new(KeyType::P256));
    let envelope = authorities.sign(&scene, Format::Jws, 3600);
    let mut document: Value = serde_json::from_slice(&envelope.bytes).expect("JWS");
    // The same key in a later certificate: the chain is not signed, so anybody can exchange it.
    let old = scene_key(&scene);
    let later = valid(signing_params(name("Acme", "release")), 120, 3600);
    let chain = chain_der(&authorities.ca.certify(&later, &old));
    document["header"]["x5c"] = chain.iter().map(|der| json!(STANDARD.encode(der))).collect();
    let error = scene.agreed_on(&envelope.media_type, document.to_string().into_bytes(), &authorities.policy());
    assert!(matches!(error, Err(NotationError::Certificate { number: 1, problem: CertificateError::Validity { .. } })), "{error:?}");
}

/// The key that `notation` signed with last.
fn scene_key(scene: &Scene) -> Identity {
    let read = |name: &str| std::fs::read_to_string(scene.notation.path(name)).expect("a file");
    Identity { key_pem: read("key.pem"), chain_pem: read("chain.pem") }
}

/// A good envelope with a good timestamp, both forged, and the policy that admits it.
fn forged(scene: &Scene, authorities: &Authorities) -> (Forge, Token) {
    let identity = authorities.ca.issue(&signing_params(name("Acme", "release")), KeyType::P256);
    let token = Token::new(&authorities.stamper, &[], now());
    (Forge { timestamp: Some(token.clone()), ..Forge::new(&identity, &scene.image) }, token)
}

#[test]
fn a_forged_timestamp_is_refused() {
    let (scene, authorities) = (Scene::new(), Authorities::new(KeyType::P256));
    let (forge, token) = forged(&scene, &authorities);
    let policy = authorities.policy();
    let jws = |token: Token| Forge { timestamp: Some(token), ..forge.clone() }.jws();
    let verified = scene.agreed_on(JOSE, jws(token.clone()), &policy).expect("the base is good");
    assert!(verified.signed_at().is_some());
    let stranger = Ca::of("Time").issue(&timestamping_params(name("Time", "tsa")), KeyType::P256);
    let issue = |params| authorities.tsa.issue(&params, KeyType::P256);
    let by = |stamper: Identity| Token::new(&stamper, &[], now());
    let mut not_critical = timestamping_params(name("Time", "tsa"));
    not_critical.custom_extensions = vec![purpose_extension(&[0x2b, 6, 1, 5, 5, 7, 3, 8], false)];
    // SEQUENCE { SEQUENCE { OID 1.2.3, TRUE, OCTET STRING } } in [1].
    let critical = vec![0xa1, 11, 0x30, 9, 6, 2, 42, 3, 1, 1, 0xff, 4, 0];
    let bad = vec![
        ("of other bytes", Token { message: vec![1], ..token.clone() }),
        ("by a stranger", by(stranger.clone())),
        ("by a code signing certificate", by(issue(signing_params(name("Time", "tsa"))))),
        ("by a certificate without the purpose critical", by(issue(not_critical))),
        ("by an expired certificate", by(issue(valid(timestamping_params(name("Time", "tsa")), -200, -100)))),
        ("without the signer's certificate", Token { certificates: token.certificates[1..].to_vec(), ..token.clone() }),
        ("without the intermediate", Token { certificates: token.certificates[..1].to_vec(), ..token.clone() }),
        ("without certificates", Token { certificates: vec![], ..token.clone() }),
        ("with SHA-1", Token { imprint_hash: oid::SHA1, ..token.clone() }),
        ("of another version", Token { version: 2, ..token.clone() }),
        ("of another content type", Token { content_type: oid::DATA, ..token.clone() }),
        ("without a content type attribute", Token { without: vec![oid::CONTENT_TYPE], ..token.clone() }),
        ("without a digest attribute", Token { without: vec![oid::MESSAGE_DIGEST], ..token.clone() }),
        ("without a certificate attribute", Token { without: vec![oid::SIGNING_CERTIFICATE_V2], ..token.clone() }),
        ("with another digest", Token { stated_digest: Some(vec![0; 32]), ..token.clone() }),
        ("without signers", Token { signers: 0, ..token.clone() }),
        ("before the certificate", Token { time: compact(now().plus(-7200)), ..token.clone() }),
        ("after the certificate", Token { time: compact(now().plus(2 * 86_400)), ..token.clone() }),
        ("of no time", Token { time: "20260230000000Z".to_owned(), ..token.clone() }),
    ];
    for (what, token) in bad {
        assert!(scene.agreed_on(JOSE, jws(token), &policy).is_err(), "{what}");
    }
    // Known differences: RFC 3161 allows one signer and no critical extension that is not understood; notation does not look.
    for (what, token) in [("two signers", Token { signers: 2, ..token.clone() }), ("critical", Token { rest: critical, ..token })] {
        assert!(matches!(scene.stricter_on(JOSE, jws(token), &policy), NotationError::Timestamp(_)), "{what}");
    }
}

#[test]
fn a_certificate_in_the_bag_signs_nothing_by_its_place() {
    // V13 (CVE-2026-39984): what is verified is the signer that the signed attributes name, wherever the bag holds it.
    let (scene, authorities) = (Scene::new(), Authorities::new(KeyType::P256));
    let (forge, token) = forged(&scene, &authorities);
    let policy = authorities.policy();
    let jws = |token: Token| Forge { timestamp: Some(token), ..forge.clone() }.jws();
    let [leaf, middle, root] = token.certificates.clone().try_into().expect("three");
    let stranger = Ca::of("Time").issue(&timestamping_params(name("Time", "tsa")), KeyType::P256);
    for (what, certificates) in [
        ("reversed", vec![root.clone(), middle.clone(), leaf.clone()]),
        ("without the root", vec![leaf.clone(), middle.clone()]),
        ("with a stranger first", [vec![stranger.chain_der()[0].clone()], token.certificates.clone()].concat()),
        ("with the leaf twice", vec![leaf.clone(), leaf.clone(), middle.clone()]),
    ] {
        assert!(scene.agreed_on(JOSE, jws(Token { certificates, ..token.clone() }), &policy).is_ok(), "{what}");
    }
    // A token by a stranger, with the trusted authority's own certificates before his.
    let theirs = Token::new(&stranger, &[], now());
    for certificates in [
        [token.certificates.clone(), theirs.certificates.clone()].concat(),
        [theirs.certificates.clone(), token.certificates.clone()].concat(),
        token.certificates.clone(),
    ] {
        assert!(scene.agreed_on(JOSE, jws(Token { certificates, ..theirs.clone() }), &policy).is_err());
    }
    // Work is bounded: many certificates of the right name.
    let many = vec![middle; 11];
    let envelope = Envelope { media_type: JOSE.to_owned(), bytes: jws(Token { certificates: many, ..token }) };
    let error = scene.ours(&envelope, &policy.signer(), now()).expect_err("too many");
    assert!(matches!(error, NotationError::Timestamp(TimestampError::Certificates { found: 11, .. })), "{error}");
}

#[test]
fn the_accuracy_of_a_timestamp_widens_its_range() {
    let (scene, authorities) = (Scene::new(), Authorities::new(KeyType::P256));
    let identity = authorities.ca.issue(&valid(signing_params(name("Acme", "release")), -60, 3600), KeyType::P256);
    let (forge, token) = (Forge::new(&identity, &scene.image), Token::new(&authorities.stamper, &[], now()));
    let policy = authorities.policy();
    let at = now();
    // The certificate began a minute ago: an accuracy of 50 s keeps after that, one of 70 s does not.
    for (rest, fraction, latest) in [
        (vec![], "", Some(0)),
        (vec![], ".25", Some(1)),
        (vec![0x30, 3, 2, 1, 50], "", Some(50)),
        (vec![0x30, 6, 2, 1, 50, 0x80, 1, 9], ".5", Some(52)),
        (vec![0x30, 3, 0x80, 1, 9], "", Some(1)),
        (vec![0x30, 3, 2, 1, 70], "", None),
    ] {
        let time = compact(at).replace('Z', &format!("{fraction}Z"));
        let bytes = Forge { timestamp: Some(Token { time, rest, ..token.clone() }), ..forge.clone() }.jws();
        let result = scene.agreed_on(JOSE, bytes, &policy);
        assert_eq!(result.ok().and_then(|verified| verified.signed_at()), latest.map(|seconds| at.plus(seconds)));
    }
}

#[test]
fn a_revoked_time_stamping_certificate_is_refused() {
    // V21
    let (scene, authorities) = (Scene::new(), Authorities::new(KeyType::P256));
    let (forge, token) = forged(&scene, &authorities);
    let mut params = timestamping_params(name("Time", "tsa"));
    params.serial_number = Some(77_u64.into());
    let stamper = authorities.tsa.issue(&params, KeyType::P256);
    let bytes = Forge { timestamp: Some(Token::new(&stamper, &[], now())), ..forge }.jws();
    let envelope = Envelope { media_type: JOSE.to_owned(), bytes };
    drop(token);
    let signer = |list: &str| {
        let mut store = authorities.policy().signer().store().clone();
        store.add_revocation_lists(list.as_bytes()).expect("a list");
        NotationSigner::new(store, vec!["*".parse().expect("an identity")]).expect("a signer")
    };
    let (clean, revoked) = (authorities.tsa.revocation_list(&[1], -60, 600), authorities.tsa.revocation_list(&[1, 77], -60, 600));
    let verified = scene.ours(&envelope, &signer(&clean), now()).expect("not revoked");
    assert!(verified.valid_until().is_some_and(|end| end <= now().plus(600)), "the list ends");
    let error = scene.ours(&envelope, &signer(&revoked), now()).expect_err("revoked");
    let inner = NotationError::Revoked { number: 1 };
    assert_eq!(error, NotationError::Timestamp(TimestampError::Chain(Box::new(inner))));
    let stale = signer(&authorities.tsa.revocation_list(&[1], -120, -60));
    assert!(scene.ours(&envelope, &stale, now()).is_err());
    assert!(scene.ours(&envelope, &stale.with_revocation(RevocationCheck::Skip), now()).is_ok());
}
