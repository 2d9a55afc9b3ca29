//! The entries of `registries:`.

use std::collections::BTreeMap;
use std::time::Duration;

use sealgate_verifier::reference::{DOCKER_HUB, is_registry};

use super::address::{Guarded, UpstreamUrl, guarded, is_disguised, split_port};
use super::secret::Environment;
use super::{AddressRange, Hosted, PullAccess, PushAccess, Registry, RegistryKind, TagPattern, Upstream, credential, fields, well_known};
use crate::file;
use crate::limits;
use crate::members::Members;
use crate::node::{Key, Node, Place, Value};
use crate::problems::Problems;

const TAG_TTL: Duration = Duration::from_mins(5);
const TAG_MAX_STALE: Duration = Duration::from_hours(24);

/// All registries, and which is the default.
#[derive(Debug)]
pub(crate) struct Registries {
    pub by_name: BTreeMap<String, Registry>,
    pub default: String,
    /// Where each one's upstream stands, for checks against the listeners.
    pub upstreams: Vec<(Place, UpstreamUrl)>,
    /// Where `push: anonymous` stands.
    pub anonymous_push: Vec<Place>,
}

impl Registries {
    /// Docker Hub alone.
    pub fn docker_hub() -> Self {
        let upstream = Upstream {
            url: well_known::upstream(DOCKER_HUB),
            tag_ttl: TAG_TTL,
            tag_max_stale: TAG_MAX_STALE,
            realms: well_known::realms(DOCKER_HUB, &well_known::upstream(DOCKER_HUB)),
            ca: None,
            allow_addresses: Vec::new(),
            credentials: Vec::new(),
        };
        let kind = RegistryKind::Upstream(Box::new(upstream));
        let hub = Registry {
            name: DOCKER_HUB.to_owned(),
            authority: DOCKER_HUB.to_owned(),
            kind,
            pull: PullAccess::Anonymous,
            push: PushAccess::Authenticated,
            deletes: false,
        };
        Self { by_name: BTreeMap::from([(DOCKER_HUB.to_owned(), hub)]), default: DOCKER_HUB.to_owned(), ..Self::none() }
    }

    const fn none() -> Self {
        Self { by_name: BTreeMap::new(), default: String::new(), upstreams: Vec::new(), anonymous_push: Vec::new() }
    }

    /// Reads `registries:`.
    pub fn read(node: &Node, authenticates: bool, environment: &Environment<'_>, problems: &mut Problems<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            problems.node(node, format!("expected a mapping, found {}", node.kind()), "write `ghcr.io: {}`, one line for each registry");
            return None;
        };
        let mut all = Self::none();
        let mut defaults: Vec<(String, Place)> = Vec::new();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (key, value) in entries {
            let Some(members) = problems.members(value, &fields::REGISTRY) else { continue };
            let name = name(key, &members, problems);
            if let Some(line) = name.as_ref().and_then(|name| seen.insert(name.clone(), key.place.line)) {
                problems.place(
                    key.place,
                    "two registries have the same canonical name",
                    format!("remove one; the first is in line {line}"),
                );
            }
            let is_default = members.get("default").and_then(|node| Some((problems.boolean(node)?, node.place)));
            let registry = registry(key, name.as_deref(), &members, authenticates, environment, &mut all, problems);
            let (Some(name), Some(registry)) = (name, registry) else { continue };
            if let Some((true, place)) = is_default {
                defaults.push((name.clone(), place));
            }
            all.by_name.insert(name, registry);
        }
        all.default = all.choose_default(node, entries.is_empty(), &defaults, problems)?;
        Some(all)
    }

    fn choose_default(&self, node: &Node, empty: bool, defaults: &[(String, Place)], problems: &mut Problems<'_>) -> Option<String> {
        match defaults {
            _ if empty => {
                problems.node(node, "no registry is named", "name at least one, for example `docker.io: {}`, or remove `registries`");
                None
            }
            [(name, _)] => Some(name.clone()),
            [] if self.by_name.contains_key(DOCKER_HUB) => Some(DOCKER_HUB.to_owned()),
            [] if self.by_name.len() < 2 => self.by_name.keys().next().cloned(),
            [] => {
                problems.node(node, "no registry is the default", "add `default: true` to the one that requests without a registry mean");
                None
            }
            [(first, _), rest @ ..] => {
                for (_, place) in rest {
                    problems.place(*place, format!("{first} is the default already"), "keep `default: true` at one registry only");
                }
                None
            }
        }
    }
}

