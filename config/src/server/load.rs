//! Reads `sealgate.yaml` and the environment into a [`ServerConfig`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::address::{UpstreamUrl, split_port};
use super::registry::{Registries, readable};
use super::secret::Environment;
use super::{Admin, ServerConfig, Tls, auth, environment as variable, fields, store, trust_root, watch};
use crate::document::{Document, Secrecy, whole};
use crate::error::ConfigErrors;
use crate::file;
use crate::limits;
use crate::members::Members;
use crate::node::{Node, Place};
use crate::problems::Problems;
use crate::scalar;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LISTEN: SocketAddr = SocketAddr::new(LOOPBACK, 5000);
const ADMIN_LISTEN: SocketAddr = SocketAddr::new(LOOPBACK, 5001);
const DATA: &str = "./data";
const SHUTDOWN_GRACE: Duration = Duration::from_secs(25);
const MAX_CONNECTIONS: usize = 10_000;
const UPLOAD_IDLE: Duration = Duration::from_hours(1);
const EVIDENCE_TTL: Duration = Duration::from_hours(1);
const EVIDENCE_MISSING_TTL: Duration = Duration::from_secs(30);
const EVIDENCE_MAX_STALE: Duration = Duration::from_hours(24);

/// See [`ServerConfig::load`].
pub(crate) fn load(file: Option<&Path>, environment: &Environment<'_>) -> Result<ServerConfig, ConfigErrors> {
    let document = match file {
        Some(path) => {
            let mend = "name another with --config, or write one with `sealgate init`";
            let bytes = file::read(path, limits::SERVER_FILE_BYTES)
                .map_err(|problem| ConfigErrors(vec![whole(path, format!("the file {problem}"), mend)]))?;
            Document::parse(path, &bytes, &fields::SERVER, Secrecy::Secrets)
        }
        // The embedded defaults are those of a file without a key.
        None => Document::parse(Path::new(""), b"{}", &fields::SERVER, Secrecy::Secrets),
    };
    let document = document.map_err(|error| ConfigErrors(vec![error]))?;
    let mut problems = Problems::new(&document);
    let config = read(&document, environment, &mut problems);
    match config {
        Some(config) => problems.finish(config),
        None => problems
            .finish(())
            .and_then(|()| Err(ConfigErrors(vec![whole(&document.file, "the file cannot be read", "see `sealgate init`")]))),
    }
}

fn read(document: &Document, environment: &Environment<'_>, problems: &mut Problems<'_>) -> Option<ServerConfig> {
    let members = problems.members(&document.root, &fields::SERVER)?;
    let listen = listen(members.get("listen"), LISTEN, variable::LISTEN, environment, problems);
    let admin = members.get("admin").and_then(|node| problems.members(node, &fields::ADMIN));
    let admin_listen = admin.as_ref().and_then(|admin| admin.get("listen"));
    let admin = Admin { listen: self::listen(admin_listen, ADMIN_LISTEN, variable::ADMIN_LISTEN, environment, problems) };
    let registries = match members.get("registries") {
        Some(node) => Registries::read(node, members.get("auth").is_some(), environment, problems),
        None => Some(Registries::docker_hub()),
    };
    if let Some(registries) = &registries
        && !listen.ip().is_loopback()
    {
        for place in &registries.anonymous_push {
            let mend = "remove it, or let the gate listen on loopback only: everybody who reaches the gate could push";
            problems.place(*place, format!("`push: anonymous` while the gate listens on {listen}"), mend);
        }
    }
    let evidence = evidence(members.get("evidence"), problems);
    let public_url = public_url(members.get("public-url"), environment, problems);
    let place = |node: Option<&Node>| node.map(|node| node.place);
    if overlap(listen, admin.listen) {
        let mend = "give the admin listener another port";
        refuse(problems, place(admin_listen.or(members.get("listen"))), "`listen` and `admin.listen` are the same address", mend);
    }
    for (place, url) in registries.iter().flat_map(|registries| &registries.upstreams) {
        if is_own(url, listen) || is_own(url, admin.listen) || public_url.as_deref().is_some_and(|public| is_public(url, public)) {
            problems.place(*place, "this upstream is the gate itself", "name the registry behind it, or change `listen`");
        }
    }
    let config = Draft { listen, admin, public_url, registries, evidence };
    finish(&members, config, document, environment, problems)
}

/// What is read before the rest.
struct Draft {
    listen: SocketAddr,
    admin: Admin,
    public_url: Option<String>,
    registries: Option<Registries>,
    evidence: [Duration; 3],
}

