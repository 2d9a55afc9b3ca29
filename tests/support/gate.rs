//! The gate as a process, with a config, a policy and a data folder of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::port;
use crate::process::{Process, Signal, wait_until};
use crate::program::Program;
use crate::wire::Request;

/// The canonical name under which tests put their upstream.
pub const LAB: &str = "lab.example";

/// How long the gate may take until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// Where the binary under test is: `SEALGATE_BIN`, or beside the test binary's folder.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("SEALGATE_BIN") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("the path of this test");
    // target/debug/deps/TEST -> target/debug/sealgate
    let path = test.parent().and_then(Path::parent).expect("a target folder").join("sealgate");
    assert!(path.is_file(), "{} is missing: run `cargo build -p sealgate`, or tests/run, which does", path.display());
    path
}

/// `sealgate` with these arguments and no environment of the machine's own.
#[must_use]
pub fn sealgate<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(arguments: I) -> Program {
    Program::at(&binary()).env("COSIGN_PASSWORD", crate::cosign::PASSWORD).env("NO_COLOR", "1").args(arguments)
}

/// A gate to be.
#[derive(Debug, Default)]
pub struct Setup {
    lines: Vec<String>,
    registries: Vec<String>,
    policy: Option<String>,
    files: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    core: Option<usize>,
    parent: Option<PathBuf>,
}

/// A running gate. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Gate {
    process: Process,
    folder: TempDir,
    port: u16,
    admin_port: u16,
    environment: Vec<(String, String)>,
    core: Option<usize>,
}

impl Setup {
    /// With no registry and no policy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line at the top level of the server config.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Adds an entry under `registries:`; `settings` is a YAML flow mapping.
    #[must_use]
    pub fn registry(mut self, name: &str, settings: &str) -> Self {
        self.registries.push(format!("  {name}: {settings}"));
        self
    }

    /// Adds the registry [`LAB`] at `url`, with the product's own lifetimes.
    #[must_use]
    pub fn lab(self, url: &str) -> Self {
        self.registry(LAB, &format!("{{ upstream: {url} }}"))
    }

    /// Adds the registry [`LAB`] at `url`; tags and evidence are asked for anew at each request.
    #[must_use]
    pub fn lab_without_memory(self, url: &str) -> Self {
        self.registry(LAB, &format!("{{ upstream: {url}, tag-ttl: 0s }}")).line("evidence: { ttl: 0s, missing-ttl: 0s }")
    }

    /// Sets the trust policy's text.
    #[must_use]
    pub fn policy(mut self, text: impl Into<String>) -> Self {
        self.policy = Some(text.into());
        self
    }

    /// A policy that admits from [`LAB`] what is signed by `key` (PEM), and nothing else.
    #[must_use]
    pub fn signed_by(self, key: &str) -> Self {
        self.file("keys/ci.pub", key).policy(format!(
            "version: 1\nsigners:\n  ci: {{ key: keys/ci.pub }}\nrules:\n  - images: [\"{LAB}/**\"]\n    require: [ {{ signed-by: {{ any: [ci] }} }} ]\n"
        ))
    }

    /// A policy that admits everything from [`LAB`], for tests that are not about trust.
    #[must_use]
    pub fn allow_all(self) -> Self {
        self.policy(format!("version: 1\nrules:\n  - images: [\"{LAB}/**\"]\n    require: [ allow ]\n"))
    }

    /// Adds a file beside the config.
    #[must_use]
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.files.push((path.to_owned(), content.to_owned()));
        self
    }

    /// Sets an environment variable of the gate.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Keeps the gate on one core, so that it has one worker.
    #[must_use]
    pub const fn on_core(mut self, core: Option<usize>) -> Self {
        self.core = core;
        self
    }

    /// Puts the gate's folder below this one, rather than among the temporary files.
    #[must_use]
    pub fn below(mut self, parent: &Path) -> Self {
        self.parent = Some(parent.to_path_buf());
        self
    }

    /// Starts the gate and waits until it is ready.
    #[must_use]
    pub fn start(self) -> Gate {
        let gate = self.start_unready();
        gate.wait_ready();
        gate
    }

    /// Starts the gate without waiting, for tests of the start itself.
    #[must_use]
    pub fn start_unready(self) -> Gate {
        let folder = self.parent.as_ref().map_or_else(tempfile::tempdir, tempfile::tempdir_in).expect("a folder for the gate");
        let (port, admin_port) = (port::free(), port::free());
        self.write(folder.path(), port, admin_port);
        let process = spawn(folder.path(), &self.environment, self.core);
        Gate { process, folder, port, admin_port, environment: self.environment, core: self.core }
    }

    fn write(&self, folder: &Path, port: u16, admin_port: u16) {
        let mut config = format!("listen: 127.0.0.1:{port}\nadmin: {{ listen: 127.0.0.1:{admin_port} }}\ndata: ./data\n");
        for line in &self.lines {
            config += &format!("{line}\n");
        }
        if !self.lines.iter().any(|line| line.starts_with("trust-root:")) {
            // No test asks the public instance.
            config += "trust-root: { refresh: never }\n";
        }
        if let Some(policy) = &self.policy {
            config += "policy: trust-policy.yaml\n";
            std::fs::write(folder.join("trust-policy.yaml"), policy).expect("the policy");
        }
        if !self.registries.is_empty() {
            config += &format!("registries:\n{}\n", self.registries.join("\n"));
        }
        std::fs::write(folder.join("sealgate.yaml"), config).expect("the config");
        for (path, content) in &self.files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for a file");
            std::fs::write(path, content).expect("a file of the config");
        }
    }
}

