//! Warm blobs, small and large, over plaintext and TLS.

use crate::lab::{Lab, WARM};
use crate::report::{Goal, Report};
use crate::rounds::{Series, rotate};
use crate::server::Target;
use crate::{client, distribution, load, machine, nginx};

const NAMES: [&str; 4] = ["gate", "nginx", "docker-registry", "nginx again"];
/// Connections that fetch the large blob at once.
const PLAIN: usize = 4;
const TLS: usize = 2;

/// Both blobs over plaintext.
pub fn plain(lab: &Lab, report: &mut Report) {
    machine::client_core();
    let core = machine::server_core();
    let mut gate = lab.gate(false).on_core(core).start();
    let fixed = nginx::fixed("nginx", core, &lab.tree, None);
    let registry = distribution::start("docker-registry", distribution::Setup { core, ..Default::default() });
    distribution::fill(&registry, lab.upstream.address(false), &format!("{WARM}:1"));
    let targets = [Target::gate(&mut gate), fixed.target(), registry.target()];
    targets.iter().for_each(|target| lab.warm_up(target));
    let plan = lab.plan;
    let [small, large] = [&lab.warm.layers[0], &lab.warm.layers[1]];

    let path = format!("blobs/{}", small.digest);
    let series = rotate(&NAMES, plan.rounds, |which| {
        let target = targets.get(which).unwrap_or(&targets[1]);
        load::get(target, &target.path(WARM, &path), plan.seconds)
    });
    report.series("64 KiB blob", "request", &series);
    lines(report, "64 KiB blob", &series, [1.0, 0.6]);

    let path = format!("blobs/{}", large.digest);
    let size = large.bytes.len() as u64;
    let series = rotate(&NAMES, plan.rounds, |which| {
        let target = targets.get(which).unwrap_or(&targets[1]);
        load::drain(target, &target.path(WARM, &path), size, PLAIN, plan.fetches, None)
    });
    report.series("256 MiB blob", "GB", &series);
    lines(report, "256 MiB blob", &series, [1.0, 0.9]);
}

/// The large blob over TLS 1.3.
pub fn tls(lab: &Lab, report: &mut Report) {
    machine::client_core();
    let core = machine::server_core();
    let certificate = lab.certificate();
    let setup = lab.gate(false).file("tls/gate.crt", &certificate.certificate_pem).file("tls/gate.key", &certificate.key_pem);
    let mut gate = setup.line("tls: { certificate: tls/gate.crt, key: tls/gate.key }").on_core(core).start();
    let fixed = nginx::fixed("nginx", core, &lab.tree, Some(&certificate));
    let url = lab.upstream.url(false);
    let setup = distribution::Setup { core, upstream: Some(&url), tls: Some(&certificate) };
    let registry = distribution::start("docker-registry", setup);
    let targets = [Target::gate(&mut gate), fixed.target(), registry.target()];
    let config = client::tls(lab.authority.pem());
    let large = &lab.warm.layers[1];
    let (path, size) = (format!("blobs/{}", large.digest), large.bytes.len() as u64);
    for target in &targets {
        let mut client = client::Client::connect_tls(target.address, &config);
        let _ = client.get(&target.path(WARM, &format!("manifests/{}", lab.warm.digest())));
        assert_eq!(client.drain(&target.path(WARM, &path)), size, "{}", target.name);
    }
    let series = rotate(&NAMES, lab.plan.rounds, |which| {
        let target = targets.get(which).unwrap_or(&targets[1]);
        load::drain(target, &target.path(WARM, &path), size, TLS, lab.plan.fetches, Some(&config))
    });
    report.series("256 MiB blob over TLS", "GB", &series);
    lines(report, "256 MiB blob over TLS", &series, [1.0, 1.0]);
}

fn lines(report: &mut Report, what: &str, series: &[Series], [plain, fixed]: [f64; 2]) {
    let [gate, nginx, registry, again] = series else { return };
    report.ratio(format!("{what}: rate ÷ docker-registry"), gate.rate_over(registry), Goal::AtLeast(plain));
    report.ratio(format!("{what}: CPU ÷ docker-registry"), gate.cpu_over(registry), Goal::AtMost(1.0));
    report.ratio(format!("{what}: rate ÷ nginx"), gate.rate_over(nginx), Goal::AtLeast(fixed));
    report.ratio(format!("{what}: CPU ÷ nginx"), gate.cpu_over(nginx), Goal::None);
    report.ratio(format!("{what}: A/A, nginx ÷ nginx"), again.rate_over(nginx), Goal::None);
}
