//! What is built in about registries that everybody uses.

use sealgate_verifier::reference::DOCKER_HUB;

/// A registry whose addresses differ from its name.
struct WellKnown {
    name: &'static str,
    /// The upstream, where it is not the name.
    upstream: Option<&'static str>,
    /// Hosts of its token server beside itself, as its `WWW-Authenticate` header names them.
    realms: &'static [&'static str],
}

/// `ghcr.io`, `quay.io`, `gcr.io`, `public.ecr.aws`, `mcr.microsoft.com`, `registry.k8s.io` and `cgr.dev` need no entry: they
/// serve under their own name and hand out their own tokens.
const WELL_KNOWN: &[WellKnown] = &[
    WellKnown { name: DOCKER_HUB, upstream: Some("https://registry-1.docker.io"), realms: &["auth.docker.io"] },
    WellKnown { name: "registry.gitlab.com", upstream: None, realms: &["gitlab.com"] },
    WellKnown { name: "docker.elastic.co", upstream: None, realms: &["docker-auth.elastic.co"] },
];

/// Other names of Docker Hub, which would shadow its canonical one.
pub(crate) const DOCKER_HUB_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

/// The upstream of the registry that is written `key`.
pub(crate) fn upstream(key: &str) -> String {
    find(key).and_then(|known| known.upstream).map_or_else(|| format!("https://{key}"), str::to_owned)
}

/// The token hosts of the registry called `name`, beside itself. Only where its upstream is the built-in one: a mirror of
/// Docker Hub elsewhere has no claim on Docker's token server.
pub(crate) fn realms(name: &str, url: &str) -> Vec<String> {
    let known = find(name).filter(|known| upstream(known.name) == url);
    known.map_or(&[][..], |known| known.realms).iter().map(|realm| (*realm).to_owned()).collect()
}

fn find(name: &str) -> Option<&'static WellKnown> {
    WELL_KNOWN.iter().find(|known| known.name == name)
}
