//! What the gate measures, in the OpenMetrics text format.
//!
//! Labels come from closed sets: names of configured registries, endpoints, status classes, kinds of reasons. A name that a client
//! chose is never a label, so nobody can make the number of series grow (D16). On the hot path a metric is one atomic addition: handles
//! are resolved at the start, or once and then kept without a lock.

mod histogram;
mod label;
mod registry;
mod store;
mod trust_root;
mod watch;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use sealgate_verifier::sigstore::TrustRoot;

pub use histogram::DurationHistogram;
pub use label::{AuthenticationOutcome, DecisionOutcome, Endpoint, Listener, Phase, ReasonKind, StatusClass, UpstreamKind, UpstreamResult};
pub use registry::RegistryMetrics;
pub use store::StoreMetrics;
pub use trust_root::TrustRootMetrics;
pub use watch::WatchMetrics;

/// `Content-Type` of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Name of the label value that stands for every registry that is not configured.
const OTHER: &str = "other";

/// Labels of one series: names, and values out of closed sets.
type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// All metrics of one server. Each server of a process, and each test, has its own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: [[Counter; StatusClass::ALL.len()]; Endpoint::ALL.len()],
    registries: BTreeMap<String, Arc<RegistryMetrics>>,
    other: Arc<RegistryMetrics>,
    connections: [ConnectionMetrics; Listener::ALL.len()],
    authentications: [Counter; AuthenticationOutcome::ALL.len()],
    trust_roots: trust_root::Families,
    /// `sealgate_decision_duration_seconds`: from a request's digest to its verdict.
    pub decision_duration: DurationHistogram,
    /// `sealgate_upstream_bytes_total`: body bytes received from upstreams.
    pub upstream_bytes: Counter,
    /// `sealgate_served_bytes_total`: body bytes handed to client connections, see `Body::counted`.
    pub served_bytes: Counter,
    /// `sealgate_fetches_in_flight`: blobs being fetched from upstreams.
    pub fetches_in_flight: Gauge,
    /// `sealgate_blob_singleflight_joined_total`: requests that joined a fetch under way.
    pub singleflight_joined: Counter,
    /// `sealgate_tag_moves_total`: tags seen to name another digest than before.
    pub tag_moves: Counter,
    /// `sealgate_policy_last_reload_success`: 1 if the policy file on disk is the one in force.
    pub policy_last_reload_success: Gauge,
    /// `sealgate_policy_loaded_timestamp_seconds`: when the policy in force was loaded, Unix seconds.
    pub policy_loaded_timestamp: Gauge,
    /// `sealgate_store_writable`: 1 if the store takes writes.
    pub store_writable: Gauge,
    /// Images that are looked at before anybody pulls them.
    pub watch: WatchMetrics,
    /// How full the store is.
    pub store: StoreMetrics,
    /// `sealgate_tls_last_reload_success`: 1 if the certificate and key on disk are those in use, or TLS is off.
    pub tls_last_reload_success: Gauge,
    /// `sealgate_htpasswd_last_reload_success`: 1 if the users on disk are those in force, or there is no such file.
    pub htpasswd_last_reload_success: Gauge,
}

/// What the listeners count.
#[derive(Debug)]
pub struct ConnectionMetrics {
    /// `sealgate_connections`: connections open now.
    pub open: Gauge,
    /// `sealgate_connections_refused_total`: connections closed because too many were open.
    pub refused: Counter,
    reaped: [Counter; Phase::ALL.len()],
}

impl ConnectionMetrics {
    /// `sealgate_connections_reaped_total`: connections closed because their client was too slow in `phase`.
    #[must_use]
    pub fn reaped(&self, phase: Phase) -> &Counter {
        label::at(&self.reaped, phase.index())
    }
}

