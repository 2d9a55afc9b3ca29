//! The reference registry (distribution) as a real upstream on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::image::{Content, Image, Index};
use crate::process::{Process, wait_until};
use crate::wire::Request;
use crate::{port, program};

/// A running docker-registry with storage of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Registry {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl Registry {
    /// Starts one on 127.0.0.1, over plain HTTP.
    #[must_use]
    pub fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST)
    }

    /// Starts one on `address`: 0.0.0.0 where a container must reach it.
    #[must_use]
    pub fn start_at(address: Ipv4Addr) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the registry");
        let port = port::free();
        std::fs::write(folder.path().join("config.yml"), config(address, port, folder.path())).expect("the registry's config");
        let process = spawn(folder.path());
        let registry = Self { process, port, folder };
        registry.wait_ready();
        registry
    }

    fn wait_ready(&self) {
        let ready = || Request::new("GET", "/v2/").try_send(self.address()).is_ok_and(|reply| reply.status == 200);
        assert!(wait_until(Duration::from_secs(20), ready), "docker-registry does not answer:\n{}", self.process.log());
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port and storage.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = spawn(self.folder.path());
        self.wait_ready();
    }

    /// Where it listens, from this machine.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The name that clients write for what is `repository:tag` or `repository@digest` here.
    #[must_use]
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.address())
    }

    /// Uploads a blob (OCI Distribution 1.1, "POST then PUT").
    pub fn put_blob(&self, repository: &str, blob: &Content) {
        let started = Request::new("POST", &format!("/v2/{repository}/blobs/uploads/")).send(self.address()).expect(202);
        let location = started.header("location").expect("an upload location");
        let target = location.strip_prefix(&self.url()).unwrap_or(location);
        let join = if target.contains('?') { '&' } else { '?' };
        let upload = Request::new("PUT", &format!("{target}{join}digest={}", blob.digest));
        let _ = upload.header("Content-Type", "application/octet-stream").body(&blob.bytes).send(self.address()).expect(201);
    }

    /// Puts a manifest under a tag or its digest.
    pub fn put_manifest(&self, repository: &str, reference: &str, manifest: &Content) {
        let put = Request::new("PUT", &format!("/v2/{repository}/manifests/{reference}"));
        let _ = put.header("Content-Type", &manifest.media_type).body(&manifest.bytes).send(self.address()).expect(201);
    }

    /// Pushes an image under a tag or its digest.
    pub fn push(&self, repository: &str, reference: &str, image: &Image) {
        image.blobs().for_each(|blob| self.put_blob(repository, blob));
        self.put_manifest(repository, reference, &image.manifest);
    }

    /// Pushes an index and its images.
    pub fn push_index(&self, repository: &str, reference: &str, index: &Index) {
        index.images.iter().for_each(|image| self.push(repository, image.digest(), image));
        self.put_manifest(repository, reference, &index.manifest);
    }

    /// Deletes a manifest.
    pub fn delete(&self, repository: &str, digest: &str) {
        let _ = Request::new("DELETE", &format!("/v2/{repository}/manifests/{digest}")).send(self.address()).expect(202);
    }

    /// How many requests with `method` and a target that contains `part` it has answered so far.
    #[must_use]
    pub fn count(&self, method: &str, part: &str) -> usize {
        let wanted = |line: &&str| {
            let request = line.split('"').nth(1).unwrap_or_default();
            request.split_once(' ').is_some_and(|(verb, rest)| verb == method && rest.contains(part))
        };
        self.process.log().lines().filter(wanted).count()
    }

    /// Overwrites the stored bytes of a blob or manifest, as a broken or hostile registry would serve them.
    pub fn corrupt(&self, digest: &str, bytes: &[u8]) {
        let hex = digest.strip_prefix("sha256:").expect("a sha256 digest");
        let data = self.folder.path().join(format!("data/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]));
        std::fs::write(&data, bytes).unwrap_or_else(|e| panic!("{}: {e}", data.display()));
    }
}

fn spawn(folder: &Path) -> Process {
    let mut command = Command::new(program::require("docker-registry"));
    command.arg("serve").arg(folder.join("config.yml")).env("OTEL_TRACES_EXPORTER", "none");
    Process::spawn(&mut command, &folder.join("registry.log"))
}

fn config(address: Ipv4Addr, port: u16, folder: &Path) -> String {
    format!(
        "version: 0.1\n\
         log: {{ level: warn, accesslog: {{ disabled: false }} }}\n\
         storage:\n  filesystem: {{ rootdirectory: {} }}\n  delete: {{ enabled: true }}\n\
         http: {{ addr: '{address}:{port}', secret: only-for-tests }}\n",
        folder.join("data").display()
    )
}
