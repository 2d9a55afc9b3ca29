//! Pushes to the gate as a registry of one's own, and to docker-registry. Each server starts anew for each sample, with bytes that it has
//! never seen. What either syncs before it answers stands in ARCHITECTURE.md, "Speed".

use std::sync::Mutex;
use std::time::Instant;

use sealgate_tests::gate::{LAB, Setup};
use sealgate_tests::image::Content;
use sealgate_tests::layer::fresh_bytes;
use sealgate_tests::push::EMPTY;
use sealgate_tests::sha256;
use serde_json::json;

use crate::client::Client;
use crate::lab::Lab;
use crate::report::{Goal, Report};
use crate::rounds::{Sample, rotate};
use crate::server::Target;
use crate::uploader::{Uploader, Way};
use crate::{distribution, machine};

const NAMES: [&str; 2] = ["gate", "docker-registry"];
const REPOSITORY: &str = "bench/push";
/// Blobs that docker pushes at once (`max-concurrent-uploads`).
const AT_ONCE: usize = 5;
/// Connections of a CI fleet that pushes manifests.
const FLEET: usize = 8;
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Large blobs one after another and several at once; small manifests by one client and by several.
pub fn run(lab: &Lab, report: &mut Report) {
    machine::all_cores();
    for (what, connections, way) in [("1 at a time, PUT", 1, Way::Put), ("5 at once, PATCH", AT_ONCE, Way::Patch)] {
        let what = format!("push of {} blobs, {what}", lab.plan.layers.len());
        let sizes = &lab.plan.layers;
        measure(lab, report, &what, "GB", connections, || sizes.iter().map(|size| Content::new(LAYER, fresh(*size))).collect(), {
            move |client, target, _, blob| client.blob(target, REPOSITORY, blob, way)
        });
    }
    for (what, connections) in [("1 client", 1), ("8 clients", FLEET)] {
        let what = format!("push of {} manifests, {what}", lab.plan.manifests);
        measure(
            lab,
            report,
            &what,
            "request",
            connections,
            || manifests(lab.plan.manifests),
            |client, target, number, manifest| {
                client.manifest(target, REPOSITORY, &format!("t{number}"), manifest);
            },
        );
    }
}

fn measure(
    lab: &Lab,
    report: &mut Report,
    what: &str,
    unit: &str,
    connections: usize,
    contents: impl Fn() -> Vec<Content>,
    push: impl Fn(&mut Uploader, &Target, usize, &Content) + Sync,
) {
    let mut kept = Vec::new();
    let series = rotate(&NAMES, lab.plan.push_rounds, |which| {
        let contents = contents();
        let mut sample = |target: &Target| {
            prepare(target);
            let sample = load(target, &contents, connections, unit == "GB", &push);
            kept.push(contents.iter().filter(|content| is_there(target, content)).count());
            sample
        };
        match which {
            0 => {
                let policy = format!("version: 1\nrules:\n  - images: [\"{LAB}/**\"]\n    require: [ allow ]\n");
                let mut gate = Setup::new().registry(LAB, "{ hosted: true, push: anonymous }").policy(policy).start();
                sample(&Target::gate(&mut gate))
            }
            _ => sample(&distribution::start("docker-registry", distribution::Setup::default()).target()),
        }
    });
    report.series(what, unit, &series);
    let [gate, registry] = &series[..] else { return };
    report.ratio(format!("{what}: time ÷ docker-registry"), gate.time_over(registry), Goal::AtMost(1.0));
    report.ratio(format!("{what}: CPU ÷ docker-registry"), gate.cpu_over(registry), Goal::AtMost(1.0));
    let expected = vec![contents().len(); kept.len()];
    report.count(format!("{what}: what was acknowledged is there"), &expected, &kept);
}

/// The blobs that every manifest lists.
fn prepare(target: &Target) {
    let mut client = Uploader::connect(target.address);
    for blob in [config(), layer()] {
        client.blob(target, REPOSITORY, &blob, Way::Put);
    }
}

fn load(
    target: &Target,
    contents: &[Content],
    connections: usize,
    bytes: bool,
    push: &(impl Fn(&mut Uploader, &Target, usize, &Content) + Sync),
) -> Sample {
    let cpu = target.cpu();
    let started = Instant::now();
    let queue = Mutex::new(contents.iter().enumerate());
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut client = Uploader::connect(target.address);
                loop {
                    let Some((number, content)) = queue.lock().expect("the queue").next() else { return };
                    push(&mut client, target, number, content);
                }
            });
        }
    });
    let elapsed = started.elapsed().as_secs_f64();
    let units = if bytes { contents.iter().map(|content| content.bytes.len()).sum() } else { contents.len() } as f64;
    Sample { rate: units / elapsed, cpu: (target.cpu() - cpu) / units }
}

/// Whether the server serves it under its digest, byte for byte.
fn is_there(target: &Target, content: &Content) -> bool {
    let kind = if content.media_type == MANIFEST { "manifests" } else { "blobs" };
    Client::connect(target.address).get(&target.path(REPOSITORY, &format!("{kind}/{}", content.digest))) == content.bytes
}

/// Bytes that are fresh at their beginning only: a debug build makes no gigabyte of random bytes quickly.
fn fresh(size: usize) -> Vec<u8> {
    let mut bytes = fresh_bytes(size.min(64 * 1024));
    bytes.resize(size, 7);
    bytes
}

fn config() -> Content {
    Content::new(EMPTY, "{}")
}

fn layer() -> Content {
    Content::new(LAYER, "a small layer")
}

/// Small manifests, each of its own digest.
fn manifests(count: usize) -> Vec<Content> {
    let run = sha256(&fresh_bytes(32));
    let manifest = |number: usize| {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config().descriptor(), "layers": [layer().descriptor()],
            "annotations": { "org.example.run": run, "org.example.number": number.to_string() },
        });
        Content::json(MANIFEST, &manifest)
    };
    (0..count).map(manifest).collect()
}
