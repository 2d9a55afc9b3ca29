//! The clients that people pull with, each with storage of its own.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::docker;
use crate::program::{Outcome, Program, basic};
use crate::sha256;

/// A client that pulls images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// `docker pull`, classic image store.
    Docker,
    /// `podman pull`.
    Podman,
    /// `skopeo copy` into a folder.
    Skopeo,
    /// `crane pull` into an OCI layout.
    Crane,
    /// `oras copy` into an OCI layout.
    Oras,
}

/// A pull and what came of it.
#[derive(Debug, Clone)]
pub struct Pull {
    /// What the client printed and how it exited.
    pub outcome: Outcome,
    /// The digest of what it stored: the manifest's, or the index's where the client keeps it.
    pub digest: Option<String>,
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Docker, Self::Podman, Self::Skopeo, Self::Crane, Self::Oras];

    /// Pulls `reference` (`HOST:PORT/NAME:TAG` or `…@DIGEST`) over plain HTTP.
    #[must_use]
    pub fn pull(self, reference: &str) -> Pull {
        self.pull_platform(reference, None)
    }

    /// Pulls `reference` as a client that has logged in with this user name and password.
    #[must_use]
    pub fn pull_as(self, reference: &str, user: &str, password: &str) -> Pull {
        let storage = tempfile::tempdir().expect("storage for a client");
        let host = reference.split('/').next().unwrap_or_default();
        let login = serde_json::json!({ "auths": { host: { "auth": basic(user, password) } } });
        for name in ["auth.json", "config.json"] {
            std::fs::write(storage.path().join(name), login.to_string()).expect("an auth file");
        }
        match self {
            Self::Docker => docker_in(docker::engine(), reference, None, Some(storage.path())),
            Self::Podman | Self::Skopeo | Self::Crane | Self::Oras => self.pull_in(&storage, reference, None),
        }
    }

    /// Pulls what `reference` has for a platform (`linux/arm64`); without one, what the client takes by itself.
    #[must_use]
    pub fn pull_platform(self, reference: &str, platform: Option<&str>) -> Pull {
        let storage = tempfile::tempdir().expect("storage for a client");
        std::fs::write(storage.path().join("auth.json"), "{}").expect("an auth file without a login");
        self.pull_in(&storage, reference, platform)
    }

    fn pull_in(self, storage: &TempDir, reference: &str, platform: Option<&str>) -> Pull {
        match self {
            Self::Docker => pull_with_docker(docker::engine(), reference, platform),
            Self::Podman => podman(storage, reference, platform),
            Self::Skopeo => skopeo(storage, reference, platform),
            Self::Crane => crane(storage, reference, platform),
            Self::Oras => oras(storage, reference, platform),
        }
    }
}

impl Pull {
    /// The digest, of a pull that must have succeeded.
    #[must_use]
    pub fn expect_digest(self) -> String {
        let _ = self.outcome.clone().expect_success();
        self.digest.unwrap_or_else(|| panic!("{} stored nothing\n{}", self.outcome.line, self.outcome.text()))
    }

    /// What the terminal showed, of a pull that must have failed and left nothing behind.
    #[must_use]
    pub fn expect_refusal(self) -> String {
        let text = self.outcome.expect_failure().text();
        assert_eq!(self.digest, None, "the client failed and stored the image all the same\n{text}");
        text
    }
}

/// Pulls with one engine, and forgets the image again so that the next pull is a whole one.
#[must_use]
pub fn pull_with_docker(engine: &docker::Engine, reference: &str, platform: Option<&str>) -> Pull {
    docker_in(engine, reference, platform, None)
}

fn docker_in(engine: &docker::Engine, reference: &str, platform: Option<&str>, config: Option<&Path>) -> Pull {
    let platform_arguments = platform.map(|platform| ["--platform", platform]);
    let arguments = ["pull"].into_iter().chain(platform_arguments.into_iter().flatten()).chain([reference]);
    let docker = engine.program("docker").args(arguments);
    let outcome = config.into_iter().fold(docker, |docker, config| docker.env("DOCKER_CONFIG", config)).run();
    let digest = engine.repository_digest(reference);
    if digest.is_some() {
        let _ = engine.docker(["image", "rm", "--force", reference]).expect_success();
    }
    Pull { outcome, digest }
}

fn podman(storage: &TempDir, reference: &str, platform: Option<&str>) -> Pull {
    let run = || {
        let podman = Program::new("podman").arg("--root").arg(storage.path().join("root")).arg("--runroot").arg(storage.path().join("run"));
        podman.args(["--storage-driver=vfs", "--events-backend=none"]).env("REGISTRY_AUTH_FILE", auth_file(storage))
    };
    let arguments = ["pull", "--tls-verify=false"].into_iter().chain(platform.into_iter().flat_map(|platform| ["--platform", platform]));
    let outcome = run().args(arguments).arg(reference).run();
    let inspected = run().args(["image", "inspect", "--format", "{{.Digest}}", reference]).run();
    let digest = inspected.succeeded().then(|| inspected.stdout.trim().to_owned());
    Pull { outcome, digest }
}

fn skopeo(storage: &TempDir, reference: &str, platform: Option<&str>) -> Pull {
    let folder = storage.path().join("image");
    let mut skopeo = Program::new("skopeo").env("REGISTRY_AUTH_FILE", auth_file(storage));
    if let Some((os, architecture)) = platform.and_then(|platform| platform.split_once('/')) {
        skopeo = skopeo.args(["--override-os", os, "--override-arch", architecture]);
    }
    let source = format!("docker://{reference}");
    let outcome = skopeo.args(["copy", "--src-tls-verify=false", &source]).arg(format!("dir:{}", folder.display())).run();
    let manifest = std::fs::read(folder.join("manifest.json"));
    let digest = manifest.ok().filter(|_| outcome.succeeded()).map(|manifest| sha256(&manifest));
    Pull { outcome, digest }
}

fn crane(storage: &TempDir, reference: &str, platform: Option<&str>) -> Pull {
    let layout = storage.path().join("layout");
    let mut crane = Program::new("crane").args(["pull", "--insecure", "--format=oci"]).env("DOCKER_CONFIG", storage.path());
    if let Some(platform) = platform {
        crane = crane.args(["--platform", platform]);
    }
    let outcome = crane.arg(reference).arg(&layout).run();
    let digest = layout_digest(&layout);
    Pull { outcome, digest }
}

fn oras(storage: &TempDir, reference: &str, platform: Option<&str>) -> Pull {
    let layout = storage.path().join("layout");
    let mut oras = Program::new("oras").args(["copy", "--from-plain-http"]).env("DOCKER_CONFIG", storage.path());
    if let Some(platform) = platform {
        oras = oras.args(["--platform", platform]);
    }
    let outcome = oras.arg(reference).arg("--to-oci-layout").arg(format!("{}:pulled", layout.display())).run();
    let digest = layout_digest(&layout);
    Pull { outcome, digest }
}

fn auth_file(storage: &TempDir) -> PathBuf {
    storage.path().join("auth.json")
}

/// The digest of the one image in an OCI layout (OCI Image Layout, `index.json`).
fn layout_digest(layout: &Path) -> Option<String> {
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).ok()?).ok()?;
    Some(index["manifests"][0]["digest"].as_str()?.to_owned())
}
