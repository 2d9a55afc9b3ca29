//! A running gate takes a new policy and a new certificate, and keeps the last good one when what it finds is broken.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sealgate_tests::authority::{Authority, Certificate};
use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::hostile::Upstream;
use sealgate_tests::image::Image;
use sealgate_tests::process::wait_until;
use sealgate_tests::wire::{self, Request};

const LIMIT: Duration = Duration::from_secs(15);
const DENY: &str = "version: 1\nrules:\n  - images: [\"lab.example/**\"]\n    require: [ deny ]\n";
const RELOADED: &str = "sealgate_policy_last_reload_success";

fn scene() -> (Upstream, Gate) {
    let upstream = Upstream::start();
    upstream.push("team/app", "1", &Image::small());
    let gate = Setup::new().lab(&upstream.url()).allow_all().start();
    (upstream, gate)
}

fn status(gate: &Gate) -> u16 {
    wire::get(gate.address(), &Gate::target("team/app", "manifests/1")).status
}

#[test]
fn a_broken_policy_leaves_the_last_good_one_in_force_and_is_told_of() {
    let (_upstream, gate) = scene();
    assert_eq!((status(&gate), gate.metric(RELOADED)), (200, 1.0));
    gate.write("trust-policy.yaml", "version: 1\nruls: []\nrules:\n  - images: [\"lab.example/**\"]\n    require: [ denied ]\n");
    gate.reload();
    assert!(wait_until(LIMIT, || gate.metric(RELOADED) == 0.0), "the metric does not tell");
    assert_eq!(status(&gate), 200, "the last good policy stays in force");
    let log = gate.log();
    assert!(log.contains("trust-policy.yaml:2:1"), "no file, line and column in the log:\n{log}");
    assert!(log.contains("trust-policy.yaml:5:"), "not every error is listed:\n{log}");
    assert!(log.contains("stays in force"), "{log}");

    gate.write("trust-policy.yaml", DENY);
    gate.reload();
    assert!(wait_until(LIMIT, || gate.metric(RELOADED) == 1.0));
    assert_eq!(status(&gate), 403, "a good policy counts from the next request on");
    std::fs::remove_file(gate.folder().join("trust-policy.yaml")).expect("the policy");
    gate.reload();
    assert!(wait_until(LIMIT, || gate.metric(RELOADED) == 0.0));
    assert_eq!(status(&gate), 403, "no file is no reason to admit");
}

// A reload during pulls: each answer is of one policy or the other, and the process lives.
#[test]
fn reloads_during_pulls_are_atomic() {
    let (_upstream, mut gate) = scene();
    let policy = std::fs::read_to_string(gate.folder().join("trust-policy.yaml")).expect("the policy");
    for round in 0..20 {
        gate.write("trust-policy.yaml", if round % 2 == 0 { DENY } else { &policy });
        gate.reload();
        for _ in 0..5 {
            assert!(matches!(status(&gate), 200 | 403));
        }
    }
    assert!(wait_until(LIMIT, || status(&gate) == 200), "the last one read is in force");
    assert!(gate.process().is_running());
}

/// Speaks TLS to the gate and returns the certificate that it shows.
fn shown(gate: &Gate, authority: &Authority) -> Option<CertificateDer<'static>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let connection = ClientConnection::new(config, ServerName::try_from("localhost").expect("a name")).expect("a client");
    let mut stream = StreamOwned::new(connection, TcpStream::connect(gate.address()).expect("a connection"));
    let reply = Request::new("GET", "/v2/").send_on(&mut stream, "localhost").ok()?;
    assert_eq!(reply.status, 200);
    stream.conn.peer_certificates()?.first().map(|certificate| certificate.clone().into_owned())
}

#[test]
fn a_new_certificate_is_shown_without_a_restart_and_a_broken_one_is_not() {
    let authority = Authority::new();
    let [first, second] = [authority.issue(&["localhost"]), authority.issue(&["localhost"])];
    let der = |certificate: &Certificate| CertificateDer::from_pem_slice(certificate.certificate_pem.as_bytes()).expect("PEM");
    let setup = Setup::new().allow_all().registry("lab.example", "{ upstream: http://127.0.0.1:9 }");
    let setup = setup.line("tls: { certificate: tls/gate.crt, key: tls/gate.key }");
    let gate = setup.file("tls/gate.crt", &first.certificate_pem).file("tls/gate.key", &first.key_pem).start();
    assert_eq!(shown(&gate, &authority), Some(der(&first)));
    gate.write("tls/gate.crt", "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n");
    gate.reload();
    assert!(wait_until(LIMIT, || gate.metric("sealgate_tls_last_reload_success") == 0.0), "the metric does not tell");
    assert_eq!(shown(&gate, &authority), Some(der(&first)), "the last good certificate stays");
    gate.write("tls/gate.key", &second.key_pem);
    gate.write("tls/gate.crt", &second.certificate_pem);
    gate.reload();
    assert!(wait_until(LIMIT, || shown(&gate, &authority) == Some(der(&second))), "the new certificate is not shown");
    assert!(wait_until(LIMIT, || gate.metric("sealgate_tls_last_reload_success") == 1.0));
    assert!(!gate.log().contains("PRIVATE KEY"));
}