/// The canonical name: the key, or `path` where the key has a port.
fn name(key: &Key, members: &Members<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let path = members.get("path");
    let mut refuse = |place, what: String, mend: &str| {
        problems.place(place, what, mend);
        None
    };
    let shown = if is_registry(&key.text) { key.text.as_str() } else { "the registry's name" };
    if well_known::DOCKER_HUB_ALIASES.contains(&key.text.as_str()) {
        return refuse(key.place, format!("{shown} is another name of docker.io"), "write docker.io");
    }
    if key.text.contains("://") {
        return refuse(key.place, "a registry's name is no URL".to_owned(), "write the host here and the URL under `upstream`");
    }
    let (host, port) = split_port(&key.text);
    if !is_registry(&key.text) || is_disguised(host) {
        return refuse(key.place, "this is no registry's name".to_owned(), "write a host in lower case, such as registry.acme.example");
    }
    let Some(path) = path else {
        if port.is_some() {
            let mend = "add `path: registry.acme.example`, the name without a port under which policy and clients know it";
            return refuse(key.place, format!("{shown} has a port, and so needs a `path`"), mend);
        }
        if !key.text.contains('.') {
            return refuse(
                key.place,
                format!("{shown} has no dot, and so could be a name on Docker Hub"),
                "use a name with a dot, and `upstream`",
            );
        }
        return Some(key.text.clone());
    };
    let expected = "a registry's name with a dot and without a port, such as acme.example";
    problems.parsed(path, expected, |text| {
        let plain = is_registry(text) && text.contains('.') && !text.contains([':', '[']) && !is_disguised(text);
        (plain && !well_known::DOCKER_HUB_ALIASES.contains(&text)).then(|| text.to_owned())
    })
}

fn registry(
    key: &Key,
    name: Option<&str>,
    members: &Members<'_>,
    authenticates: bool,
    environment: &Environment<'_>,
    all: &mut Registries,
    problems: &mut Problems<'_>,
) -> Option<Registry> {
    let push = push_access(members, all, problems);
    let deletes = members.get("deletes").and_then(|node| choice(node, ["refused", "allowed"], problems)) == Some("allowed");
    let hosted = members.get("hosted").and_then(|node| problems.boolean(node)) == Some(true);
    let immutable_tags = immutable_tags(members.get("immutable-tags"), hosted, problems);
    if hosted {
        refuse_upstream_keys(members, problems);
        let pull = pull_access(key, name, members, authenticates, problems);
        let kind = RegistryKind::Hosted(Hosted { immutable_tags });
        return Some(Registry { name: name?.to_owned(), authority: key.text.clone(), kind, pull, push, deletes });
    }
    let allow_addresses = addresses(members.get("allow-addresses"), problems);
    let url = upstream(key, members.get("upstream"), &allow_addresses, problems);
    let tag_ttl = members.get("tag-ttl").and_then(|node| problems.duration(node)).unwrap_or(TAG_TTL);
    let tag_max_stale = members.get("tag-max-stale").and_then(|node| problems.duration(node));
    if let (Some(stale), Some(node)) = (tag_max_stale, members.get("tag-max-stale"))
        && stale < tag_ttl
    {
        problems.node(node, "`tag-max-stale` is shorter than `tag-ttl`", "make it at least as long");
    }
    let mut realms = match (name, &url) {
        (Some(name), Some((_, url))) => well_known::realms(name, &url.url),
        _ => Vec::new(),
    };
    realms.extend(named_realms(members.get("realm"), problems));
    let ca = members.get("ca").and_then(|node| readable(node, problems));
    let credentials = credential::read(members.get("credentials"), name, environment, problems);
    let pull = pull_access(key, name, members, authenticates, problems);
    if let (Some((place, url)), Some(node)) = (&url, members.get("credentials"))
        && url.plaintext
        && !url.is_loopback()
    {
        let problem = format!("credentials would cross the network in plaintext: the upstream in line {} is http://", place.line);
        problems.node(node, problem, "use https://, or remove the credentials");
    }
    let (place, url) = url?;
    all.upstreams.push((place, url.clone()));
    let upstream = Upstream {
        url: url.url,
        tag_ttl,
        tag_max_stale: tag_max_stale.unwrap_or(TAG_MAX_STALE.max(tag_ttl)),
        realms,
        ca,
        allow_addresses,
        credentials,
    };
    let kind = RegistryKind::Upstream(Box::new(upstream));
    Some(Registry { name: name?.to_owned(), authority: key.text.clone(), kind, pull, push, deletes })
}

/// Keys that say how an upstream is reached.
const OF_UPSTREAMS: [&str; 7] = ["upstream", "realm", "tag-ttl", "tag-max-stale", "ca", "allow-addresses", "credentials"];

fn refuse_upstream_keys(members: &Members<'_>, problems: &mut Problems<'_>) {
    for key in OF_UPSTREAMS {
        if let Some(node) = members.get(key) {
            problems.node(node, format!("`{key}` says how an upstream is reached, and a hosted registry has none"), "remove it");
        }
    }
}

fn choice<'n>(node: &'n Node, words: [&str; 2], problems: &mut Problems<'_>) -> Option<&'n str> {
    let expected = format!("`{}` or `{}`", words[0], words[1]);
    problems.parsed(node, &expected, |text| words.contains(&text).then_some(()))?;
    problems.text(node)
}

