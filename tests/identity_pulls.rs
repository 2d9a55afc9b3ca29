//! docker and crane pull through the gate what a keyless identity or a Notation certificate vouches for, and nothing else.

use std::time::Duration;

use sealgate_tests::clients::Client;
use sealgate_tests::gate::{Gate, LAB, Setup};
use sealgate_tests::image::Image;
use sealgate_tests::keyless::{Keyless, PROVENANCE, identity};
use sealgate_tests::notation::{Format, Notation};
use sealgate_tests::pki::{Ca, KeyType, name, signing_params, valid};
use sealgate_tests::process::wait_until;
use sealgate_tests::registry::Registry;
use sealgate_tests::sigstore::{Identity, Making, Rekor, Sigstore};
use serde_json::json;

const RULE: &str = "DENIED by policy rule lab.example/**";
const CLIENTS: [Client; 2] = [Client::Docker, Client::Crane];

fn admitted(gate: &Gate, repository: &str, image: &Image) {
    for client in CLIENTS {
        assert_eq!(client.pull(&gate.reference(&format!("{repository}:1"))).expect_digest(), image.digest(), "{client:?}");
    }
}

/// Each client shows the reason, and no layer leaves the upstream.
fn refused(gate: &Gate, registry: &Registry, repository: &str, image: &Image, reason: &str) {
    for client in CLIENTS {
        let text = client.pull(&gate.reference(&format!("{repository}:1"))).expect_refusal();
        assert!(text.contains(RULE) && text.contains(reason), "{client:?} does not show {reason:?} for {repository}:\n{text}");
    }
    for layer in &image.layers {
        assert_eq!(registry.count("GET", &format!("{repository}/blobs/{}", layer.digest)), 0, "a layer of a refused image left");
    }
}

/// A policy whose one signer is recognised by `signer`.
fn policy(heads: &str, signer: &str, requirement: &str) -> String {
    format!("version: 1\n{heads}signers:\n  app: {{ {signer} }}\nrules:\n  - images: [\"{LAB}/**\"]\n    require: [ {requirement} ]\n")
}

fn keyless(identity: &Identity, source: &str) -> String {
    let Identity { subject, issuer, .. } = identity;
    let claims = if source.is_empty() { String::new() } else { format!(", claims: {{ source-repository: '{source}' }}") };
    policy(
        "trust-roots: { lab: lab.json }\n",
        &format!("issuer: '{issuer}', identity: '{subject}', trust-root: lab{claims}"),
        "{ signed-by: { any: [app] } }",
    )
}

#[test]
fn an_image_is_pulled_by_its_keyless_identity_and_by_no_other() {
    let scene = Keyless::start();
    let (source, url) = ("https://github.com/acme/app", scene.registry.url());
    let image = scene.push_signed("team/app", &identity(), scene.sigstore.making());
    let gate = |policy: String, root: String| Setup::new().lab(&url).file("lab.json", &root).policy(policy).start();
    let mut workflow = identity();
    workflow.subject = workflow.subject.replace("release.yml", "test.yml");
    let issuer = Identity { issuer: "https://gitlab.com".to_owned(), ..identity() };
    for (policy, root, reason) in [
        (keyless(&workflow, source), scene.root(), "whom the rule does not name"),
        (keyless(&issuer, source), scene.root(), "of issuer"),
        (keyless(&identity(), "https://github.com/acme/other"), scene.root(), "whose source-repository is"),
        (keyless(&identity(), source), Sigstore::new().trusted_root().to_string(), "does not hold under trust root lab"),
    ] {
        refused(&gate(policy, root), &scene.registry, "team/app", &image, reason);
    }
    admitted(&gate(keyless(&identity(), source), scene.root()), "team/app", &image);
}

#[test]
fn an_image_is_refused_whose_keyless_signature_was_made_wrongly() {
    let scene = Keyless::start();
    let (honest, strangers) = (scene.sigstore.making(), Rekor::new());
    let policy = keyless(&identity(), "https://github.com/acme/app");
    let gate = Setup::new().lab(&scene.registry.url()).file("lab.json", &scene.root()).policy(policy).start();
    let late = honest.logged + 3600;
    for (name, making, reason) in [
        ("expired", Making { logged: late, stamped: None, ..honest }, "certificate"),
        ("stamped-late", Making { stamped: Some(late), ..honest }, "certificate"),
        ("no-sct", Making { ct_log: None, ..honest }, "does not hold under trust root lab"),
        ("another-log", Making { rekor: &strangers, ..honest }, "does not hold under trust root lab"),
    ] {
        let repository = format!("team/{name}");
        let image = scene.push_signed(&repository, &identity(), making);
        refused(&gate, &scene.registry, &repository, &image, reason);
    }
    // Attesting is not approving.
    let image = scene.push("team/attested", &identity(), (PROVENANCE, json!({})), honest);
    refused(&gate, &scene.registry, "team/attested", &image, "no signature");
    let image = scene.push_signed("team/app", &identity(), honest);
    admitted(&gate, "team/app", &image);
}

