//! `sealgate sign` and `sealgate attest` with keys: what of an image is signed, how it is stored beside what is there, and what is
//! reported. cosign verifies all of it.

use std::path::{Path, PathBuf};

use sealgate_tests::cosign::{self, KeyPair, Layout, PASSWORD, cosign};
use sealgate_tests::gate::{binary, sealgate};
use sealgate_tests::image::{Image, Index};
use sealgate_tests::program::{Outcome, Program};
use sealgate_tests::registry::Registry;
use serde_json::{Value, json};
use tempfile::TempDir;

const APP: &str = "team/app";

/// A registry with one image or index under `team/app:1`.
struct Scene {
    registry: Registry,
    folder: TempDir,
}

impl Scene {
    fn with(image: &Image) -> Self {
        let scene = Self { registry: Registry::start(), folder: tempfile::tempdir().expect("a folder") };
        scene.registry.push(APP, "1", image);
        scene
    }

    fn with_index(index: &Index) -> Self {
        let scene = Self { registry: Registry::start(), folder: tempfile::tempdir().expect("a folder") };
        scene.registry.push_index(APP, "1", index);
        scene
    }

    fn at(&self, digest: &str) -> String {
        self.registry.reference(&format!("{APP}@{digest}"))
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// How often something was written to the registry.
    fn writes(&self) -> usize {
        ["PUT", "POST", "PATCH"].map(|method| self.registry.count(method, "/v2/")).iter().sum()
    }
}

fn sign<'a>(keys: impl IntoIterator<Item = &'a KeyPair>, more: &[&str]) -> Outcome {
    let keys = keys.into_iter().fold(sealgate(["sign"]), |program, key| program.arg("--key").arg(key.private()));
    keys.args(more).run()
}

fn verify(key: &KeyPair, reference: &str) -> Outcome {
    sealgate(["verify", "--key"]).arg(key.public()).arg(reference).run()
}

