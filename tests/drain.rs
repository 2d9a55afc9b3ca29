//! F31: SIGTERM lets the pulls under way finish and begins no new ones.

use std::time::Duration;

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::hostile::{Fault, Latch, Rule, Upstream};
use sealgate_tests::image::{Format, Image};
use sealgate_tests::process::wait_until;
use sealgate_tests::wire::{self, Request};

/// The grace of 25 s and some.
const LIMIT: Duration = Duration::from_secs(30);

fn scene(lines: &[&str]) -> (Upstream, Gate, String) {
    let (upstream, image) = (Upstream::start(), Image::build(Format::Oci, "amd64", &[500_000]));
    upstream.push("team/app", "1", &image);
    let setup = lines.iter().fold(Setup::new().lab(&upstream.url()).allow_all(), |setup, line| setup.line(line));
    let gate = setup.start();
    let _ = wire::get(gate.address(), &Gate::target("team/app", "manifests/1")).expect(200);
    let target = Gate::target("team/app", &format!("blobs/{}", image.layers[0].digest));
    (upstream, gate, target)
}

fn blobs_under_way(gate: &Gate, target: &str, count: usize) -> Vec<std::thread::JoinHandle<std::io::Result<wire::Reply>>> {
    let address = gate.address();
    let threads =
        (0..count).map(|_| target.to_owned()).map(|target| std::thread::spawn(move || Request::new("GET", &target).try_send(address)));
    threads.collect()
}

#[test]
fn a_hundred_pulls_under_way_finish_after_sigterm() {
    let (upstream, mut gate, target) = scene(&[]);
    let latch = Latch::closed();
    upstream.rule(Rule::on("GET", "/blobs/").fault(Fault::HoldAfter(200_000, latch.clone())));
    let pulls = blobs_under_way(&gate, &target, 100);
    let joined = || gate.metric("sealgate_blob_singleflight_joined_total");
    assert!(wait_until(Duration::from_secs(20), || joined() >= 99.0), "{} requests wait for the one fetch", joined());
    gate.term();
    let draining = || Request::new("GET", "/readyz").try_send(gate.admin_address()).is_ok_and(|reply| reply.status == 503);
    assert!(wait_until(Duration::from_secs(5), draining), "readiness does not tell that it drains");
    let refused = || Request::new("GET", "/v2/").try_send(gate.address()).is_err();
    assert!(wait_until(Duration::from_secs(5), refused), "new connections are taken while draining");
    assert!(gate.process().is_running(), "it does not wait for the pulls");
    latch.open();
    let whole =
        pulls.into_iter().map(|pull| pull.join().expect("a client")).filter(|reply| reply.as_ref().is_ok_and(|reply| reply.complete));
    assert_eq!(whole.count(), 100);
    let status = gate.process().wait(LIMIT).expect("it ends when the pulls have ended");
    assert!(status.success(), "{status}\n{}", gate.log());
    assert_eq!(upstream.count("GET", "/blobs/"), 1);
}

#[test]
fn a_pull_that_never_ends_does_not_outlive_the_grace() {
    let (upstream, mut gate, target) = scene(&["shutdown-grace: 1s"]);
    upstream.rule(Rule::on("GET", "/blobs/").fault(Fault::StallAfter(200_000)));
    let pulls = blobs_under_way(&gate, &target, 3);
    assert!(wait_until(Duration::from_secs(10), || gate.metric("sealgate_upstream_bytes_total") >= 200_000.0));
    gate.term();
    let status = gate.process().wait(Duration::from_secs(8)).expect("it ends after the grace");
    assert!(status.success(), "{status}\n{}", gate.log());
    assert!(gate.log().contains("cut"), "what was cut is not in the log");
    for pull in pulls {
        assert!(pull.join().expect("a client").is_ok_and(|reply| !reply.complete));
    }
    gate.restart();
    upstream.behave();
    let reply = wire::get(gate.address(), &target).expect(200);
    assert!(reply.complete, "what was cut is fetched anew");
    let unfinished = || std::fs::read_dir(gate.folder().join("data/tmp")).expect("tmp").count();
    assert!(wait_until(Duration::from_secs(5), || unfinished() == 0), "unfinished files are left");
}
