//! A private Sigstore instance: what cosign accepts of it, the verifier accepts; what an attacker could change, both deny.

use std::fs;
use std::path::PathBuf;

use sealgate_tests::cosign::cosign;
use sealgate_tests::image::{Content, Image};
use sealgate_tests::program::Outcome;
use sealgate_tests::registry::Registry;
use sealgate_tests::sigstore::{Identity, Key, Making, Rekor, SIGNED_AT, Sigstore, Tsa};
use sealgate_verifier::sigstore::{self, Annotations, Artifact, TrustRoot, VerifyError};
use sealgate_verifier::{PublicKey, Timestamp, media_type};
use serde_json::{Value, json};
use tempfile::TempDir;

const WORKFLOW: &str = "acme/builders/.github/workflows/release.yml@refs/tags/v1";
const MESSAGE: &[u8] = b"an artifact";
/// One hour after the certificate was issued, which lives for nine minutes.
const LATE: i64 = SIGNED_AT + 3600;

fn identity() -> Identity {
    Identity::github(WORKFLOW, "acme/app")
}

/// An instance, and files for cosign.
struct Scene {
    instance: Sigstore,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let (instance, folder) = (Sigstore::new(), tempfile::tempdir().expect("a folder"));
        fs::write(folder.path().join("root.json"), instance.trusted_root().to_string()).expect("a file");
        Self { instance, folder }
    }

    fn root(&self) -> TrustRoot {
        TrustRoot::from_json(self.instance.trusted_root().to_string().as_bytes()).expect("a trust root")
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// What cosign says of a bundle over [`MESSAGE`].
    fn cosign(&self, command: &str, bundle: &Value, more: &[&str]) -> Outcome {
        let bundle = self.file("bundle.json", bundle.to_string().as_bytes());
        let (message, root) = (self.file("message", MESSAGE), self.folder.path().join("root.json"));
        cosign().arg(command).arg("--bundle").arg(bundle).arg("--trusted-root").arg(root).args(more).arg(message).run()
    }

    fn keyless(&self, command: &str, bundle: &Value) -> Outcome {
        let (subject, issuer) = (identity().subject, identity().issuer);
        self.cosign(command, bundle, &["--certificate-identity", &subject, "--certificate-oidc-issuer", &issuer])
    }
}

fn verify(bundle: &Value, root: &TrustRoot) -> Result<sigstore::Keyless, VerifyError> {
    sigstore::verify_certificate(bundle.to_string().as_bytes(), Artifact::Bytes(MESSAGE), root)
}

#[test]
fn a_keyless_bundle_verifies_here_and_in_cosign() {
    let scene = Scene::new();
    for stamped in [None, Some(SIGNED_AT + 3)] {
        let making = Making { stamped, ..scene.instance.making() };
        let bundle = scene.instance.sign(&identity(), MESSAGE, making).bundle(MESSAGE);
        let _ = scene.keyless("verify-blob", &bundle).expect_success();
        let found = verify(&bundle, &scene.root()).expect("it verifies").identity;
        assert_eq!((&found.subject, &found.issuer), (&identity().subject, &identity().issuer));
        assert_eq!(found.claims.source_repository.as_deref(), Some("https://github.com/acme/app"));
        assert_eq!(found.claims.source_repository_ref.as_deref(), Some("refs/tags/v1"));
        assert_eq!(found.claims.runner_environment.as_deref(), Some("github-hosted"));
        assert_eq!(found.signed_at, Timestamp(stamped.unwrap_or(SIGNED_AT + 5)));
    }
}