impl Gate {
    /// Where it listens for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Where it listens for its admin.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.admin_port))
    }

    /// What a client writes for `name` (`team/app:1`) of [`LAB`].
    #[must_use]
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{LAB}/{name}", self.address())
    }

    /// The request target of `rest` (`manifests/1`, `blobs/sha256:…`) in `repository` of [`LAB`].
    #[must_use]
    pub fn target(repository: &str, rest: &str) -> String {
        format!("/v2/{LAB}/{repository}/{rest}")
    }

    /// The folder of its config and data.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Everything that it has logged, over restarts too.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Resident memory, in KiB.
    #[must_use]
    pub fn rss_kib(&self) -> u64 {
        self.process.rss_kib()
    }

    /// Whether `/readyz` says so now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        Request::new("GET", "/readyz").limit(Duration::from_secs(5)).try_send(self.admin_address()).is_ok_and(|reply| reply.status == 200)
    }

    /// Waits until `/readyz` says so.
    pub fn wait_ready(&self) {
        assert!(wait_until(READY_LIMIT, || self.is_ready()), "the gate is not ready after {READY_LIMIT:?}:\n{}", self.log());
    }

    /// The value of a metric: the sum over the lines of `/metrics` that begin with `prefix`.
    #[must_use]
    pub fn metric(&self, prefix: &str) -> f64 {
        let page = Request::new("GET", "/metrics").send(self.admin_address()).expect(200).text();
        let values = page.lines().filter(|line| line.starts_with(prefix)).filter_map(|line| line.rsplit(' ').next());
        values.filter_map(|value| value.parse::<f64>().ok()).sum()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM: a graceful shutdown begins.
    pub fn term(&self) {
        self.process.signal(Signal::TERM);
    }

    /// SIGKILL, then a new start on the same data and ports, without waiting until it is ready.
    pub fn restart_unready(&mut self) {
        self.process.kill();
        self.start_again();
    }

    /// A new start of a gate that has ended.
    pub fn start_again(&mut self) {
        self.process = spawn(self.folder.path(), &self.environment, self.core);
    }

    /// SIGKILL, then a new start on the same data and ports.
    pub fn restart(&mut self) {
        self.restart_unready();
        self.wait_ready();
    }

    /// Replaces a file of the config; [`Gate::reload`] makes it count.
    pub fn write(&self, path: &str, content: &str) {
        std::fs::write(self.folder.path().join(path), content).unwrap_or_else(|e| panic!("{path}: {e}"));
    }

    /// SIGHUP.
    pub fn reload(&self) {
        self.process.signal(Signal::HUP);
    }

    /// `sealgate store COMMAND --config …` beside this gate, run in its folder.
    #[must_use]
    pub fn store<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(&self, command: &str, arguments: I) -> Program {
        let config = self.folder.path().join("sealgate.yaml");
        sealgate(["store", command]).arg("--config").arg(config).args(arguments).folder(self.folder.path())
    }

    /// `sealgate COMMAND --config …` beside this gate, run in its folder.
    #[must_use]
    pub fn command<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(&self, command: &str, arguments: I) -> Program {
        let config = self.folder.path().join("sealgate.yaml");
        sealgate([command]).arg("--config").arg(config).args(arguments).folder(self.folder.path())
    }
}

fn spawn(folder: &Path, environment: &[(String, String)], core: Option<usize>) -> Process {
    let mut command = crate::process::command_on(core, &binary());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    command.args(["serve", "--config"]).arg(folder.join("sealgate.yaml")).current_dir(folder);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    Process::spawn(&mut command, &folder.join("gate.log"))
}
