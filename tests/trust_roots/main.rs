//! Trust roots that the gate keeps current by TUF, and what they do to decisions.

mod age;
mod refresh;

use std::sync::Arc;
use std::time::Duration;

use sealgate_tests::gate::{Gate, LAB, Setup, sealgate};
use sealgate_tests::hostile::{Fault, Latch, Rule, Upstream};
use sealgate_tests::image::Image;
use sealgate_tests::process::wait_until;
use sealgate_tests::program::Program;
use sealgate_tests::signature::Signature;
use sealgate_tests::sigstore::{Identity, Key, Sigstore};
use sealgate_tests::tuf::{Author, OVER, Repository};
use sealgate_tests::wire::{Reply, Request};
use sealgate_verifier::policy::{CurrentRoot, CurrentRoots};
use sealgate_verifier::sigstore::TrustRoot;
use sealgate_verifier::{
    Attachment, Collected, Evidence, EvidenceSource, Failure, ImageFacts, Location, Policy, Reason, Repository as Name, Subject, Timestamp,
    Verdict, evaluate,
};
use serde_json::Value;

/// How long a background refresh or a held request may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn identity() -> Identity {
    Identity::github("acme/builders/.github/workflows/release.yml@refs/tags/v1", "acme/app")
}

/// An upstream with one image that an instance of Sigstore vouches for.
struct Scene {
    sigstore: Sigstore,
    upstream: Upstream,
    image: Image,
}

impl Scene {
    fn new() -> Self {
        let (sigstore, upstream, image) = (Sigstore::new(), Upstream::start(), Image::small());
        upstream.push("team/app", "1", &image);
        let bytes = &image.manifest.bytes;
        let bundle = sigstore.sign(&identity(), bytes, sigstore.making()).bundle(bytes);
        upstream.put_signature("team/app", &Signature::of(bundle.to_string(), &image.manifest));
        Self { sigstore, upstream, image }
    }

    /// The instance's `trusted_root.json`.
    fn root(&self) -> Vec<u8> {
        self.sigstore.trusted_root().to_string().into_bytes()
    }

    /// A gate whose one signer is the identity, under the trust root `lab`.
    fn setup(&self, author: &Author, repository: &Repository, settings: &str) -> Setup {
        self.setup_on(Setup::new().lab_without_memory(&self.upstream.url()), author, repository, settings)
    }

    /// The same with another memory of what was collected.
    fn setup_on(&self, setup: Setup, author: &Author, repository: &Repository, settings: &str) -> Setup {
        let first = String::from_utf8(author.roots[&1].clone()).expect("JSON");
        let lab = format!("lab: {{ url: '{}', root: tuf-root.json }}", repository.url());
        setup
            .line(&format!("trust-root: {{ {settings}, repositories: {{ {lab} }} }}"))
            .file("tuf-root.json", &first)
            .policy(policy("lab", "tuf"))
    }
}

/// Where the root called `name` comes from, and a signer under it.
fn policy(name: &str, source: &str) -> String {
    let Identity { subject, issuer, .. } = identity();
    format!(
        "version: 1\ntrust-roots: {{ {name}: {source} }}\nsigners:\n  app:\n    issuer: {issuer}\n    identity: {subject}\n    claims: {{ source-repository: https://github.com/acme/app }}\n    trust-root: {name}\nrules:\n  - images: [\"{LAB}/**\"]\n    require: [ {{ signed-by: {{ any: [app] }} }} ]\n"
    )
}

fn pull(gate: &Gate) -> Reply {
    Request::new("GET", &Gate::target("team/app", "manifests/1")).send(gate.address())
}

fn admitted(gate: &Gate) {
    let reply = pull(gate);
    assert_eq!(reply.status, 200, "{}", reply.text());
}

fn command(gate: &Gate, command: &str) -> Program {
    sealgate(["trust-root", command, "--output", "json", "--config"]).arg(gate.folder().join("sealgate.yaml")).folder(gate.folder())
}

/// Refreshes: the exit code, and what is known of the root then.
fn update(gate: &Gate) -> (i32, Value) {
    let outcome = command(gate, "update").run();
    let status: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{}", outcome.text()));
    (outcome.code.expect("an exit code"), status[0].clone())
}

fn refused(gate: &Gate, problem: &str) {
    let (code, status) = update(gate);
    let found = status["problem"].as_str().unwrap_or_default();
    assert!(code == 1 && found.contains(problem), "{code}, {found:?}, expected {problem:?}");
}
