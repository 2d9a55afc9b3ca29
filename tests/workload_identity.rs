//! Clients without a password: identity tokens of CI services, and client certificates.

use std::net::TcpStream;
use std::sync::Arc;

use ring::hmac;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sealgate_tests::authority::{Authority, Certificate};
use sealgate_tests::clients::Client;
use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::image::Image;
use sealgate_tests::issuer::{EC, Issuer, RSA, encode, message, now};
use sealgate_tests::program::{Program, basic};
use sealgate_tests::registry::Registry;
use sealgate_tests::wire::{Reply, Request};
use serde_json::{Value, json};

const PRIVATE: &str = "private.example";
const AUDIENCE: &str = "https://gate.acme.example";

fn setup(registry: &Registry) -> Setup {
    let entry = format!("{{ default: true, upstream: {}, pull: authenticated }}", registry.url());
    Setup::new().registry(PRIVATE, &entry).policy("version: 1\nrules:\n  - { images: [\"**\"], require: [allow] }\n")
}

fn registry_with_image() -> (Registry, Image) {
    let (registry, image) = (Registry::start(), Image::small());
    registry.push("team/app", "1", &image);
    (registry, image)
}

fn gate_that_trusts(issuer: &Issuer, registry: &Registry, keys: &str) -> Gate {
    let entry = format!(
        "{{ name: release, issuer: \"{}\", audience: {AUDIENCE}, claims: {{ repository: acme/app, ref: [refs/heads/main, refs/heads/next] }}{keys} }}",
        issuer.url()
    );
    let grant = format!("{{ who: oidc:release, repositories: {PRIVATE}/team/**, actions: [pull] }}");
    setup(registry).file("jwks.json", &issuer.jwks().to_string()).line(&format!("auth: {{ oidc: [{entry}], grants: [{grant}] }}")).start()
}

