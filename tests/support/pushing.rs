//! The clients that people push with, each with storage of its own.

use std::path::Path;

use tempfile::TempDir;

use crate::clients::Client;
use crate::docker;
use crate::image::Image;
use crate::layer::{fresh_bytes, tar};
use crate::layout;
use crate::program::{Outcome, Program};

/// A push and what came of it.
#[derive(Debug, Clone)]
pub struct Push {
    /// What the client printed and how it exited.
    pub outcome: Outcome,
    /// The digest that the client says it pushed.
    pub digest: Option<String>,
}

impl Push {
    /// The digest, of a push that must have succeeded.
    #[must_use]
    pub fn expect_digest(self) -> String {
        let _ = self.outcome.clone().expect_success();
        self.digest.unwrap_or_else(|| panic!("{} names no digest\n{}", self.outcome.line, self.outcome.text()))
    }

    /// What the terminal showed, of a push that must have failed.
    #[must_use]
    pub fn expect_refusal(self) -> String {
        self.outcome.expect_failure().text()
    }
}

/// `docker login`, `podman login` and the like with a password; the login goes into `folder`.
#[must_use]
pub fn login(client: Client, host: &str, user: &str, password: &str, folder: &Path) -> Outcome {
    let auth_file = folder.join("auth.json");
    let credentials = ["--username", user, "--password", password];
    match client {
        Client::Docker => {
            let docker = docker::engine().program("docker").env("DOCKER_CONFIG", folder);
            docker.arg("login").args(credentials).arg(host).run()
        }
        Client::Podman => podman(folder).arg("login").args(credentials).arg("--tls-verify=false").arg(host).run(),
        Client::Skopeo => Program::new("skopeo")
            .env("REGISTRY_AUTH_FILE", &auth_file)
            .arg("login")
            .args(credentials)
            .arg("--tls-verify=false")
            .arg(host)
            .run(),
        // It keeps what it is given, and asks nobody.
        Client::Crane => Program::new("crane").env("DOCKER_CONFIG", folder).args(["auth", "login"]).args(credentials).arg(host).run(),
        Client::Oras => {
            Program::new("oras").env("DOCKER_CONFIG", folder).arg("login").args(credentials).arg("--plain-http").arg(host).run()
        }
    }
}

/// Pushes a new image to `reference` over plain HTTP, with the login in `folder`, if any. docker and podman make the image themselves;
/// the others push one with two layers.
#[must_use]
pub fn push(client: Client, reference: &str, folder: Option<&Path>) -> Push {
    let storage = tempfile::tempdir().expect("storage for a client");
    let none = tempfile::tempdir().expect("a folder without a login");
    std::fs::write(none.path().join("auth.json"), "{}").expect("an auth file without a login");
    let login = folder.unwrap_or(none.path());
    match client {
        Client::Docker => with_docker(&storage, reference, login),
        Client::Podman => with_podman(&storage, reference, login),
        Client::Skopeo | Client::Crane | Client::Oras => from_layout(client, &storage, reference, login),
    }
}

fn archive(storage: &TempDir) -> std::path::PathBuf {
    let path = storage.path().join("files.tar");
    std::fs::write(&path, tar(&[("hello", &fresh_bytes(300_000))])).expect("an archive");
    path
}

fn with_docker(storage: &TempDir, reference: &str, login: &Path) -> Push {
    let engine = docker::engine();
    let _ = engine.docker([std::ffi::OsStr::new("import"), archive(storage).as_os_str(), std::ffi::OsStr::new(reference)]).expect_success();
    let outcome = engine.program("docker").env("DOCKER_CONFIG", login).args(["push", reference]).run();
    let digest = engine.repository_digest(reference).filter(|_| outcome.succeeded());
    // Forgotten, so that a pull is a whole one.
    let _ = engine.docker(["image", "rm", "--force", reference]).expect_success();
    Push { outcome, digest }
}

fn podman(folder: &Path) -> Program {
    let podman = Program::new("podman").env("REGISTRY_AUTH_FILE", folder.join("auth.json"));
    podman
        .arg("--root")
        .arg(folder.join("root"))
        .arg("--runroot")
        .arg(folder.join("run"))
        .args(["--storage-driver=vfs", "--events-backend=none"])
}

fn with_podman(storage: &TempDir, reference: &str, login: &Path) -> Push {
    let podman = || podman(storage.path()).env("REGISTRY_AUTH_FILE", login.join("auth.json"));
    let _ = podman().arg("import").arg(archive(storage)).arg(reference).run().expect_success();
    let written = storage.path().join("digest");
    let outcome = podman().args(["push", "--tls-verify=false", "--digestfile"]).arg(&written).arg(reference).run();
    Push { digest: digest_file(&written), outcome }
}

fn digest_file(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|digest| digest.trim().to_owned())
}

fn from_layout(client: Client, storage: &TempDir, reference: &str, login: &Path) -> Push {
    let image = Image::small();
    let layout = storage.path().join("layout");
    layout::write(&layout, "1", &image);
    let source = format!("{}:1", layout.display());
    let written = storage.path().join("digest");
    let outcome = match client {
        Client::Skopeo => {
            let skopeo = Program::new("skopeo").env("REGISTRY_AUTH_FILE", login.join("auth.json"));
            let skopeo =
                skopeo.args(["copy", "--insecure-policy", "--preserve-digests", "--dest-tls-verify=false", "--digestfile"]).arg(&written);
            skopeo.arg(format!("oci:{source}")).arg(format!("docker://{reference}")).run()
        }
        Client::Crane => {
            let crane = Program::new("crane").env("DOCKER_CONFIG", login);
            crane.args(["push", "--insecure", "--image-refs"]).arg(&written).arg(&layout).arg(reference).run()
        }
        Client::Oras => {
            let oras = Program::new("oras").env("DOCKER_CONFIG", login);
            oras.args(["copy", "--no-tty", "--from-oci-layout", &source, "--to-plain-http", reference]).run()
        }
        Client::Docker | Client::Podman => unreachable!("they push from their own storage"),
    };
    // oras says it on its terminal, crane writes a whole reference.
    let said = digest_file(&written).or_else(|| outcome.stdout.lines().find_map(|line| line.strip_prefix("Digest: ")).map(str::to_owned));
    let digest = said.map(|said| said.rsplit('@').next().unwrap_or_default().to_owned());
    if outcome.succeeded() {
        assert_eq!(digest.as_deref(), Some(image.digest()), "{client:?} pushed something else\n{}", outcome.text());
    }
    Push { outcome, digest }
}
