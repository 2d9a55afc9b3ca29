//! Faults of the system, put into a running process by strace(1) (`inject`): what a disk answers that fails.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Process, Signal, wait_until};
use crate::program::require;

/// A process whose system calls fail. Dropping it leaves the process alone again.
#[derive(Debug)]
pub struct Strace {
    process: Process,
    folder: TempDir,
}

impl Strace {
    /// Attaches to a process and all its threads. `arguments` are strace's, such as `-e inject=fsync:error=EIO`.
    #[must_use]
    pub fn attach(pid: u32, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for strace");
        let mut command = Command::new(require("strace"));
        command.args(["-f", "-p", &pid.to_string(), "-o"]).arg(folder.path().join("calls")).args(arguments);
        let process = Process::spawn(&mut command, &folder.path().join("output"));
        let strace = Self { process, folder };
        let attached = wait_until(Duration::from_secs(20), || strace.process.log().contains("attached"));
        assert!(attached, "strace does not attach: {}", strace.process.log());
        strace
    }

    /// How many calls it made fail.
    #[must_use]
    pub fn injected(&self) -> usize {
        std::fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default().matches("(INJECTED)").count()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // It lets go of the process before it ends.
        if self.process.is_running() {
            self.process.signal(Signal::INT);
            let _ = self.process.wait(Duration::from_secs(10));
        }
    }
}
