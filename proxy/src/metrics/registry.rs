//! Metrics of one configured registry.

use std::borrow::Cow;
use std::sync::OnceLock;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Labels;
use super::label::{DecisionOutcome, ReasonKind, UpstreamKind, UpstreamResult, at};

type Table<const COLUMNS: usize, const ROWS: usize> = [[OnceLock<Counter>; COLUMNS]; ROWS];

/// Handles of one registry. A series appears when it is first counted; from then on counting takes no lock.
#[derive(Debug)]
pub struct RegistryMetrics {
    name: String,
    families: Families,
    decisions: Table<{ ReasonKind::ALL.len() }, { DecisionOutcome::ALL.len() }>,
    upstream: Table<{ UpstreamResult::ALL.len() }, { UpstreamKind::ALL.len() }>,
}

impl RegistryMetrics {
    /// `sealgate_decisions_total`: counts one decision; `reason` is the first of a denial.
    pub fn decision(&self, outcome: DecisionOutcome, reason: ReasonKind) {
        at(at(&self.decisions, outcome.index()), reason.index())
            .get_or_init(|| {
                let labels = [
                    ("outcome", Cow::Borrowed(outcome.name())),
                    ("reason", Cow::Borrowed(reason.name())),
                    ("registry", Cow::Owned(self.name.clone())),
                ];
                self.families.decisions.get_or_create_owned(&labels)
            })
            .inc();
    }

    /// `sealgate_upstream_requests_total`: counts one request to the upstream.
    pub fn upstream(&self, kind: UpstreamKind, result: UpstreamResult) {
        at(at(&self.upstream, kind.index()), result.index())
            .get_or_init(|| {
                let labels = [
                    ("registry", Cow::Owned(self.name.clone())),
                    ("kind", Cow::Borrowed(kind.name())),
                    ("result", Cow::Borrowed(result.name())),
                ];
                self.families.upstream.get_or_create_owned(&labels)
            })
            .inc();
    }
}

/// The families that have a registry among their labels.
#[derive(Debug, Clone)]
pub(super) struct Families {
    decisions: Family<Labels<3>, Counter>,
    upstream: Family<Labels<3>, Counter>,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self { decisions: Family::default(), upstream: Family::default() };
        registry.register("decisions", "Decisions by the policy", families.decisions.clone());
        registry.register("upstream_requests", "Requests to upstreams", families.upstream.clone());
        families
    }

    pub(super) fn resolve(&self, name: &str) -> RegistryMetrics {
        RegistryMetrics {
            name: name.to_owned(),
            families: self.clone(),
            decisions: std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new())),
            upstream: std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new())),
        }
    }
}
