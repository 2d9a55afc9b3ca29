//! Cold pulls: nothing of the image is stored. The upstream's log says what was asked for.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::lab::{COLD, Lab};
use crate::report::{Goal, Report};
use crate::rounds::{Sample, Series, rotate};
use crate::server::Target;
use crate::{distribution, machine, nginx};

const NAMES: [&str; 4] = ["gate", "direct", "pull-through", "proxy_cache"];
/// Layers that a client fetches at once, as containerd and dockerd do.
const AT_ONCE: usize = 3;

/// What a kind of pull is.
struct Kind {
    name: String,
    clients: usize,
    slow: bool,
    verify: bool,
}

/// What one pull or several left behind.
struct Pulled {
    sample: Sample,
    first_byte: Duration,
    /// GETs upstream by path, and their sum.
    gets: BTreeMap<String, usize>,
}

/// By one client that drops what it gets, by one that hashes it as every real client does, by one behind a slow upstream, and by many.
pub fn run(lab: &Lab, report: &mut Report) {
    machine::all_cores();
    let many = lab.plan.clients;
    let kinds = [
        (Kind { name: "cold pull, 1 client".to_owned(), clients: 1, slow: false, verify: false }, [2.0, 1.0, 0.0]),
        (Kind { name: "cold pull, 1 client that hashes".to_owned(), clients: 1, slow: false, verify: true }, [2.0, 1.0, 0.0]),
        (Kind { name: "cold pull, 1 client, 64 MiB/s upstream".to_owned(), clients: 1, slow: true, verify: false }, [1.15, 1.0, 0.0]),
        (Kind { name: format!("cold pull, {many} clients"), clients: many, slow: false, verify: false }, [0.0, 1.0, 1.0]),
    ];
    for (kind, goals) in kinds {
        let series = measure(lab, report, &kind);
        times(report, &kind.name, &series, goals);
    }
}

fn times(report: &mut Report, what: &str, series: &[Series], goals: [f64; 3]) {
    let [gate, direct, through, cache] = series else { return };
    let goal = |goal: f64| if goal > 0.0 { Goal::AtMost(goal) } else { Goal::None };
    report.ratio(format!("{what}: time ÷ direct"), gate.time_over(direct), goal(goals[0]));
    report.ratio(format!("{what}: time ÷ docker-registry pull-through"), gate.time_over(through), goal(goals[1]));
    report.ratio(format!("{what}: time ÷ nginx proxy_cache, lock"), gate.time_over(cache), goal(goals[2]));
}

fn measure(lab: &Lab, report: &mut Report, kind: &Kind) -> Vec<Series> {
    let mut gets: [Vec<usize>; 4] = Default::default();
    let mut first_bytes = [Duration::ZERO; 4];
    let mut repeated = 0;
    let mut of_image = Vec::new();
    let series = rotate(&NAMES, lab.plan.cold_rounds, |which| {
        let pulled = pull_fresh(lab, kind, which);
        gets[which].push(pulled.gets.values().sum());
        first_bytes[which] = first_bytes[which].max(pulled.first_byte);
        if which == 0 {
            repeated = repeated.max(pulled.gets.values().copied().max().unwrap_or_default());
            of_image.push(pulled.gets.iter().filter(|(path, _)| is_of_image(lab, path)).map(|(_, count)| count).sum::<usize>());
        }
        pulled.sample
    });
    report.series(&kind.name, "pull", &series);
    report.count(format!("{}: most GETs of one path upstream", kind.name), &1, &repeated);
    let expected = vec![1 + lab.cold.blobs().count(); of_image.len()];
    report.count(format!("{}: GETs of the image's manifest and blobs upstream", kind.name), &expected, &of_image);
    let texts = (0..NAMES.len()).map(|which| format!("{} {:?}, {} ms", NAMES[which], gets[which], first_bytes[which].as_millis()));
    report.note(format!("{}: GETs upstream in each round, worst first byte: {}", kind.name, texts.collect::<Vec<_>>().join("; ")));
    series
}

fn is_of_image(lab: &Lab, path: &str) -> bool {
    path.ends_with(&format!("/manifests/{}", lab.cold.digest())) || lab.cold.blobs().any(|blob| path.ends_with(&blob.digest))
}

/// Starts the server anew, so that it holds nothing, and pulls through it.
fn pull_fresh(lab: &Lab, kind: &Kind, which: usize) -> Pulled {
    let url = lab.upstream.url(kind.slow);
    match which {
        0 => {
            let mut gate = lab.gate(kind.slow).start();
            pull(lab, kind, &Target::gate(&mut gate))
        }
        1 => {
            let mut target = lab.upstream.target();
            target.address = lab.upstream.address(kind.slow);
            pull(lab, kind, &target)
        }
        2 => {
            let setup = distribution::Setup { upstream: Some(&url), ..Default::default() };
            pull(lab, kind, &distribution::start("pull-through", setup).target())
        }
        _ => pull(lab, kind, &nginx::proxy_cache(lab.upstream.address(kind.slow)).target()),
    }
}

fn pull(lab: &Lab, kind: &Kind, target: &Target) -> Pulled {
    let before = lab.upstream.requests().len();
    let cpu = target.cpu();
    let first_byte = Mutex::new(Duration::ZERO);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..kind.clients {
            scope.spawn(|| pull_once(lab, kind, target, &first_byte));
        }
    });
    let elapsed = started.elapsed().as_secs_f64() / kind.clients as f64;
    let mut gets = BTreeMap::new();
    for line in &lab.upstream.requests()[before..] {
        if let Some((path, _agent)) = line.strip_prefix("GET ").and_then(|rest| rest.split_once(' ')) {
            *gets.entry(path.to_owned()).or_insert(0) += 1;
        }
    }
    let sample = Sample { rate: 1.0 / elapsed, cpu: (target.cpu() - cpu) / kind.clients as f64 };
    Pulled { sample, first_byte: first_byte.into_inner().expect("a time"), gets }
}

/// What an engine does: the tag's digest, the manifest, then config and layers over a few connections.
fn pull_once(lab: &Lab, kind: &Kind, target: &Target, first_byte: &Mutex<Duration>) {
    let mut client = Client::connect(target.address);
    let head = client.head(&target.path(COLD, "manifests/1"));
    assert_eq!(head.digest.as_deref(), Some(lab.cold.digest()), "{}", target.name);
    let manifest = client.get(&target.path(COLD, &format!("manifests/{}", lab.cold.digest())));
    assert_eq!(manifest, lab.cold.manifest.bytes, "{}", target.name);
    let queue = Mutex::new(lab.cold.blobs());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let mut client = Client::connect(target.address).verifying(kind.verify);
                loop {
                    let Some(blob) = queue.lock().expect("the queue").next() else { return };
                    let (received, first) = client.drain_timed(&target.path(COLD, &format!("blobs/{}", blob.digest)));
                    assert_eq!(received, blob.bytes.len() as u64, "{}: {}", target.name, blob.digest);
                    let mut worst = first_byte.lock().expect("a time");
                    *worst = first.max(*worst);
                }
            });
        }
    });
}
