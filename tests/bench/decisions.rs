//! Decisions, uncached, on one core; and the whole command beside `cosign verify` and `notation verify` of the same image.

use std::path::{Path, PathBuf};
use std::time::Instant;

use sealgate_tests::cosign::cosign;
use sealgate_tests::evidence::publish;
use sealgate_tests::gate::sealgate;
use sealgate_tests::notation::Notation;
use sealgate_tests::program::{Outcome, Program};
use sealgate_tests::registry::Registry;
use sealgate_tests::world::{Kind, World, identity};
use sealgate_verifier::Attachment;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lab::Lab;
use crate::machine;
use crate::report::{Goal, Report};
use crate::rounds::{Ratio, Sample, rotate};

/// Runs of a command in one sample.
const RUNS: u32 = 10;
/// Signatures that an attacker attaches.
const ENDLESS: usize = 10_000;
/// Signatures of one subject that are opened (sealgate_verifier::limits::ATTACHMENTS).
const OPENED: u64 = 64;
/// KiB by which a decision on them may grow: tables of what is opened, and the denial.
const FLAT: u64 = 16 * 1024;

/// One kind of decision.
struct Way {
    name: &'static str,
    attachment: Attachment,
    signer: Value,
    /// What one decision is: what a second and core must reach.
    goal: Option<f64>,
}

struct Scene {
    world: World,
    folder: TempDir,
    registry: Registry,
    notation: Notation,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        file("ci.pub", &world.public_pem(0));
        file("root.json", &world.instance.trusted_root().to_string());
        file("acme.pem", world.notation_root());
        let person = identity(0);
        let signers = format!(
            "  app: {{ issuer: '{}', identity: '{}', claims: {{ source-repository: any }}, trust-root: tests }}\n  release: {{ notation: {{ trust-store: 'ca:acme', identities: ['{ACME}'] }} }}",
            person.issuer, person.subject
        );
        for signer in ["app", "release"] {
            let policy = format!(
                "version: 1\ntrust-roots: {{ tests: root.json }}\ntrust-stores: {{ acme: {{ ca: [acme.pem] }} }}\nsigners:\n{signers}\nrules:\n  - images: [\"**\"]\n    require: [ {{ signed-by: {{ any: [{signer}] }} }} ]\n"
            );
            file(&format!("{signer}.yaml"), &policy);
        }
        let notation = Notation::new();
        notation.trust("ca", "acme", world.notation_root());
        notation.policy("strict", &["ca:acme"], &[ACME]);
        Self { world, folder, registry: Registry::start(), notation }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ways(&self) -> Vec<Way> {
        let find = |kind: Kind, form: &str| {
            let signed = self.world.signed(kind).into_iter().find(|signed| signed.by == 0 && signed.form == form);
            signed.unwrap_or_else(|| panic!("{form}")).attachment
        };
        let key = || json!({ "key": self.world.public_pem(0) });
        let person = identity(0);
        let keyless = || json!({ "root": self.world.instance.trusted_root(), "issuer": person.issuer, "subject": person.subject });
        let notation = || json!({ "notation": self.world.notation_root(), "identity": ACME });
        let way = |name, attachment, signer, goal| Way { name, attachment, signer, goal };
        vec![
            way("keyed", find(Kind::Keyed, "envelope, dsse 0.0.1"), key(), Some(6_000.0)),
            way("keyless, Rekor v1", find(Kind::Keyless, "envelope, dsse 0.0.1"), keyless(), Some(200.0)),
            way("keyless, Rekor v2", find(Kind::Keyless, "envelope, hashedrekord 0.0.2"), keyless(), Some(200.0)),
            way("Notation, JWS", find(Kind::Notation, "Notation, JWS"), notation(), None),
            way("Notation, COSE", find(Kind::Notation, "Notation, COSE"), notation(), None),
        ]
    }

    /// The files of `decision_rate`.
    fn write(&self, way: &Way) -> PathBuf {
        let folder = self.path(&way.name.replace([',', ' '], "-"));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect("a file");
        file("subject", &self.world.image.manifest.bytes);
        file("attachment", &way.attachment.manifest);
        file("layer", &way.attachment.layers[0]);
        file("signer.json", way.signer.to_string().as_bytes());
        folder
    }
}

const ACME: &str = "x509.subject: C=US, ST=WA, O=Acme 0";

/// Runs `decision_rate`, which tests/bench/run has built.
fn decide(folder: &Path, arguments: &[&str]) -> Value {
    let program = std::env::var_os("SEALGATE_DECISION_RATE").expect("SEALGATE_DECISION_RATE names the example; see tests/bench/run");
    let outcome = Program::at(Path::new(&program)).arg(folder).args(arguments).run().expect_success();
    serde_json::from_str(&outcome.stdout).expect("JSON")
}