fn finish(
    members: &Members<'_>,
    draft: Draft,
    document: &Document,
    environment: &Environment<'_>,
    problems: &mut Problems<'_>,
) -> Option<ServerConfig> {
    let data = path(members.get("data"), variable::DATA, environment, problems).unwrap_or_else(|| document.relative(DATA));
    let policy = path(members.get("policy"), variable::POLICY, environment, problems);
    let tls = members.get("tls").and_then(|node| tls(node, problems));
    let certificates = tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if let (true, None, Some(node)) = (certificates, members.get("auth"), members.get("tls")) {
        problems.node(node, "client certificates without `auth:` give no right", "add `auth: { grants: [...] }`, or remove `client-ca`");
    }
    let auth = match (members.get("auth"), &draft.registries) {
        (Some(node), Some(registries)) => {
            reachable(node, &draft, tls.is_some(), problems);
            auth::read(node, certificates, &registries.by_name, problems)
        }
        (Some(_) | None, _) => None,
    };
    let (index, keep) = store::read(members.get("store"), problems);
    let no_registries = std::collections::BTreeMap::new();
    let registries = draft.registries.as_ref().map_or(&no_registries, |registries| &registries.by_name);
    // With registries that could not be read no image could be told to be of one.
    let watch = watch::read(members.get("watch").filter(|_| !registries.is_empty()), registries, problems);
    let shutdown_grace = members.get("shutdown-grace").and_then(|node| problems.duration(node)).unwrap_or(SHUTDOWN_GRACE);
    let (max_connections, upload_idle) = limits(members.get("limits"), problems);
    let trust_roots = trust_root::read(members.get("trust-root"), problems);
    let Draft { listen, admin, public_url, registries, evidence: [evidence_ttl, evidence_missing_ttl, evidence_max_stale] } = draft;
    let Registries { by_name, default, .. } = registries?;
    Some(ServerConfig {
        listen,
        public_url,
        admin,
        data,
        policy,
        tls,
        auth,
        index,
        keep,
        watch,
        registries: by_name,
        default_registry: default,
        evidence_ttl,
        evidence_missing_ttl,
        evidence_max_stale,
        shutdown_grace,
        max_connections,
        upload_idle,
        trust_roots,
    })
}

/// Clients must find the token endpoint, and must not show passwords to the network.
fn reachable(auth: &Node, draft: &Draft, tls: bool, problems: &mut Problems<'_>) {
    let listen = draft.listen.ip();
    if listen.is_unspecified() && draft.public_url.is_none() {
        let mend = "add `public-url`, the address under which clients know the gate";
        problems.node(auth, "clients would be sent to a token endpoint at every interface, which is no address", mend);
    }
    let public = draft.public_url.as_deref().unwrap_or_default();
    let near = UpstreamUrl::parse(public).is_ok_and(|url| url.is_loopback());
    if !(tls || listen.is_loopback() || public.starts_with("https://") || near) {
        let mend = "add `tls`, or `public-url: https://…` where a proxy before the gate speaks TLS";
        problems.node(auth, "passwords would cross the network in plaintext", mend);
    }
}

fn listen(node: Option<&Node>, default: SocketAddr, name: &str, environment: &Environment<'_>, problems: &mut Problems<'_>) -> SocketAddr {
    // A wrong value in the file stays an error when the environment overrides it: it would bite at the next change.
    let written = node.and_then(|node| problems.listen(node));
    let overriding = environment(name).and_then(|text| {
        let found = scalar::listen(&text);
        if found.is_none() {
            problems
                .elsewhere(format!("the environment variable {name} is {}", problems.quote(&text)), format!("expected {}", scalar::LISTEN));
        }
        found
    });
    overriding.or(written).unwrap_or(default)
}

fn path(node: Option<&Node>, name: &str, environment: &Environment<'_>, problems: &mut Problems<'_>) -> Option<PathBuf> {
    let written = node.and_then(|node| problems.path(node));
    match environment(name) {
        Some(text) if text.trim().is_empty() || text.contains('\0') => {
            problems.elsewhere(format!("the environment variable {name} is no path"), "name a path, or unset it");
            None
        }
        Some(text) => Some(PathBuf::from(text)),
        None => written,
    }
}

