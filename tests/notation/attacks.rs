//! Envelopes that must not verify. Each base is first shown to be accepted by both judges, so that what is refused is refused
//! for its one change.

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use sealgate_tests::image::Image;
use sealgate_tests::notation::{Envelope, Format};
use sealgate_tests::pki::{Ca, Identity, KeyType, ca_params, name, signing_params};
use sealgate_verifier::notation::{NotationError, StoreKind, TrustStore, verify};
use serde_json::{Value, json};

use crate::forge::{Forge, cbor};
use crate::scene::{Policy, Scene, acme, now, target};

const JOSE: &str = "application/jose+json";
const COSE: &str = "application/cose";

fn jws(bytes: Vec<u8>) -> Envelope {
    Envelope { media_type: JOSE.to_owned(), bytes }
}

/// Both judges refuse each, and accept the base.
#[track_caller]
fn refused(scene: &Scene, policy: &Policy<'_>, base: &Forge, changed: Vec<(&str, Forge)>) {
    let _ = scene.agreed_on(JOSE, base.jws(), policy).expect("the base is good");
    for (what, forge) in changed {
        assert!(scene.agreed_on(JOSE, forge.jws(), policy).is_err(), "{what}");
    }
}

#[test]
fn inconsistent_headers_are_refused() {
    let (scene, (ca, identity)) = (Scene::new(), acme());
    let base = Forge::new(&identity, &scene.image);
    let scheme = "io.cncf.notary.signingScheme";
    let (expiry, authentic) = ("io.cncf.notary.expiry", "io.cncf.notary.authenticSigningTime");
    let with = |header: &str, value: Value| base.clone().with(header, value);
    let later = json!(now().plus(3600).to_string());
    let changed = vec![
        ("alg none", with("alg", json!("none"))),
        ("alg HS256", with("alg", json!("HS256"))),
        ("alg of another curve", with("alg", json!("ES384"))),
        ("alg of another key type", with("alg", json!("PS256"))),
        ("alg not allowed", with("alg", json!("RS256"))),
        ("no alg", with("alg", Value::Null)),
        ("another content type", with("cty", json!("application/json"))),
        ("no content type", with("cty", Value::Null)),
        ("no crit", with("crit", Value::Null)),
        ("empty crit", with("crit", json!([]))),
        ("absent critical header", with("crit", json!([scheme, "x.y"]))),
        ("registered critical header", with("crit", json!([scheme, "alg"]))),
        ("signing time critical", with("crit", json!([scheme, "io.cncf.notary.signingTime"]))),
        ("expiry not critical", with(expiry, later.clone())),
        ("expiry before signing", with(expiry, json!(now().plus(-61).to_string())).with("crit", json!([scheme, expiry]))),
        ("no signing time", with("io.cncf.notary.signingTime", Value::Null)),
        ("malformed signing time", with("io.cncf.notary.signingTime", json!("yesterday"))),
        ("authentic time in the wrong scheme", with(authentic, later)),
        ("unknown scheme", with(scheme, json!("notary.x509.other"))),
        ("no scheme", with(scheme, Value::Null)),
        (
            "a plugin",
            with("io.cncf.notary.verificationPlugin", json!("com.example"))
                .with("crit", json!([scheme, "io.cncf.notary.verificationPlugin"])),
        ),
    ];
    assert_eq!(changed.len(), 21);
    let policy = Policy::strict(ca.root_pem());
    refused(&scene, &policy, &base, changed);
    // Known difference: "unknown critical attributes MUST cause signature verification to fail", and notation 1.3 lets one pass
    // where no plugin is named.
    let unknown = base.clone().with("crit", json!([scheme, "x.y"])).with("x.y", json!(1));
    assert!(matches!(scene.stricter_on(JOSE, unknown.jws(), &policy), NotationError::Critical { .. }));
    let known = base.with("x.y", json!(1));
    let _ = scene.agreed_on(JOSE, known.jws(), &policy).expect("an unknown header that is not critical");
}

