//! Signing without a key: the tests' own Sigstore instance over HTTP, which cosign signs with as well, so that its faithfulness is
//! not our word alone. Whatever the instance gets wrong, nothing is published.

use std::path::PathBuf;

use sealgate_tests::cosign::{KeyPair, cosign};
use sealgate_tests::gate::{Setup, sealgate};
use sealgate_tests::image::{Image, Index};
use sealgate_tests::program::{Outcome, Program};
use sealgate_tests::registry::Registry;
use sealgate_tests::sigstore::server::JOB_SECRET;
use sealgate_tests::sigstore::{Server, Trouble};
use serde_json::{Value, json};
use tempfile::TempDir;

const APP: &str = "team/app";
const PERSON: &str = "dev@acme.example";
const CERTIFICATES: &str = "/api/v2/signingCert";
const LOG_1: &str = "/api/v1/log/entries";
const LOG_2: &str = "/api/v2/log/entries";
const TIMESTAMPS: &str = "/api/v1/timestamp";

/// An instance, a registry with one image, and the files that name the instance.
struct Scene {
    server: Server,
    registry: Registry,
    image: Image,
    folder: TempDir,
}

impl Scene {
    /// With a signing config that names logs of these API versions.
    fn new(logs: &[u32]) -> Self {
        let (server, registry, image) = (Server::start(), Registry::start(), Image::small());
        registry.push(APP, "1", &image);
        let scene = Self { server, registry, image, folder: tempfile::tempdir().expect("a folder") };
        scene.file("root.json", &scene.server.trusted_root().to_string());
        scene.file("config.json", &scene.server.signing_config(logs).to_string());
        scene
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    fn reference(&self) -> String {
        self.at(self.image.digest())
    }

    fn at(&self, digest: &str) -> String {
        self.registry.reference(&format!("{APP}@{digest}"))
    }

    /// A program with what names the instance.
    fn at_instance(&self, program: Program) -> Program {
        let (config, root) = (self.folder.path().join("config.json"), self.folder.path().join("root.json"));
        program.arg("--signing-config").arg(config).arg("--trusted-root").arg(root)
    }

    fn sign(&self, token: &str, more: &[&str]) -> Outcome {
        self.at_instance(sealgate(["sign", "--identity-token", "env://TOKEN"])).env("TOKEN", token).args(more).arg(self.reference()).run()
    }

    fn verifies(&self, program: Program, subject: &str, reference: &str) -> Outcome {
        let program = program.args(["--certificate-identity", subject, "--certificate-oidc-issuer", &self.server.issuer().url()]);
        program.arg("--trusted-root").arg(self.folder.path().join("root.json")).arg(reference).run()
    }

    /// That cosign and we verify a signature of `reference` by `subject`, and by nobody else.
    fn expect_signed(&self, subject: &str, reference: &str) {
        let theirs = |subject: &str| {
            self.verifies(cosign().args(["verify", "--new-bundle-format=true", "--use-signed-timestamps"]), subject, reference)
        };
        let _ = theirs(subject).expect_success();
        let _ = theirs("somebody@else.example").expect_failure();
        let _ = self.verifies(sealgate(["verify"]), subject, reference).expect_success();
        assert_eq!(self.verifies(sealgate(["verify"]), "somebody@else.example", reference).code, Some(12));
    }

    fn writes(&self) -> usize {
        ["PUT", "POST", "PATCH"].map(|method| self.registry.count(method, "/v2/")).iter().sum()
    }
}

/// That no part of a token is in a text.
fn expect_unsaid(token: &str, text: &str) {
    assert!(token.split('.').all(|part| !text.contains(part)), "{text}");
    assert!(!text.contains(JOB_SECRET), "{text}");
}

#[test]
fn cosign_signs_with_the_instance_and_we_verify() {
    for logs in [[1], [2]] {
        let scene = Scene::new(&logs);
        // As cosign itself writes it.
        let service = |name: &str, path: &str, version: u32| {
            format!("--{name}=url={}{path},api-version={version},start-time=2022-01-01T00:00:00Z,operator=tests", scene.server.url())
        };
        let config = cosign().args(["signing-config", "create", "--rekor-config=ANY", "--tsa-config=EXACT:1"]);
        let config = config.args([service("fulcio", "", 1), service("rekor", "", logs[0]), service("tsa", TIMESTAMPS, 1)]);
        let _ = config.arg("--out").arg(scene.folder.path().join("config.json")).run().expect_success();
        let token = scene.server.person(PERSON);
        let signed =
            scene.at_instance(cosign().args(["sign", "--yes", "--identity-token", &token])).arg(scene.reference()).run().expect_success();
        assert!(signed.succeeded());
        scene.expect_signed(PERSON, &scene.reference());
        assert_eq!([scene.server.count(CERTIFICATES), scene.server.count(TIMESTAMPS)], [1, 1]);
        assert_eq!([scene.server.count(LOG_1), scene.server.count(LOG_2)], if logs == [1] { [1, 0] } else { [0, 1] });
        // The same file serves us.
        let _ = scene.sign(&token, &["--force"]).expect_success();
        scene.expect_signed(PERSON, &scene.reference());
    }
}

#[test]
fn a_person_signs_without_a_key_and_cosign_verifies() {
    for logs in [&[1][..], &[2], &[1, 2]] {
        let scene = Scene::new(logs);
        let token = scene.server.person(PERSON);
        let signed = scene.sign(&token, &["--output", "json"]).expect_success();
        expect_unsaid(&token, &signed.text());
        let report: Value = serde_json::from_str(&signed.stdout).expect("JSON");
        let by = json!({ "kind": "keyless", "issuer": scene.server.issuer().url(), "identity": PERSON });
        assert_eq!(report["manifests"][0]["signatures"][0]["by"], by);
        scene.expect_signed(PERSON, &scene.reference());
        // Of one operator's logs the newer is asked.
        let expected = if logs.contains(&2) { [0, 1] } else { [1, 0] };
        assert_eq!([scene.server.count(LOG_1), scene.server.count(LOG_2)], expected, "{logs:?}");
    }
}

#[test]
fn an_index_is_signed_whole_with_one_certificate() {
    let (scene, index) = (Scene::new(&[1]), Index::small());
    scene.registry.push_index(APP, "2", &index);
    let program = sealgate(["sign", "--identity-token", "env://TOKEN"]).env("TOKEN", scene.server.person(PERSON));
    let _ = scene.at_instance(program).arg(scene.at(index.digest())).run().expect_success();
    for digest in std::iter::once(index.digest()).chain(index.images.iter().map(Image::digest)) {
        scene.expect_signed(PERSON, &scene.at(digest));
    }
    assert_eq!([scene.server.count(CERTIFICATES), scene.server.count(LOG_1), scene.server.count(TIMESTAMPS)], [1, 3, 3]);
}

#[test]
fn the_same_identity_does_not_sign_twice() {
    let scene = Scene::new(&[1]);
    let _ = scene.sign(&scene.server.person(PERSON), &[]).expect_success();
    let written = scene.writes();
    let again = scene.sign(&scene.server.person(PERSON), &[]).expect_success();
    assert!(again.stderr.contains("was signed already"), "{}", again.stderr);
    assert_eq!((scene.writes(), scene.server.count(LOG_1)), (written, 1), "nothing is logged for nothing");
    let _ = scene.sign(&scene.server.person("other@acme.example"), &[]).expect_success();
    assert_eq!(scene.server.count(LOG_1), 2);
}

#[test]
fn a_keyless_signature_in_the_older_layout_verifies_in_cosign() {
    let scene = Scene::new(&[1, 2]);
    let _ = scene.sign(&scene.server.person(PERSON), &["--signature-format", "legacy"]).expect_success();
    let older = cosign().args(["verify", "--new-bundle-format=false"]);
    let _ = scene.verifies(older, PERSON, &scene.reference()).expect_success();
    let _ = scene.verifies(sealgate(["verify"]), PERSON, &scene.reference()).expect_success();
    assert_eq!([scene.server.count(LOG_1), scene.server.count(LOG_2)], [1, 0], "only Rekor v1 promises");
    let tiled = Scene::new(&[2]);
    let refused = tiled.sign(&tiled.server.person(PERSON), &["--signature-format", "legacy"]).expect_failure();
    assert!(refused.stderr.contains("needs a Rekor v1 log"), "{}", refused.stderr);
}

#[test]
fn a_keyless_attestation_verifies_in_cosign_and_here() {
    for (logs, format) in [([1], "bundle"), ([2], "bundle"), ([1], "legacy")] {
        let scene = Scene::new(&logs);
        let predicate = scene.file("predicate.json", r#"{"bomFormat":"CycloneDX"}"#);
        let program = sealgate(["attest", "--type", "cyclonedx", "--signature-format", format, "--identity-token", "env://TOKEN"]);
        let program = program.env("TOKEN", scene.server.person(PERSON)).arg("--predicate").arg(predicate);
        let _ = scene.at_instance(program).arg(scene.reference()).run().expect_success();
        let layout = if format == "bundle" { "--new-bundle-format=true" } else { "--new-bundle-format=false" };
        let theirs = cosign().args(["verify-attestation", "--type", "cyclonedx", layout, "--use-signed-timestamps"]);
        let _ = scene.verifies(theirs, PERSON, &scene.reference()).expect_success();
        let ours = sealgate(["verify-attestation", "--type", "cyclonedx"]);
        let _ = scene.verifies(ours, PERSON, &scene.reference()).expect_success();
    }
}

#[test]
fn a_github_job_signs_as_its_workflow() {
    let scene = Scene::new(&[2]);
    let workflow = "https://github.com/acme/builders/.github/workflows/release.yml@refs/tags/v1";
    let job = || {
        let program = scene.at_instance(sealgate(["sign"])).env("GITHUB_ACTIONS", "true");
        program.env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/github/token?api-version=2.0", scene.server.url()))
    };
    let signed = job().env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", JOB_SECRET).arg(scene.reference()).run().expect_success();
    expect_unsaid("nothing.of.it", &signed.text());
    scene.expect_signed(workflow, &scene.reference());
    let refused = job().arg(scene.reference()).run().expect_failure();
    assert!(refused.stderr.contains("id-token: write"), "{}", refused.stderr);
    let refused = job().env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "another secret").arg(scene.reference()).run().expect_failure();
    assert!(refused.stderr.contains("HTTP 401") && !refused.stderr.contains("another secret"), "{}", refused.stderr);
}

#[test]
fn a_gitlab_job_signs_with_its_token() {
    let scene = Scene::new(&[1]);
    let job = "https://gitlab.example/acme/app//.gitlab-ci.yml@refs/heads/main";
    let token = scene.server.token(json!({ "sub": job }));
    let program = || scene.at_instance(sealgate(["sign"])).env("GITLAB_CI", "true").arg(scene.reference());
    let _ = program().env("SIGSTORE_ID_TOKEN", &token).run().expect_success();
    scene.expect_signed(job, &scene.reference());
    let refused = program().run().expect_failure();
    assert!(refused.stderr.contains("SIGSTORE_ID_TOKEN"), "{}", refused.stderr);
}

#[test]
fn nothing_is_published_when_the_instance_is_not_what_the_trust_root_says() {
    // V1, V4, V22, C4, C6
    for (trouble, logs, expected, code) in [
        (Trouble::NoSct, [1], "SCT", 1),
        (Trouble::ForeignSct, [1], "SCT", 1),
        (Trouble::ForeignAuthority, [1], "certificate chain", 1),
        (Trouble::OtherKey, [1], "another key", 1),
        (Trouble::ForeignLog, [1], "log", 1),
        (Trouble::ForeignLog, [2], "log", 1),
        (Trouble::UnrelatedEntry, [1], "does not describe this signature", 1),
        (Trouble::ForeignTimestamp, [2], "timestamp", 1),
        (Trouble::EarlyTimestamp, [1], "certificate chain", 1),
        (Trouble::TalksOfToken, [1], "HTTP 500", 75),
        (Trouble::LogsDown, [2], "HTTP 503: the log is down", 75),
    ] {
        let scene = Scene::new(&logs);
        scene.server.trouble(trouble);
        let (written, token) = (scene.writes(), scene.server.person(PERSON));
        let refused = scene.sign(&token, &[]);
        assert_eq!(refused.code, Some(code), "{trouble:?}: {}", refused.text());
        assert!(refused.stderr.contains(expected), "{trouble:?}: {}", refused.stderr);
        assert_eq!(scene.writes(), written, "{trouble:?}: nothing is published");
        expect_unsaid(&token, &refused.text());
        let before_signing = matches!(trouble, Trouble::NoSct | Trouble::ForeignSct | Trouble::ForeignAuthority | Trouble::OtherKey);
        if before_signing {
            assert_eq!(scene.server.count(TIMESTAMPS), 0, "{trouble:?}: nothing is signed with such a certificate");
        }
        scene.server.trouble(Trouble::None);
        let _ = scene.sign(&token, &[]).expect_success();
    }
}

#[test]
fn tokens_that_do_not_count_sign_nothing_and_show_nowhere() {
    let scene = Scene::new(&[1]);
    let written = scene.writes();
    let foreign = sealgate_tests::issuer::Issuer::start();
    for (token, expected) in [
        (scene.server.token(json!({ "sub": "s", "exp": 1 })), "ended at 1970-01-01"),
        (scene.server.token(json!({ "sub": "s", "aud": "elsewhere" })), "the token does not count"),
        (scene.server.token(json!({ "sub": "s", "email": PERSON, "email_verified": false })), "not verified"),
        // The issuers share their RSA key.
        (foreign.es256(&json!({ "iss": foreign.url(), "aud": "sigstore", "sub": "s" })), "not by a known issuer"),
        ("no-token".to_owned(), "JSON Web Token"),
    ] {
        let refused = scene.sign(&token, &[]).expect_failure();
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
        expect_unsaid(&token, &refused.text());
    }
    assert_eq!((scene.writes(), scene.server.count(LOG_1)), (written, 0));
}

#[test]
fn a_token_may_be_named_in_each_way_and_beside_no_key() {
    let scene = Scene::new(&[1]);
    let token = scene.server.person(PERSON);
    let file = scene.file("token", &format!("{token}\n"));
    for named in [file.to_str().expect("a path"), &token] {
        let signed = scene.at_instance(sealgate(["sign", "--force", "--identity-token", named])).arg(scene.reference()).run();
        expect_unsaid(&token, &signed.expect_success().text());
    }
    let key = KeyPair::generate();
    let both = scene.at_instance(sealgate(["sign", "--identity-token", "x", "--key"])).arg(key.private()).arg(scene.reference()).run();
    assert_eq!(both.code, Some(2), "{}", both.text());
}

#[test]
fn the_public_instance_is_asked_only_by_who_agrees() {
    let scene = Scene::new(&[1]);
    let program = sealgate(["sign", "--identity-token", "env://TOKEN"]).env("TOKEN", scene.server.person(PERSON)).arg(scene.reference());
    let refused = program.run();
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("public log for good: agree with --yes"), "{}", refused.stderr);
}

