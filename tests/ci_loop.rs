//! The loop on real parts: buildah builds, pushes to the gate's own registry, and the pull is refused until somebody signed. And the same
//! for an image that lives upstream, whose signature only the gate keeps.

use std::fs;
use std::path::{Path, PathBuf};

use sealgate_tests::clients::Client;
use sealgate_tests::cosign::{KeyPair, cosign};
use sealgate_tests::gate::{Gate, Setup, sealgate};
use sealgate_tests::image::{Image, Index};
use sealgate_tests::program::Program;
use sealgate_tests::push::{CI, HOSTED, PASSWORD, Pusher, SIGNER, login, with_users};
use sealgate_tests::registry::Registry;
use sealgate_tests::sigstore::Server;
use tempfile::TempDir;

const APP: &str = "team/app";
const PERSON: &str = "release@acme.example";

/// A job: what it built, with a storage of its own.
struct Job {
    folder: TempDir,
}

impl Job {
    /// Builds an image from a Containerfile.
    fn build() -> Self {
        let job = Self { folder: tempfile::tempdir().expect("a folder") };
        let context = job.path("context");
        fs::create_dir(&context).expect("a folder");
        fs::write(context.join("app"), "#!/bin/sh\necho built\n").expect("a file");
        fs::write(context.join("Containerfile"), "FROM scratch\nCOPY app /app\nENTRYPOINT [\"/app\"]\n").expect("a file");
        let _ = job.buildah().args(["build", "--isolation", "chroot", "--tag", "localhost/app"]).arg(context).run().expect_success();
        job
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn buildah(&self) -> Program {
        let buildah = Program::new("buildah").arg("--root").arg(self.path("root")).arg("--runroot").arg(self.path("run"));
        buildah.args(["--storage-driver", "vfs"])
    }

    /// Pushes it as [`CI`]; gives its digest, as buildah says it.
    fn push(&self, gate: &Gate, reference: &str) -> String {
        let (digest, login) = (self.path("digest"), login(gate.address(), CI));
        let push = self.buildah().args(["push", "--tls-verify=false", "--authfile"]).arg(login.path().join("auth.json"));
        let push = push.arg("--digestfile").arg(&digest).arg("localhost/app").arg(format!("docker://{reference}"));
        let _ = push.run().expect_success();
        fs::read_to_string(digest).expect("a digest").trim().to_owned()
    }
}

/// A gate with a registry of its own that admits by `signer`, a member of the policy's `signers:`.
fn gate(signer: &str, files: &[(&str, &str)]) -> Gate {
    let mut setup = Setup::new().registry(HOSTED, "{ hosted: true }");
    for (path, text) in files {
        setup = setup.file(path, text);
    }
    let policy = format!(
        "version: 1\ntrust-roots: {{ own: root.json }}\nsigners:\n  release: {signer}\nrules:\n  - images: [\"{HOSTED}/**\"]\n    require: [ {{ signed-by: {{ any: [release] }} }} ]\n"
    );
    with_users(setup.policy(policy)).start()
}

/// Builds, pushes, is refused with the reason, signs, and pulls the very digest.
fn go_round(gate: &Gate, sign: impl Fn(&str, &Path)) {
    let job = Job::build();
    let tag = format!("{}/{HOSTED}/{APP}:1", gate.address());
    let digest = job.push(gate, &tag);
    for client in [Client::Docker, Client::Podman] {
        let refused = client.pull(&tag).expect_refusal();
        assert!(refused.contains("signed-by any of release") || client == Client::Podman, "{refused}");
    }
    let denied = Pusher::new(gate.address(), &format!("{HOSTED}/{APP}")).get("manifests/1").expect(403);
    assert!(denied.error().1.contains("no signature") && denied.error().1.contains("release"), "{}", denied.error().1);
    let login = login(gate.address(), SIGNER);
    sign(&format!("{}/{HOSTED}/{APP}@{digest}", gate.address()), login.path());
    for client in Client::ALL {
        assert_eq!(client.pull(&tag).expect_digest(), digest, "{client:?}");
    }
}

// Proven 2
#[test]
fn what_buildah_built_is_pulled_once_sealgate_signed_it() {
    let key = KeyPair::generate();
    let root = Server::start().trusted_root().to_string();
    let gate = gate("{ key: ci.pub }", &[("ci.pub", &key.public_pem()), ("root.json", &root)]);
    go_round(&gate, |reference, login| {
        let _ = sealgate(["sign", "--key"]).arg(key.private()).arg(reference).env("DOCKER_CONFIG", login).run().expect_success();
    });
}

#[test]
fn what_buildah_built_is_pulled_once_cosign_signed_it() {
    let key = KeyPair::generate();
    let root = Server::start().trusted_root().to_string();
    let gate = gate("{ key: ci.pub }", &[("ci.pub", &key.public_pem()), ("root.json", &root)]);
    go_round(&gate, |reference, login| {
        let offline = ["sign", "--yes", "--use-signing-config=false", "--tlog-upload=false", "--key"];
        let _ = cosign().args(offline).arg(key.private()).arg(reference).env("DOCKER_CONFIG", login).run().expect_success();
    });
}

#[test]
fn what_buildah_built_is_pulled_once_somebody_signed_it_without_a_key() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let (config, root) = (folder.path().join("config.json"), folder.path().join("root.json"));
    fs::write(&config, server.signing_config(&[2]).to_string()).expect("a file");
    fs::write(&root, server.trusted_root().to_string()).expect("a file");
    let signer = format!("{{ issuer: \"{}\", identity: {PERSON}, trust-root: own }}", server.issuer().url());
    let programs: [fn() -> Program; 2] = [|| sealgate(["sign"]), || cosign().args(["sign", "--yes"])];
    for program in programs {
        let gate = gate(&signer, &[("root.json", &server.trusted_root().to_string())]);
        go_round(&gate, |reference, login| {
            let sign = |person: &str| {
                let program = program().arg("--signing-config").arg(&config).arg("--trusted-root").arg(&root);
                let program = program.args(["--identity-token", &server.person(person)]).env("DOCKER_CONFIG", login);
                let _ = program.arg(reference).run().expect_success();
            };
            sign("somebody@else.example");
            let other = Pusher::new(gate.address(), &format!("{HOSTED}/{APP}")).get("manifests/1").expect(403);
            assert!(other.error().1.contains("release"), "another identity admits nothing: {}", other.error().1);
            sign(PERSON);
        });
    }
}

