//! The start of a gate that holds many images, and its memory when idle.

use std::path::Path;
use std::time::{Duration, Instant};

use sealgate_tests::gate::{Gate, LAB, Setup};
use sealgate_tests::image::{Content, Format, Image};

use crate::client::Client;
use crate::lab::{Lab, Tree};
use crate::machine;
use crate::nginx::Upstream;
use crate::report::{Goal, Report};
use crate::rounds::Ratio;
use crate::server::Target;

const REPOSITORY: &str = "bench/many";
/// Connections that fill the store.
const FILLERS: usize = 64;
/// Starts that are measured, of either kind.
const STARTS: usize = 3;

/// Pulls many manifests through a gate, then starts it again, after an orderly end and after SIGKILL.
pub fn run(lab: &Lab, report: &mut Report) {
    machine::all_cores();
    // The start is measured, not how long a disk takes to make and remove some 200,000 files.
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let mut tree = Tree::below(&place);
    let image = Image::build(Format::Oci, "amd64", &[1_000]);
    tree.add(REPOSITORY, "1", &image);
    let digests: Vec<String> = (0..lab.plan.images).map(|number| add_variant(&tree, &image, number)).collect();
    let upstream = Upstream::start(&tree);
    let setup = Setup::new().registry(LAB, &format!("{{ upstream: {} }}", upstream.url(false)));
    let mut gate = setup.allow_all().below(&place).start();
    let filling = Instant::now();
    fill(&Target::gate(&mut gate), &digests);
    let rate = digests.len() as f64 / filling.elapsed().as_secs_f64();
    report.note(format!("first pulls of {} manifests: {rate:.0}/s", digests.len()));
    let asked = upstream.requests_of_the_gate();
    for (how, kill) in [("after an orderly end", false), ("after SIGKILL", true)] {
        let seconds: Vec<f64> = (0..STARTS).map(|_| start(&mut gate, kill)).collect();
        let (what, ratio) = (format!("start with {} images, {how} ÷ 0.5 s", digests.len()), Ratio::of(seconds.iter().map(|s| s / 0.5)));
        report.ratio(what, ratio, Goal::AtMost(1.0));
    }
    let target = Target::gate(&mut gate);
    let idle = target.rss_kib();
    report.ratio(format!("idle memory with {} images ÷ 64 MiB", digests.len()), mib(idle), Goal::AtMost(1.0));
    let sample: Vec<String> = digests.iter().step_by(digests.len().div_ceil(1_000)).cloned().collect();
    fill(&target, &sample);
    report.count("requests upstream for stored manifests after the starts", &0, &(upstream.requests_of_the_gate() - asked));
    report.ratio("memory after 1,000 of them were served ÷ 64 MiB", mib(target.rss_kib()), Goal::None);
}

fn mib(kib: u64) -> Ratio {
    Ratio::of(std::iter::once(kib as f64 / (64.0 * 1024.0)))
}

/// A manifest that differs by an annotation.
fn add_variant(tree: &Tree, image: &Image, number: usize) -> String {
    let text = String::from_utf8_lossy(&image.manifest.bytes).into_owned();
    let opened = text.strip_prefix('{').expect("an object");
    let manifest = Content::new(&image.manifest.media_type, format!("{{\"annotations\":{{\"number\":\"{number}\"}},{opened}"));
    tree.put(REPOSITORY, "manifests", &manifest.digest, &manifest.bytes);
    manifest.digest
}

fn fill(target: &Target, digests: &[String]) {
    std::thread::scope(|scope| {
        for part in digests.chunks(digests.len().div_ceil(FILLERS)) {
            scope.spawn(move || {
                let mut client = Client::connect(target.address);
                for digest in part {
                    let _ = client.get(&target.path(REPOSITORY, &format!("manifests/{digest}")));
                }
            });
        }
    });
}

/// Seconds from the process's start until it is ready.
fn start(gate: &mut Gate, kill: bool) -> f64 {
    if kill {
        gate.kill();
    } else {
        gate.term();
        assert!(gate.process().wait(Duration::from_secs(30)).is_some(), "the gate does not end");
    }
    let started = Instant::now();
    gate.restart_unready();
    while !gate.is_ready() {
        assert!(started.elapsed() < Duration::from_secs(60), "the gate is not ready\n{}", gate.log());
        std::thread::sleep(Duration::from_millis(2));
    }
    started.elapsed().as_secs_f64()
}