#[test]
fn a_key_may_have_its_signatures_logged_and_timestamped() {
    for logs in [[1], [2]] {
        let (scene, key) = (Scene::new(&logs), KeyPair::generate());
        let sign = |more: &[&str]| {
            let program = scene.at_instance(sealgate(["sign", "--key"]).arg(key.private()));
            program.args(more).arg(scene.reference()).run().expect_success()
        };
        // A signature without an entry is another one.
        let _ = sealgate(["sign", "--key"]).arg(key.private()).arg(scene.reference()).run().expect_success();
        let _ = sign(&[]);
        let _ = sign(&[]);
        assert_eq!(scene.server.count(LOG_1) + scene.server.count(LOG_2), 1);
        assert_eq!([scene.server.count(CERTIFICATES), scene.server.count(TIMESTAMPS)], [0, 1]);
        let theirs = cosign().args(["verify", "--key"]).arg(key.public()).arg("--trusted-root").arg(scene.folder.path().join("root.json"));
        let _ = theirs.arg(scene.reference()).run().expect_success();
        let policy = "version: 1\ntrust-roots: { own: root.json }\nsigners:\n  ci: { key: ci.pub, log: required, trust-root: own }\nrules:\n  - images: [\"lab.example/**\"]\n    require: [ { signed-by: { any: [ci] } } ]\n";
        let root = scene.server.trusted_root().to_string();
        let setup = Setup::new().lab_without_memory(&scene.registry.url()).file("ci.pub", &key.public_pem()).file("root.json", &root);
        let gate = setup.policy(policy).start();
        let target = sealgate_tests::gate::Gate::target(APP, &format!("manifests/{}", scene.image.digest()));
        assert_eq!(sealgate_tests::wire::get(gate.address(), &target).status, 200, "{}", gate.log());
    }
}

#[test]
fn the_gate_admits_who_signed_without_a_key() {
    let scene = Scene::new(&[2]);
    let policy = format!(
        "version: 1\ntrust-roots: {{ own: root.json }}\nsigners:\n  dev: {{ issuer: \"{}\", identity: {PERSON}, trust-root: own }}\nrules:\n  - images: [\"lab.example/**\"]\n    require: [ {{ signed-by: {{ any: [dev] }} }} ]\n",
        scene.server.issuer().url()
    );
    let setup = Setup::new().lab_without_memory(&scene.registry.url()).file("root.json", &scene.server.trusted_root().to_string());
    let gate = setup.policy(policy).start();
    let target = sealgate_tests::gate::Gate::target(APP, &format!("manifests/{}", scene.image.digest()));
    assert_eq!(sealgate_tests::wire::get(gate.address(), &target).status, 403);
    let _ = scene.sign(&scene.server.person(PERSON), &[]).expect_success();
    assert_eq!(sealgate_tests::wire::get(gate.address(), &target).status, 200, "{}", gate.log());
}
