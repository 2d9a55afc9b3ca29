//! The closed world of upstreams: what the configuration names, and nothing else (DESIGN §1.5).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sealgate_config::{Hosted, RegistryKind, ServerConfig};
use sealgate_registry::{AddressGuard, AddressRange, Client, ClientConfig, Credentials, FetchError};
use sealgate_verifier::Repository;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::metrics::{Metrics, RegistryMetrics, UpstreamKind, UpstreamResult};

/// Longest wait for an upstream's next byte (F3: waiters are free within 30 s, one resumption included).
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest pause after a 429, whatever `Retry-After` says: an outage must not outlive itself (F11).
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Blob fetches at once from one upstream: half of all, so that one that stalls leaves room for the others (F3).
const FETCHES: usize = super::FETCHES / 2;
/// How long a client waits for a slow upstream while what is known still serves (F10: at most a second).
const PATIENCE: Duration = Duration::from_secs(1);
/// How long nobody waits after one waited in vain. The question itself goes on, and its answer counts when it comes (F11).
const SLOW: Duration = Duration::from_secs(5);
/// Pause after a 429 without `Retry-After`.
const SHORTEST_PAUSE: Duration = Duration::from_secs(2);
/// Documents (manifests, listings, signatures) that are read from one upstream at once, each in memory and up to 8 MiB; further ones wait.
const DOCUMENTS: usize = 16;
/// Searches for evidence at one upstream at once, each of which may hold 32 MiB; further ones wait.
const SEARCHES: usize = 8;

/// One configured upstream.
pub struct Upstream {
    /// Canonical name, for example `docker.io`.
    pub name: String,
    /// Speaks to it.
    pub client: Client,
    /// How long a tag's resolution is fresh.
    pub tag_ttl: Duration,
    /// How long a resolution serves without confirmation.
    pub tag_max_stale: Duration,
    metrics: Arc<RegistryMetrics>,
    /// Held while a blob is fetched.
    fetches: Arc<Semaphore>,
    /// Held while a document is read. Nothing else is waited for under it.
    documents: Semaphore,
    /// Held during a search for evidence, which waits for documents.
    searches: Semaphore,
    started: Instant,
    /// Milliseconds after `started` until which a 429 keeps us away.
    paused_until: AtomicU64,
    /// Milliseconds after `started` until which nobody waits for what can be had without it.
    slow_until: AtomicU64,
}

impl Upstream {
    /// Refuses while an earlier 429 keeps us away (F8: no storm).
    ///
    /// # Errors
    /// [`FetchError::RateLimited`] with what remains of the pause.
    pub fn check_pause(&self) -> Result<(), FetchError> {
        self.until(&self.paused_until).map_or(Ok(()), |rest| Err(FetchError::RateLimited { retry_after: Some(rest) }))
    }

    /// What `asking` answers, unless the upstream is slow: for callers who can do without. `asking` starts its work in any case.
    pub async fn answer_soon<F: Future>(&self, asking: F) -> Option<F::Output> {
        let slow = self.until(&self.slow_until).is_some();
        let answer = tokio::time::timeout(if slow { Duration::ZERO } else { PATIENCE }, asking).await.ok();
        if answer.is_none() && !slow {
            self.set_until(&self.slow_until, SLOW);
        }
        answer
    }

    /// Waits until a blob may be fetched from it.
    pub async fn fetch_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.fetches).acquire_owned().await.ok()
    }

    /// What remains of a time that was set.
    fn until(&self, time: &AtomicU64) -> Option<Duration> {
        Duration::from_millis(time.load(Ordering::Relaxed)).checked_sub(self.started.elapsed()).filter(|rest| !rest.is_zero())
    }

    fn set_until(&self, time: &AtomicU64, pause: Duration) {
        let until = self.started.elapsed().saturating_add(pause);
        time.fetch_max(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Reads a document: waits for its turn, asks unless a 429 keeps us away, and notes what the answer says about asking again.
    ///
    /// # Errors
    /// Those of `read`, or [`FetchError::RateLimited`] during a pause.
    pub async fn document<T>(&self, kind: UpstreamKind, read: impl Future<Output = Result<T, FetchError>>) -> Result<T, FetchError> {
        // Never closed, so an error cannot be.
        let _turn = self.documents.acquire().await.map_err(|_| FetchError::Timeout)?;
        self.check_pause()?;
        self.note(kind, read.await)
    }

    /// The right to search for evidence, until it is dropped. None only where the semaphore was closed, which it never is.
    pub async fn search(&self) -> Option<SemaphorePermit<'_>> {
        self.searches.acquire().await.ok()
    }

    /// Counts an answer, and notes what it says about asking again.
    pub fn note<T>(&self, kind: UpstreamKind, result: Result<T, FetchError>) -> Result<T, FetchError> {
        self.metrics.upstream(kind, result.as_ref().map_or_else(outcome, |_| UpstreamResult::Ok));
        if let Err(FetchError::RateLimited { retry_after }) = &result {
            let pause = retry_after.unwrap_or(SHORTEST_PAUSE).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            self.set_until(&self.paused_until, pause);
        }
        result
    }
}

