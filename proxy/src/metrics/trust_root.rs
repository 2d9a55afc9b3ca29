//! Metrics of one trust root.

use std::borrow::Cow;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Labels;

/// Handles of one trust root. Names come from the configuration.
#[derive(Debug, Clone)]
pub struct TrustRootMetrics {
    /// `sealgate_trust_root_as_of_timestamp_seconds`: since when its age counts, Unix seconds; 0 where there is no root.
    pub as_of: Gauge,
    /// `sealgate_trust_root_refreshed_timestamp_seconds`: when the last refresh succeeded, Unix seconds; 0 for never.
    pub refreshed: Gauge,
    /// `sealgate_trust_root_refresh_failures_total`: refreshes that failed.
    pub failures: Counter,
}

/// The families that have a trust root as their label.
#[derive(Debug, Clone)]
pub(super) struct Families {
    as_of: Family<Labels<1>, Gauge>,
    refreshed: Family<Labels<1>, Gauge>,
    failures: Family<Labels<1>, Counter>,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self { as_of: Family::default(), refreshed: Family::default(), failures: Family::default() };
        registry.register("trust_root_as_of_timestamp_seconds", "Since when a trust root's age counts", families.as_of.clone());
        let refreshed = families.refreshed.clone();
        registry.register("trust_root_refreshed_timestamp_seconds", "When a trust root was last refreshed", refreshed);
        registry.register("trust_root_refresh_failures", "Refreshes of a trust root that failed", families.failures.clone());
        families
    }

    pub(super) fn resolve(&self, name: &str) -> TrustRootMetrics {
        let labels = [("root", Cow::Owned(name.to_owned()))];
        TrustRootMetrics {
            as_of: self.as_of.get_or_create_owned(&labels),
            refreshed: self.refreshed.get_or_create_owned(&labels),
            failures: self.failures.get_or_create_owned(&labels),
        }
    }
}
