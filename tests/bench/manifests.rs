//! Warm manifests: the gate decides on each request, the peers do not.

use crate::lab::{Lab, WARM};
use crate::report::{Goal, Report};
use crate::rounds::{Sample, Series, rotate};
use crate::server::Target;
use crate::{distribution, load, machine, nginx};

/// GET by digest and HEAD by tag.
pub fn run(lab: &Lab, report: &mut Report) {
    machine::client_core();
    let core = machine::server_core();
    let mut gate = lab.gate(false).on_core(core).start();
    let fixed = nginx::fixed("nginx", core, &lab.tree, None);
    let plain = distribution::start("docker-registry", distribution::Setup { core, ..Default::default() });
    distribution::fill(&plain, lab.upstream.address(false), &format!("{WARM}:1"));
    let url = lab.upstream.url(false);
    let through = distribution::start("pull-through", distribution::Setup { core, upstream: Some(&url), tls: None });
    let targets = [Target::gate(&mut gate), fixed.target(), plain.target(), through.target()];
    targets.iter().for_each(|target| lab.warm_up(target));
    let plan = lab.plan;
    let names = ["gate", "nginx", "docker-registry", "pull-through", "nginx again"];
    let measure = |report: &mut Report, what: &str, load: &dyn Fn(&Target) -> Sample| {
        let count = || (lab.upstream.requests_of_the_gate(), lab.upstream.requests().len());
        let (ours, all) = count();
        let series = rotate(&names, plan.rounds, |which| load(targets.get(which).unwrap_or(&targets[1])));
        let (ours, all) = (count().0 - ours, count().1 - all);
        report.series(what, "request", &series);
        report.count(format!("{what}: requests of the gate upstream"), &0, &ours);
        report.note(format!("{what}: requests of docker-registry pull-through upstream: {}", all - ours));
        series
    };
    let digest = format!("manifests/{}", lab.warm.digest());
    let series = measure(report, "manifest GET", &|target| load::get(target, &target.path(WARM, &digest), plan.seconds));
    lines(report, "manifest GET with decision", &series, [40.0, 40.0, 0.8]);
    let series = measure(report, "HEAD by tag", &|target| load::head(target, &target.path(WARM, "manifests/1"), plan.seconds, plan.heads));
    lines(report, "HEAD by tag", &series, [1.0, 1.0, 0.7]);
}

fn lines(report: &mut Report, what: &str, series: &[Series], [plain, through, fixed]: [f64; 3]) {
    let [gate, nginx, registry, pull_through, again] = series else { return };
    report.ratio(format!("{what}: rate ÷ docker-registry"), gate.rate_over(registry), Goal::AtLeast(plain));
    report.ratio(format!("{what}: rate ÷ docker-registry pull-through"), gate.rate_over(pull_through), Goal::AtLeast(through));
    report.ratio(format!("{what}: rate ÷ nginx static"), gate.rate_over(nginx), Goal::AtLeast(fixed));
    report.ratio(format!("{what}: CPU ÷ docker-registry"), gate.cpu_over(registry), Goal::AtMost(1.0));
    report.ratio(format!("{what}: CPU ÷ nginx static"), gate.cpu_over(nginx), Goal::None);
    report.ratio(format!("{what}: A/A, nginx ÷ nginx"), again.rate_over(nginx), Goal::None);
}