/// What is counted for a failure.
pub const fn outcome(error: &FetchError) -> UpstreamResult {
    match error {
        FetchError::NotFound => UpstreamResult::NotFound,
        FetchError::Denied { .. } => UpstreamResult::Unauthorized,
        FetchError::RateLimited { .. } => UpstreamResult::RateLimited,
        FetchError::Unavailable { .. } => UpstreamResult::ServerError,
        FetchError::Timeout => UpstreamResult::Timeout,
        FetchError::Unreachable { .. } | FetchError::Truncated { .. } | FetchError::Forbidden { .. } => UpstreamResult::Network,
        FetchError::Malformed { .. } | FetchError::TooLarge { .. } => UpstreamResult::BadBytes,
    }
}

/// All configured upstreams.
pub struct Upstreams {
    by_name: HashMap<String, Arc<Upstream>>,
    hosted: HashMap<String, Hosted>,
    default: String,
}

/// Where a request points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A repository of a configured registry.
    Repository(Repository),
    /// A registry that is not configured.
    UnknownRegistry(String),
    /// `?ns=` and the path name different registries.
    Contradiction {
        /// From `?ns=`.
        ns: String,
        /// From the path.
        path: String,
    },
    /// The name breaks the grammar.
    BadName,
}

impl Upstreams {
    /// Makes a client for each configured upstream.
    ///
    /// # Errors
    /// The registry's name and what is wrong with it.
    pub fn new(config: &ServerConfig, metrics: &Metrics) -> Result<Self, String> {
        let (mut by_name, mut hosted) = (HashMap::new(), HashMap::new());
        for (name, registry) in &config.registries {
            let upstream = match &registry.kind {
                RegistryKind::Upstream(upstream) => upstream,
                RegistryKind::Hosted(here) => {
                    hosted.insert(registry.name.clone(), here.clone());
                    continue;
                }
            };
            let client = Client::new(client_config(&registry.name, upstream)).map_err(|error| format!("registry {name}: {error}"))?;
            let upstream = Upstream {
                name: registry.name.clone(),
                client,
                tag_ttl: upstream.tag_ttl,
                tag_max_stale: upstream.tag_max_stale,
                metrics: Arc::clone(metrics.registry(name)),
                fetches: Arc::new(Semaphore::new(FETCHES)),
                documents: Semaphore::new(DOCUMENTS),
                searches: Semaphore::new(SEARCHES),
                started: Instant::now(),
                paused_until: AtomicU64::new(0),
                slow_until: AtomicU64::new(0),
            };
            by_name.insert(registry.name.clone(), Arc::new(upstream));
        }
        Ok(Self { by_name, hosted, default: config.default_registry.clone() })
    }

    /// The upstream of a repository.
    pub fn of(&self, repository: &Repository) -> Option<&Arc<Upstream>> {
        self.by_name.get(repository.registry())
    }

    /// The registry of a repository, where it is hosted here.
    pub fn hosted(&self, repository: &Repository) -> Option<&Hosted> {
        self.hosted.get(repository.registry())
    }

    /// Whether `registry` is configured, pulled through or hosted here.
    pub fn knows(&self, registry: &str) -> bool {
        self.by_name.contains_key(registry) || self.hosted.contains_key(registry)
    }