/// What GitHub says of a job, with `change` in place of some of it.
fn claims(issuer: &Issuer, change: Value) -> Value {
    let mut claims = json!({
        "iss": issuer.url(), "aud": AUDIENCE, "sub": "repo:acme/app:ref:refs/heads/main", "repository": "acme/app", "ref": "refs/heads/main",
        "exp": now() + 300, "nbf": now() - 10, "iat": now() - 10,
    });
    for (name, value) in change.as_object().expect("an object") {
        if value.is_null() {
            claims.as_object_mut().expect("an object").remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn pull(gate: &Gate, authorization: &str) -> Reply {
    let request = Request::new("GET", &format!("/v2/{PRIVATE}/team/app/manifests/1"));
    request.header("Authorization", authorization).send(gate.address())
}

fn status(gate: &Gate, token: &str) -> u16 {
    pull(gate, &format!("Bearer {token}")).status
}

#[test]
fn a_job_pulls_with_its_identity_token_and_no_secret() {
    let ((registry, image), issuer) = (registry_with_image(), Issuer::start());
    for keys in ["", ", jwks: jwks.json"] {
        let gate = gate_that_trusts(&issuer, &registry, keys);
        for token in [issuer.rs256(&claims(&issuer, json!({}))), issuer.es256(&claims(&issuer, json!({ "ref": "refs/heads/next" })))] {
            assert_eq!(status(&gate, &token), 200, "{}", gate.log());
            let _ = pull(&gate, &format!("Basic {}", basic("oidc", &token))).expect(200);
            let target = format!("/token?scope=repository:{PRIVATE}/team/app:pull");
            let answer = Request::new("GET", &target).header("Authorization", &format!("Basic {}", basic("oidc", &token)));
            let answer = answer.send(gate.address()).expect(200).json();
            assert_eq!(status(&gate, answer["token"].as_str().expect("a token")), 200);
            let reference = format!("{}/{PRIVATE}/team/app:1", gate.address());
            for client in [Client::Docker, Client::Skopeo] {
                assert_eq!(client.pull_as(&reference, "oidc", &token).expect_digest(), image.digest(), "{client:?}");
            }
        }
        assert_eq!(gate.metric("sealgate_authentications_total{outcome=\"failed\"}"), 0.0);
        assert!(!gate.log().contains("eyJ"), "{}", gate.log());
    }
    assert_eq!(issuer.fetches(), 1, "the keys are fetched once, and never where a file holds them");
}

#[test]
fn a_token_that_says_something_else_is_refused() {
    let ((registry, _), issuer) = (registry_with_image(), Issuer::start());
    for change in [
        json!({ "repository": "acme/other" }),
        json!({ "repository": "ACME/app" }),
        json!({ "repository": ["acme/app"] }),
        json!({ "repository": null }),
        json!({ "ref": "refs/heads/main2" }),
        json!({ "aud": "https://other.example" }),
        json!({ "aud": ["https://other.example"] }),
        json!({ "aud": null }),
    ] {
        // One gate each: ten failures would make it wait.
        let gate = gate_that_trusts(&issuer, &registry, ", jwks: jwks.json");
        assert_eq!(status(&gate, &issuer.rs256(&claims(&issuer, change.clone()))), 401, "{change}");
        assert_eq!(status(&gate, &issuer.rs256(&claims(&issuer, json!({ "aud": ["x", AUDIENCE] })))), 200);
    }
}

#[test]
fn a_token_out_of_its_time_is_refused() {
    let ((registry, _), issuer) = (registry_with_image(), Issuer::start());
    let gate = gate_that_trusts(&issuer, &registry, ", jwks: jwks.json");
    for change in [
        json!({ "exp": now() - 61 }),
        json!({ "exp": null }),
        json!({ "exp": "never" }),
        json!({ "nbf": now() + 120 }),
        json!({ "iat": now() + 120 }),
        json!({ "sub": null }),
        json!({ "iss": "https://other.example" }),
        json!({ "iss": null }),
    ] {
        assert_eq!(status(&gate, &issuer.rs256(&claims(&issuer, change.clone()))), 401, "{change}");
    }
    // F24: 60 s of leeway.
    assert_eq!(status(&gate, &issuer.rs256(&claims(&issuer, json!({ "exp": now() - 30, "nbf": now() + 30 })))), 200);
}

// D6
#[test]
fn a_token_cannot_choose_its_key_or_its_algorithm() {
    let ((registry, _), issuer) = (registry_with_image(), Issuer::start());
    let good = claims(&issuer, json!({}));
    let other = Issuer::start();
    let jwks = issuer.jwks();
    let unsigned = |header: Value| message(&header, &good);
    let hmac = |secret: &[u8]| {
        let message = unsigned(json!({ "alg": "HS256", "kid": RSA }));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", encode(tag.as_ref()))
    };
    let changed = {
        let token = issuer.rs256(&good);
        let (signed, signature) = token.rsplit_once('.').expect("a token");
        let header = signed.split('.').next().expect("a header");
        format!("{header}.{}.{signature}", encode(claims(&issuer, json!({ "ref": "refs/heads/next" })).to_string().as_bytes()))
    };
    for (attack, token) in [
        ("none", format!("{}.", unsigned(json!({ "alg": "none", "kid": RSA })))),
        ("None", format!("{}.", unsigned(json!({ "alg": "None" })))),
        ("HS256 with the modulus", hmac(jwks["keys"][0]["n"].as_str().expect("a modulus").as_bytes())),
        ("HS256 with the key set", hmac(jwks.to_string().as_bytes())),
        // The other issuer has another P-256 key under the same identifier, and the same header otherwise.
        ("jwk with a trusted kid", other.es256_with(&json!({ "alg": "ES256", "kid": EC, "jwk": other.jwks()["keys"][1] }), &good)),
        ("jku", issuer.es256_with(&json!({ "alg": "ES256", "kid": EC, "jku": format!("{}/keys", other.url()) }), &good)),
        ("crit", issuer.es256_with(&json!({ "alg": "ES256", "kid": EC, "crit": ["b64"], "b64": false }), &good)),
    ] {
        let gate = gate_that_trusts(&issuer, &registry, "");
        assert_eq!(status(&gate, &token), 401, "{attack}");
    }
    for (attack, token) in [
        ("another key", other.es256(&good)),
        ("RS256 by the name of the P-256 key", issuer.rs256_with(&json!({ "alg": "RS256", "kid": EC }), &good)),
        ("RS256's bytes called ES256", issuer.rs256_with(&json!({ "alg": "ES256", "kid": RSA }), &good)),
        ("no kid", issuer.es256_with(&json!({ "alg": "ES256" }), &good)),
        ("an algorithm that is not accepted", issuer.es256_with(&json!({ "alg": "PS256", "kid": RSA }), &good)),
        ("changed claims", changed),
        ("no signature", format!("{}.", unsigned(json!({ "alg": "ES256", "kid": EC })))),
        ("a signature of zeros", format!("{}.{}", unsigned(json!({ "alg": "ES256", "kid": EC })), encode(&[0; 64]))),
        ("four parts", format!("{}.x", issuer.es256(&good))),
    ] {
        let gate = gate_that_trusts(&issuer, &registry, ", jwks: jwks.json");
        assert_eq!(status(&gate, &token), 401, "{attack}");
        assert_eq!(status(&gate, &issuer.es256(&good)), 200, "{attack}");
    }
    assert_eq!(other.fetches(), 0, "nothing in a token is fetched");
}

// D6
#[test]
fn a_flood_of_unknown_keys_asks_the_issuer_once() {
    let ((registry, _), issuer) = (registry_with_image(), Issuer::start());
    let gate = gate_that_trusts(&issuer, &registry, "");
    let good = claims(&issuer, json!({}));
    let flood = |number: usize| issuer.es256_with(&json!({ "alg": "ES256", "kid": format!("unknown-{number}") }), &good);
    let statuses: Vec<u16> = (0..30).map(|number| status(&gate, &flood(number))).collect();
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)), "{statuses:?}");
    assert_eq!(issuer.fetches(), 1);
}

