//! Memory of downloads whose client takes nothing.

use std::time::Duration;

use crate::client::Client;
use crate::lab::{Lab, WARM};
use crate::report::{Goal, Report};
use crate::rounds::Ratio;
use crate::server::Target;
use crate::{distribution, machine, nginx};

/// Until buffers have filled and nothing moves.
const SETTLE: Duration = Duration::from_secs(2);

/// KiB of resident memory for each of many stalled downloads.
pub fn run(lab: &Lab, report: &mut Report) {
    machine::all_cores();
    let mut gate = lab.gate(false).start();
    let fixed = nginx::fixed("nginx", None, &lab.tree, None);
    let registry = distribution::start("docker-registry", distribution::Setup::default());
    distribution::fill(&registry, lab.upstream.address(false), &format!("{WARM}:1"));
    let targets = [Target::gate(&mut gate), fixed.target(), registry.target()];
    let idle: Vec<_> = targets.iter().map(|target| format!("{} {} MiB", target.name, target.rss_kib() / 1024)).collect();
    report.note(format!("idle memory, nothing served yet: {}", idle.join(", ")));
    let growth: Vec<f64> = targets.iter().map(|target| stalled(lab, target)).collect();
    let [gate, nginx, registry] = growth[..] else { return };
    report.note(format!("memory per stalled download, KiB: gate {gate:.0}, nginx {nginx:.0}, docker-registry {registry:.0}"));
    let ratio = Ratio::of(std::iter::once(gate / registry));
    report.ratio("memory per stalled download ÷ docker-registry", ratio, Goal::AtMost(1.0));
    report.ratio("memory per stalled download ÷ 300 KiB", Ratio::of(std::iter::once(gate / 300.0)), Goal::AtMost(1.0));
}

fn stalled(lab: &Lab, target: &Target) -> f64 {
    lab.warm_up(target);
    let path = target.path(WARM, &format!("blobs/{}", lab.warm.layers[1].digest));
    let before = target.rss_kib();
    let clients: Vec<_> = (0..lab.plan.stalled)
        .map(|_| {
            let mut client = Client::connect_narrow(target.address);
            client.send("GET", &path);
            client
        })
        .collect();
    std::thread::sleep(SETTLE);
    let after = target.rss_kib();
    (after.saturating_sub(before)) as f64 / clients.len() as f64
}