fn public_url(node: Option<&Node>, environment: &Environment<'_>, problems: &mut Problems<'_>) -> Option<String> {
    const EXPECTED: &str = "a URL such as https://gate.acme.example, without user name, query and fragment";
    let written = node.and_then(|node| problems.parsed(node, EXPECTED, parse_public_url));
    match environment(variable::PUBLIC_URL) {
        Some(text) => {
            let found = parse_public_url(&text);
            if found.is_none() {
                problems.elsewhere(
                    format!("the environment variable {} is no public URL", variable::PUBLIC_URL),
                    format!("expected {EXPECTED}"),
                );
            }
            found
        }
        None => written,
    }
}

/// Printable ASCII only, since it stands in HTTP/1.1 reason phrases.
fn parse_public_url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let authority = rest.split('/').next().unwrap_or_default();
    let plain = text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains(['@', '?', '#', '\\', '"', '<', '>']);
    let short = text.len() <= limits::PUBLIC_URL_BYTES;
    (plain && short && sealgate_verifier::reference::is_registry(authority)).then(|| text.trim_end_matches('/').to_owned())
}

fn tls(node: &Node, problems: &mut Problems<'_>) -> Option<Tls> {
    let members = problems.members(node, &fields::TLS)?;
    let certificate = members.get("certificate").and_then(|node| readable(node, problems));
    let key = members.get("key").and_then(|node| readable(node, problems));
    let http2 = members.get("http2").and_then(|node| problems.boolean(node)).unwrap_or(false);
    let client_ca = members.get("client-ca").and_then(|node| readable(node, problems));
    Some(Tls { certificate: certificate?, key: key?, client_ca, http2 })
}

fn evidence(node: Option<&Node>, problems: &mut Problems<'_>) -> [Duration; 3] {
    let defaults = [EVIDENCE_TTL, EVIDENCE_MISSING_TTL, EVIDENCE_MAX_STALE];
    let Some(node) = node else { return defaults };
    let Some(members) = problems.members(node, &fields::EVIDENCE) else { return defaults };
    let mut duration = |key: &str| members.get(key).and_then(|node| problems.duration(node));
    let (ttl, missing, stale) = (duration("ttl"), duration("missing-ttl"), duration("max-stale"));
    let ttl = ttl.unwrap_or(EVIDENCE_TTL);
    if let (Some(stale), Some(node)) = (stale, members.get("max-stale"))
        && stale < ttl
    {
        problems.node(node, "`max-stale` is shorter than `ttl`", "make it at least as long");
    }
    [ttl, missing.unwrap_or(EVIDENCE_MISSING_TTL), stale.unwrap_or(EVIDENCE_MAX_STALE.max(ttl))]
}

/// `max-connections` and `upload-idle`.
fn limits(node: Option<&Node>, problems: &mut Problems<'_>) -> (usize, Duration) {
    let Some(members) = node.and_then(|node| problems.members(node, &fields::LIMITS)) else { return (MAX_CONNECTIONS, UPLOAD_IDLE) };
    let connections = members.get("max-connections").and_then(|node| problems.count(node, 1, 1_000_000));
    let idle = members.get("upload-idle").and_then(|node| problems.duration(node));
    (connections.and_then(|count| usize::try_from(count).ok()).unwrap_or(MAX_CONNECTIONS), idle.unwrap_or(UPLOAD_IDLE))
}

fn refuse(problems: &mut Problems<'_>, place: Option<Place>, problem: &str, mend: &str) {
    match place {
        Some(place) => problems.place(place, problem, mend),
        None => problems.elsewhere(problem, mend),
    }
}

/// Whether both cannot be bound. Port 0 takes any free port.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let wide = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (wide || one.ip() == other.ip())
}

/// Whether requests to `url` arrive at the listener on `own`.
fn is_own(url: &UpstreamUrl, own: SocketAddr) -> bool {
    let here = match url.address().map(|address| address.to_canonical()) {
        Some(address) => address == own.ip() || (own.ip().is_unspecified() && address.is_loopback()),
        None => url.host == "localhost" && (own.ip().is_loopback() || own.ip().is_unspecified()),
    };
    here && own.port() != 0 && url.port == own.port()
}

/// Whether `url` names the host and port of the public URL.
fn is_public(url: &UpstreamUrl, public: &str) -> bool {
    let (scheme, rest) = public.split_once("://").unwrap_or_default();
    let (host, port) = split_port(rest.split('/').next().unwrap_or_default());
    let port = port.and_then(|port| port.parse().ok()).unwrap_or(if scheme == "http" { 80 } else { 443 });
    host.trim_matches(['[', ']']) == url.host && port == url.port
}