impl Metrics {
    /// Metrics of a server with these configured registries.
    pub fn new<'a>(registries: impl IntoIterator<Item = &'a str>) -> Arc<Self> {
        let mut registry = Registry::with_prefix("sealgate");
        let build = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("public_trust_root", TrustRoot::PUBLIC_DATE),
            ("github_trust_root", TrustRoot::GITHUB_DATE),
        ];
        registry.register("build", "Version of the server, and dates of the trust roots that are built in", Info::new(build));
        let families = registry::Families::register(&mut registry);
        let requests = register_requests(&mut registry);
        let connections = register_connections(&mut registry);
        let authentications = register_authentications(&mut registry);
        let trust_roots = trust_root::Families::register(&mut registry);
        let store = StoreMetrics::register(&mut registry);
        let watch = WatchMetrics::register(&mut registry);
        let registries = registries.into_iter().map(|name| (name.to_owned(), Arc::new(families.resolve(name)))).collect();
        let mut metrics = Self {
            requests,
            registries,
            other: Arc::new(families.resolve(OTHER)),
            connections,
            authentications,
            trust_roots,
            decision_duration: DurationHistogram::default(),
            upstream_bytes: Counter::default(),
            served_bytes: Counter::default(),
            fetches_in_flight: Gauge::default(),
            singleflight_joined: Counter::default(),
            tag_moves: Counter::default(),
            policy_last_reload_success: Gauge::default(),
            policy_loaded_timestamp: Gauge::default(),
            store_writable: Gauge::default(),
            store,
            watch,
            tls_last_reload_success: Gauge::default(),
            htpasswd_last_reload_success: Gauge::default(),
            registry,
        };
        metrics.register_single();
        metrics.tls_last_reload_success.set(1);
        metrics.htpasswd_last_reload_success.set(1);
        Arc::new(metrics)
    }

    fn register_single(&mut self) {
        let registry = &mut self.registry;
        registry.register("decision_duration_seconds", "From a request's digest to its verdict", self.decision_duration.clone());
        registry.register("upstream_bytes", "Body bytes received from upstreams", self.upstream_bytes.clone());
        registry.register("served_bytes", "Body bytes handed to client connections", self.served_bytes.clone());
        registry.register("fetches_in_flight", "Blobs being fetched from upstreams", self.fetches_in_flight.clone());
        let joined = self.singleflight_joined.clone();
        registry.register("blob_singleflight_joined", "Requests that joined a fetch under way", joined);
        registry.register("tag_moves", "Tags seen to name another digest than before", self.tag_moves.clone());
        let reload = self.policy_last_reload_success.clone();
        registry.register("policy_last_reload_success", "1 if the policy file on disk is the one in force", reload);
        let loaded = self.policy_loaded_timestamp.clone();
        registry.register("policy_loaded_timestamp_seconds", "When the policy in force was loaded", loaded);
        registry.register("store_writable", "1 if the store takes writes", self.store_writable.clone());
        let tls = self.tls_last_reload_success.clone();
        registry.register("tls_last_reload_success", "1 if the certificate and key on disk are in use, or TLS is off", tls);
        let users = self.htpasswd_last_reload_success.clone();
        registry.register("htpasswd_last_reload_success", "1 if the users on disk are in force, or there is no such file", users);
    }

    /// `sealgate_requests_total`: counts one answered request.
    pub fn request(&self, endpoint: Endpoint, status: http::StatusCode) {
        label::at(label::at(&self.requests, endpoint.index()), StatusClass::of(status).index()).inc();
    }

    /// `sealgate_authentications_total`: credentials that clients showed; bearer tokens of the token endpoint do not count.
    #[must_use]
    pub fn authentication(&self, outcome: AuthenticationOutcome) -> &Counter {
        label::at(&self.authentications, outcome.index())
    }

    /// Handles of a registry's metrics. Any name that is not configured shares one series, `other`.
    #[must_use]
    pub fn registry(&self, name: &str) -> &Arc<RegistryMetrics> {
        self.registries.get(name).unwrap_or(&self.other)
    }

    /// Handles of a trust root's metrics. Only names of the configuration may be asked for.
    #[must_use]
    pub fn trust_root(&self, name: &str) -> TrustRootMetrics {
        self.trust_roots.resolve(name)
    }

    /// What one listener counts.
    #[must_use]
    pub fn connections(&self, listener: Listener) -> &ConnectionMetrics {
        label::at(&self.connections, listener.index())
    }

    /// Everything as OpenMetrics text, of [`CONTENT_TYPE`].
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // Writing to a String cannot fail.
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            tracing::error!("metrics could not be encoded");
        }
        text
    }
}

fn register_requests(registry: &mut Registry) -> [[Counter; StatusClass::ALL.len()]; Endpoint::ALL.len()] {
    let family = Family::<Labels<2>, Counter>::default();
    registry.register("requests", "Answered requests", family.clone());
    Endpoint::ALL.map(|endpoint| {
        StatusClass::ALL.map(|status| {
            let labels = [("endpoint", Cow::Borrowed(endpoint.name())), ("status", Cow::Borrowed(status.name()))];
            family.get_or_create_owned(&labels)
        })
    })
}

fn register_authentications(registry: &mut Registry) -> [Counter; AuthenticationOutcome::ALL.len()] {
    let family = Family::<Labels<1>, Counter>::default();
    registry.register("authentications", "Credentials that clients showed", family.clone());
    AuthenticationOutcome::ALL.map(|outcome| family.get_or_create_owned(&[("outcome", Cow::Borrowed(outcome.name()))]))
}

