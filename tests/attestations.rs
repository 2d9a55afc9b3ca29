//! Attestations, through the gate: real ones of real builds, offline, and what `cosign attest` makes.

use std::path::{Path, PathBuf};

use sealgate_tests::cosign::{self, KeyPair, Layout};
use sealgate_tests::gate::{Gate, LAB, Setup};
use sealgate_tests::image::Image;
use sealgate_tests::layout;
use sealgate_tests::registry::Registry;
use sealgate_tests::wire::{Reply, Request};

const GITHUB: &str = "https://token.actions.githubusercontent.com";
const GENERATOR: &str =
    r"https://github\.com/slsa-framework/slsa-github-generator/\.github/workflows/generator_container_slsa3\.yml@refs/tags/v[0-9.]+";
const SOURCE: &str = "https://github.com/slsa-framework/example-package";
const BUILD_TYPE: &str = "https://github.com/slsa-framework/slsa-github-generator/container@v1";

/// The folders of the real images; none where the fixtures are not at hand.
fn real_images() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/real-images");
    if !folder.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "{} is required in CI", folder.display());
        eprintln!("skipped: {} is absent", folder.display());
        return Vec::new();
    }
    let versions = std::fs::read_dir(folder).expect("the real images");
    let images = versions.map(|version| version.expect("a version").path().join("container_workflow_dispatch"));
    images.filter(|image| image.is_dir()).collect()
}

/// A policy whose one signer is a keyless identity.
fn policy(signer: &str, requirement: &str) -> String {
    format!("version: 1\nsigners:\n  builder: {{ {signer} }}\nrules:\n  - images: [\"{LAB}/**\"]\n    require: [ {requirement} ]\n")
}

fn builder(issuer: &str, identity: &str, source: &str) -> String {
    format!("issuer: '{issuer}', identity-regexp: '{identity}', claims: {{ source-repository: '{source}' }}")
}

fn attested(kind: &str, conditions: &str) -> String {
    format!("{{ attested: {{ type: {kind}, by: {{ any: [builder] }}{conditions} }} }}")
}

fn pull(gate: &Gate, repository: &str, reference: &str) -> Reply {
    Request::new("GET", &Gate::target(repository, &format!("manifests/{reference}"))).send(gate.address())
}

/// Status and text of the answer under `policy`.
fn under(registry: &Registry, policy: String, repository: &str, digest: &str) -> (u16, String) {
    let gate = Setup::new().lab_without_memory(&registry.url()).policy(policy).start();
    let reply = pull(&gate, repository, digest);
    (reply.status, reply.text())
}

// Proof 2: named are the SLSA generator's workflow and the source repository that called it.
#[test]
fn a_real_image_is_admitted_by_its_builder_and_source_and_by_nothing_else() {
    let registry = Registry::start();
    for (number, folder) in real_images().iter().enumerate() {
        let repository = format!("real/{number}");
        let digest = layout::push(&registry, &repository, folder);
        let right = builder(GITHUB, GENERATOR, SOURCE);
        let provenance = attested("slsaprovenance", "");
        let conditions = format!(", where: {{ /buildType: \"{BUILD_TYPE}\", /invocation/configSource/uri: \"git+{SOURCE}*\" }}");
        for requirement in [provenance.clone(), attested("slsaprovenance02", &conditions), attested("https://slsa.dev/provenance/v0.2", "")]
        {
            let (status, text) = under(&registry, policy(&right, &requirement), &repository, &digest);
            assert_eq!(status, 200, "{requirement}: {text}");
        }
        let other_workflow = GENERATOR.replace("container", "generic");
        let refused = [
            (builder(GITHUB, &other_workflow, SOURCE), provenance.clone(), "whom the rule does not name"),
            // C11, V31: a beginning is not the whole.
            (builder(GITHUB, "https://github.com/slsa-framework/slsa-github-generator/", SOURCE), provenance.clone(), "does not name"),
            (builder(GITHUB, GENERATOR, "https://github.com/acme/app"), provenance.clone(), "source-repository"),
            (builder("https://accounts.google.com", GENERATOR, SOURCE), provenance.clone(), "of issuer"),
            (right.clone(), attested("slsaprovenance1", ""), "another type"),
            (right.clone(), attested("vuln", ""), "another type"),
            (right.clone(), attested("slsaprovenance", ", where: { /buildType: https://example.com }"), "/buildType is "),
            (right.clone(), attested("slsaprovenance", ", where: { /nothing: \"*\" }"), "/nothing is missing"),
            (right.clone(), attested("slsaprovenance", ", max-age: 1d"), "over 1d old"),
            (right.clone(), "{ signed-by: { any: [builder] } }".to_owned(), "no signature"),
        ];
        for (signer, requirement, why) in refused {
            let (status, text) = under(&registry, policy(&signer, &requirement), &repository, &digest);
            assert_eq!(status, 403, "{signer} {requirement}: {text}");
            assert!(text.contains(why), "{why}: {text}");
        }
    }
}

