//! A Docker engine of the tests' own: its own socket, storage and state, without a rule in the machine's firewall.

use std::ffi::OsString;
use std::sync::OnceLock;
use std::time::Duration;

use crate::keeper::{self, Keeper};
use crate::process::wait_until;
use crate::program::{Outcome, Program, require};

/// A running dockerd. Dropping it ends it and removes everything that it stored.
#[derive(Debug)]
pub struct Engine {
    keeper: Keeper,
}

/// The engine that the tests of one binary share; started at first use, ended with the process.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::start(&[]))
}

impl Engine {
    /// Starts a dockerd with further arguments, such as `--registry-mirror=…`. Registries on 127.0.0.0/8 may be plain HTTP for it.
    #[must_use]
    pub fn start(arguments: &[String]) -> Self {
        let folder = keeper::folder("dockerd");
        let path = |name: &str| folder.join(name).into_os_string();
        std::fs::write(folder.join("daemon.json"), "{}").expect("an empty daemon.json");
        let mut command = vec![require("dockerd").into_os_string()];
        for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid"), ("--config-file", "daemon.json")] {
            command.extend([OsString::from(option), path(name)]);
        }
        command.push(format!("--host=unix://{}", folder.join("docker.sock").display()).into());
        // No bridge, no forwarding and no firewall rules of its own: nothing of the machine's network changes. Networks that
        // compose creates work all the same, and published ports go through docker-proxy.
        command.extend(["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"].map(OsString::from));
        command.extend(arguments.iter().map(OsString::from));
        let engine = Self { keeper: Keeper::start(folder, &command) };
        let up = wait_until(Duration::from_secs(60), || engine.docker(["version"]).succeeded());
        assert!(up, "dockerd does not answer:\n{}", engine.log());
        engine
    }

    /// The value of `DOCKER_HOST` that reaches it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.keeper.folder().join("docker.sock").display())
    }

    /// A program that talks to this engine, such as `docker` or `docker-compose`, with a client config of its own.
    #[must_use]
    pub fn program(&self, name: &str) -> Program {
        Program::new(name).env("DOCKER_HOST", self.host()).env("DOCKER_CONFIG", self.keeper.folder().join("client"))
    }

    /// Runs `docker` with these arguments.
    pub fn docker<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(&self, arguments: I) -> Outcome {
        self.program("docker").args(arguments).run()
    }

    /// The digest under which the engine holds `reference`, if it does.
    #[must_use]
    pub fn repository_digest(&self, reference: &str) -> Option<String> {
        let found = self.docker(["image", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}", reference]);
        let repository = reference.split('@').next().unwrap_or_default();
        let repository = repository.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(repository, |(name, _)| name);
        let digest = |line: &str| line.split_once('@').filter(|(name, _)| *name == repository).map(|(_, digest)| digest.to_owned());
        found.stdout.lines().find_map(digest)
    }

    /// The daemon's log.
    #[must_use]
    pub fn log(&self) -> String {
        self.keeper.log()
    }
}