/// The JSON objects on stdout, one on each line.
fn reports(outcome: &Outcome) -> Vec<Value> {
    outcome.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn an_index_and_every_image_in_it_are_signed() {
    let (index, key) = (Index::small(), KeyPair::generate());
    let scene = Scene::with_index(&index);
    let _ = sign([&key], &[&scene.at(index.digest())]).expect_success();
    for digest in std::iter::once(index.digest()).chain(index.images.iter().map(Image::digest)) {
        let _ = cosign::verify(&key.public(), Layout::Bundle, &scene.at(digest)).expect_success();
        let _ = verify(&key, &scene.at(digest)).expect_success();
    }
}

#[test]
fn without_children_the_index_alone_is_signed() {
    for flag in ["--no-children", "--recursive=false"] {
        let (index, key) = (Index::small(), KeyPair::generate());
        let scene = Scene::with_index(&index);
        let _ = sign([&key], &[flag, &scene.at(index.digest())]).expect_success();
        let _ = cosign::verify(&key.public(), Layout::Bundle, &scene.at(index.digest())).expect_success();
        assert_eq!(verify(&key, &scene.at(index.images[0].digest())).code, Some(10), "{flag}");
    }
}

#[test]
fn an_index_is_not_signed_when_something_in_it_cannot_be() {
    let (index, key) = (Index::small(), KeyPair::generate());
    let scene = Scene::with_index(&index);
    scene.registry.delete(APP, index.images[1].digest());
    let refused = sign([&key], &["--output", "json", &scene.at(index.digest())]).expect_failure();
    let [report] = reports(&refused).try_into().expect("one image");
    assert!(report["manifests"][0]["error"].is_string(), "{report}");
    assert_eq!(verify(&key, &scene.at(index.digest())).code, Some(10));
    let _ = verify(&key, &scene.at(index.images[0].digest())).expect_success();
    let _ = sign([&key], &["--no-children", &scene.at(index.digest())]).expect_success();
    let _ = verify(&key, &scene.at(index.digest())).expect_success();
}

#[test]
fn older_signatures_are_appended_to_those_that_are_there() {
    let (image, ours, theirs) = (Image::small(), KeyPair::generate(), KeyPair::generate());
    let scene = Scene::with(&image);
    let reference = scene.at(image.digest());
    let _ = cosign::sign(&theirs.private(), Layout::Legacy, &reference).expect_success();
    let _ = sign([&ours], &["--signature-format", "legacy", &reference]).expect_success();
    for key in [&ours, &theirs] {
        let _ = cosign::verify(&key.public(), Layout::Legacy, &reference).expect_success();
        let _ = verify(key, &reference).expect_success();
    }
    let tags = sealgate_tests::wire::get(scene.registry.address(), &format!("/v2/{APP}/tags/list")).expect(200).json();
    assert_eq!(tags["tags"].as_array().map(Vec::len), Some(2), "the image's and .sig, and none for bundles: {tags}");
    // And cosign appends to ours.
    let third = KeyPair::generate();
    let _ = cosign::sign(&third.private(), Layout::Legacy, &reference).expect_success();
    for key in [&ours, &theirs, &third] {
        let _ = cosign::verify(&key.public(), Layout::Legacy, &reference).expect_success();
    }
}

#[test]
fn both_layouts_at_once_satisfy_both_generations_of_verifiers() {
    let (index, key) = (Index::small(), KeyPair::generate());
    let scene = Scene::with_index(&index);
    let _ = sign([&key], &["--signature-format", "both", &scene.at(index.digest())]).expect_success();
    for digest in [index.digest(), index.images[1].digest()] {
        for layout in [Layout::Bundle, Layout::Legacy] {
            let _ = cosign::verify(&key.public(), layout, &scene.at(digest)).expect_success();
        }
    }
}

#[test]
fn the_report_names_every_signature_and_signing_again_writes_nothing() {
    let (index, keys) = (Index::small(), [KeyPair::generate(), KeyPair::generate()]);
    let scene = Scene::with_index(&index);
    let (other, tag) = (Image::small(), scene.registry.reference("team/other:7"));
    scene.registry.push("team/other", "7", &other);
    let arguments = ["--signature-format", "both", "--output", "json", &scene.at(index.digest()), &tag];
    let first = reports(&sign(&keys, &arguments).expect_success());
    assert_eq!(first.len(), 2);
    assert_eq!((&first[0]["digest"], &first[0]["tag"]), (&json!(index.digest()), &Value::Null));
    assert_eq!((&first[1]["digest"], &first[1]["tag"]), (&json!(other.digest()), &json!("7")));
    let statuses = |reports: &[Value]| -> Vec<String> {
        let manifests = reports.iter().flat_map(|report| report["manifests"].as_array().expect("a list"));
        let signatures = manifests.flat_map(|manifest| manifest["signatures"].as_array().expect("a list"));
        signatures.map(|signature| signature["status"].as_str().expect("a text").to_owned()).collect()
    };
    // An index of two images, and an image; two keys and two formats each.
    assert_eq!(statuses(&first), vec!["signed"; 16]);
    let one = &first[0]["manifests"][1]["signatures"][1];
    assert_eq!((&one["format"], &one["by"]["kind"]), (&json!("legacy"), &json!("key")));
    assert_eq!(one["tag"], json!(format!("{}.sig", index.images[0].digest().replace(':', "-"))));
    assert_eq!(first[0]["manifests"][1]["platform"], json!("linux/amd64"));
    let written = scene.writes();
    let second = reports(&sign(&keys, &arguments).expect_success());
    assert_eq!(statuses(&second), vec!["already-signed"; 16]);
    assert_eq!(scene.writes(), written, "nothing is written twice");
    let third = KeyPair::generate();
    let _ = sign([&third], &[&scene.at(index.digest())]).expect_success();
    assert!(scene.writes() > written, "another key is another signature");
    let forced = reports(&sign(&keys, &["--force", "--no-children", "--output", "json", &scene.at(index.digest())]).expect_success());
    assert_eq!(statuses(&forced), vec!["signed"; 2]);
}

#[test]
fn a_failure_keeps_no_other_image_from_being_signed() {
    let (image, key) = (Image::small(), KeyPair::generate());
    let scene = Scene::with(&image);
    let (missing, good) = (scene.registry.reference("team/app:none"), scene.at(image.digest()));
    let signed = sign([&key], &[&missing, &good]);
    assert_eq!(signed.code, Some(11), "{}", signed.text());
    assert_eq!(signed.stdout.trim(), good);
    let _ = verify(&key, &good).expect_success();
    let down = "127.0.0.1:1/team/app:1";
    let mixed = sign([&key], &["--output", "json", &missing, down, &good]);
    assert_eq!(mixed.code, Some(1), "failures of two kinds: {}", mixed.text());
    let reports = reports(&mixed);
    let errors: Vec<bool> = reports.iter().map(|report| report["error"].is_string()).collect();
    assert_eq!(errors, [true, true, false]);
    assert_eq!(mixed.stderr.matches("error: ").count(), 2, "{}", mixed.stderr);
    assert_eq!(sign([&key], &["NOT AN IMAGE", &good]).code, Some(2));
}

/// A predicate of each type that cosign knows by a short name, and one of a type of one's own.
const PREDICATES: [(&str, &str); 7] = [
    ("slsaprovenance", r#"{"builder":{"id":"b"},"buildType":"t"}"#),
    (
        "slsaprovenance1",
        r#"{"buildDefinition":{"buildType":"https://t.example","externalParameters":{}},"runDetails":{"builder":{"id":"https://b.example"}}}"#,
    ),
    (
        "vuln",
        r#"{"scanner":{"uri":"u","version":"1"},"metadata":{"scanStartedOn":"2026-11-25T00:00:00Z","scanFinishedOn":"2026-11-25T00:00:01Z"}}"#,
    ),
    ("spdxjson", r#"{"spdxVersion":"SPDX-2.3","creationInfo":{"created":"2026-11-25T00:00:00Z"}}"#),
    ("cyclonedx", r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#),
    ("openvex", r#"{"@context":"https://openvex.dev/ns/v0.2.0","timestamp":"2026-11-25T00:00:00Z"}"#),
    ("https://acme.example/review/v1", r#"{ "approved" : true }"#),
];

fn attest(key: &KeyPair, kind: &str, predicate: &Path, more: &[&str], reference: &str) -> Outcome {
    let program = sealgate(["attest", "--type", kind, "--key"]).arg(key.private()).arg("--predicate").arg(predicate);
    program.args(more).arg(reference).run()
}

fn cosign_verifies_attestation(key: &KeyPair, layout: Layout, kind: &str, reference: &str) -> Outcome {
    let format = if layout == Layout::Bundle { "--new-bundle-format=true" } else { "--new-bundle-format=false" };
    let program = cosign().args(["verify-attestation", "--insecure-ignore-tlog=true", format, "--type", kind, "--key"]);
    program.arg(key.public()).arg(reference).run()
}

#[test]
fn attestations_of_every_type_verify_in_cosign_and_here() {
    let (image, key, other) = (Image::small(), KeyPair::generate(), KeyPair::generate());
    let scene = Scene::with(&image);
    let reference = scene.at(image.digest());
    for (kind, text) in PREDICATES {
        let predicate = scene.file("predicate.json", text);
        let _ = attest(&key, kind, &predicate, &["--signature-format", "both"], &reference).expect_success();
        for layout in [Layout::Bundle, Layout::Legacy] {
            let _ = cosign_verifies_attestation(&key, layout, kind, &reference).expect_success();
        }
        let written = scene.folder.path().join("written.json");
        let here = sealgate(["verify-attestation", "--type", kind, "--key"]).arg(key.public()).arg("--predicate-output").arg(&written);
        let _ = here.arg(&reference).run().expect_success();
        assert_eq!(std::fs::read_to_string(&written).expect("the predicate"), text, "byte for byte");
    }
    let kind = PREDICATES[1].0;
    let _ = cosign_verifies_attestation(&other, Layout::Bundle, kind, &reference).expect_failure();
    assert_eq!(verify(&key, &reference).code, Some(10), "attesting is not approving");
}

#[test]
fn the_same_predicate_is_attested_once_and_another_one_again() {
    let (image, key) = (Image::small(), KeyPair::generate());
    let scene = Scene::with(&image);
    let reference = scene.at(image.digest());
    let predicate = scene.file("predicate.json", r#"{"a":1,"b":[2]}"#);
    let spaced = scene.file("spaced.json", "{ \"b\": [2],\n \"a\": 1 }\n");
    let other = scene.file("other.json", r#"{"a":2}"#);
    let statuses = |predicate: &Path| {
        let outcome =
            attest(&key, "cyclonedx", predicate, &["--signature-format", "both", "--output", "json"], &reference).expect_success();
        let report = reports(&outcome).remove(0);
        let of = |number: usize| report["manifests"][0]["signatures"][number]["status"].as_str().expect("a text").to_owned();
        assert_eq!(report["manifests"][0]["signatures"][0]["predicate-type"], json!("https://cyclonedx.org/bom"));
        [of(0), of(1)]
    };
    assert_eq!(statuses(&predicate), ["signed", "signed"]);
    let written = scene.writes();
    assert_eq!(statuses(&predicate), ["already-signed", "already-signed"]);
    assert_eq!(statuses(&spaced), ["already-signed", "already-signed"]);
    assert_eq!(scene.writes(), written);
    assert_eq!(statuses(&other), ["signed", "signed"]);
}

#[test]
fn a_file_that_is_no_predicate_attests_nothing() {
    let (image, key) = (Image::small(), KeyPair::generate());
    let scene = Scene::with(&image);
    let (list, reference, written) = (scene.file("list.json", "[1]"), scene.at(image.digest()), scene.writes());
    let refused = attest(&key, "vuln", &list, &[], &reference).expect_failure();
    assert!(refused.stderr.contains("expected one JSON object"), "{}", refused.stderr);
    assert_eq!(attest(&key, "unknown", &list, &[], &reference).code, Some(2));
    assert_eq!(attest(&key, "https://sigstore.dev/cosign/sign/v1", &list, &[], &reference).code, Some(2), "that is what `sign` is for");
    let _ = attest(&key, "vuln", &scene.folder.path().join("none"), &[], &reference).expect_failure();
    assert_eq!(scene.writes(), written);
}

#[test]
fn signers_at_the_same_time_lose_none_of_their_signatures() {
    let image = Image::small();
    let scene = Scene::with(&image);
    let reference = scene.at(image.digest());
    let keys: Vec<KeyPair> = (0..4).map(|_| KeyPair::generate()).collect();
    std::thread::scope(|scope| {
        for key in &keys {
            let reference = &reference;
            scope.spawn(move || sign([key], &["--signature-format", "both", reference]).expect_success());
        }
    });
    for key in &keys {
        for layout in [Layout::Bundle, Layout::Legacy] {
            let _ = cosign::verify(&key.public(), layout, &reference).expect_success();
        }
    }
}

#[test]
fn a_tag_that_holds_something_else_is_never_overwritten() {
    let (image, key) = (Image::small(), KeyPair::generate());
    let scene = Scene::with(&image);
    let tag = format!("{}.sig", image.digest().replace(':', "-"));
    let index = Index::small();
    scene.registry.push_index(APP, &tag, &index);
    let refused = sign([&key], &["--signature-format", "legacy", &scene.at(image.digest())]).expect_failure();
    assert!(refused.stderr.contains(&tag) && refused.stderr.contains("move that tag away"), "{}", refused.stderr);
    let there = sealgate_tests::wire::get(scene.registry.address(), &format!("/v2/{APP}/manifests/{tag}")).expect(200);
    assert_eq!(there.body, index.manifest.bytes);
}

/// `sealgate sign --key -` with the key on its standard input.
fn sign_from_stdin(key: &Path, reference: &str) -> Program {
    let script = r#"exec "$0" sign --key - "$1" <"$2""#;
    Program::new("bash").args(["-c", script]).arg(binary()).arg(reference).arg(key)
}

// D8
#[test]
fn keys_and_passwords_come_from_where_scripts_keep_them_and_show_nowhere() {
    let key = KeyPair::generate();
    let private = std::fs::read_to_string(key.private()).expect("the key");
    let image = Image::small();
    let scene = Scene::with(&image);
    let reference = scene.at(image.digest());
    let password = scene.file("password", &format!("{PASSWORD}\n"));
    let bare = || Program::at(&binary()).args(["sign", "--force"]);
    let runs = [
        sealgate(["sign", "--force", "--key", "env://SIGNING_KEY"]).env("SIGNING_KEY", &private).arg(&reference).run(),
        bare().arg("--key").arg(key.private()).arg("--password-file").arg(&password).arg(&reference).run(),
        sign_from_stdin(&key.private(), &reference).env("COSIGN_PASSWORD", PASSWORD).run(),
    ];
    for run in runs {
        let run = run.expect_success();
        assert!(!run.text().contains(PASSWORD) && !run.text().contains("ENCRYPTED"), "{}", run.text());
    }
    let _ = cosign::verify(&key.public(), Layout::Bundle, &reference).expect_success();
    // Without a password there is nobody to ask, and a wrong one opens nothing.
    let wrong = scene.file("wrong", "not the password");
    for (refused, expected) in [
        (bare().arg("--key").arg(key.private()).arg(&reference).run(), "--password-file"),
        (bare().arg("--key").arg(key.private()).arg("--password-file").arg(&wrong).arg(&reference).run(), "wrong password"),
        (bare().args(["--key", "-", "--key", "-"]).arg(&reference).run(), "holds one key"),
    ] {
        let refused = refused.expect_failure();
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
        assert!(!refused.text().contains("not the password"), "{}", refused.text());
    }
}

#[test]
fn key_services_that_are_not_supported_say_what_to_do_instead() {
    let reference = "127.0.0.1:1/team/app:1";
    for key in ["pkcs11:token=x", "awskms:///alias/x", "gcpkms://projects/x", "azurekms://v/k", "hashivault://k", "k8s://ns/k"] {
        let refused = sealgate(["sign", "--key", key, reference]).run();
        assert_eq!(refused.code, Some(2), "{key}");
        assert!(refused.stderr.contains("not supported yet: sign with `cosign sign --key "), "{key}: {}", refused.stderr);
    }
    let nobody = sealgate(["sign", reference]).run();
    assert_eq!(nobody.code, Some(2));
    assert!(nobody.stderr.contains("--key") && nobody.stderr.contains("--identity-token"), "{}", nobody.stderr);
}
