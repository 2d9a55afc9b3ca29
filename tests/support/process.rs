//! A server that a test starts, watches and ends.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// A running process whose output goes to a file. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` without a stdin; stdout and stderr are appended to `log`.
    #[must_use]
    pub fn spawn(command: &mut Command, log: &Path) -> Self {
        let out = append(log);
        let err = out.try_clone().expect("a second handle on the log");
        let child =
            command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        Self { child, log: log.to_path_buf() }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).unwrap_or_else(|e| panic!("cannot signal {}: {e}", self.pid()));
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The exit status, if the process ends within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            match self.child.try_wait().expect("the state of a child") {
                Some(status) => return Some(status),
                None if Instant::now() >= end => return None,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.wait(Duration::ZERO).is_none()
    }

    /// Resident memory now, in KiB (proc(5), `VmRSS`).
    #[must_use]
    pub fn rss_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// The most resident memory so far, in KiB (proc(5), `VmHWM`).
    #[must_use]
    pub fn peak_rss_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a memory line");
        line.trim().trim_end_matches(" kB").trim().parse().expect("a number of KiB")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command that runs `program` on one core, or wherever the system likes. The process id is the program's own.
#[must_use]
pub fn command_on(core: Option<usize>, program: &Path) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut command = Command::new(crate::program::require("taskset"));
    command.arg("-c").arg(core.to_string()).arg(program);
    command
}

/// Waits until `ready` answers true; false after `limit`.
pub fn wait_until(limit: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !ready() {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap_or_else(|e| panic!("cannot open {}: {e}", path.display()))
}