fn register_connections(registry: &mut Registry) -> [ConnectionMetrics; Listener::ALL.len()] {
    let open = Family::<Labels<1>, Gauge>::default();
    registry.register("connections", "Connections open now", open.clone());
    let refused = Family::<Labels<1>, Counter>::default();
    registry.register("connections_refused", "Connections closed because too many were open", refused.clone());
    let reaped = Family::<Labels<2>, Counter>::default();
    registry.register("connections_reaped", "Connections closed because their client was too slow", reaped.clone());
    Listener::ALL.map(|listener| {
        let label = ("listener", Cow::Borrowed(listener.name()));
        let alone = [label.clone()];
        ConnectionMetrics {
            open: open.get_or_create_owned(&alone),
            refused: refused.get_or_create_owned(&alone),
            reaped: Phase::ALL.map(|phase| reaped.get_or_create_owned(&[label.clone(), ("phase", Cow::Borrowed(phase.name()))])),
        }
    })
}

#[cfg(test)]
mod tests {
    use sealgate_verifier::Reason;

    use super::*;

    // D16
    #[test]
    fn names_that_clients_choose_make_no_series() {
        let metrics = Metrics::new(["docker.io"]);
        for number in 0..1000 {
            metrics.registry(&format!("{number}.attacker.example")).decision(DecisionOutcome::Deny, ReasonKind::NoRule);
        }
        let text = metrics.encode();
        assert!(!text.contains("attacker"));
        assert!(text.contains(r#"sealgate_decisions_total{outcome="deny",reason="no-rule",registry="other"} 1000"#), "{text}");
    }

    #[test]
    fn every_metric_shows_from_the_start() {
        let metrics = Metrics::new(["docker.io", "ghcr.io"]);
        metrics.registry("docker.io").decision(DecisionOutcome::Admit, ReasonKind::None);
        metrics.registry("ghcr.io").upstream(UpstreamKind::Blob, UpstreamResult::RateLimited);
        metrics.request(Endpoint::Manifest, http::StatusCode::FORBIDDEN);
        let text = metrics.encode();
        for line in [
            r#"sealgate_requests_total{endpoint="manifest",status="4xx"} 1"#,
            r#"sealgate_decisions_total{outcome="admit",reason="none",registry="docker.io"} 1"#,
            r#"sealgate_upstream_requests_total{registry="ghcr.io",kind="blob",result="rate-limited"} 1"#,
            "sealgate_decision_duration_seconds_count 0",
            "sealgate_upstream_bytes_total 0",
            "sealgate_served_bytes_total 0",
            "sealgate_fetches_in_flight 0",
            "sealgate_blob_singleflight_joined_total 0",
            "sealgate_tag_moves_total 0",
            "sealgate_policy_last_reload_success 0",
            "sealgate_policy_loaded_timestamp_seconds 0",
            "sealgate_store_writable 0",
            "sealgate_store_bytes 0",
            "sealgate_store_limit_bytes 0",
            "sealgate_store_free_bytes 0",
            "sealgate_store_reserve_bytes 0",
            "sealgate_store_evicted_blobs_total 0",
            "sealgate_store_evicted_bytes_total 0",
            "sealgate_store_refused_writes_total 0",
            "sealgate_watched_images 0",
            r#"sealgate_watch_looks_total{outcome="failed"} 0"#,
            "sealgate_tls_last_reload_success 1",
            "sealgate_htpasswd_last_reload_success 1",
            r#"sealgate_authentications_total{outcome="failed"} 0"#,
            r#"sealgate_connections{listener="gate"} 0"#,
            r#"sealgate_connections_refused_total{listener="admin"} 0"#,
            r#"sealgate_connections_reaped_total{listener="control",phase="write"} 0"#,
            &format!(
                "sealgate_build_info{{version=\"{}\",public_trust_root=\"{}\",github_trust_root=\"{}\"}} 1",
                env!("CARGO_PKG_VERSION"),
                TrustRoot::PUBLIC_DATE,
                TrustRoot::GITHUB_DATE
            ),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_duration_falls_into_every_bucket_above_it() {
        let metrics = Metrics::new([]);
        metrics.decision_duration.observe(std::time::Duration::from_micros(30));
        metrics.decision_duration.observe(std::time::Duration::from_secs(3600));
        let text = metrics.encode();
        for line in [
            r#"sealgate_decision_duration_seconds_bucket{le="0.000025"} 0"#,
            r#"sealgate_decision_duration_seconds_bucket{le="0.0001"} 1"#,
            r#"sealgate_decision_duration_seconds_bucket{le="+Inf"} 2"#,
            "sealgate_decision_duration_seconds_count 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn the_kind_of_a_reason_is_its_name_in_the_decision_record() {
        let reason = Reason::Unsigned { expected: "signed-by any of ci".into(), attested: vec![] };
        let record = serde_json::to_value(&reason).unwrap();
        assert_eq!(record["reason"], ReasonKind::from(&reason).name());
    }
}
