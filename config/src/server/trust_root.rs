//! `trust-root:`: where the gate keeps instances of Sigstore current from, and how old one may be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sealgate_verifier::limits::TUF_ROOT_BYTES;
use sealgate_verifier::policy::{GITHUB_ROOT, PUBLIC_ROOT};
use sealgate_verifier::tuf;

use super::address::{UpstreamUrl, guarded};
use super::registry::{addresses, readable};
use super::{AddressRange, fields};
use crate::file;
use crate::members::Members;
use crate::node::{Node, Value};
use crate::policy::is_name;
use crate::problems::Problems;
use crate::scalar;

/// Sigstore's timestamps live for seven days: a day leaves room for outages.
const REFRESH: Duration = Duration::from_hours(24);
/// What instances of Sigstore call the target that is their trust root.
const TARGET: &str = "trusted_root.json";

/// How trust roots are kept current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRoots {
    /// How often. None: never by itself. Default 24 h.
    pub refresh: Option<Duration>,
    /// How old a root may be that is kept current, or built in. None: as old as it likes, the default.
    pub max_age: Option<Duration>,
    /// TUF repositories by the name of the trust root; `public` and `github` always are there.
    pub repositories: BTreeMap<String, TufRepository>,
}

/// A repository of The Update Framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TufRepository {
    /// Its URL without a trailing slash.
    pub url: String,
    /// The root metadata with which trust begins.
    pub root: Vec<u8>,
    /// The target that is the trust root.
    pub target: String,
    /// PEM file with the private CAs of its server, in place of the system's.
    pub ca: Option<PathBuf>,
    /// Private address ranges that its server may resolve to.
    pub allow_addresses: Vec<AddressRange>,
}

impl Default for TrustRoots {
    fn default() -> Self {
        let repositories = BTreeMap::from([PUBLIC_ROOT, GITHUB_ROOT].map(|name| (name.to_owned(), built_in(name))));
        Self { refresh: Some(REFRESH), max_age: None, repositories }
    }
}

/// The repository of a built-in root.
fn built_in(name: &str) -> TufRepository {
    let (url, root) = match name {
        GITHUB_ROOT => ("https://tuf-repo.github.com", tuf::GITHUB),
        _ => ("https://tuf-repo-cdn.sigstore.dev", tuf::PUBLIC),
    };
    TufRepository { url: url.to_owned(), root: root.to_vec(), target: TARGET.to_owned(), ca: None, allow_addresses: Vec::new() }
}

/// Reads `trust-root:`.
pub(crate) fn read(node: Option<&Node>, problems: &mut Problems<'_>) -> TrustRoots {
    let mut found = TrustRoots::default();
    let Some(members) = node.and_then(|node| problems.members(node, &fields::TRUST_ROOT)) else { return found };
    if let Some(node) = members.get("refresh") {
        found.refresh = refresh(node, problems).unwrap_or(found.refresh);
    }
    if let Some(node) = members.get("max-age") {
        found.max_age = problems.duration(node);
        if let (Some(age), Some(refresh)) = (found.max_age, found.refresh)
            && age < refresh
        {
            problems.node(node, "`max-age` is shorter than `refresh`: a root would be too old before it is refreshed", "make it longer");
        }
    }
    let Some(Node { value: Value::Map(entries), .. }) = members.get("repositories") else {
        if let Some(node) = members.get("repositories") {
            let mend = "write `lab: { url: https://tuf.lab.example, root: root.json }`, one line for each trust root";
            problems.node(node, format!("expected a mapping, found {}", node.kind()), mend);
        }
        return found;
    };
    let mut seen: Vec<&str> = Vec::new();
    for (key, value) in entries {
        if !is_name(&key.text) {
            problems.place(key.place, "this is no name", "use the name that the policy has under `trust-roots`");
        } else if seen.contains(&key.text.as_str()) {
            problems.place(key.place, "this name stands here twice", "remove one");
        } else if let Some(members) = problems.members(value, &fields::TUF_REPOSITORY)
            && let Some(repository) = repository(&key.text, value, &members, problems)
        {
            found.repositories.insert(key.text.clone(), repository);
        }
        seen.push(&key.text);
    }
    found
}

fn refresh(node: &Node, problems: &mut Problems<'_>) -> Option<Option<Duration>> {
    problems.parsed(node, "a duration such as 24h, or `never`", |text| match text {
        "never" => Some(None),
        _ => scalar::duration(text).filter(|duration| !duration.is_zero()).map(Some),
    })
}

fn repository(name: &str, node: &Node, members: &Members<'_>, problems: &mut Problems<'_>) -> Option<TufRepository> {
    let is_built_in = matches!(name, PUBLIC_ROOT | GITHUB_ROOT);
    let expected = "the repository's URL, such as https://tuf.lab.example/sigstore, without query and fragment";
    let url = members.get("url").and_then(|node| problems.parsed(node, expected, url));
    let target = members.get("target").and_then(|node| problems.parsed(node, "a target's path, such as trusted_root.json", target));
    let ca = members.get("ca").and_then(|node| readable(node, problems));
    let allow_addresses = addresses(members.get("allow-addresses"), problems);
    let root = match members.get("root") {
        Some(node) if is_built_in => {
            problems.node(node, format!("the TUF root of {name} is built in"), "remove it, or choose another name");
            None
        }
        Some(node) => root(node, problems),
        None if is_built_in => Some(built_in(name).root),
        None => {
            problems.node(node, format!("`root` is missing, with which trust in {name} begins"), "name the repository's root.json");
            None
        }
    };
    Some(TufRepository { url: url?, root: root?, target: target.unwrap_or_else(|| TARGET.to_owned()), ca, allow_addresses })
}

/// A file whose root is signed by itself.
fn root(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<u8>> {
    let path = problems.path(node)?;
    let read = file::read(&path, TUF_ROOT_BYTES);
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(problem) => {
            problems.node(node, format!("{} {problem}", path.display()), "paths are relative to this file");
            return None;
        }
    };
    match tuf::Trusted::begin(&bytes.clone().into()) {
        Ok(_) => Some(bytes),
        Err(error) => {
            problems.node(node, format!("{} is no TUF root: {error}", path.display()), "name the repository's root.json");
            None
        }
    }
}

/// `https://host[:port][/path]`; plaintext where it is written out, since everything that counts is signed.
fn url(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/');
    let path = text.split_once("://")?.1.split_once('/').map_or("", |(_, path)| path);
    let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-')) && !path.contains("..");
    let origin = text.strip_suffix(path).unwrap_or(text);
    let reachable = |url: UpstreamUrl| url.address().is_none_or(|address| guarded(address).is_none());
    (plain && UpstreamUrl::parse(origin).is_ok_and(reachable)).then(|| text.to_owned())
}

fn target(text: &str) -> Option<String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-'));
    (plain && !text.contains("..") && !text.starts_with('/') && !text.ends_with('/')).then(|| text.to_owned())
}
