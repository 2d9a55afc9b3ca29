//! Real clients push to the gate: to a registry that it hosts, and evidence beside upstream images. What is pushed is refused with its
//! reason until it is signed, and then arrives under the digest that the pusher named.

use std::path::Path;

use sealgate_tests::clients::Client;
use sealgate_tests::containerd::Containerd;
use sealgate_tests::cosign::{KeyPair, PASSWORD as KEY_PASSWORD};
use sealgate_tests::gate::{Gate, LAB, Setup};
use sealgate_tests::image::Image;
use sealgate_tests::layer::fresh_bytes;
use sealgate_tests::notation::{Format, Notation};
use sealgate_tests::pki::{Ca, Identity, KeyType, ca_params, name, signing_params};
use sealgate_tests::program::{Outcome, Program};
use sealgate_tests::push::{CI, HOSTED, PASSWORD, Pusher, READER, SIGNER, login, with_users};
use sealgate_tests::pushing;
use sealgate_tests::registry::Registry;
use tempfile::TempDir;

struct Scene {
    registry: Registry,
    key: KeyPair,
    gate: Gate,
    /// Logins of who may push images, and of who may sign.
    ci: TempDir,
    signer: TempDir,
}

impl Scene {
    /// A gate that hosts a registry and stands before another; both are admitted by `requirement`.
    fn requiring(requirement: &str, more: &str, files: &[(&str, &str)]) -> Self {
        let (registry, key) = (Registry::start(), KeyPair::generate());
        let policy = format!(
            "version: 1\n{more}signers:\n  ci: {{ key: keys/ci.pub }}\n  acme: {{ notation: {{ trust-store: \"ca:acme\", identities: [\"x509.subject: C=US, ST=WA, O=Acme\"] }} }}\n\
             rules:\n  - images: [\"{HOSTED}/**\", \"{LAB}/**\"]\n    require: [ {requirement} ]\n"
        );
        let mut setup = Setup::new().registry(HOSTED, "{ hosted: true, deletes: allowed }").file("keys/ci.pub", &key.public_pem());
        setup = setup.registry(LAB, &format!("{{ default: true, upstream: {}, deletes: allowed }}", registry.url())).policy(policy);
        for (path, content) in files {
            setup = setup.file(path, content);
        }
        let gate = with_users(setup).start();
        let (ci, signer) = (login(gate.address(), CI), login(gate.address(), SIGNER));
        Self { registry, key, gate, ci, signer }
    }

    fn signed_by_ci() -> Self {
        let (ca, _) = acme();
        Self::requiring("{ signed-by: { any: [ci] } }", "trust-stores: { acme: { ca: [acme.pem] } }\n", &[("acme.pem", ca.root_pem())])
    }

    fn reference(&self, registry: &str, rest: &str) -> String {
        format!("{}/{registry}/{rest}", self.gate.address())
    }

    /// An image that is hosted here and one of the upstream, as the gate's clients name them.
    fn images(&self, repository: &str) -> [(String, Image); 2] {
        let (hosted, upstream) = (Image::small(), Image::small());
        Pusher::new(self.gate.address(), &format!("{HOSTED}/{repository}")).login(CI, PASSWORD).image("1", &hosted);
        self.registry.push(repository, "1", &upstream);
        [(self.reference(HOSTED, repository), hosted), (self.reference(LAB, repository), upstream)]
    }

    /// `cosign COMMAND`, with a login or without.
    fn cosign(&self, command: &str, login: Option<&TempDir>) -> Program {
        let login = login.map_or_else(|| self.gate.folder(), TempDir::path);
        let cosign = Program::new("cosign").env("COSIGN_PASSWORD", KEY_PASSWORD).env("DOCKER_CONFIG", login);
        let key = if command.starts_with("verify") { self.key.public() } else { self.key.private() };
        let cosign = cosign.arg(command).arg("--key").arg(key);
        if command.starts_with("verify") {
            cosign.arg("--insecure-ignore-tlog=true")
        } else {
            cosign.args(["--yes", "--use-signing-config=false", "--tlog-upload=false"])
        }
    }

    fn sign(&self, digest_reference: &str) -> Outcome {
        self.cosign("sign", Some(&self.signer)).arg(digest_reference).run()
    }
}

