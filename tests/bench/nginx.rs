//! nginx: as the upstream whose log counts requests, as a static file server, and as a caching proxy.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use sealgate_tests::authority::Certificate;
use sealgate_tests::process::command_on;
use sealgate_tests::{port, program};

use crate::lab::Tree;
use crate::server::Server;

/// How fast the slow upstream sends on each connection.
pub const SLOW: &str = "64m";

const PREAMBLE: &str = "daemon off;\nuser root;\nerror_log error.log;\npid nginx.pid;\n";
const HTTP: &str = "client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\n\
     scgi_temp_path scgi;\nsendfile on;\ntcp_nopush on;\nkeepalive_requests 100000000;\n";

fn start(name: &'static str, core: Option<usize>, workers: usize, http: &str, port: u16) -> Server {
    let folder = tempfile::tempdir().expect("a folder for nginx");
    let config = format!(
        "{PREAMBLE}worker_processes {workers};\nworker_rlimit_nofile 16384;\nevents {{ worker_connections 8192; }}\nhttp {{\n{HTTP}{http}}}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), config).expect("nginx's config");
    let mut command = command_on(core, &program::require("nginx"));
    command.arg("-p").arg(folder.path()).args(["-e", "error.log", "-c", "nginx.conf"]);
    Server::start(name, &mut command, SocketAddr::from((Ipv4Addr::LOCALHOST, port)), folder)
}

/// The upstream: everything in the tree, and a second port that is slow.
#[derive(Debug)]
pub struct Upstream {
    server: Server,
    slow_port: u16,
}

impl Upstream {
    /// Serves the tree on all cores, and logs.
    pub fn start(tree: &Tree) -> Self {
        let (port, slow_port) = (port::free(), port::free());
        let mut http = String::from("log_format line '$request_method $uri $http_user_agent';\naccess_log access.log line;\n");
        for (port, limit) in [(port, ""), (slow_port, SLOW)] {
            let limit = if limit.is_empty() { String::new() } else { format!("limit_rate {limit};") };
            http += &site(tree, &format!("127.0.0.1:{port}"), &limit);
        }
        Self { server: start("direct", None, 2, &http, port), slow_port }
    }

    /// As a target of direct pulls.
    pub fn target(&self) -> crate::server::Target {
        self.server.target()
    }

    /// Its URL; the slow one's on request.
    pub fn url(&self, slow: bool) -> String {
        format!("http://{}", self.address(slow))
    }

    /// Where it listens.
    pub fn address(&self, slow: bool) -> SocketAddr {
        let fast = self.server.target().address;
        if slow { SocketAddr::from((fast.ip(), self.slow_port)) } else { fast }
    }

    /// `METHOD PATH AGENT` of all requests answered so far.
    pub fn requests(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.server.folder().join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// How many of them the gate has sent. Others may still be at work for an earlier load.
    pub fn requests_of_the_gate(&self) -> usize {
        self.requests().iter().filter(|line| line.contains(" sealgate/")).count()
    }
}

/// A static file server of the tree on one core, with its file cache and without a log.
pub fn fixed(name: &'static str, core: Option<usize>, tree: &Tree, tls: Option<&Certificate>) -> Server {
    let port = port::free();
    let mut http = String::from("access_log off;\nopen_file_cache max=1000 inactive=10m;\nopen_file_cache_valid 10m;\n");
    let folder = tree.folder();
    let (listen, extra) = match tls {
        None => (format!("127.0.0.1:{port}"), String::new()),
        Some(certificate) => (format!("127.0.0.1:{port} ssl"), with_certificate(folder, certificate)),
    };
    http += &site(tree, &listen, &extra);
    start(name, core, 1, &http, port)
}

/// A caching proxy before `upstream`: one fetch per object, the others wait for it.
pub fn proxy_cache(upstream: SocketAddr) -> Server {
    let port = port::free();
    let http = format!(
        "access_log off;\nproxy_cache_path cache keys_zone=all:10m max_size=8g use_temp_path=off;\n\
         upstream origin {{ server {upstream}; keepalive 64; }}\n\
         server {{ listen 127.0.0.1:{port};\nlocation / {{ proxy_pass http://origin;\nproxy_http_version 1.1;\n\
         proxy_set_header Connection \"\";\nproxy_cache all;\nproxy_cache_valid 200 1h;\nproxy_cache_lock on;\n\
         proxy_cache_lock_timeout 300s;\nproxy_cache_lock_age 300s; }} }}\n"
    );
    start("nginx proxy_cache", None, 2, &http, port)
}

fn site(tree: &Tree, listen: &str, extra: &str) -> String {
    let mut site = format!(
        "server {{\nlisten {listen};\nroot {};\n{extra}\nlocation / {{ default_type application/octet-stream; }}\n\
         location = /v2/ {{ default_type application/json; return 200 '{{}}'; }}\n",
        tree.folder().join("www").display()
    );
    let mut location = |path: &str, media_type: &str, digest: &str| {
        writeln!(site, "location {path} {{ types {{ }} default_type {media_type}; add_header Docker-Content-Digest {digest}; }}")
            .expect("a string");
    };
    location("~ \"/manifests/(sha256:[0-9a-f]+)$\"", "application/vnd.oci.image.manifest.v1+json", "$1");
    for (path, manifest) in tree.manifests() {
        location(&format!("= {path}"), &manifest.media_type, &manifest.digest);
    }
    site + "}\n"
}

fn with_certificate(folder: &Path, certificate: &Certificate) -> String {
    let (chain, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    std::fs::write(&chain, &certificate.certificate_pem).expect("a certificate");
    std::fs::write(&key, &certificate.key_pem).expect("a key");
    format!("ssl_certificate {};\nssl_certificate_key {};\nssl_protocols TLSv1.3;\nssl_buffer_size 16k;", chain.display(), key.display())
}
