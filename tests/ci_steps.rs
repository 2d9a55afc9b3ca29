//! The shipped CI steps, run as their services run them: the composite action of GitHub and the template of GitLab, each step's own shell
//! text under its own shell, with the files and variables that a runner gives it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sealgate_tests::cosign::{self, KeyPair, Layout, PASSWORD, cosign};
use sealgate_tests::docker;
use sealgate_tests::gate::{binary, sealgate};
use sealgate_tests::image::{Image, Index};
use sealgate_tests::program::{Outcome, Program};
use sealgate_tests::registry::Registry;
use sealgate_tests::sigstore::Server;
use sealgate_tests::sigstore::server::JOB_SECRET;
use serde_json::{Value, json};
use tempfile::TempDir;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

fn yaml(path: &str) -> Value {
    let text = fs::read_to_string(repository().join(path)).expect(path);
    serde_saphyr::from_str(&text).expect("YAML")
}

/// `PATH` with the program under test in front.
fn path() -> String {
    format!("{}:{}", binary().parent().expect("a folder").display(), std::env::var("PATH").expect("PATH"))
}

/// One run of a job's step.
struct Ran {
    outcome: Outcome,
    /// The action's outputs.
    outputs: BTreeMap<String, String>,
    summary: String,
}

/// A job on a runner.
struct Runner {
    folder: TempDir,
}

impl Runner {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// Runs the composite action with these inputs and this environment of the job.
    fn action(&self, inputs: &[(&str, &str)], environment: &[(&str, &str)]) -> Ran {
        let action = yaml(".github/actions/sign/action.yml");
        for (name, _) in inputs {
            assert!(action["inputs"][name].is_object(), "the action knows no input {name}");
        }
        let value = |name: &str| {
            let given = inputs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            given.unwrap_or_else(|| action["inputs"][name]["default"].as_str().expect(name).to_owned())
        };
        let [step] = action["runs"]["steps"].as_array().expect("steps").as_slice() else { panic!("one step") };
        assert_eq!((&action["runs"]["using"], &step["shell"]), (&json!("composite"), &json!("bash")));
        let (output, summary) = (self.file("output", ""), self.file("summary", ""));
        let script = self.file("step.sh", step["run"].as_str().expect("a script"));
        // docs.github.com, "Workflow syntax": `bash` is this.
        let mut program = Program::new("bash").args(["--noprofile", "--norc", "-e", "-o", "pipefail"]).arg(script);
        program = program.folder(self.folder.path()).env("PATH", path()).env("RUNNER_TEMP", self.folder.path());
        program = program.env("GITHUB_ACTION_PATH", repository().join(".github/actions/sign"));
        program = program.env("GITHUB_OUTPUT", &output).env("GITHUB_STEP_SUMMARY", &summary).env("GITHUB_ACTIONS", "true");
        for (name, text) in step["env"].as_object().expect("env") {
            let expression = text.as_str().expect("a text").trim_start_matches("${{ ").trim_end_matches(" }}");
            let input = expression.strip_prefix("inputs.").unwrap_or_else(|| panic!("unknown expression {expression}"));
            program = program.env(name, value(input));
        }
        let outcome = environment.iter().fold(program, |program, (name, value)| program.env(name, value)).run();
        let of_step = outputs(&fs::read_to_string(output).expect("the outputs"));
        let wanted = action["outputs"].as_object().expect("outputs").keys();
        let outputs = wanted.filter_map(|name| Some((name.clone(), of_step.get(name)?.clone()))).collect();
        Ran { outcome, outputs, summary: fs::read_to_string(summary).expect("the summary") }
    }

    /// Runs the template's script with these variables.
    fn template(&self, variables: &[(&str, &str)]) -> Outcome {
        let job = &yaml(".ci/gitlab/sign.yml")[".sealgate-sign"];
        assert_eq!(job["id_tokens"]["SIGSTORE_ID_TOKEN"]["aud"], "sigstore");
        let lines: Vec<&str> = job["script"].as_array().expect("a script").iter().map(|line| line.as_str().expect("a text")).collect();
        let script = self.file("job.sh", &lines.join("\n"));
        // The runner uses the image's `sh` where there is no bash.
        let mut program = Program::new("sh").arg(script).folder(self.folder.path()).env("PATH", path()).env("GITLAB_CI", "true");
        for (name, value) in job["variables"].as_object().expect("variables") {
            program = program.env(name, value.as_str().expect("a text"));
        }
        variables.iter().fold(program, |program, (name, value)| program.env(name, value)).run()
    }
}