#[test]
fn signatures_and_attestations_in_each_layout_are_pushed_to_the_gate_and_admit() {
    let (key, folder) = (KeyPair::generate(), tempfile::tempdir().expect("a folder"));
    let sbom = folder.path().join("sbom.json");
    fs::write(&sbom, r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#).expect("a file");
    let policy = format!(
        "version: 1\nsigners:\n  ci: {{ key: ci.pub }}\nrules:\n  - images: [\"{HOSTED}/**\"]\n    require:\n      - signed-by: {{ any: [ci] }}\n      - attested: {{ type: cyclonedx, by: {{ any: [ci] }}, where: {{ /specVersion: \"1.6\" }} }}\n"
    );
    let setup = Setup::new().registry(HOSTED, "{ hosted: true }").file("ci.pub", &key.public_pem()).policy(policy);
    let gate = with_users(setup).start();
    let login = login(gate.address(), SIGNER);
    for format in ["bundle", "legacy", "both"] {
        let (image, name) = (Image::small(), format!("{HOSTED}/team/{format}"));
        let puller = Pusher::new(gate.address(), &name);
        puller.clone().login(CI, PASSWORD).image("1", &image);
        let reference = format!("{}/{name}@{}", gate.address(), image.digest());
        let run = |program: Program| {
            let program = program.arg("--key").arg(key.private()).args(["--signature-format", format]).arg(&reference);
            program.env("DOCKER_CONFIG", login.path()).run().expect_success()
        };
        let _ = run(sealgate(["sign"]));
        let denied = puller.get("manifests/1").expect(403).error().1;
        assert!(denied.contains("cyclonedx"), "{format}: signing is not attesting: {denied}");
        let _ = run(sealgate(["attest", "--type", "cyclonedx", "--predicate"]).arg(&sbom));
        assert_eq!(puller.get("manifests/1").expect(200).body, image.manifest.bytes, "{format}");
        for (layout, asked) in [("bundle", "--new-bundle-format=true"), ("legacy", "--new-bundle-format=false")] {
            if format == layout || format == "both" {
                for command in [&["verify"][..], &["verify-attestation", "--type", "cyclonedx"]] {
                    let cosign = cosign().args(command).args(["--insecure-ignore-tlog=true", asked, "--key"]).arg(key.public());
                    let _ = cosign.arg(&reference).env("DOCKER_CONFIG", folder.path()).run().expect_success();
                }
            }
        }
    }
}

// Proven 3
#[test]
fn an_image_of_docker_hubs_shape_is_pulled_once_it_is_countersigned_here() {
    let (registry, index, key) = (Registry::start(), Index::small(), KeyPair::generate());
    registry.push_index("library/nginx", "1", &index);
    let settings = format!("{{ default: true, upstream: {}, deletes: allowed }}", registry.url());
    let policy = "version: 1\nsigners:\n  security: { key: security.pub }\nrules:\n  - images: [\"docker.io/library/*\"]\n    require: [ { signed-by: { any: [security] } } ]\n";
    let setup = Setup::new().registry("docker.io", &settings).file("security.pub", &key.public_pem()).policy(policy);
    let gate = with_users(setup.registry(HOSTED, "{ hosted: true }")).start();
    let pinned = format!("{}/docker.io/library/nginx@{}", gate.address(), index.digest());
    let refused = Client::Docker.pull(&pinned).expect_refusal();
    assert!(refused.contains("signed-by any of security"), "{refused}");
    let written = ["PUT", "POST", "PATCH"].map(|method| registry.count(method, ""));
    let login = login(gate.address(), SIGNER);
    let sign = || sealgate(["sign", "--output", "json", "--key"]).arg(key.private()).arg(&pinned).env("DOCKER_CONFIG", login.path()).run();
    let report: serde_json::Value = serde_json::from_str(&sign().expect_success().stdout).expect("JSON");
    assert_eq!(report["manifests"].as_array().map(Vec::len), Some(3), "the index and its two images: {report}");
    assert_eq!(["PUT", "POST", "PATCH"].map(|method| registry.count(method, "")), written, "nothing is written upstream");
    for name in ["docker.io/library/nginx:1", "library/nginx:1", "nginx:1"] {
        assert_eq!(Client::Docker.pull(&format!("{}/{name}", gate.address())).expect_digest(), index.digest(), "{name}");
    }
    let child = format!("{}/docker.io/library/nginx@{}", gate.address(), index.images[0].digest());
    let _ = Client::Skopeo.pull(&child).expect_digest();
    let again: serde_json::Value = serde_json::from_str(&sign().expect_success().stdout).expect("JSON");
    assert_eq!(again["manifests"][0]["signatures"][0]["status"], "already-signed");
    // Without the index's own signature the index is refused again, and its images are not: they have theirs.
    let signer = Pusher::new(gate.address(), "docker.io/library/nginx").login(SIGNER, PASSWORD);
    let signature = report["manifests"][0]["signatures"][0]["manifest"].as_str().expect("a digest");
    let _ = signer.delete(&format!("manifests/{signature}")).expect(202);
    let _ = Client::Docker.pull(&pinned).expect_refusal();
    let _ = Client::Skopeo.pull(&child).expect_digest();
}