#[test]
fn a_keyless_attestation_verifies_here_and_in_cosign() {
    let scene = Scene::new();
    let digest = sealgate_tests::sha256(MESSAGE);
    let subject = json!([{ "name": "message", "digest": { "sha256": digest.trim_start_matches("sha256:") } }]);
    let statement = json!({ "_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": "https://slsa.dev/provenance/v1", "predicate": { "a": 1 } });
    let (made, envelope) = scene.instance.attest(&identity(), &statement.to_string(), scene.instance.making());
    let bundle = made.bundle_with(&envelope);
    let (subject, issuer) = (identity().subject, identity().issuer);
    let more = ["--type", "slsaprovenance1", "--certificate-identity", &subject, "--certificate-oidc-issuer", &issuer];
    let _ = scene.cosign("verify-blob-attestation", &bundle, &more).expect_success();
    let found = verify(&bundle, &scene.root()).expect("it verifies");
    assert_eq!(found.statement.as_deref(), Some(statement.to_string().as_bytes()));
    // The same envelope as `.att` tags hold it.
    let annotations = made.annotations(&scene.instance.fulcio.chain);
    let legacy = |envelope: &str| {
        let annotations = Annotations::of(&annotations);
        sigstore::verify_legacy_attestation_certificate(envelope.as_bytes(), annotations, Artifact::Bytes(MESSAGE), &scene.root())
    };
    assert_eq!(legacy(&envelope).expect("it verifies").identity.subject, identity().subject);
    assert!(matches!(legacy(&format!("{envelope} ")), Err(VerifyError::Body { .. })));
}