/// What a step wrote to `$GITHUB_OUTPUT`: `name=value`, and `name<<END` with lines up to `END`.
fn outputs(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some((name, end)) = line.split_once("<<") {
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
            found.insert(name.to_owned(), value.join("\n"));
        } else if let Some((name, value)) = line.split_once('=') {
            found.insert(name.to_owned(), value.to_owned());
        }
    }
    found
}

fn at(registry: &Registry, digest: &str) -> String {
    registry.reference(&format!("team/app@{digest}"))
}

#[test]
fn a_github_job_signs_and_attests_with_a_key_and_says_what() {
    let (registry, index, image, key) = (Registry::start(), Index::small(), Image::small(), KeyPair::generate());
    registry.push_index("team/app", "1", &index);
    registry.push("team/app", "2", &image);
    let runner = Runner::new();
    runner.file("sbom.json", r#"{"bomFormat":"CycloneDX"}"#);
    let private = fs::read_to_string(key.private()).expect("the key");
    let secrets = [("SIGNING_KEY", private.as_str()), ("COSIGN_PASSWORD", PASSWORD)];
    let images = format!("\n  {}  \n{}\n", registry.reference("team/app:1"), at(&registry, image.digest()));
    let inputs = [("images", images.as_str()), ("key", "env://SIGNING_KEY"), ("predicate", "sbom.json"), ("predicate-type", "cyclonedx")];
    let ran = runner.action(&inputs, &secrets);
    let text = ran.outcome.expect_success().text();
    let expected = format!("{}\n{}", at(&registry, index.digest()), at(&registry, image.digest()));
    assert_eq!(ran.outputs["references"], expected);
    assert_eq!(ran.outputs["digest"], index.digest());
    assert!(ran.summary.contains(&format!("- `{}` (attested: cyclonedx)", at(&registry, image.digest()))), "{}", ran.summary);
    for shown in [&text, &ran.summary, &ran.outputs["references"]] {
        assert!(!shown.contains(PASSWORD) && !shown.contains("ENCRYPTED"), "{shown}");
    }
    for digest in [index.digest(), index.images[0].digest(), image.digest()] {
        let _ = cosign::verify(&key.public(), Layout::Bundle, &at(&registry, digest)).expect_success();
        let attested = cosign().args(["verify-attestation", "--insecure-ignore-tlog=true", "--type", "cyclonedx", "--key"]);
        let _ = attested.arg(key.public()).arg(at(&registry, digest)).run().expect_success();
    }
}

#[test]
fn a_github_job_signs_without_a_key() {
    let (registry, image, server, runner) = (Registry::start(), Image::small(), Server::start(), Runner::new());
    registry.push("team/app", "1", &image);
    runner.file("config.json", &server.signing_config(&[2]).to_string());
    let root = runner.file("root.json", &server.trusted_root().to_string());
    let reference = at(&registry, image.digest());
    let inputs = [("images", reference.as_str()), ("signing-config", "config.json"), ("trusted-root", "root.json")];
    let refused = runner.action(&inputs, &[]);
    assert!(refused.outcome.expect_failure().stderr.contains("id-token: write"));
    assert!(refused.summary.contains("not everything was signed") && refused.outputs["references"].is_empty(), "{}", refused.summary);
    let url = format!("{}/github/token?api-version=2.0", server.url());
    let job = [("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", JOB_SECRET)];
    let ran = runner.action(&inputs, &job);
    let text = ran.outcome.expect_success().text();
    assert!(!text.contains(JOB_SECRET) && !text.contains("eyJ"), "{text}");
    assert_eq!(ran.outputs["references"], reference);
    let workflow = "https://github.com/acme/builders/.github/workflows/release.yml@refs/tags/v1";
    let issuer = server.issuer().url();
    let verify = sealgate(["verify", "--certificate-identity", workflow, "--certificate-oidc-issuer", &issuer, "--trusted-root"]);
    let _ = verify.arg(root).arg(&reference).run().expect_success();
}

#[test]
fn an_input_is_never_run_and_a_failure_fails_the_step() {
    let (registry, image, key, runner) = (Registry::start(), Image::small(), KeyPair::generate(), Runner::new());
    registry.push("team/app", "1", &image);
    let (private, good) = (key.private(), at(&registry, image.digest()));
    let private = private.to_str().expect("a path");
    let secrets = [("COSIGN_PASSWORD", PASSWORD)];
    for hostile in ["$(touch pwned)", "`touch pwned`", "x;touch${IFS}pwned", "--output-key-prefix=pwned"] {
        let ran = runner.action(&[("images", hostile), ("key", private)], &secrets);
        assert_eq!(ran.outcome.code, Some(2), "{hostile}: {}", ran.outcome.text());
    }
    assert!(!runner.folder.path().join("pwned").exists());
    assert_eq!(runner.action(&[("images", " \n "), ("key", private)], &secrets).outcome.code, Some(2), "nothing to sign");
    // What could be signed is, and is told; the step fails all the same.
    let images = format!("{}\n{good}", registry.reference("team/app:none"));
    let ran = runner.action(&[("images", &images), ("key", private)], &secrets);
    assert_eq!(ran.outcome.code, Some(11), "{}", ran.outcome.text());
    assert_eq!(ran.outputs["references"], good);
    assert!(ran.summary.contains("not everything was signed"), "{}", ran.summary);
    let missing = runner.action(&[("images", &good), ("sealgate", "/not/there")], &secrets);
    assert!(missing.outcome.expect_failure().stderr.contains("/not/there is not there"));
}

#[test]
fn a_gitlab_job_signs_with_a_key_or_without() {
    let (registry, image, key, server) = (Registry::start(), Image::small(), KeyPair::generate(), Server::start());
    registry.push("team/app", "1", &image);
    let reference = at(&registry, image.digest());
    let private = fs::read_to_string(key.private()).expect("the key");
    let with_key = [
        ("SEALGATE_IMAGES", reference.as_str()),
        ("SEALGATE_KEY", "env://SIGNING_KEY"),
        ("SIGNING_KEY", &private),
        ("COSIGN_PASSWORD", PASSWORD),
        ("DOCKER_AUTH_CONFIG", "{}"),
    ];
    let runner = Runner::new();
    let ran = runner.template(&with_key).expect_success();
    assert!(!ran.text().contains(PASSWORD) && !ran.text().contains("ENCRYPTED"), "{}", ran.text());
    let variables = fs::read_to_string(runner.folder.path().join("sealgate.env")).expect("sealgate.env");
    assert_eq!(variables, format!("SEALGATE_REFERENCE={reference}\nSEALGATE_DIGEST={}\n", image.digest()));
    assert_eq!(fs::read_to_string(runner.folder.path().join("signed.txt")).expect("signed.txt").trim(), reference);
    let _ = cosign::verify(&key.public(), Layout::Bundle, &reference).expect_success();
    let runner = Runner::new();
    runner.file("config.json", &server.signing_config(&[1]).to_string());
    runner.file("root.json", &server.trusted_root().to_string());
    let job = "https://gitlab.example/acme/app//.gitlab-ci.yml@refs/heads/main";
    let token = server.token(json!({ "sub": job }));
    let keyless = [
        ("SEALGATE_IMAGES", reference.as_str()),
        ("SEALGATE_SIGNING_CONFIG", "config.json"),
        ("SEALGATE_TRUSTED_ROOT", "root.json"),
        ("SIGSTORE_ID_TOKEN", &token),
    ];
    assert!(!runner.template(&keyless).expect_success().text().contains(&token));
    let hostile = runner.template(&[("SEALGATE_IMAGES", "$(touch pwned) *"), ("SIGSTORE_ID_TOKEN", &token)]);
    assert_eq!(hostile.code, Some(2), "{}", hostile.text());
    assert!(!runner.folder.path().join("pwned").exists());
}

#[test]
fn the_image_for_jobs_holds_the_program_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = b"#!/bin/sh\n";
    fs::copy(repository().join("Dockerfile"), folder.path().join("Dockerfile")).expect("the Dockerfile");
    fs::write(folder.path().join("sealgate"), program).expect("a file");
    fs::write(folder.path().join("ca-certificates.crt"), "").expect("a file");
    fs::create_dir(folder.path().join("data")).expect("a folder");
    let engine = docker::engine();
    let tag = "sealgate-test:program";
    let _ = engine.docker(["build", "--target", "program", "--tag", tag, &folder.path().display().to_string()]).expect_success();
    let container = engine.docker(["create", tag, "/sealgate"]).expect_success().stdout;
    let exported = folder.path().join("files.tar");
    let _ = engine.docker(["export", "--output", &exported.display().to_string(), container.trim()]).expect_success();
    let listed = Program::new("tar").arg("-tvf").arg(&exported).run().expect_success().stdout;
    let files: Vec<&str> = listed.lines().filter(|line| line.starts_with('-') && !line.contains(" 0 ")).collect();
    assert_eq!(files.len(), 1, "{listed}");
    assert!(files[0].ends_with(" sealgate") && files[0].contains(&format!(" {} ", program.len())), "{listed}");
    let _ = engine.docker(["rm", container.trim()]).expect_success();
    let _ = engine.docker(["image", "rm", tag]).expect_success();
}
