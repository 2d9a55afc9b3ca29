//! `verify` and `verify-attestation` with keyless identities, beside cosign on the same images.

use std::path::Path;

use sealgate_tests::cosign::cosign;
use sealgate_tests::gate::sealgate;
use sealgate_tests::keyless::{Keyless, PROVENANCE, identity};
use sealgate_tests::program::Outcome;
use sealgate_tests::sigstore::Sigstore;
use serde_json::{Value, json};

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const WORKFLOW: &str = "https://github.com/acme/builders/.github/workflows/release.yml@refs/tags/v1";

/// Arguments of either program.
fn whom<'a>(identity: (&'a str, &'a str), issuer: (&'a str, &'a str)) -> Vec<&'a str> {
    vec![identity.0, identity.1, issuer.0, issuer.1]
}

fn exact<'a>(identity: &'a str, issuer: &'a str) -> Vec<&'a str> {
    whom(("--certificate-identity", identity), ("--certificate-oidc-issuer", issuer))
}

fn ours(command: &str, root: &Path, whom: &[&str], reference: &str) -> Outcome {
    sealgate([command]).args(whom).arg("--trusted-root").arg(root).arg(reference).run()
}

fn theirs(command: &str, root: &Path, whom: &[&str], reference: &str) -> bool {
    cosign().args([command, "--new-bundle-format=true"]).args(whom).arg("--trusted-root").arg(root).arg(reference).run().succeeded()
}

#[test]
fn an_identity_is_compared_whole_and_the_exit_code_says_what_was_found() {
    let scene = Keyless::start();
    let image = scene.push_signed("team/app", &identity(), scene.sigstore.making());
    let reference = scene.registry.reference("team/app:1");
    let other = scene.file("other.json", &Sigstore::new().trusted_root().to_string());
    let (by, regexp) = (("--certificate-identity", WORKFLOW), "--certificate-identity-regexp");
    let (from, from_regexp) = (("--certificate-oidc-issuer", ISSUER), "--certificate-oidc-issuer-regexp");
    let beginning = "https://github.com/acme/builders/";
    // What is asked for, ours, and whether cosign says yes.
    let cases: [(Vec<&str>, i32, bool); 12] = [
        (exact(WORKFLOW, ISSUER), 0, true),
        (exact("https://github.com/acme/builders/.github/workflows/release.yml@refs/tags/v2", ISSUER), 12, false),
        (exact(beginning, ISSUER), 12, false),
        (exact(WORKFLOW, "https://accounts.google.com"), 12, false),
        (exact(WORKFLOW, "https://token.actions.githubusercontent.com/"), 12, false),
        (whom((regexp, r"https://github\.com/acme/builders/.*@refs/tags/v[0-9.]+"), from), 0, true),
        (whom((regexp, r"https://github\.com/acme/builders/.*@refs/tags/v"), from), 12, true),
        (whom((regexp, r"acme/builders|x"), from), 12, true),
        (whom((regexp, r"https://github\.com/other/.*"), from), 12, false),
        (whom(by, (from_regexp, r"https://token\.actions\.[a-z]+\.com")), 0, true),
        (whom(by, (from_regexp, r"https://token\.actions")), 12, true),
        (whom(by, (from_regexp, r"https://accounts\..*")), 12, false),
    ];
    for (whom, code, cosign) in cases {
        let found = ours("verify", &scene.root_file(), &whom, &reference);
        assert_eq!(found.code, Some(code), "{whom:?}: {}", found.text());
        // cosign does not anchor regular expressions; everything else is judged alike.
        assert_eq!(theirs("verify", &scene.root_file(), &whom, &reference), cosign, "{whom:?}");
    }
    let right = exact(WORKFLOW, ISSUER);
    assert_eq!(ours("verify", &other, &right, &reference).code, Some(12), "another trust root");
    assert!(!theirs("verify", &other, &right, &reference));
    assert_eq!(sealgate(["verify"]).args(&right).arg(&reference).run().code, Some(12), "the public trust root");
    for (source, code) in [
        ("https://github.com/acme/app", 0),
        ("https://github.com/acme/*", 0),
        ("https://github.com/acme/application", 12),
        ("https://github.com/other/app", 12),
    ] {
        let whom = [&right[..], &["--certificate-source-repository", source]].concat();
        let found = ours("verify", &scene.root_file(), &whom, &reference);
        assert_eq!(found.code, Some(code), "{source}: {}", found.text());
    }
    let found = ours("verify", &scene.root_file(), &[&right[..], &["--output", "json"]].concat(), &reference).expect_success();
    let json: Value = serde_json::from_str(&found.stdout).expect("JSON");
    assert_eq!((json["outcome"].as_str(), json["digest"].as_str()), (Some("admitted"), Some(image.digest())), "{json}");
    let by = &json["findings"][0]["by"];
    assert!(by.to_string().contains(WORKFLOW) && by.to_string().contains(ISSUER), "{json}");
}

