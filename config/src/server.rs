//! `sealgate.yaml`: the server's configuration (DESIGN §3).

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sealgate_verifier::{Pattern, Reference};

use crate::error::ConfigErrors;

mod action;
mod address;
mod auth;
mod credential;
mod environment;
pub(crate) mod fields;
mod load;
mod oidc;
mod registry;
mod secret;
mod store;
mod trust_root;
mod watch;
mod well_known;

pub use action::{Action, Actions};
pub use auth::{Auth, Grant, NamePattern, Who};
pub use environment::{VARIABLES, unknown_variables};
pub use oidc::Oidc;
pub use trust_root::{TrustRoots, TufRepository};

/// A secret text. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }
    /// The secret itself. Only for handing it to the registry it belongs to.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// The server's configuration, checked and complete.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where the gate listens. Default 127.0.0.1:5000.
    pub listen: SocketAddr,
    /// What denials link to, without a trailing slash.
    pub public_url: Option<String>,
    /// Admin listener. Default 127.0.0.1:5001.
    pub admin: Admin,
    /// Data folder. Default `./data`.
    pub data: PathBuf,
    /// Trust policy file. None: the embedded policy without a rule, which denies everything.
    pub policy: Option<PathBuf>,
    /// TLS of the gate's listener.
    pub tls: Option<Tls>,
    /// How clients authenticate. None: everybody pulls, nobody does more.
    pub auth: Option<Auth>,
    /// Which index holds metadata.
    pub index: IndexKind,
    /// How much the store keeps.
    pub keep: Keep,
    /// Images that are looked at before anybody pulls them.
    pub watch: Watch,
    /// Registries by canonical name.
    pub registries: BTreeMap<String, Registry>,
    /// The registry of requests that name none. Always a key of `registries`.
    pub default_registry: String,
    /// How long a found evidence set is used before it is collected again. Default 1 h.
    pub evidence_ttl: Duration,
    /// How long "no evidence found" is believed. Default 30 s.
    pub evidence_missing_ttl: Duration,
    /// How long after its collection an evidence set still counts when it cannot be collected again. Default 24 h.
    pub evidence_max_stale: Duration,
    /// How long a graceful shutdown waits for requests under way. Default 25 s.
    pub shutdown_grace: Duration,
    /// Most client connections at once. Default 10 000.
    pub max_connections: usize,
    /// How long an unfinished upload is kept without a request. Default 1 h.
    pub upload_idle: Duration,
    /// How trust roots are kept current.
    pub trust_roots: TrustRoots,
}

/// The admin listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
}

/// TLS of the gate's listener; both files are reloaded when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM certificate chain.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
    /// PEM certificates of the CAs whose certificates name clients. None: no client is asked for one.
    pub client_ca: Option<PathBuf>,
    /// Whether HTTP/2 is offered. Default false: containerd shows a denial's reason only from HTTP/1.1's reason phrase.
    pub http2: bool,
}

/// How much the store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Most bytes of blobs. None: as many as the volume takes.
    pub max_size: Option<u64>,
    /// Bytes of the volume that blobs leave free. None: see `store::room`.
    pub reserve: Option<u64>,
    /// How long what was just pulled or uploaded is spared. Default 30 min.
    pub lease: Duration,
}

/// Images that are looked at before anybody pulls them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Which. Each of a configured registry.
    pub images: Vec<Reference>,
    /// How often. At least a minute, default 6 h.
    pub every: Duration,
    /// Whether the blobs of what is admitted are fetched as well.
    pub fetch: bool,
    /// How many are looked at at once, 1 to 16. Default 2.
    pub at_once: usize,
}

/// Which embedded store holds the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    /// redb, the default.
    Redb,
    /// sled.
    Sled,
}

/// One registry behind the gate.
#[derive(Debug, Clone)]
pub struct Registry {
    /// Canonical name: what policy matches and what clients write. For a name with a port this is its `path`.
    pub name: String,
    /// The registry as the file's key writes it, `host` or `host:port`: what `?ns=` may carry.
    pub authority: String,
    /// Pulled through, or pushed to.
    pub kind: RegistryKind,
    /// Who may pull through the gate.
    pub pull: PullAccess,
    /// Who may push: images to a hosted registry, evidence to any.
    pub push: PushAccess,
    /// Whether who may push may also delete what was pushed. Default false.
    pub deletes: bool,
}

/// Pulled through, or hosted here.
#[derive(Debug, Clone)]
pub enum RegistryKind {
    /// Pulled through.
    Upstream(Box<Upstream>),
    /// Pushed to the gate itself.
    Hosted(Hosted),
}

/// A registry whose images are pushed to the gate itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosted {
    /// Tags that never move and are never deleted.
    pub immutable_tags: Vec<TagPattern>,
}

/// A tag, or the beginning of tags with a `*` behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPattern(String);

impl TagPattern {
    /// Reads a pattern; none for what no tag could match.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let literal = text.strip_suffix('*').unwrap_or(text);
        let valid = if literal.is_empty() { text == "*" } else { literal.parse::<sealgate_verifier::Tag>().is_ok() };
        valid.then(|| Self(text.to_owned()))
    }

    /// Whether `tag` matches.
    #[must_use]
    pub fn matches(&self, tag: &sealgate_verifier::Tag) -> bool {
        self.0.strip_suffix('*').map_or(self.0 == tag.as_str(), |prefix| tag.as_str().starts_with(prefix))
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who may push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushAccess {
    /// Whoever has proved who they are and has the right.
    Authenticated,
    /// Everybody who reaches the gate, which then listens on loopback only.
    Anonymous,
}

/// Who may pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullAccess {
    /// Everybody who reaches the gate.
    Anonymous,
    /// Who authenticated and was granted it.
    Authenticated,
}

/// How an upstream registry is reached.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// `https://registry-1.docker.io`, without a path or trailing slash. `http://` only where the file writes it out.
    pub url: String,
    /// How long a tag's resolution is fresh. Default 5 min.
    pub tag_ttl: Duration,
    /// How long after its last confirmation a resolution still serves while the upstream is unreachable. Default 24 h.
    pub tag_max_stale: Duration,
    /// Token realm hosts (`host` or `host:port`) that may see credentials, beside the upstream itself. Built in for well-known registries.
    pub realms: Vec<String>,
    /// PEM file with the private CAs that sign for this upstream, in place of the system's.
    pub ca: Option<PathBuf>,
    /// Private or otherwise special address ranges that this upstream and its redirects may resolve to. A literal address in
    /// `url` allows itself.
    pub allow_addresses: Vec<AddressRange>,
    /// Credentials, first match wins.
    pub credentials: Vec<Credential>,
}

/// An IP range in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    /// First address.
    pub network: IpAddr,
    /// Bits of the prefix.
    pub prefix: u8,
}

/// A user name and password for some repositories of one upstream.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Which repositories it is for (canonical patterns). Empty: all (never on docker.io, where it must be named).
    pub repositories: Vec<Pattern>,
    /// User name.
    pub username: Secret,
    /// Password or token.
    pub password: Secret,
}

impl ServerConfig {
    /// Reads `file`, or the embedded defaults without one, then applies the environment (`SEALGATE_LISTEN`, `SEALGATE_DATA`, …).
    /// Relative paths in the file, and the default `./data`, are relative to the file; those in the environment to the working folder.
    ///
    /// # Errors
    /// Every problem that there is.
    pub fn load(file: Option<&Path>, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        load::load(file, environment)
    }
}