/// A gate that asks clients for certificates of `clients`, and the authority of its own.
fn gate_with_certificates(registry: &Registry, clients: &Authority) -> (Authority, Gate) {
    let authority = Authority::new();
    let own = authority.issue(&["127.0.0.1", "localhost"]);
    let grants = format!("[{{ who: \"certificate:build-*\", repositories: {PRIVATE}/team/**, actions: pull }}]");
    let setup = setup(registry).file("gate.crt", &own.certificate_pem).file("gate.key", &own.key_pem).file("clients.pem", clients.pem());
    let gate = setup
        .line("tls: { certificate: gate.crt, key: gate.key, client-ca: clients.pem }")
        .line(&format!("auth: {{ grants: {grants} }}"))
        .start();
    (authority, gate)
}

/// Sends a request over TLS, with a client certificate or none.
fn over_tls(gate: &Gate, authority: &Authority, certificate: Option<&Certificate>, request: &Request) -> std::io::Result<Reply> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("a certificate")).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match certificate {
        Some(shown) => {
            let chain = vec![CertificateDer::from_pem_slice(shown.certificate_pem.as_bytes()).expect("a certificate")];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(shown.key_pem.as_bytes()).expect("a key")).expect("a pair")
        }
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let stream = TcpStream::connect(gate.address())?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20)))?;
    request.send_on(StreamOwned::new(connection, stream), &gate.address().to_string())
}

#[test]
fn a_client_certificate_says_who_a_client_is() {
    let ((registry, image), clients) = (registry_with_image(), Authority::new());
    let (authority, gate) = gate_with_certificates(&registry, &clients);
    let build = clients.issue(&["build-1.acme.example"]);
    let bad = [Authority::new().issue(&["build-1.acme.example"]), clients.issue_expired(&["build-1.acme.example"])];
    let stranger = clients.issue(&["admin.acme.example"]);
    let ask = |certificate, target: &str, authorization: &str| {
        let request = Request::new("GET", target);
        let request = if authorization.is_empty() { request } else { request.header("Authorization", authorization) };
        over_tls(&gate, &authority, certificate, &request)
    };
    let manifest = format!("/v2/{PRIVATE}/team/app/manifests/1");
    let reply = |certificate, target: &str, authorization: &str| ask(certificate, target, authorization).expect("an answer");
    let _ = reply(Some(&build), "/v2/", "").expect(200);
    assert_eq!(reply(Some(&build), &manifest, "").expect(200).body, image.manifest.bytes);
    let challenge = reply(None, &manifest, "").expect(401);
    assert!(
        challenge.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer realm=\"https://127.0.0.1:")),
        "{challenge:?}"
    );
    // Named otherwise: known, and without a right.
    let refused = reply(Some(&stranger), &manifest, "").expect(403);
    assert!(refused.error().1.contains("certificate:admin.acme.example has no right to pull"), "{:?}", refused.error());
    // Of another authority, or expired: no connection at all.
    for bad in &bad {
        assert!(ask(Some(bad), &manifest, "").is_err());
    }
    // A bearer token of a certificate is worth nothing without it.
    let answer = reply(Some(&build), &format!("/token?scope=repository:{PRIVATE}/team/app:pull"), "").expect(200).json();
    let bearer = format!("Bearer {}", answer["token"].as_str().expect("a token"));
    let _ = reply(Some(&build), &manifest, &bearer).expect(200);
    for other in [None, Some(&stranger)] {
        let _ = reply(other, &manifest, &bearer).expect(401);
    }
}

#[test]
fn clients_pull_with_their_certificate_and_no_login() {
    let ((registry, image), clients) = (registry_with_image(), Authority::new());
    let (authority, gate) = gate_with_certificates(&registry, &clients);
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    let build = clients.issue(&["build-7.acme.example"]);
    for (name, text) in
        [("ca.crt", authority.pem()), ("client.cert", &build.certificate_pem), ("client.key", &build.key_pem), ("auth.json", "{}")]
    {
        write(name, text);
    }
    let reference = format!("docker://{}/{PRIVATE}/team/app:1", gate.address());
    let copy = || {
        let program = Program::new("skopeo").env("REGISTRY_AUTH_FILE", folder.path().join("auth.json"));
        program.args(["inspect", "--format", "{{.Digest}}", "--cert-dir"]).arg(folder.path()).arg(&reference).run()
    };
    assert_eq!(copy().expect_success().stdout.trim(), image.digest());
    std::fs::remove_file(folder.path().join("client.key")).expect("removed");
    std::fs::remove_file(folder.path().join("client.cert")).expect("removed");
    let _ = copy().expect_failure();
}