fn push_access(members: &Members<'_>, all: &mut Registries, problems: &mut Problems<'_>) -> PushAccess {
    let Some(node) = members.get("push") else { return PushAccess::Authenticated };
    match choice(node, ["authenticated", "anonymous"], problems) {
        Some("anonymous") => {
            all.anonymous_push.push(node.place);
            PushAccess::Anonymous
        }
        Some(_) | None => PushAccess::Authenticated,
    }
}

fn immutable_tags(node: Option<&Node>, hosted: bool, problems: &mut Problems<'_>) -> Vec<TagPattern> {
    let Some(node) = node else { return Vec::new() };
    if !hosted {
        problems.node(node, "`immutable-tags` is for hosted registries: an upstream moves its tags itself", "remove it");
    }
    let items = if matches!(node.value, Value::List(_)) { node.items() } else { std::slice::from_ref(node) };
    items.iter().filter_map(|item| problems.parsed(item, "a tag, or the beginning of one with a * behind it", TagPattern::parse)).collect()
}

fn upstream(key: &Key, node: Option<&Node>, allowed: &[AddressRange], problems: &mut Problems<'_>) -> Option<(Place, UpstreamUrl)> {
    let (place, text) = match node {
        Some(node) => (node.place, problems.text(node)?.to_owned()),
        None if is_registry(&key.text) => (key.place, well_known::upstream(&key.text)),
        // The name has been refused already.
        None => return None,
    };
    let url = match UpstreamUrl::parse(&text) {
        Ok(url) => url,
        Err(mend) => {
            problems.place(place, "this is no upstream", mend);
            return None;
        }
    };
    if let Some(address) = url.address() {
        match guarded(address) {
            Some(Guarded::Metadata) if !allowed.iter().any(|range| range.contains(address)) => {
                let problem = format!("{address} is a link-local or cloud metadata address");
                problems.place(place, problem, format!("if a registry really is there, add `allow-addresses: [{address}]`"));
            }
            Some(Guarded::Nowhere) => {
                problems.place(place, format!("{address} is no address of one host"), "write the registry's own address")
            }
            Some(Guarded::Metadata) | None => {}
        }
    }
    Some((place, url))
}

pub(crate) fn addresses(node: Option<&Node>, problems: &mut Problems<'_>) -> Vec<AddressRange> {
    let Some(items) = node.and_then(|node| problems.list(node)) else { return Vec::new() };
    let expected = "an address or range such as 10.0.0.0/8 or fd00::/8, with zeros behind the prefix, and not every address there is";
    items
        .iter()
        .filter_map(|item| problems.parsed(item, expected, |text| AddressRange::parse(text).filter(|range| range.prefix > 0)))
        .collect()
}

fn named_realms(node: Option<&Node>, problems: &mut Problems<'_>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    let items = if matches!(node.value, Value::List(_)) { node.items() } else { std::slice::from_ref(node) };
    let expected = "the token server's host, or host:port, without https:// and path";
    let realm = |text: &str| (is_registry(text) && !is_disguised(split_port(text).0)).then(|| text.to_owned());
    items.iter().filter_map(|item| problems.parsed(item, expected, realm)).collect()
}

fn pull_access(key: &Key, name: Option<&str>, members: &Members<'_>, authenticates: bool, problems: &mut Problems<'_>) -> PullAccess {
    let open = "write `pull: anonymous` to accept that the images these credentials reach are open to every client of the gate";
    match members.get("pull") {
        Some(node) => {
            let access = problems.parsed(node, "`anonymous` or `authenticated`", |text| match text {
                "anonymous" => Some(PullAccess::Anonymous),
                "authenticated" => Some(PullAccess::Authenticated),
                _ => None,
            });
            if access == Some(PullAccess::Authenticated) && !authenticates {
                problems.node(node, "nobody could pull: this gate authenticates no clients", "add `auth:`, or remove this");
            }
            access.unwrap_or(PullAccess::Authenticated)
        }
        None if members.get("credentials").is_some() && name != Some(DOCKER_HUB) => {
            if !authenticates {
                let problem = "credentials without `auth:`: everybody who reaches the gate may pull";
                problems.place(key.place, problem, format!("add `auth:`, or {open}, or remove the credentials"));
            }
            PullAccess::Authenticated
        }
        None => PullAccess::Anonymous,
    }
}

/// A path whose file can be read now.
pub(crate) fn readable(node: &Node, problems: &mut Problems<'_>) -> Option<std::path::PathBuf> {
    let path = problems.path(node)?;
    if let Err(problem) = file::read(&path, limits::CERTIFICATE_FILE_BYTES) {
        problems.node(node, format!("{} {problem}", path.display()), "paths are relative to this file");
        return None;
    }
    Some(path)
}
