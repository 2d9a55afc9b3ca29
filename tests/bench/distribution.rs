//! docker-registry (distribution 2.8): as a plain registry and as a pull-through cache.

use std::net::{Ipv4Addr, SocketAddr};

use sealgate_tests::authority::Certificate;
use sealgate_tests::port;
use sealgate_tests::process::command_on;
use sealgate_tests::program::{self, Program};

use crate::server::Server;

/// What a registry is to be.
#[derive(Debug, Default, Clone, Copy)]
pub struct Setup<'a> {
    /// The core on which it stays.
    pub core: Option<usize>,
    /// The registry that it caches, as a URL.
    pub upstream: Option<&'a str>,
    /// Over TLS.
    pub tls: Option<&'a Certificate>,
}

/// Starts one with its descriptor cache in memory and its logs off.
pub fn start(name: &'static str, setup: Setup<'_>) -> Server {
    let folder = tempfile::tempdir().expect("a folder for docker-registry");
    let port = port::free();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut tls = String::new();
    if let Some(certificate) = setup.tls {
        std::fs::write(path("tls.crt"), &certificate.certificate_pem).expect("a certificate");
        std::fs::write(path("tls.key"), &certificate.key_pem).expect("a key");
        tls = format!(", tls: {{ certificate: {}, key: {} }}", path("tls.crt"), path("tls.key"));
    }
    let proxy = setup.upstream.map_or_else(String::new, |url| format!("proxy: {{ remoteurl: '{url}' }}\n"));
    let config = format!(
        "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\n\
         storage:\n  filesystem: {{ rootdirectory: {} }}\n  cache: {{ blobdescriptor: inmemory }}\n\
         http: {{ addr: '127.0.0.1:{port}', secret: only-for-tests{tls} }}\n{proxy}",
        path("data")
    );
    std::fs::write(path("config.yml"), config).expect("docker-registry's config");
    let mut command = command_on(setup.core, &program::require("docker-registry"));
    command.arg("serve").arg(path("config.yml")).env("OTEL_TRACES_EXPORTER", "none");
    Server::start(name, &mut command, SocketAddr::from((Ipv4Addr::LOCALHOST, port)), folder)
}

/// Copies an image as it is.
pub fn fill(server: &Server, from: SocketAddr, name: &str) {
    let skopeo = Program::new("skopeo").args(["copy", "--insecure-policy", "--preserve-digests", "--src-tls-verify=false"]);
    let (source, target) = (format!("docker://{from}/{name}"), format!("docker://{}/{name}", server.target().address));
    let _ = skopeo.args(["--dest-tls-verify=false", &source, &target]).run().expect_success();
}