fn acme() -> (Ca, Identity) {
    let ca = Ca::root(ca_params(name("Acme", "root")), KeyType::P256);
    let identity = ca.issue(&signing_params(name("Acme", "release")), KeyType::P256);
    (ca, identity)
}

/// Nobody gets it, and each client shows why.
fn assert_refused(reference: &str, reason: &str) {
    for client in Client::ALL {
        let text = client.pull(reference).expect_refusal();
        assert!(text.contains("DENIED by policy rule") && text.contains(reason), "{client:?} shows no reason:\n{text}");
    }
}

#[test]
fn a_login_tells_right_from_wrong() {
    let scene = Scene::signed_by_ci();
    let host = scene.gate.address().to_string();
    for client in [Client::Docker, Client::Podman, Client::Skopeo, Client::Oras] {
        let folder = tempfile::tempdir().expect("a folder for a login");
        for (user, password) in [(CI, "wrong"), ("nobody", PASSWORD), (CI, "")] {
            let text = pushing::login(client, &host, user, password, folder.path()).expect_failure().text();
            assert!(!text.contains(PASSWORD), "{client:?}: {text}");
        }
        let _ = pushing::login(client, &host, CI, PASSWORD, folder.path()).expect_success();
        // And it is good for a push.
        let reference = scene.reference(HOSTED, &format!("login/{client:?}:1").to_lowercase());
        let _ = pushing::push(client, &reference, Some(folder.path())).expect_digest();
    }
}

#[test]
fn containerd_shows_why_where_strangers_are_asked_for_a_login_first() {
    // It begins with HEAD and without a login: the challenge must end in the denial, and not in "unauthorized".
    let scene = Scene::signed_by_ci();
    let containerd = Containerd::start(&format!("http://{}", scene.gate.address()));
    let image = Image::small();
    scene.registry.push("team/app", "1", &image);
    let reference = format!("{LAB}/team/app:1");
    let text = containerd.pull(&reference).expect_failure().text();
    assert!(text.contains("DENIED by policy rule") && text.contains("no signature"), "{text}");
    let _ = scene.sign(&format!("{}@{}", scene.reference(LAB, "team/app"), image.digest())).expect_success();
    let _ = containerd.pull(&reference).expect_success();
    assert_eq!(containerd.digest(&reference).as_deref(), Some(image.digest()));
}

#[test]
fn what_each_client_pushes_is_refused_until_it_is_signed_and_then_pulled_by_its_digest() {
    let scene = Scene::signed_by_ci();
    for client in Client::ALL {
        let repository = scene.reference(HOSTED, &format!("team/{client:?}").to_lowercase());
        let tag = format!("{repository}:1.0");
        let digest = pushing::push(client, &tag, Some(scene.ci.path())).expect_digest();
        let by_digest = format!("{repository}@{digest}");
        assert_refused(&tag, "no signature");
        let _ = scene.sign(&by_digest).expect_success();
        for puller in Client::ALL {
            assert_eq!(puller.pull(&by_digest).expect_digest(), digest, "{client:?} pushed, {puller:?} pulled");
        }
        assert_eq!(client.pull(&tag).expect_digest(), digest);
        let _ = scene.cosign("verify", None).arg(&by_digest).run().expect_success();
    }
}

#[test]
fn nobody_pushes_without_the_right_and_nothing_of_it_stays() {
    let scene = Scene::signed_by_ci();
    let reader = login(scene.gate.address(), READER);
    for client in Client::ALL {
        for (who, folder) in [("nobody", None), ("reader", Some(reader.path())), ("signer", Some(scene.signer.path()))] {
            let name = format!("closed/{client:?}-{who}").to_lowercase();
            let text = pushing::push(client, &scene.reference(HOSTED, &format!("{name}:1")), folder).expect_refusal().to_lowercase();
            let says = ["unauthorized", "authentication required", "denied", "credential", "only evidence", "no basic auth"];
            assert!(says.iter().any(|word| text.contains(word)), "{client:?} as {who}: {text}");
            let ci = Pusher::new(scene.gate.address(), &format!("{HOSTED}/{name}")).login(CI, PASSWORD);
            assert_eq!(ci.get("tags/list").status, 404, "{client:?} as {who}");
        }
        // An image does not come under an upstream's name, whoever pushes it.
        for folder in [scene.ci.path(), scene.signer.path()] {
            let _ = pushing::push(client, &scene.reference(LAB, "team/image:1"), Some(folder)).expect_refusal();
        }
    }
    assert_eq!(scene.registry.count("PUT", "") + scene.registry.count("POST", ""), 0, "nothing was written upstream");
}