/// Rates, then commands.
pub fn run(lab: &Lab, report: &mut Report) {
    machine::client_core();
    let scene = Scene::new();
    let ways = scene.ways();
    let folders: Vec<PathBuf> = ways.iter().map(|way| scene.write(way)).collect();
    let names: Vec<&'static str> = ways.iter().map(|way| way.name).collect();
    let seconds = lab.plan.seconds.to_string();
    let series = rotate(&names, lab.plan.rounds, |which| {
        let found = decide(&folders[which], &[&seconds]);
        let figure = |name: &str| found[name].as_f64().expect("a number");
        Sample { rate: figure("decisions") / figure("seconds"), cpu: figure("cpu") / figure("decisions") }
    });
    report.series("decisions, uncached", "decision", &series);
    for (way, series) in ways.iter().zip(&series) {
        // By CPU time: what a core does, whoever else wants it.
        let per_core = |goal: f64| Ratio::of(series.samples.iter().map(|sample| 1.0 / sample.cpu / goal));
        match way.goal {
            Some(goal) => report.ratio(format!("{} decision: per second and core ÷ {goal}", way.name), per_core(goal), Goal::AtLeast(1.0)),
            None => report.ratio(format!("{} decision: per second and core ÷ 200", way.name), per_core(200.0), Goal::None),
        }
    }
    endless(report, &folders[0], scene.world.public_pem(3));
    commands(&scene, &ways, lab.plan.rounds, report);
}

fn endless(report: &mut Report, folder: &Path, nobody: String) {
    std::fs::write(folder.join("signer.json"), json!({ "key": nobody }).to_string()).expect("a file");
    let found = decide(folder, &["--attached", &ENDLESS.to_string()]);
    report.count(format!("signatures looked at of {ENDLESS} attached"), &Some(OPENED), &found["looked-at"].as_u64());
    report.count(format!("memory for them within {} MiB", FLAT / 1024), &true, &found["kib"].as_u64().is_some_and(|kib| kib <= FLAT));
    report.note(format!("denial of {ENDLESS} attached signatures: {} CPU s, {} KiB more", found["cpu"], found["kib"]));
}

/// Whole commands, from start to exit, on an image with that one signature.
fn commands(scene: &Scene, ways: &[Way], rounds: usize, report: &mut Report) {
    let references: Vec<String> = (0..ways.len()).map(|number| scene.reference(number, &ways[number])).collect();
    let ours = |arguments: &[&str], file: PathBuf, reference: &str| sealgate(arguments).arg(file).arg(reference).run();
    let policy = |name: &str, reference: &str| ours(&["verify", "--policy"], scene.path(&format!("{name}.yaml")), reference);
    let keyed = |reference: &str| ours(&["verify", "--key"], scene.path("ci.pub"), reference);
    type Verify<'v> = &'v dyn Fn(&str) -> Outcome;
    let pairs: [(usize, Verify<'_>, Verify<'_>); 5] = [
        (0, &keyed, &|reference| scene.cosign_keyed(reference)),
        (1, &|reference| policy("app", reference), &|reference| scene.cosign_keyless(reference)),
        (2, &|reference| policy("app", reference), &|reference| scene.cosign_keyless(reference)),
        (3, &|reference| policy("release", reference), &|reference| scene.notation.verify(reference)),
        (4, &|reference| policy("release", reference), &|reference| scene.notation.verify(reference)),
    ];
    for (which, ours, theirs) in pairs {
        let (way, reference) = (&ways[which], &references[which]);
        let peer = if which < 3 { "cosign verify" } else { "notation verify" };
        let series =
            rotate(&["sealgate verify", peer], rounds, |which| timed(|| if which == 0 { ours(reference) } else { theirs(reference) }));
        report.series(&format!("verify, {}", way.name), "run", &series);
        report.ratio(format!("{}: sealgate verify ÷ {peer}, time", way.name), series[0].time_over(&series[1]), Goal::AtMost(1.0));
        report.ratio(format!("{}: sealgate verify ÷ {peer}, CPU", way.name), series[0].cpu_over(&series[1]), Goal::AtMost(1.0));
    }
}

/// Several runs in a row: the kernel counts CPU time in hundredths of a second.
fn timed(command: impl Fn() -> Outcome) -> Sample {
    let (start, used) = (Instant::now(), machine::children_cpu_seconds());
    for _ in 0..RUNS {
        let _ = command().expect_success();
    }
    let runs = f64::from(RUNS);
    Sample { rate: runs / start.elapsed().as_secs_f64(), cpu: (machine::children_cpu_seconds() - used) / runs }
}

impl Scene {
    /// The image with one signature, in a repository of its own.
    fn reference(&self, number: usize, way: &Way) -> String {
        let repository = format!("bench/decision{number}");
        self.registry.push(&repository, "1", &self.world.image);
        publish(&self.registry, &repository, &self.world.image, std::slice::from_ref(&way.attachment));
        self.registry.reference(&format!("{repository}@{}", self.world.image.digest()))
    }

    fn cosign_keyed(&self, reference: &str) -> Outcome {
        let offline = ["--insecure-ignore-tlog=true", "--new-bundle-format=true"];
        cosign().args(["verify", "--key"]).arg(self.path("ci.pub")).args(offline).arg(reference).run()
    }

    fn cosign_keyless(&self, reference: &str) -> Outcome {
        let person = identity(0);
        let who = ["--certificate-identity", &person.subject, "--certificate-oidc-issuer", &person.issuer];
        let how = ["--new-bundle-format=true", "--use-signed-timestamps"];
        cosign().arg("verify").args(who).args(how).arg("--trusted-root").arg(self.path("root.json")).arg(reference).run()
    }
}