#[test]
fn an_image_is_pulled_by_who_attested_its_build() {
    let scene = Keyless::start();
    let build = |kind: &str| (PROVENANCE, json!({ "buildDefinition": { "buildType": kind } }));
    let requirement =
        "{ attested: { type: slsaprovenance1, by: { any: [app] }, where: { /buildDefinition/buildType: \"https://acme.example/*\" } } }";
    let policy = keyless(&identity(), "https://github.com/acme/app").replace("{ signed-by: { any: [app] } }", requirement);
    let gate = Setup::new().lab(&scene.registry.url()).file("lab.json", &scene.root()).policy(policy).start();
    let making = scene.sigstore.making();
    let image = scene.push("team/app", &identity(), build("https://acme.example/build"), making);
    admitted(&gate, "team/app", &image);
    let image = scene.push("team/elsewhere", &identity(), build("https://other.example/build"), making);
    refused(&gate, &scene.registry, "team/elsewhere", &image, "/buildDefinition/buildType is https://other.example/build");
    let stranger = Identity::github("stranger/x/.github/workflows/release.yml@refs/tags/v1", "stranger/x");
    let image = scene.push("team/stranger", &stranger, build("https://acme.example/build"), making);
    refused(&gate, &scene.registry, "team/stranger", &image, "whom the rule does not name");
    let image = scene.push_signed("team/signed", &identity(), making);
    refused(&gate, &scene.registry, "team/signed", &image, "a signature, which attests nothing");
}

/// A gate that trusts `root` for the identities of Acme.
fn notation_gate(registry: &Registry, root: &str) -> Gate {
    let signer = "notation: { trust-store: 'ca:acme', identities: [\"x509.subject: C=US, ST=WA, O=Acme\"] }";
    let policy = policy("trust-stores: { acme: { ca: [acme.pem] } }\n", signer, "{ signed-by: { any: [app] } }");
    Setup::new().lab_without_memory(&registry.url()).file("acme.pem", root).policy(policy).start()
}

#[test]
fn an_image_is_pulled_by_its_notation_certificate_and_by_no_other() {
    let (registry, ca, notation) = (Registry::start(), Ca::of("Acme"), Notation::new());
    let push = |repository: &str, identity, format, arguments: &[&str]| {
        let image = Image::small();
        registry.push(repository, "1", &image);
        let reference = registry.reference(&format!("{repository}@{}", image.digest()));
        let _ = notation.sign(identity, format, &reference, arguments).expect_success();
        image
    };
    let own = ca.issue(&signing_params(name("Acme", "release")), KeyType::P256);
    let gate = notation_gate(&registry, ca.root_pem());
    let other = ca.issue(&signing_params(name("Other", "release")), KeyType::P256);
    let stranger = Ca::of("Acme").issue(&signing_params(name("Acme", "release")), KeyType::P256);
    for format in Format::ALL {
        let image = push(&format!("team/{}", format.name()), &own, format, &[]);
        admitted(&gate, &format!("team/{}", format.name()), &image);
        for (who, identity, reason) in [("other", &other, "O=Other"), ("stranger", &stranger, "root")] {
            let repository = format!("team/{who}-{}", format.name());
            let image = push(&repository, identity, format, &[]);
            refused(&gate, &registry, &repository, &image, reason);
        }
    }
    // Right, until it ends: the signature by its own word, or its certificate.
    let short = ca.issue(&valid(signing_params(name("Acme", "release")), -60, 40), KeyType::P256);
    let ending = [
        ("team/short", push("team/short", &short, Format::Jws, &[])),
        ("team/expiring", push("team/expiring", &own, Format::Jws, &["--expiry", "30s"])),
    ];
    for (repository, image) in &ending {
        assert_eq!(Client::Crane.pull(&gate.reference(&format!("{repository}:1"))).expect_digest(), image.digest());
    }
    for (repository, _) in &ending {
        let reference = gate.reference(&format!("{repository}:1"));
        assert!(wait_until(Duration::from_secs(90), || !Client::Crane.pull(&reference).outcome.succeeded()), "{repository} never ends");
        let text = Client::Docker.pull(&reference).expect_refusal();
        assert!(text.contains(RULE) && (text.contains("expired") || text.contains("valid")), "{text}");
    }
    // Another root under the same name.
    let image = push("team/app", &own, Format::Cose, &[]);
    refused(&notation_gate(&registry, Ca::of("Acme").root_pem()), &registry, "team/app", &image, "root");
    admitted(&gate, "team/app", &image);
}