#[test]
fn what_was_made_wrongly_or_by_nobody_is_told_apart() {
    let scene = Keyless::start();
    let making = scene.sigstore.making();
    let late = sealgate_tests::sigstore::Making { logged: making.logged + 3600, stamped: None, ..making };
    let _ = scene.push_signed("team/late", &identity(), late);
    let _ = scene.push("team/attested", &identity(), (PROVENANCE, json!({})), making);
    scene.registry.push("team/unsigned", "1", &sealgate_tests::image::Image::small());
    // cosign 3.1 takes any bundle of the identity for a signature, a provenance too; attesting is not approving.
    for (name, code, cosign) in
        [("late:1", 12, false), ("attested:1", 10, true), ("unsigned:1", 10, false), ("absent:1", 11, false), ("unsigned:2", 11, false)]
    {
        let reference = scene.registry.reference(&format!("team/{name}"));
        let found = ours("verify", &scene.root_file(), &exact(WORKFLOW, ISSUER), &reference);
        assert_eq!(found.code, Some(code), "{name}: {}", found.text());
        assert_eq!(theirs("verify", &scene.root_file(), &exact(WORKFLOW, ISSUER), &reference), cosign, "{name}");
    }
}

#[test]
fn an_attestation_is_verified_by_type_and_identity_and_its_predicate_written() {
    let scene = Keyless::start();
    let predicate = json!({ "buildDefinition": { "buildType": "https://acme.example/build@v1" } });
    let _ = scene.push("team/app", &identity(), (PROVENANCE, predicate.clone()), scene.sigstore.making());
    let reference = scene.registry.reference("team/app:1");
    let right = exact(WORKFLOW, ISSUER);
    let of_type = |kind: &'static str| [&right[..], &["--type", kind]].concat();
    for (whom, code, cosign) in [
        (of_type("slsaprovenance1"), 0, true),
        (of_type("vuln"), 10, false),
        ([&exact("https://github.com/x", ISSUER)[..], &["--type", "slsaprovenance1"]].concat(), 12, false),
        ([&exact(WORKFLOW, "https://x.example")[..], &["--type", "slsaprovenance1"]].concat(), 12, false),
    ] {
        let found = ours("verify-attestation", &scene.root_file(), &whom, &reference);
        assert_eq!(found.code, Some(code), "{whom:?}: {}", found.text());
        assert_eq!(theirs("verify-attestation", &scene.root_file(), &whom, &reference), cosign, "{whom:?}");
    }
    for (place, code) in [("/buildDefinition/buildType=https://acme.example/*", 0), ("/buildDefinition/buildType=x", 22), ("/x=*", 22)] {
        let whom = [&of_type("slsaprovenance1")[..], &["--where", place]].concat();
        assert_eq!(ours("verify-attestation", &scene.root_file(), &whom, &reference).code, Some(code), "{place}");
    }
    let written = [&of_type("slsaprovenance1")[..], &["--predicate-output", "-"]].concat();
    let found = ours("verify-attestation", &scene.root_file(), &written, &reference).expect_success();
    assert_eq!(serde_json::from_str::<Value>(&found.stdout).expect("the predicate"), predicate);
}

