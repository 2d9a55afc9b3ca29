//! `sealgate verify-bundle` speaks the command line of sigstore-conformance, judged by its exit code.

use std::fs;
use std::path::{Path, PathBuf};

use sealgate_tests::gate::sealgate;
use sealgate_tests::program::Outcome;

const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures")
}

fn run(case: &Path, identity: &str, issuer: &str, artifact: &str) -> Outcome {
    let mut command = sealgate(["verify-bundle", "--bundle"]).arg(case.join("bundle.sigstore.json"));
    command = match case.join("key.pub") {
        key if key.is_file() => command.arg("--key").arg(key),
        _ => command.args(["--certificate-identity", identity, "--certificate-oidc-issuer", issuer]),
    };
    let own = case.join("trusted_root.json");
    let root = if own.is_file() { own } else { fixtures().join("public-good.trusted_root.json") };
    command.arg("--trusted-root").arg(root).arg(artifact).run()
}

#[test]
fn the_exit_code_is_what_each_conformance_case_is_named_for() {
    let folder = fixtures().join("sigstore-bundles");
    if !folder.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "{} is required in CI", folder.display());
        eprintln!("skipped: {} is absent", folder.display());
        return;
    }
    let (mut good, mut bad) = (0, 0);
    for entry in fs::read_dir(&folder).expect("the cases") {
        let case = entry.expect("a case").path();
        if !case.is_dir() {
            continue;
        }
        let text =
            |name: &str, otherwise: &str| fs::read_to_string(case.join(name)).map_or(otherwise.to_owned(), |text| text.trim().to_owned());
        let (identity, issuer) = (text("identity", IDENTITY), text("issuer", ISSUER));
        let own = case.join("artifact");
        let artifact = if own.is_file() { own } else { folder.join("a.txt") };
        let digest = sealgate_verifier::Digest::sha256(&fs::read(&artifact).expect("the artifact")).to_string();
        for artifact in [artifact.to_string_lossy().into_owned(), digest] {
            let outcome = run(&case, &identity, &issuer, &artifact);
            if case.to_string_lossy().ends_with("_fail") {
                let _ = outcome.expect_failure();
                bad += 1;
            } else {
                let _ = outcome.expect_success();
                good += 1;
                // C11: another identity, another issuer.
                if !case.join("key.pub").is_file() {
                    for (identity, issuer) in [("https://github.com/somebody/else", &*issuer), (&*identity, "https://accounts.google.com")]
                    {
                        let text = run(&case, identity, issuer, &artifact).expect_failure().text();
                        assert!(text.contains("expected"), "{text}");
                    }
                }
            }
        }
    }
    assert!(good >= 2 && bad >= 2, "{good} good, {bad} bad");
}

#[test]
fn the_command_is_hidden_and_needs_an_identity_or_a_key() {
    let help = sealgate(["--help"]).run().expect_success().text();
    assert!(!help.contains("verify-bundle"), "{help}");
    for arguments in [&["verify-bundle", "--bundle", "b", "a"][..], &["verify-bundle", "--bundle", "b", "--certificate-identity", "i", "a"]]
    {
        let _ = sealgate(arguments.iter().copied()).run().expect_failure();
    }
}