    /// The names of all registries.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().chain(self.hosted.keys()).map(String::as_str)
    }

    /// Selects by `?ns=`, by the path's first part, then the default (DESIGN §3).
    #[must_use]
    pub fn target(&self, name: &str, ns: Option<&str>) -> Target {
        let (first, rest) = name.split_once('/').map_or((name, None), |(first, rest)| (first, Some(rest)));
        let prefix = rest.filter(|_| first.contains(['.', ':']) || self.knows(first)).map(|rest| (alias(first), rest));
        let (registry, path) = match (ns.map(alias), prefix) {
            (Some(ns), Some((path, _))) if ns != path => return Target::Contradiction { ns: ns.to_owned(), path: path.to_owned() },
            (Some(ns), Some((_, rest))) => (ns, rest),
            (Some(ns), None) => (ns, name),
            (None, Some((registry, rest))) => (registry, rest),
            (None, None) => (self.default.as_str(), name),
        };
        if !self.knows(registry) {
            return Target::UnknownRegistry(registry.to_owned());
        }
        Repository::new(registry, path).map_or(Target::BadName, Target::Repository)
    }
}

/// Docker Hub's other names.
fn alias(registry: &str) -> &str {
    match registry {
        "index.docker.io" | "registry-1.docker.io" => sealgate_verifier::reference::DOCKER_HUB,
        other => other,
    }
}

/// A literal address in an upstream's URL allows itself (DESIGN §3): the admin wrote it out. `sealgate-config` has already refused
/// link-local and metadata addresses.
pub(crate) fn literal(url: &str) -> Option<AddressRange> {
    let authority = url.split_once("://")?.1;
    let authority = authority.parse::<http::uri::Authority>().ok()?;
    let network: std::net::IpAddr = authority.host().trim_matches(['[', ']']).parse().ok()?;
    Some(AddressRange { network, prefix: if network.is_ipv4() { 32 } else { 128 } })
}

fn client_config(name: &str, upstream: &sealgate_config::Upstream) -> ClientConfig {
    let listed = upstream.allow_addresses.iter().map(|range| AddressRange { network: range.network, prefix: range.prefix });
    let allowed = listed.chain(literal(&upstream.url)).collect();
    let credentials = upstream.credentials.clone();
    let name = name.to_owned();
    ClientConfig {
        url: upstream.url.clone(),
        realms: upstream.realms.clone(),
        ca: upstream.ca.clone(),
        addresses: AddressGuard { allowed, unrestricted: false },
        credentials: Arc::new(move |path| {
            let repository = Repository::new(&name, path).ok()?;
            let fits = |patterns: &[sealgate_verifier::Pattern]| patterns.is_empty() || patterns.iter().any(|p| p.matches(&repository));
            let found = credentials.iter().find(|credential| fits(&credential.repositories))?;
            Some(Credentials { username: found.username.expose().to_owned(), password: found.password.expose().to_owned() })
        }),
        idle_timeout: IDLE_TIMEOUT,
        user_agent: concat!("sealgate/", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Arc<Upstream> {
        let config = ServerConfig::load(None, &|_| None).expect("the defaults");
        let upstreams = Upstreams::new(&config, &Metrics::new([])).expect("upstreams");
        Arc::clone(upstreams.of(&"docker.io/library/nginx".parse().expect("a repository")).expect("Docker Hub"))
    }

    #[test]
    fn a_retry_after_of_a_day_keeps_nobody_away_for_a_day() {
        // F8, F11
        let hub = hub();
        let answer: Result<(), _> = Err(FetchError::RateLimited { retry_after: Some(Duration::from_secs(86_400)) });
        assert!(hub.check_pause().is_ok() && hub.note(UpstreamKind::Manifest, answer).is_err());
        match hub.check_pause() {
            Err(FetchError::RateLimited { retry_after: Some(rest) }) => assert!(rest <= LONGEST_PAUSE && rest > SHORTEST_PAUSE, "{rest:?}"),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn after_one_has_waited_in_vain_nobody_waits_for_a_while() {
        // F10, F11
        let hub = hub();
        let waited = async |answer: Duration| {
            let started = tokio::time::Instant::now();
            let answer = hub.answer_soon(tokio::time::sleep(answer)).await;
            (answer.is_some(), started.elapsed() >= PATIENCE)
        };
        assert_eq!(waited(Duration::from_millis(10)).await, (true, false));
        assert_eq!(waited(Duration::from_secs(60)).await, (false, true));
        assert_eq!(waited(Duration::from_secs(60)).await, (false, false));
    }
}
