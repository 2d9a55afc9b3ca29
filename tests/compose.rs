//! The shipped Dockerfile and docker-compose.yml, brought up for real: built from the binary that was just compiled, on an engine
//! without a base image or a network of its own.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use sealgate_tests::clients::Client;
use sealgate_tests::cosign::{self, KeyPair, Layout};
use sealgate_tests::docker::{Engine, engine};
use sealgate_tests::image::Image;
use sealgate_tests::port;
use sealgate_tests::process::wait_until;
use sealgate_tests::program::{Outcome, Program};
use sealgate_tests::registry::Registry;
use serde_json::Value;
use tempfile::TempDir;

const PROJECT: &str = "sealgate-test";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

/// The folder that the Dockerfile copies from, laid out by the script that users run.
fn dist() -> &'static str {
    static DIST: OnceLock<String> = OnceLock::new();
    DIST.get_or_init(|| {
        let script = Program::at(&repository().join("tests/build-static")).limit(Duration::from_secs(1800));
        script.folder(&repository()).run().expect_success().stdout.trim().to_owned()
    })
}

/// docker-compose.yml brought up, with the test's ports, network and config. Dropping it takes it down.
struct Composed {
    engine: &'static Engine,
    folder: TempDir,
    port: u16,
}

impl Composed {
    fn file(&self) -> PathBuf {
        self.folder.path().join("override.yml")
    }

    fn compose(&self, arguments: &[&str]) -> Outcome {
        let compose = self.engine.program("docker-compose").env("SEALGATE_DIST", dist());
        let compose = compose.env("SEALGATE_CONFIG_FOLDER", self.folder.path().join("gate")).args(["--project-name", PROJECT]);
        compose.arg("--file").arg(repository().join("docker-compose.yml")).arg("--file").arg(self.file()).args(arguments).run()
    }

    fn container(&self) -> Value {
        let id = self.compose(&["ps", "--quiet", "sealgate"]).expect_success().stdout;
        let inspected = self.engine.docker(["inspect", id.trim()]).expect_success().stdout;
        serde_json::from_str::<Value>(&inspected).expect("JSON")[0].clone()
    }

    fn wait_healthy(&self) {
        let healthy = || self.container()["State"]["Health"]["Status"] == "healthy";
        if !wait_until(Duration::from_secs(60), healthy) {
            panic!("not healthy: {}\n{}", self.container()["State"], self.compose(&["logs"]).text());
        }
    }

    fn reference(&self, name: &str) -> String {
        format!("127.0.0.1:{}/lab.example/{name}", self.port)
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        let down = self.compose(&["down", "--volumes", "--timeout", "5"]);
        assert!(down.succeeded() || std::thread::panicking(), "{}", down.text());
    }
}

/// A network of the test's own in 10.0.0.0/8 whose gateway is this machine.
fn subnet(port: u16) -> (String, Ipv4Addr) {
    let [high, low] = port.to_be_bytes();
    (format!("10.{high}.{low}.0/24"), Ipv4Addr::new(10, high, low, 1))
}

fn bring_up(registry: &Registry, key: &KeyPair) -> Composed {
    let (port, admin_port) = (port::free(), port::free());
    let (subnet, gateway) = subnet(port);
    let composed = Composed { engine: engine(), folder: tempfile::tempdir().expect("a folder for compose"), port };
    let gate = composed.folder.path().join("gate");
    std::fs::create_dir(&gate).expect("a config folder");
    let config = format!(
        "policy: trust-policy.yaml\nregistries:\n  lab.example: {{ upstream: \"http://{gateway}:{}\" }}\n",
        registry.address().port()
    );
    let policy = "version: 1\nsigners: { ci: { key: ci.pub } }\nrules:\n  - images: [\"lab.example/**\"]\n    \
                  require: [ { signed-by: { any: [ci] } } ]\n";
    for (name, content) in [("sealgate.yaml", config), ("trust-policy.yaml", policy.to_owned()), ("ci.pub", key.public_pem())] {
        std::fs::write(gate.join(name), content).expect("a config file");
    }
    // The container runs as 65532 and the temporary folder is the tester's alone.
    for folder in [composed.folder.path(), &gate] {
        std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    }
    let overrides = format!(
        "services:\n  sealgate:\n    image: sealgate:test\n    restart: 'no'\n    healthcheck: {{ interval: 1s }}\n    \
         ports: !override [\"127.0.0.1:{port}:5000\", \"127.0.0.1:{admin_port}:5001\"]\n\
         networks:\n  default: {{ ipam: {{ config: [{{ subnet: {subnet}, gateway: {gateway} }}] }} }}\n"
    );
    std::fs::write(composed.file(), overrides).expect("the override");
    let _ = composed.compose(&["up", "--build", "--detach"]).expect_success();
    composed.wait_healthy();
    composed
}

#[test]
fn the_composed_gate_is_healthy_confined_and_serves_only_what_is_signed() {
    let (registry, key) = (Registry::start_at(Ipv4Addr::UNSPECIFIED), KeyPair::generate());
    let (signed, unsigned) = (Image::small(), Image::small());
    registry.push("team/signed", "1", &signed);
    registry.push("team/unsigned", "1", &unsigned);
    let reference = registry.reference(&format!("team/signed@{}", signed.digest()));
    let _ = cosign::sign(&key.private(), Layout::Bundle, &reference).expect_success();
    let composed = bring_up(&registry, &key);

    assert_eq!(Client::Docker.pull(&composed.reference("team/signed:1")).expect_digest(), signed.digest());
    let text = Client::Docker.pull(&composed.reference("team/unsigned:1")).expect_refusal();
    assert!(text.contains("DENIED by policy rule lab.example/**"), "{text}");

    assert_confined(&composed.container());

    // What was pulled lives in the volume: it outlasts the container and is served without the upstream.
    let _ = composed.compose(&["up", "--detach", "--force-recreate"]).expect_success();
    composed.wait_healthy();
    drop(registry);
    assert_eq!(Client::Crane.pull(&composed.reference("team/signed:1")).expect_digest(), signed.digest());

    let _ = composed.compose(&["stop"]).expect_success();
    let id = composed.compose(&["ps", "--all", "--quiet", "sealgate"]).stdout;
    let code = composed.engine.docker(["inspect", "--format", "{{.State.ExitCode}}", id.trim()]).stdout;
    assert_eq!(code.trim(), "0", "SIGTERM ends the gate cleanly");
}

fn assert_confined(container: &Value) {
    assert_eq!(container["Config"]["User"], "65532:65532");
    let host = &container["HostConfig"];
    assert_eq!(host["ReadonlyRootfs"], true);
    assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]));
    assert_eq!(host["SecurityOpt"], serde_json::json!(["no-new-privileges:true"]));
    for binding in host["PortBindings"].as_object().expect("published ports").values() {
        assert_eq!(binding[0]["HostIp"], "127.0.0.1");
    }
    assert!(
        container["Mounts"].as_array().expect("mounts").iter().any(|mount| mount["Type"] == "volume" && mount["Destination"] == "/data")
    );

    // What the settings promise, seen from the kernel (proc(5)).
    let pid = container["State"]["Pid"].as_u64().expect("a process");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process");
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    assert_eq!(field("Uid:").split_whitespace().collect::<Vec<_>>(), ["65532"; 4]);
    assert_eq!(field("Gid:").split_whitespace().collect::<Vec<_>>(), ["65532"; 4]);
    assert_eq!((field("CapEff:"), field("CapBnd:")), ("0000000000000000".to_owned(), "0000000000000000".to_owned()));
    assert_eq!(field("NoNewPrivs:"), "1");
}
