//! `sealgate secrets`, end to end: what it finds, what it never shows, and how it ends.

use sealgate_tests::gate::sealgate;
use sealgate_tests::image::Image;
use sealgate_tests::layer::tar;
use sealgate_tests::layout;
use sealgate_tests::program::Outcome;
use serde_json::{Value, json};

const BODY: &str = "MHcCAQEEIKz8tM3nXo0bVf5hYwQdRg7jP1sLuE9aTcZi2yNvKmHxoAoGCCqGSM49";
const PASSWORD: &str = "Tr0ub4dor-and-3";

/// A key that a later layer deletes, and a password in the environment, a label and the history.
fn leaking() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let key = format!("\n-----BEGIN EC PRIVATE KEY-----\n{BODY}\n-----END EC PRIVATE KEY-----\n");
    let url = format!("postgres://app:{PASSWORD}@db.internal/app");
    let configuration = json!({
        "config": {"Env": [format!("DATABASE_URL={url}")], "Labels": {"note": url}},
        "history": [{"created_by": "COPY . ."}, {"created_by": format!("ENV DATABASE_URL={url}"), "empty_layer": true}],
    });
    let layers = vec![tar(&[("root/key file.pem", key.as_bytes())]), tar(&[("root/.wh.key file.pem", b"")])];
    layout::write(folder.path(), "1", &Image::of_archives(&configuration, layers));
    folder
}

fn secrets(folder: &tempfile::TempDir, format: &str) -> Outcome {
    sealgate(["secrets", "--format", format, &folder.path().to_string_lossy()]).run()
}

fn json_of(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).expect("JSON")
}

#[test]
fn what_is_found_is_named_and_never_shown() {
    // D8: grep finds none.
    let folder = leaking();
    for format in ["table", "json", "sarif"] {
        let outcome = secrets(&folder, format);
        assert_eq!(outcome.code, Some(21), "{format}: {}", outcome.stderr);
        for secret in [&BODY[10..20], PASSWORD] {
            assert!(!outcome.stdout.contains(secret) && !outcome.stderr.contains(secret), "{format}: {}", outcome.stdout);
        }
    }
    for command in ["cyclonedx", "spdx"] {
        let outcome = sealgate(["sbom", "--format", command, &folder.path().to_string_lossy()]).run();
        assert!(!outcome.stdout.contains(PASSWORD) && outcome.stderr.contains("no package source"), "{}", outcome.stderr);
    }
    let found = json_of(&secrets(&folder, "json"));
    let kinds: Vec<_> =
        found["secrets"].as_array().expect("secrets").iter().map(|secret| (secret["kind"].as_str(), secret["place"].as_str())).collect();
    let expected = [("private-key", "file"), ("url-password", "environment"), ("url-password", "history"), ("url-password", "label")];
    assert_eq!(kinds, expected.map(|(kind, place)| (Some(kind), Some(place))));
    let key = &found["secrets"][0];
    assert_eq!(
        (&key["path"], &key["layer"], &key["line"], &key["deleted"]),
        (&json!("root/key file.pem"), &json!(0), &json!(2), &json!(true))
    );
}

#[test]
fn sarif_has_what_code_scanning_reads() {
    let log = json_of(&secrets(&leaking(), "sarif"));
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 4);
    for result in results {
        let rule = rules[usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small")]["id"].clone();
        assert_eq!(result["ruleId"], rule);
        assert!(result["message"]["text"].is_string() && result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].is_string());
    }
    assert_eq!(results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "root/key%20file.pem");
}

#[test]
fn an_image_without_secrets_ends_well_and_one_that_cannot_be_read_does_not() {
    let clean = tempfile::tempdir().expect("a folder");
    layout::write(clean.path(), "1", &Image::of_archives(&json!({}), vec![tar(&[("etc/motd", b"hello")])]));
    let outcome = secrets(&clean, "table");
    assert_eq!((outcome.code, outcome.stdout.contains("no secret found in 1 layer")), (Some(0), true), "{}", outcome.stdout);
    // A12: an entry that points outside is a gap, and a gap is no pass.
    let hostile = tempfile::tempdir().expect("a folder");
    layout::write(hostile.path(), "1", &Image::of_archives(&json!({}), vec![tar(&[("../../etc/shadow", b"x")])]));
    for command in ["secrets", "sbom"] {
        let outcome = sealgate([command, &hostile.path().to_string_lossy()]).run();
        assert!(outcome.code == Some(1) && outcome.stderr.contains("leaves the image's root"), "{command}: {}", outcome.stderr);
    }
    let nothing = sealgate(["sbom", "/nonexistent/layout"]).run();
    assert_eq!(nothing.code, Some(1), "{}", nothing.stderr);
}