#[test]
fn a_signing_authority_needs_its_own_trust_store() {
    let (scene, (ca, identity)) = (Scene::new(), acme());
    let (plain, policy) = (Forge::new(&identity, &scene.image), Policy::strict(ca.root_pem()));
    let authority = plain.clone().by_authority(now().plus(-60));
    let as_authority = || Policy { stores: vec![(StoreKind::SigningAuthority, ca.root_pem())], ..Policy::strict(ca.root_pem()) };
    let verified = scene.agreed_on(JOSE, authority.jws(), &as_authority()).expect("its own store");
    assert!(verified.signed_at().is_some_and(|at| at < now()));
    let error = scene.agreed_on(JOSE, authority.jws(), &policy).expect_err("only a ca store");
    assert!(matches!(error, NotationError::UntrustedRoot { store: StoreKind::SigningAuthority, .. }), "{error}");
    let error = scene.agreed_on(JOSE, plain.jws(), &as_authority()).expect_err("only a signingAuthority store");
    assert!(matches!(error, NotationError::UntrustedRoot { store: StoreKind::Ca, .. }), "{error}");
    // The time that the authority states decides over the certificates.
    for (time, good) in [(-3_500, true), (-3_700, false), (86_300, true), (86_500, false)] {
        let bytes = plain.clone().by_authority(now().plus(time)).jws();
        assert_eq!(scene.agreed_on(JOSE, bytes, &as_authority()).is_ok(), good, "{time}");
    }
    let time = json!(now().plus(-60).to_string());
    let changed = vec![
        ("both times", authority.clone().with("io.cncf.notary.signingTime", time)),
        ("no time", authority.clone().with("io.cncf.notary.authenticSigningTime", Value::Null)),
        ("time not critical", authority.clone().with("crit", json!(["io.cncf.notary.signingScheme"]))),
    ];
    refused(&scene, &as_authority(), &authority, changed);
}

#[test]
fn a_signature_of_something_else_is_refused() {
    // V9
    let (scene, (ca, identity)) = (Scene::new(), acme());
    let (base, other) = (Forge::new(&identity, &scene.image), Image::small());
    let size = scene.image.manifest.bytes.len();
    let changed = vec![
        ("another image", Forge::new(&identity, &other)),
        ("another size", base.clone().with_target("size", json!(size + 1))),
        ("no size", base.clone().with_target("size", Value::Null)),
        ("another type", base.clone().with_target("mediaType", json!("application/vnd.oci.image.index.v1+json"))),
        ("no digest", base.clone().with_target("digest", Value::Null)),
    ];
    refused(&scene, &Policy::strict(ca.root_pem()), &base, changed);
    let signer = Policy::strict(ca.root_pem()).signer();
    for format in Format::ALL {
        let scene = Scene::new();
        let envelope = scene.sign(&identity, format, &[]);
        let result = verify(&envelope.bytes, &envelope.media_type, &target(&other), &signer, now());
        assert!(matches!(result, Err(NotationError::OtherSubject { .. })), "{result:?}");
    }
}

