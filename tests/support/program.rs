//! A client program, run to its end.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a client may take unless a test says otherwise.
const LIMIT: Duration = Duration::from_secs(180);

/// The path of `name`, or a panic that says how to get it.
#[must_use]
pub fn require(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps daemons in sbin, which is not on every user's path.
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")]);
    places
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: run tests/install-clients as root"))
}

/// What stands behind `Basic` (RFC 7617), and in the `auth` member of clients' configuration files.
#[must_use]
pub fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
}

/// A program and its arguments.
#[derive(Debug)]
pub struct Program {
    command: Command,
    limit: Duration,
}

/// What a program left behind.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command line, for reports.
    pub line: String,
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Program {
    /// The installed program `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::at(&require(name))
    }

    /// The program at `path`.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let mut command = Command::new(path);
        // No proxy of the machine stands between a client and loopback.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(name);
        }
        Self { command, limit: LIMIT }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working folder.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets the longest time that it may take.
    #[must_use]
    pub const fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end, without a stdin. Panics when it takes longer than its limit.
    #[must_use]
    pub fn run(mut self) -> Outcome {
        // Files, not pipes: a pipe stays open in a grandchild and would hold the test.
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let (out, err) = (scratch.path().join("out"), scratch.path().join("err"));
        let file = |path: &Path| File::create(path).expect("a scratch file");
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let line = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
        let started = self.command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn();
        let mut child = started.unwrap_or_else(|e| panic!("cannot start {line}: {e}"));
        let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
        let end = Instant::now() + self.limit;
        let status = loop {
            if let Some(status) = child.try_wait().expect("the state of a child") {
                break status;
            }
            if Instant::now() >= end {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{line} took longer than {:?}\n{}{}", self.limit, text(&out), text(&err));
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Outcome { line, code: status.code(), stdout: text(&out), stderr: text(&err) }
    }
}

impl Outcome {
    /// Whether it exited with 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Standard output, then standard error: what a terminal shows.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Itself, if it exited with 0.
    #[must_use]
    pub fn expect_success(self) -> Self {
        assert!(self.succeeded(), "{} exited with {:?}\n{}", self.line, self.code, self.text());
        self
    }

    /// Itself, if it exited with something other than 0.
    #[must_use]
    pub fn expect_failure(self) -> Self {
        assert!(!self.succeeded(), "{} should have failed\n{}", self.line, self.text());
        self
    }
}
