//! `sealgate explain` lists every signature that exists, where it is, whose it is, and for each that does not count the first step that
//! failed: for every form, so that "unsigned" is never taken for "signed by somebody else".

use std::collections::BTreeMap;

use sealgate_tests::evidence::{attachment, publish, with_manifest};
use sealgate_tests::gate::{Gate, LAB, Setup};
use sealgate_tests::image::{Content, Image};
use sealgate_tests::registry::Registry;
use sealgate_tests::world::{Kind, World, identity};
use sealgate_verifier::{Attachment, Location, media_type};
use serde_json::Value;

/// One signature, and what is expected of it: its signer under the policy, or why it does not count.
struct Expected {
    what: String,
    attachment: Attachment,
    found: Result<&'static str, &'static str>,
}

fn expect(what: &str, attachment: Attachment, found: Result<&'static str, &'static str>) -> Expected {
    Expected { what: what.to_owned(), attachment, found }
}

/// What each signer made in the first form (or all), under the policy below.
fn everything(world: &World) -> Vec<Expected> {
    let mut all = Vec::new();
    for (kind, names) in [(Kind::Keyed, ["ci", "qa"]), (Kind::Keyless, ["app", "nightly"])] {
        // The third signer of each kind is nobody's in the policy.
        let third = if kind == Kind::Keyed { "not valid for any key that the rule names" } else { "by identity release@acme.example" };
        for signed in world.signed(kind) {
            let found = names.get(signed.by).copied().ok_or(third);
            // There is one `.sig` tag: it is tested below.
            if signed.attachment.location != Location::SignatureTag {
                all.push(expect(&format!("{kind:?}, {} by {}", signed.form, signed.by), signed.attachment, found));
            }
        }
    }
    for signed in world.signed(Kind::Notation) {
        let found = ["release"].get(signed.by).copied().ok_or("expected one of the signer's identities");
        all.push(expect(&format!("{} by {}", signed.form, signed.by), signed.attachment, found));
    }
    let strange = |attachment: Attachment| Attachment { location: Location::Referrers, ..attachment };
    let namesake = strange(world.worthless(Kind::Notation).remove(0));
    all.push(expect("Notation under another root", namesake, Err("expected a root of the trust store")));
    let worthless = world.worthless(Kind::Keyless);
    let forms = worthless.len() / 2;
    all.push(expect("keyless, of another image", strange(worthless[0].clone()), Err("its messageDigest is not that of")));
    all.push(expect("keyless, of another instance", strange(worthless[forms].clone()), Err("does not hold under trust root tests")));
    let attested = world.signed(Kind::Attested).into_iter().find(|signed| signed.form == "attestation, dsse 0.0.1").expect("one");
    all.push(expect("an attestation", attested.attachment, Ok("ci")));
    let torn = Content::new(media_type::BUNDLE_V03, r#"{"mediaType":"#);
    let torn = attachment(Location::Referrers, &torn, &BTreeMap::new(), Some(&world.image.manifest));
    all.push(expect("half a bundle", torn, Err("Sigstore bundle: ")));
    all
}

/// A `.sig` manifest with one layer for each signature, as cosign appends them.
fn appended(world: &World) -> (Attachment, usize) {
    let signed: Vec<Attachment> = [Kind::Keyed, Kind::Keyless]
        .into_iter()
        .flat_map(|kind| world.signed(kind))
        .filter(|signed| signed.attachment.location == Location::SignatureTag && signed.by < 2)
        .map(|signed| signed.attachment)
        .collect();
    let mut manifest: Value = serde_json::from_slice(&signed[0].manifest).expect("JSON");
    let layers = signed.iter().map(|one| serde_json::from_slice::<Value>(&one.manifest).expect("JSON")["layers"][0].clone());
    manifest["layers"] = layers.collect();
    let mut one = with_manifest(Location::SignatureTag, manifest.to_string(), signed[0].layers[0].clone());
    one.layers = signed.iter().map(|signed| signed.layers[0].clone()).collect();
    (one, signed.len())
}

fn policy(require: &str) -> String {
    let keyless = |who: usize| {
        let person = identity(who);
        format!(
            "{{ issuer: '{}', identity: '{}', claims: {{ source-repository: https://github.com/acme/app }}, trust-root: tests }}",
            person.issuer, person.subject
        )
    };
    format!(
        "version: 1\ntrust-roots: {{ tests: root.json }}\ntrust-stores: {{ acme: {{ ca: [acme.pem] }} }}\nsigners:\n  ci: {{ key: ci.pub }}\n  qa: {{ key: qa.pub }}\n  \
         nobody: {{ key: nobody.pub }}\n  app: {}\n  nightly: {}\n  release: {{ notation: {{ trust-store: 'ca:acme', identities: ['x509.subject: C=US, ST=WA, O=Acme 0'] }} }}\n\
         rules:\n  - images: [\"{LAB}/**\"]\n    require: [ {require} ]\n",
        keyless(0),
        keyless(1)
    )
}

fn gate(world: &World, registry: &Registry, require: &str) -> Gate {
    Setup::new()
        .lab_without_memory(&registry.url())
        .file("root.json", &world.instance.trusted_root().to_string())
        .file("acme.pem", world.notation_root())
        .file("ci.pub", &world.public_pem(0))
        .file("qa.pub", &world.public_pem(1))
        .file("nobody.pub", &world.public_pem(3))
        .policy(policy(require))
        .start()
}

fn explained(gate: &Gate, reference: &str) -> (Value, String) {
    let json = gate.command("explain", ["--output", "json", reference]).run().expect_success();
    let text = gate.command("explain", [reference]).run().expect_success();
    (serde_json::from_str(&json.stdout).expect("one JSON document"), text.stdout)
}

#[test]
fn every_signature_is_listed_with_its_place_its_signer_and_the_first_step_that_failed() {
    let (world, registry) = (World::new(), Registry::start());
    let expected = everything(&world);
    let (sig, layers) = appended(&world);
    registry.push("team/app", "1", &world.image);
    let items: Vec<Attachment> = expected.iter().map(|one| one.attachment.clone()).chain([sig.clone()]).collect();
    publish(&registry, "team/app", &world.image, &items);
    // An admission and a denial list the same.
    for (require, outcome) in [("{ signed-by: { all: [ci, app, release] } }", "admitted"), ("{ signed-by: { any: [nobody] } }", "denied")] {
        let gate = gate(&world, &registry, require);
        let reference = gate.reference("team/app:1");
        let (explanation, text) = explained(&gate, &reference);
        assert_eq!(explanation["outcome"], outcome, "{text}");
        let findings = explanation["findings"].as_array().expect("findings");
        assert_eq!(findings.len(), expected.len() + layers, "{text}");
        for Expected { what, attachment, found } in &expected {
            let of = |finding: &&Value| finding["attachment"] == attachment.digest.to_string();
            let [finding] = &*findings.iter().filter(of).collect::<Vec<_>>() else { panic!("{what}: {text}") };
            assert_eq!(finding["location"], "fallback-tag", "{what}");
            assert_eq!(finding["layer"], sealgate_tests::sha256(&attachment.layers[0]), "{what}");
            assert!(text.contains(&attachment.digest.to_string()), "{what}");
            match found {
                Ok(signer) => {
                    assert_eq!((&finding["signer"], &finding["failure"]), (&Value::from(*signer), &Value::Null), "{what}");
                    assert!(finding["by"].is_object(), "{what}");
                }
                Err(why) => {
                    let failure = finding["failure"].as_str().unwrap_or_else(|| panic!("{what}: {finding}"));
                    assert!(failure.contains(why), "{what}: {failure}");
                    assert!(finding["signer"].is_null() && text.contains(failure), "{what}");
                }
            }
        }
        let appended: Vec<&Value> = findings.iter().filter(|finding| finding["attachment"] == sig.digest.to_string()).collect();
        let signers: Vec<&Value> = appended.iter().map(|finding| &finding["signer"]).collect();
        for signer in ["ci", "qa", "app", "nightly"] {
            assert!(signers.contains(&&Value::from(signer)), "{signer}: {signers:?}");
        }
        assert!(appended.iter().all(|finding| finding["location"] == "signature-tag"), "{appended:?}");
    }
}

#[test]
fn unsigned_and_signed_by_somebody_else_are_told_apart() {
    let (world, registry) = (World::new(), Registry::start());
    let gate = gate(&world, &registry, "{ signed-by: { any: [nobody] } }");
    let unsigned = Image::small();
    registry.push("team/unsigned", "1", &unsigned);
    let (explanation, text) = explained(&gate, &gate.reference("team/unsigned:1"));
    assert!(explanation["line"].as_str().is_some_and(|line| line.contains("found no signature in referrers API")), "{text}");
    assert_eq!(explanation["findings"], Value::Array(Vec::new()));
    assert!(text.contains("none found"), "{text}");
    for kind in [Kind::Keyed, Kind::Keyless, Kind::Notation] {
        for signed in world.signed(kind) {
            let repository = format!("team/{}", signed.attachment.digest.to_string().split_at(20).0.replace(':', "-"));
            registry.push(&repository, "1", &world.image);
            publish(&registry, &repository, &world.image, std::slice::from_ref(&signed.attachment));
            let (explanation, text) = explained(&gate, &gate.reference(&format!("{repository}:1")));
            let line = explanation["line"].as_str().expect("a line");
            assert!(!line.contains("no signature"), "{kind:?} {}: {line}", signed.form);
            assert_eq!(explanation["findings"].as_array().map(Vec::len), Some(1), "{kind:?} {}: {text}", signed.form);
        }
    }
}