#[test]
fn whatever_is_not_the_instances_own_is_denied_here_and_in_cosign() {
    // V1, V2, V4, V22, C4, C6
    let scene = Scene::new();
    let (other_log, other_ct, other_tsa) = (Rekor::new(), Key::generate(), Tsa::new());
    let honest = scene.instance.making();
    type Step = fn(&VerifyError) -> bool;
    let cases: [(&str, Making<'_>, Step); 7] = [
        ("no SCT", Making { ct_log: None, ..honest }, |error| matches!(error, VerifyError::Sct { .. })),
        ("an SCT by another CT log", Making { ct_log: Some(&other_ct), ..honest }, |error| matches!(error, VerifyError::Sct { .. })),
        ("logged too late", Making { logged: LATE, stamped: None, ..honest }, |error| matches!(error, VerifyError::Chain(_))),
        ("stamped too late", Making { stamped: Some(LATE), ..honest }, |error| matches!(error, VerifyError::Chain(_))),
        ("logged before the certificate", Making { logged: SIGNED_AT - 3600, ..honest }, |error| matches!(error, VerifyError::Chain(_))),
        ("another log", Making { rekor: &other_log, ..honest }, |error| matches!(error, VerifyError::UnknownLog)),
        ("another timestamp authority", Making { tsa: &other_tsa, ..honest }, |error| matches!(error, VerifyError::Timestamp(_))),
    ];
    for (name, making, step) in cases {
        let bundle = scene.instance.sign(&identity(), MESSAGE, making).bundle(MESSAGE);
        let error = verify(&bundle, &scene.root()).expect_err(name);
        assert!(step(&error), "{name}: {error}");
        // cosign looks at timestamps only when asked to; here each one has to hold.
        let (subject, issuer) = (identity().subject, identity().issuer);
        let mut more = vec!["--certificate-identity", &*subject, "--certificate-oidc-issuer", &issuer];
        more.extend(making.stamped.map(|_| "--use-signed-timestamps"));
        let theirs = scene.cosign("verify-blob", &bundle, &more);
        assert!(!theirs.succeeded(), "{name}: {}", theirs.text());
    }
}

#[test]
fn another_instances_certificate_or_entry_is_denied() {
    // V1, C4, CVE-2022-36056, CVE-2026-22703
    let (scene, other) = (Scene::new(), Sigstore::new());
    let bundle = other.sign(
        &identity(),
        MESSAGE,
        Making { ct_log: Some(&scene.instance.fulcio.ct_log), rekor: &scene.instance.rekor, tsa: &scene.instance.tsa, ..other.making() },
    );
    let error = verify(&bundle.bundle(MESSAGE), &scene.root()).expect_err("another authority");
    assert!(matches!(error, VerifyError::Chain(_)), "{error}");
    let (own, unrelated) = (
        scene.instance.sign(&identity(), MESSAGE, scene.instance.making()),
        scene.instance.sign(&identity(), b"x", scene.instance.making()),
    );
    let mut bundle = own.bundle(MESSAGE);
    bundle["verificationMaterial"]["tlogEntries"] = unrelated.bundle(b"x")["verificationMaterial"]["tlogEntries"].clone();
    let error = verify(&bundle, &scene.root()).expect_err("an unrelated entry");
    assert!(matches!(error, VerifyError::Body { .. }), "{error}");
    let _ = scene.keyless("verify-blob", &bundle).expect_failure();
}

#[test]
fn a_key_with_a_log_entry_verifies_here_and_in_cosign_and_another_key_nowhere() {
    let (scene, key, other) = (Scene::new(), Key::generate(), Key::generate());
    let bundle = scene.instance.sign_with(&key, MESSAGE, scene.instance.making()).bundle(MESSAGE);
    let logged = |bundle: &Value, key: &Key| {
        let key = PublicKey::from_pem(&key.public_pem()).expect("a key");
        sigstore::verify_key_logged(bundle.to_string().as_bytes(), Artifact::Bytes(MESSAGE), &key, &scene.root())
    };
    for (key, good) in [(&key, true), (&other, false)] {
        let file = scene.file("key.pub", key.public_pem().as_bytes());
        let theirs = scene.cosign("verify-blob", &bundle, &["--key", &file.to_string_lossy()]);
        assert_eq!(theirs.succeeded(), good, "{}", theirs.text());
        assert_eq!(logged(&bundle, key).is_ok(), good);
    }
    assert_eq!(logged(&bundle, &key).expect("it verifies").signed_at, Some(Timestamp(SIGNED_AT + 3)));
    let mut unlogged = bundle;
    unlogged["verificationMaterial"]["tlogEntries"] = json!([]);
    assert_eq!(logged(&unlogged, &key), Err(VerifyError::NoEntry));
}

#[test]
fn an_older_keyless_signature_verifies_here_and_in_cosign() {
    let (scene, registry, image) = (Scene::new(), Registry::start(), Image::small());
    registry.push("team/app", "1", &image);
    let critical = json!({ "identity": { "docker-reference": "" }, "image": { "docker-manifest-digest": image.digest() }, "type": "cosign container image signature" });
    let payload = Content::new(media_type::SIMPLE_SIGNING, json!({ "critical": critical, "optional": null }).to_string());
    for stamped in [None, Some(SIGNED_AT + 3)] {
        let made = scene.instance.sign(&identity(), &payload.bytes, Making { stamped, ..scene.instance.making() });
        let annotations = made.annotations(&scene.instance.fulcio.chain);
        let found = sigstore::verify_legacy_certificate(&payload.bytes, Annotations::of(&annotations), &scene.root()).expect("it verifies");
        assert_eq!(found.identity.subject, identity().subject);
        let mut layer = payload.descriptor();
        layer["annotations"] = json!(annotations);
        let config = Content::new(media_type::OCI_CONFIG, "{}");
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config.descriptor(), "layers": [layer] });
        registry.put_blob("team/app", &config);
        registry.put_blob("team/app", &payload);
        registry.put_manifest(
            "team/app",
            &format!("{}.sig", image.digest().replace(':', "-")),
            &Content::json(media_type::OCI_MANIFEST, &manifest),
        );
        let verify = |subject: &str| {
            let root = scene.folder.path().join("root.json");
            let program = cosign().args([
                "verify",
                "--new-bundle-format=false",
                "--certificate-oidc-issuer",
                &identity().issuer,
                "--certificate-identity",
                subject,
            ]);
            program.arg("--trusted-root").arg(root).arg(registry.reference(&format!("team/app@{}", image.digest()))).run()
        };
        let _ = verify(&identity().subject).expect_success();
        let _ = verify("https://github.com/somebody/else").expect_failure();
    }
}
