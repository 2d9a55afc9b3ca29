//! A server under load, whoever it is.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sealgate_tests::gate::{Gate, LAB};
use sealgate_tests::process::{Process, Signal, wait_until};
use tempfile::TempDir;

use crate::machine;

/// Where a load goes, and whose CPU it uses.
#[derive(Debug, Clone)]
pub struct Target {
    /// For the report.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process, or its processes' parent.
    pub pid: u32,
    /// What stands before the repository's name in its paths.
    prefix: String,
}

impl Target {
    /// The gate.
    pub fn gate(gate: &mut Gate) -> Self {
        Self { name: "gate", address: gate.address(), pid: gate.process().pid(), prefix: format!("/v2/{LAB}/") }
    }

    /// The path of `rest` (`manifests/1`) in `repository`.
    pub fn path(&self, repository: &str, rest: &str) -> String {
        format!("{}{repository}/{rest}", self.prefix)
    }

    /// CPU seconds so far.
    pub fn cpu(&self) -> f64 {
        machine::cpu_seconds(self.pid)
    }

    /// Resident memory, KiB.
    pub fn rss_kib(&self) -> u64 {
        machine::rss_kib(self.pid)
    }
}

/// A running peer. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    process: Process,
    address: SocketAddr,
    folder: TempDir,
}

impl Server {
    /// Starts `command`, which serves at `address`, and waits until it accepts connections.
    pub fn start(name: &'static str, command: &mut Command, address: SocketAddr, folder: TempDir) -> Self {
        let process = Process::spawn(command, &folder.path().join("output"));
        let server = Self { name, process, address, folder };
        let accepts = wait_until(Duration::from_secs(20), || std::net::TcpStream::connect(address).is_ok());
        assert!(accepts, "{name} does not accept connections:\n{}", server.process.log());
        server
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// As a target.
    pub fn target(&self) -> Target {
        Target { name: self.name, address: self.address, pid: self.process.pid(), prefix: "/v2/".to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx ends its workers on SIGTERM only.
        if self.process.is_running() {
            self.process.signal(Signal::TERM);
            let _ = self.process.wait(Duration::from_secs(5));
        }
    }
}