// C3, V1
#[test]
fn a_real_provenance_admits_no_other_image() {
    let registry = Registry::start();
    for (number, folder) in real_images().iter().enumerate() {
        let repository = format!("real/{number}");
        let digest = layout::push(&registry, &repository, folder);
        let image = Image::small();
        registry.push(&repository, "other", &image);
        let attestation = Request::new("GET", &format!("/v2/{repository}/manifests/{}.att", digest.replace(':', "-")))
            .header("Accept", "application/vnd.oci.image.manifest.v1+json")
            .send(registry.address())
            .expect(200);
        let stolen = sealgate_tests::image::Content::new("application/vnd.oci.image.manifest.v1+json", attestation.body.clone());
        registry.put_manifest(&repository, &format!("{}.att", image.digest().replace(':', "-")), &stolen);
        let right = policy(&builder(GITHUB, GENERATOR, SOURCE), &attested("slsaprovenance", ""));
        let (status, text) = under(&registry, right, &repository, image.digest());
        assert_eq!(status, 403, "{text}");
        assert!(text.contains("does not name"), "{text}");
    }
}

#[test]
fn what_cosign_attests_is_admitted_by_type_signer_and_predicate() {
    let (registry, keys, other) = (Registry::start(), KeyPair::generate(), KeyPair::generate());
    let folder = tempfile::tempdir().expect("a folder");
    let predicate = folder.path().join("predicate.json");
    std::fs::write(
        &predicate,
        r#"{"buildDefinition":{"buildType":"https://acme.example/build/v1"},"runDetails":{"builder":{"id":"https://acme.example"}}}"#,
    )
    .expect("a predicate");
    let policy = |requirement: &str| {
        format!(
            "version: 1\nsigners:\n  ci: {{ key: ci.pub }}\n  qa: {{ key: qa.pub }}\nrules:\n  - images: [\"{LAB}/**\"]\n    require: [ {requirement} ]\n"
        )
    };
    let requirement = |kind: &str, by: &str, more: &str| format!("{{ attested: {{ type: {kind}, by: {{ any: [{by}] }}{more} }} }}");
    let typed = |build: &str| format!(", where: {{ /buildDefinition/buildType: \"{build}\" }}");
    for (layout, repository) in [(Layout::Bundle, "team/bundle"), (Layout::Legacy, "team/legacy")] {
        let image = Image::small();
        registry.push(repository, "1", &image);
        let reference = registry.reference(&format!("{repository}@{}", image.digest()));
        let gate = Setup::new()
            .lab_without_memory(&registry.url())
            .file("ci.pub", &keys.public_pem())
            .file("qa.pub", &other.public_pem())
            .policy(policy(&requirement("slsaprovenance1", "ci", "")))
            .start();
        assert_eq!(pull(&gate, repository, image.digest()).status, 403, "nothing attested yet");
        let _ = cosign::attest(&keys.private(), layout, "slsaprovenance1", &predicate, &reference).expect_success();
        assert_eq!(pull(&gate, repository, image.digest()).status, 200, "{layout:?}: {}", gate.log());
        for (requirement, status) in [
            (requirement("slsaprovenance1", "ci", &typed("https://acme.example/*")), 200),
            (requirement("slsaprovenance1", "ci", &typed("https://acme.example/build/v2")), 403),
            (requirement("slsaprovenance1", "qa", ""), 403),
            (requirement("slsaprovenance", "ci", ""), 403),
            ("{ signed-by: { any: [ci] } }".to_owned(), 403),
            (format!("any-of: [[{{ signed-by: {{ any: [ci] }} }}], [{}]]", requirement("slsaprovenance1", "ci", "")), 200),
        ] {
            let gate = Setup::new()
                .lab_without_memory(&registry.url())
                .file("ci.pub", &keys.public_pem())
                .file("qa.pub", &other.public_pem())
                .policy(policy(&requirement))
                .start();
            let reply = pull(&gate, repository, image.digest());
            assert_eq!(reply.status, status, "{layout:?} {requirement}: {}", reply.text());
        }
    }
}

#[test]
fn signatures_in_another_repository_count_where_the_rule_names_it() {
    let (registry, keys) = (Registry::start(), KeyPair::generate());
    let image = Image::small();
    for repository in ["kong/kong", "kong/notary"] {
        registry.push(repository, "1", &image);
    }
    let signed = registry.reference(&format!("kong/notary@{}", image.digest()));
    let _ = cosign::sign(&keys.private(), Layout::Legacy, &signed).expect_success();
    let policy = |from: &str| {
        format!(
            "version: 1\nsigners:\n  ci: {{ key: ci.pub }}\nrules:\n  - images: [\"{LAB}/kong/kong\"]\n    signatures-from: [{from}]\n    require: [ {{ signed-by: {{ any: [ci] }} }} ]\n"
        )
    };
    for (from, status) in
        [(format!("{LAB}/kong/notary"), 200), (format!("{LAB}/kong/other"), 403), ("nowhere.example/kong/notary".to_owned(), 403)]
    {
        let setup = Setup::new().lab_without_memory(&registry.url()).file("ci.pub", &keys.public_pem());
        let mut gate = setup.policy(policy(&from)).start();
        let reply = pull(&gate, "kong/kong", image.digest());
        assert_eq!(reply.status, status, "{from}: {}", reply.text());
        if status == 200 {
            gate.restart();
            assert_eq!(pull(&gate, "kong/kong", image.digest()).status, 200, "after a restart");
        }
    }
}