#[test]
fn a_policy_decides_as_in_the_gate() {
    let scene = Keyless::start();
    let _ = scene.push_signed("team/app", &identity(), scene.sigstore.making());
    let reference = scene.registry.reference("team/app:1");
    let registry = scene.registry.address();
    let policy = |identity: &str| {
        format!(
            "version: 1\ntrust-roots: {{ lab: root.json }}\nsigners:\n  app:\n    issuer: {ISSUER}\n    identity: {identity}\n    claims: {{ source-repository: https://github.com/acme/app }}\n    trust-root: lab\nrules:\n  - images: [\"{registry}/team/*\"]\n    require: [ {{ signed-by: {{ any: [app] }} }} ]\n"
        )
    };
    for (name, text, code) in [
        ("right.yaml", policy(WORKFLOW), 0),
        ("wrong.yaml", policy("https://github.com/x"), 12),
        ("other.yaml", policy(WORKFLOW).replace("/team/*", "/other/*"), 22),
        ("tuf.yaml", policy(WORKFLOW).replace("root.json", "tuf"), 75),
        ("broken.yaml", policy(WORKFLOW).replace("root.json", "absent.json"), 3),
    ] {
        let found = sealgate(["verify", "--policy"]).arg(scene.file(name, &text)).arg(&reference).run();
        assert_eq!(found.code, Some(code), "{name}: {}", found.text());
    }
}

#[test]
fn half_a_question_is_no_question() {
    let scene = Keyless::start();
    let (root, policy) = (scene.root_file(), scene.file("policy.yaml", "version: 1\nrules: []\n"));
    let (root, policy) = (root.to_string_lossy(), policy.to_string_lossy());
    let reference = scene.registry.reference("team/app:1");
    for (arguments, code) in [
        (vec![], 2),
        (vec!["--certificate-identity", WORKFLOW], 2),
        (vec!["--certificate-identity-regexp", ".*"], 2),
        (vec!["--certificate-oidc-issuer", ISSUER], 2),
        (vec!["--certificate-oidc-issuer-regexp", ".*"], 2),
        (vec!["--trusted-root", &root], 2),
        (vec!["--certificate-source-repository", "https://github.com/acme/app"], 2),
        ([&exact(WORKFLOW, ISSUER)[..], &["--key", "cosign.pub"]].concat(), 2),
        ([&exact(WORKFLOW, ISSUER)[..], &["--certificate-identity-regexp", ".*"]].concat(), 2),
        ([&exact(WORKFLOW, ISSUER)[..], &["--certificate-oidc-issuer-regexp", ".*"]].concat(), 2),
        (whom(("--certificate-identity-regexp", "("), ("--certificate-oidc-issuer", ISSUER)), 2),
        (whom(("--certificate-identity", WORKFLOW), ("--certificate-oidc-issuer-regexp", "(")), 2),
        ([&exact(WORKFLOW, ISSUER)[..], &["--policy", &policy]].concat(), 2),
        (vec!["--policy", &policy, "--certificate-identity-regexp", ".*", "--certificate-oidc-issuer-regexp", ".*"], 2),
        (vec!["--policy", &policy, "--key", "cosign.pub"], 2),
        ([&exact(WORKFLOW, ISSUER)[..], &["--trusted-root", "/absent"]].concat(), 1),
        ([&exact(WORKFLOW, ISSUER)[..], &["--trusted-root", &policy]].concat(), 1),
    ] {
        for command in [vec!["verify"], vec!["verify-attestation", "--type", "slsaprovenance1"]] {
            if command.len() > 1 && arguments.contains(&"--policy") {
                continue;
            }
            let found = sealgate(command).args(&arguments).arg(&reference).run();
            assert_eq!(found.code, Some(code), "{arguments:?}: {}", found.text());
        }
    }
}
