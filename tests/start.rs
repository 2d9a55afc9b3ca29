//! How the gate starts, and how it refuses to.

use std::time::Duration;

use sealgate_tests::gate::{Gate, Setup, sealgate};
use sealgate_tests::hostile::Upstream;
use sealgate_tests::image::Image;
use sealgate_tests::port;
use sealgate_tests::process::wait_until;
use sealgate_tests::wire::{self, Request};

const LIMIT: Duration = Duration::from_secs(20);

fn ended(mut gate: Gate) -> (Option<i32>, String) {
    let status = gate.process().wait(LIMIT).expect("it does not start");
    (status.code(), gate.log())
}

#[test]
fn a_broken_config_lists_every_error_at_once_and_exits_with_3() {
    let setup = Setup::new().line("lisen: 1").line("evidence: { ttl: soon }").registry("lab.example", "{ upstrm: http://127.0.0.1:9 }");
    let (code, log) = ended(setup.allow_all().start_unready());
    assert_eq!(code, Some(3), "{log}");
    for place in ["sealgate.yaml:4:1", "sealgate.yaml:5:", "sealgate.yaml:9:"] {
        assert!(log.contains(place), "{place} is not named:\n{log}");
    }
    assert!(log.contains("listen") && log.contains("upstream"), "no suggestion:\n{log}");
}

#[test]
fn a_broken_policy_lists_every_error_at_once_and_exits_with_3() {
    let policy = "version: 1\nmod: enforce\nrules:\n  - images: [\"lab.example/**\"]\n    require: [ { signed-by: { any: [nobody] } } ]\n  \
                  - images: [\"lab.example/**\"]\n    require: [ alow ]\n";
    let setup = Setup::new().registry("lab.example", "{ upstream: http://127.0.0.1:9, default: true }").policy(policy);
    let gate = setup.start_unready();
    let config = gate.folder().join("sealgate.yaml");
    let check = sealgate(["config", "check", "--config"]).arg(&config).run();
    assert_eq!(check.code, Some(3), "{}", check.text());
    let (code, log) = ended(gate);
    assert_eq!(code, Some(3), "{log}");
    for text in [log, check.text()] {
        for place in ["trust-policy.yaml:2:1", "trust-policy.yaml:5:", "trust-policy.yaml:7:"] {
            assert!(text.contains(place), "{place} is not named:\n{text}");
        }
    }
}

#[test]
fn a_port_that_is_taken_ends_the_start_with_its_mend() {
    let upstream = Upstream::start();
    let first = Setup::new().lab(&upstream.url()).allow_all().start();
    let second = Setup::new().lab(&upstream.url()).allow_all().env("SEALGATE_LISTEN", &first.address().to_string());
    let (code, log) = ended(second.start_unready());
    assert_eq!(code, Some(1));
    assert!(log.contains(&first.address().to_string()) && log.contains("SEALGATE_LISTEN"), "{log}");
}

#[test]
fn the_environment_overrides_the_file() {
    let upstream = Upstream::start();
    upstream.push("team/app", "1", &Image::small());
    let (elsewhere, listen) = (tempfile::tempdir().expect("a folder"), format!("127.0.0.1:{}", port::free()));
    let deny = elsewhere.path().join("deny.yaml");
    std::fs::write(&deny, "version: 1\nrules: [ { images: [\"**\"], require: [ deny ] } ]\n").expect("a policy");
    let data = elsewhere.path().join("data");
    let setup = Setup::new().lab(&upstream.url()).allow_all().env("SEALGATE_LISTEN", &listen);
    let setup = setup.env("SEALGATE_DATA", &data.display().to_string()).env("SEALGATE_POLICY", &deny.display().to_string());
    let gate = setup.env("SEALGATE_PUBLIC_URL", "https://gate.example").env("SEALGATE_LISTN", "x").start();
    let listen = listen.parse().expect("an address");
    assert_eq!(wire::get(listen, &Gate::target("team/app", "manifests/1")).status, 403, "the policy of the environment");
    assert!(Request::new("GET", "/v2/").try_send(gate.address()).is_err(), "the file's port is not used");
    assert!(data.join("ledger").is_dir() && !gate.folder().join("data").exists());
    let warned = || gate.log().contains("SEALGATE_LISTN") && gate.log().contains("did you mean SEALGATE_LISTEN");
    assert!(wait_until(LIMIT, warned), "{}", gate.log());
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn without_a_config_file_everything_is_denied_and_the_log_says_how_to_begin() {
    let folder = tempfile::tempdir().expect("a folder");
    let (listen, admin) = (format!("127.0.0.1:{}", port::free()), format!("127.0.0.1:{}", port::free()));
    let mut command = std::process::Command::new(sealgate_tests::gate::binary());
    command.arg("serve").current_dir(folder.path()).env("SEALGATE_LISTEN", &listen).env("SEALGATE_ADMIN_LISTEN", &admin);
    let process = sealgate_tests::process::Process::spawn(&mut command, &folder.path().join("log"));
    let listen = listen.parse().expect("an address");
    assert!(wait_until(LIMIT, || Request::new("GET", "/v2/").try_send(listen).is_ok()), "{}", process.log());
    let reply = wire::get(listen, "/v2/library/nginx/manifests/latest").expect(403);
    assert_eq!(reply.error().0, "DENIED");
    assert!(process.log().contains("sealgate init"), "{}", process.log());
}