#[test]
fn documents_with_two_meanings_are_refused() {
    // V36. Go takes the last of two equal keys and ignores fields that it does not know; one reading is enough to refuse.
    let (scene, (ca, identity)) = (Scene::new(), acme());
    let base = Forge::new(&identity, &scene.image);
    let signer = Policy::strict(ca.root_pem()).signer();
    let (protected, payload) = (base.protected.to_string(), base.payload.to_string());
    let ours = |bytes: Vec<u8>| scene.ours(&jws(bytes), &signer, now());
    assert!(ours(base.jws_of(&protected, &payload)).is_ok());
    for bad in [
        base.jws_of(&protected.replacen('{', r#"{"alg":"none","#, 1), &payload),
        base.jws_of(&protected.replacen('{', r#"{"Alg":"none","#, 1), &payload),
        base.jws_of(&protected, &payload.replacen('{', r#"{"targetArtifact":{},"#, 1)),
        base.jws_of(&protected, &payload.replacen('{', r#"{"TargetArtifact":{},"#, 1)),
        base.jws_of(&protected, &payload.replace("\"size\"", "\"size\":1,\"size\"")),
        base.jws_of(&protected, &format!("{payload} x")),
        base.jws_of(&format!("[{protected}]"), &payload),
    ] {
        assert!(matches!(ours(bad), Err(NotationError::Jws(_) | NotationError::Payload(_))));
    }
    let text = String::from_utf8(base.jws()).expect("text");
    for bad in [
        text.replacen('{', r#"{"signatures":[],"#, 1),
        text.replacen('{', r#"{"payload":"","#, 1),
        text.replacen("\"x5c\"", "\"X5c\":[],\"x5c\"", 1),
        text.replacen("\"x5c\":[\"", "\"x5c\":[\"\\n", 1),
        text.replacen("\"payload\":\"", "\"payload\":\"=", 1),
    ] {
        assert!(matches!(ours(bad.into_bytes()), Err(NotationError::Jws(_) | NotationError::Base64 { .. })));
    }
    assert!(ours(text.into_bytes()).is_ok());
}

#[test]
fn a_chain_out_of_order_is_refused() {
    let (scene, root) = (Scene::new(), Ca::of("Acme"));
    let middle = root.intermediate(ca_params(name("Acme", "middle")), KeyType::P256);
    let identity = middle.issue(&signing_params(name("Acme", "release")), KeyType::P256);
    let base = Forge::new(&identity, &scene.image);
    let [leaf, middle, top] = base.chain.clone().try_into().expect("three certificates");
    let other = Ca::of("Acme");
    let stranger = other.issue(&signing_params(name("Acme", "release")), KeyType::P256).chain_der();
    let chains = vec![
        ("empty", vec![]),
        ("leaf only", vec![leaf.clone()]),
        ("no root", vec![leaf.clone(), middle.clone()]),
        ("no intermediate", vec![leaf.clone(), top.clone()]),
        ("reversed", vec![top.clone(), middle.clone(), leaf.clone()]),
        ("swapped", vec![leaf.clone(), top.clone(), middle.clone()]),
        ("root twice", vec![leaf.clone(), middle.clone(), top.clone(), top.clone()]),
        ("another root's leaf", stranger.clone()),
        ("an unrelated certificate", vec![leaf.clone(), middle.clone(), top.clone(), stranger[0].clone()]),
        ("a trailing byte", vec![[leaf.clone(), vec![0]].concat(), middle.clone(), top.clone()]),
        ("another root of the same name", vec![leaf, middle, stranger[1].clone()]),
    ];
    let changed = chains.into_iter().map(|(what, chain)| (what, base.clone().with_chain(chain))).collect();
    refused(&scene, &Policy::strict(root.root_pem()), &base, changed);
}

/// Parameters of a signing certificate with one change.
fn leaf(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = signing_params(name("Acme", "release"));
    change(&mut params);
    params
}

/// Key usage digitalSignature (RFC 5280, section 4.2.1.3), not critical.
fn key_usage_not_critical() -> CustomExtension {
    CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 0x80])
}

#[test]
fn a_leaf_that_is_no_code_signing_certificate_is_refused() {
    let (scene, (ca, identity)) = (Scene::new(), acme());
    let base = Forge::new(&identity, &scene.image);
    let purposes = |purposes: &[ExtendedKeyUsagePurpose]| leaf(|params| params.extended_key_usages = purposes.to_vec());
    let usages = |usages: &[KeyUsagePurpose]| leaf(|params| params.key_usages = usages.to_vec());
    let signing = KeyUsagePurpose::DigitalSignature;
    let bad = vec![
        ("a CA", leaf(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))),
        ("no key usage", usages(&[])),
        ("key usage without signing", usages(&[KeyUsagePurpose::KeyEncipherment])),
        ("encipherment", usages(&[signing, KeyUsagePurpose::KeyEncipherment])),
        ("certificate signing", usages(&[signing, KeyUsagePurpose::KeyCertSign])),
        ("list signing", usages(&[signing, KeyUsagePurpose::CrlSign])),
        ("decipher only", usages(&[signing, KeyUsagePurpose::KeyAgreement, KeyUsagePurpose::DecipherOnly])),
        ("a server", purposes(&[ExtendedKeyUsagePurpose::CodeSigning, ExtendedKeyUsagePurpose::ServerAuth])),
        ("a client", purposes(&[ExtendedKeyUsagePurpose::ClientAuth])),
        ("mail", purposes(&[ExtendedKeyUsagePurpose::EmailProtection])),
        ("time stamping", purposes(&[ExtendedKeyUsagePurpose::TimeStamping])),
        ("OCSP", purposes(&[ExtendedKeyUsagePurpose::OcspSigning])),
        (
            "key usage not critical",
            leaf(|params| {
                params.key_usages = vec![];
                params.custom_extensions = vec![key_usage_not_critical()];
            }),
        ),
    ];
    let chain = |params: &CertificateParams| sealgate_tests::pki::chain_der(&ca.certify(params, &identity));
    let changed = bad.iter().map(|(what, params)| (*what, base.clone().with_chain(chain(params)))).collect();
    let policy = Policy::strict(ca.root_pem());
    refused(&scene, &policy, &base, changed);
    for good in [purposes(&[]), usages(&[signing, KeyUsagePurpose::ContentCommitment]), leaf(|params| params.is_ca = IsCa::NoCa)] {
        let _ = scene.agreed_on(JOSE, base.clone().with_chain(chain(&good)).jws(), &policy).expect("the specification allows it");
    }
    // Known difference: the specification refuses anyExtendedKeyUsage, notation 1.3 does not look.
    let any = base.with_chain(chain(&purposes(&[ExtendedKeyUsagePurpose::Any])));
    assert!(matches!(scene.stricter_on(JOSE, any.jws(), &policy), NotationError::Certificate { number: 1, .. }));
}

#[test]
fn an_intermediate_that_may_not_issue_is_refused() {
    let (scene, root) = (Scene::new(), Ca::of("Acme"));
    let chain_through = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = ca_params(name("Acme", "middle"));
        change(&mut params);
        let middle = root.intermediate(params, KeyType::P256);
        let lower = middle.intermediate(ca_params(name("Acme", "lower")), KeyType::P256);
        lower.issue(&signing_params(name("Acme", "release")), KeyType::P256)
    };
    let base = Forge::new(&chain_through(&|_| {}), &scene.image);
    let path = |length| IsCa::Ca(BasicConstraints::Constrained(length));
    let _ = scene
        .agreed_on(JOSE, Forge::new(&chain_through(&|params| params.is_ca = path(1)), &scene.image).jws(), &Policy::strict(root.root_pem()))
        .expect("a path of one intermediate");
    let bad: Vec<(&str, Identity)> = vec![
        ("no CA", chain_through(&|params| params.is_ca = IsCa::ExplicitNoCa)),
        ("no basic constraints", chain_through(&|params| params.is_ca = IsCa::NoCa)),
        ("path too long", chain_through(&|params| params.is_ca = path(0))),
        ("no certificate signing", chain_through(&|params| params.key_usages = vec![KeyUsagePurpose::CrlSign])),
        ("no key usage", chain_through(&|params| params.key_usages = vec![])),
    ];
    let changed = bad.iter().map(|(what, identity)| (*what, Forge::new(identity, &scene.image))).collect();
    refused(&scene, &Policy::strict(root.root_pem()), &base, changed);
}

#[test]
fn hostile_subjects_are_refused_in_bounded_work() {
    // V18, C16
    let (scene, ca) = (Scene::new(), Ca::of("Acme"));
    for organisation in [".".repeat(3_000), format!("#{}", "30".repeat(1_000)), "x".repeat(8_000), "Acme, OU=x".to_owned()] {
        let identity = ca.issue(&signing_params(name(&organisation, "release")), KeyType::P256);
        let error = scene.agreed_on(JOSE, Forge::new(&identity, &scene.image).jws(), &Policy::strict(ca.root_pem()));
        assert!(matches!(error, Err(NotationError::Identity { .. } | NotationError::Subject(_))), "{error:?}");
    }
}

#[test]
fn cose_headers_are_as_strict() {
    let (scene, (ca, identity)) = (Scene::new(), acme());
    let (forge, policy) = (Forge::new(&identity, &scene.image), Policy::strict(ca.root_pem()));
    let good = Forge::cose_headers();
    let _ = scene.agreed_on(COSE, forge.cose_of(&good), &policy).expect("the base is good");
    let with = |index: usize, value: Vec<u8>| {
        let mut headers = good.clone();
        headers[index].1 = value;
        headers
    };
    let scheme = cbor::text("io.cncf.notary.signingScheme");
    let critical = |more: Vec<u8>| with(1, [cbor::head(4, 2), scheme.clone(), more].concat());
    let added = |label: Vec<u8>, value: Vec<u8>| [good.clone(), vec![(label, value)]].concat();
    let expiry = cbor::text("io.cncf.notary.expiry");
    for (what, headers) in [
        ("another algorithm", with(0, cbor::integer(-37))),
        ("an unknown algorithm", with(0, cbor::integer(-8))),
        ("no algorithm", good[1..].to_vec()),
        ("an unknown critical header", critical(cbor::text("x.y"))),
        ("an unknown critical label", critical(cbor::integer(77))),
        ("another content type", with(2, cbor::text("application/json"))),
        ("another scheme", with(3, cbor::text("notary.x509.other"))),
        ("a time without tag", with(4, cbor::integer(now().0))),
        ("no time", good[..4].to_vec()),
        ("expiry not critical", added(expiry, cbor::time(now().plus(60)))),
        ("a header twice", added(cbor::integer(1), cbor::integer(-7))),
    ] {
        assert!(scene.agreed_on(COSE, forge.cose_of(&headers), &policy).is_err(), "{what}");
    }
    let envelope = forge.cose_of(&good);
    for (what, bytes) in [
        ("untagged", envelope[1..].to_vec()),
        ("a byte more", [envelope.clone(), vec![0]].concat()),
        ("a byte less", envelope[..envelope.len() - 1].to_vec()),
        ("nothing", vec![]),
    ] {
        assert!(scene.agreed_on(COSE, bytes, &policy).is_err(), "{what}");
    }
    // The other format's type.
    assert!(scene.ours(&jws(envelope), &policy.signer(), now()).is_err());
}

#[test]
fn a_trust_store_takes_roots_only() {
    let (ca, identity) = acme();
    let middle = ca.intermediate(ca_params(name("Acme", "middle")), KeyType::P256);
    for (what, kind, file) in [
        ("a leaf", StoreKind::Ca, identity.chain_pem.clone()),
        ("an intermediate", StoreKind::Ca, middle.chain_pem.clone()),
        ("a private key", StoreKind::Ca, identity.key_pem.clone()),
        ("a key beside a root", StoreKind::Ca, format!("{}{}", ca.root_pem(), identity.key_pem)),
        ("nothing", StoreKind::Ca, String::new()),
        ("a self-signed leaf as a TSA", StoreKind::Tsa, sealgate_tests::pki::p521_identity().chain_pem),
    ] {
        let mut store = TrustStore::new();
        assert!(store.add(kind, file.as_bytes()).is_err(), "{what}");
        assert_eq!(store, TrustStore::new(), "{what}");
    }
    let mut store = TrustStore::new();
    store.add(StoreKind::Ca, ca.root_pem().as_bytes()).expect("a root in PEM");
    store.add(StoreKind::Tsa, &sealgate_tests::pki::chain_der(ca.root_pem())[0]).expect("a root in DER");
    assert_eq!(store.root_digests(StoreKind::Ca), store.root_digests(StoreKind::Tsa));
}