#[test]
fn where_everybody_may_push_no_client_needs_a_login() {
    let policy = format!("version: 1\nrules:\n  - images: [\"{HOSTED}/**\"]\n    require: [ allow ]\n");
    let gate = Setup::new().registry(HOSTED, "{ hosted: true, push: anonymous }").policy(policy).start();
    for client in Client::ALL {
        let repository = format!("{}/{HOSTED}/open/{client:?}", gate.address()).to_lowercase();
        let digest = pushing::push(client, &format!("{repository}:1"), None).expect_digest();
        for puller in Client::ALL {
            assert_eq!(puller.pull(&format!("{repository}@{digest}")).expect_digest(), digest, "{client:?} pushed, {puller:?} pulled");
        }
    }
}

#[test]
fn build_push_refused_sign_and_pull() {
    // Issue 4, "Proven" 2, with cosign as the signer.
    let scene = Scene::signed_by_ci();
    let folder = tempfile::tempdir().expect("a folder for a build");
    std::fs::write(folder.path().join("app"), fresh_bytes(100_000)).expect("a file");
    std::fs::write(folder.path().join("Containerfile"), "FROM scratch\nCOPY app /app\nUSER 65532\nCMD [\"/app\"]\n").expect("a file");
    let buildah = || {
        let buildah = Program::new("buildah").arg("--root").arg(folder.path().join("root")).arg("--runroot").arg(folder.path().join("run"));
        buildah.arg("--storage-driver=vfs").env("REGISTRY_AUTH_FILE", scene.ci.path().join("auth.json")).folder(folder.path())
    };
    let tag = scene.reference(HOSTED, "team/built:1.0");
    let _ = buildah().args(["build", "--isolation=chroot", "--file", "Containerfile", "--tag", &tag, "."]).run().expect_success();
    let written = folder.path().join("digest");
    let _ = buildah().args(["push", "--tls-verify=false", "--digestfile"]).arg(&written).arg(&tag).run().expect_success();
    let digest = std::fs::read_to_string(written).expect("a digest").trim().to_owned();
    assert_refused(&tag, "no signature");
    let by_digest = format!("{}@{digest}", scene.reference(HOSTED, "team/built"));
    let _ = scene.sign(&by_digest).expect_success();
    for client in Client::ALL {
        assert_eq!(client.pull(&tag).expect_digest(), digest, "{client:?}");
        assert_eq!(client.pull(&by_digest).expect_digest(), digest, "{client:?}");
    }
}

#[test]
fn cosign_signs_and_verifies_in_both_layouts_here_and_beside_an_upstream() {
    let scene = Scene::signed_by_ci();
    for format in ["--new-bundle-format=true", "--new-bundle-format=false"] {
        for (repository, image) in scene.images(&format!("sign/{}", format.rsplit('=').next().expect("a word"))) {
            let by_digest = format!("{repository}@{}", image.digest());
            let _ = scene.cosign("sign", None).args([format, &by_digest]).run().expect_failure();
            let _ = scene.cosign("sign", Some(&scene.ci)).args([format, "--key"]).arg(KeyPair::generate().private()).arg(&by_digest).run();
            assert_refused(&format!("{repository}:1"), "");
            let _ = scene.cosign("sign", Some(&scene.signer)).args([format, &by_digest]).run().expect_success();
            for client in Client::ALL {
                assert_eq!(client.pull(&by_digest).expect_digest(), image.digest(), "{client:?} {format}");
            }
            let _ = scene.cosign("verify", None).args([format, &by_digest]).run().expect_success();
        }
    }
    assert_eq!(written(&scene.registry), 0, "nothing is written upstream but what the test itself pushed");
}

/// Requests by which something was signed there.
fn written(registry: &Registry) -> usize {
    registry.count("PUT", "/manifests/sha256")
}

#[test]
fn cosign_attests_and_verifies_in_both_layouts_here_and_beside_an_upstream() {
    let scene = Scene::requiring(
        "{ attested: { type: spdxjson, by: { any: [ci] } } }",
        "trust-stores: { acme: { ca: [acme.pem] } }\n",
        &[("acme.pem", acme().0.root_pem())],
    );
    let folder = tempfile::tempdir().expect("a folder");
    let sbom = folder.path().join("sbom.json");
    std::fs::write(&sbom, r#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"app","packages":[]}"#).expect("an SBOM");
    for format in ["--new-bundle-format=true", "--new-bundle-format=false"] {
        for (repository, image) in scene.images(&format!("attest/{}", format.rsplit('=').next().expect("a word"))) {
            let by_digest = format!("{repository}@{}", image.digest());
            assert_refused(&format!("{repository}:1"), "");
            let attest = scene.cosign("attest", Some(&scene.signer)).args(["--type", "spdxjson", "--predicate"]).arg(&sbom);
            let _ = attest.args([format, &by_digest]).run().expect_success();
            for client in Client::ALL {
                assert_eq!(client.pull(&by_digest).expect_digest(), image.digest(), "{client:?} {format}");
            }
            let verify = scene.cosign("verify-attestation", None).args(["--type", "spdxjson", format, &by_digest]);
            let _ = verify.run().expect_success();
        }
    }
}

#[test]
fn notation_signs_and_verifies_in_both_formats_here_and_beside_an_upstream() {
    let (ca, identity) = acme();
    let trust = "trust-stores: { acme: { ca: [acme.pem] } }\n";
    let scene = Scene::requiring("{ signed-by: { any: [acme] } }", trust, &[("acme.pem", ca.root_pem())]);
    let notation = |login: Option<&Path>| {
        let notation = Notation::new();
        let notation = match login {
            Some(folder) => notation.login(folder),
            None => notation,
        };
        notation.trust("ca", "acme", ca.root_pem());
        notation.policy("strict", &["ca:acme"], &["x509.subject: C=US, ST=WA, O=Acme"]);
        notation
    };
    for format in Format::ALL {
        for (repository, image) in scene.images(&format!("notation/{}", format.name())) {
            let by_digest = format!("{repository}@{}", image.digest());
            let _ = notation(None).sign(&identity, format, &by_digest, &[]).expect_failure();
            assert_refused(&format!("{repository}:1"), "no signature");
            let _ = notation(Some(scene.signer.path())).sign(&identity, format, &by_digest, &[]).expect_success();
            for client in Client::ALL {
                assert_eq!(client.pull(&by_digest).expect_digest(), image.digest(), "{client:?} {format:?}");
            }
            let _ = notation(None).verify(&by_digest).expect_success();
        }
    }
}

#[test]
fn oras_pushes_artifacts_and_attaches_evidence() {
    let scene = Scene::signed_by_ci();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("notes.txt"), "anything").expect("a file");
    std::fs::write(folder.path().join("sbom.json"), r#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT"}"#).expect("a file");
    let oras = |login: &TempDir, command: &str| {
        Program::new("oras").env("DOCKER_CONFIG", login.path()).folder(folder.path()).args([command, "--no-tty", "--plain-http"])
    };
    let artifact = scene.reference(HOSTED, "team/notes:1");
    let _ = oras(&scene.ci, "push")
        .args(["--artifact-type", "application/vnd.acme.notes", &artifact, "notes.txt:text/plain"])
        .run()
        .expect_success();
    for (repository, image) in scene.images("team/app") {
        let by_digest = format!("{repository}@{}", image.digest());
        let attach =
            |login: &TempDir, kind: &str, file: &str| oras(login, "attach").args(["--artifact-type", kind, &by_digest, file]).run();
        let _ = attach(&scene.signer, "application/spdx+json", "sbom.json:application/spdx+json").expect_success();
        // Anything else goes to a hosted repository only, by whoever may push there.
        let text = attach(&scene.signer, "application/vnd.acme.notes", "notes.txt:text/plain").expect_failure().text();
        assert!(text.contains("only evidence"), "{text}");
        let _ = scene.sign(&by_digest).expect_success();
        // Listed to everybody once the image is admitted.
        let nobody = tempfile::tempdir().expect("a folder without a login");
        let discover = Program::new("oras").env("DOCKER_CONFIG", nobody.path()).args(["discover", "--plain-http", "--format", "json"]);
        let listed = discover.args(["--distribution-spec", "v1.1-referrers-api", &by_digest]).run().expect_success().stdout;
        assert!(listed.contains("application/spdx+json"), "{listed}");
    }
}
