//! How full the store is. The store counts; `/metrics` copies.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::store::Fill;

/// The store's metrics.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    bytes: Gauge,
    limit: Gauge,
    free: Gauge,
    reserve: Gauge,
    evicted_blobs: Counter,
    evicted_bytes: Counter,
    refused: Counter,
}

impl StoreMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("store_bytes", "Bytes of blobs, unfinished ones included", metrics.bytes.clone());
        registry.register("store_limit_bytes", "Most bytes of blobs (max-size); 0 without a limit", metrics.limit.clone());
        registry.register("store_free_bytes", "Bytes that are free on the store's volume", metrics.free.clone());
        registry.register("store_reserve_bytes", "Bytes of the volume that blobs leave free (reserve)", metrics.reserve.clone());
        registry.register("store_evicted_blobs", "Blobs and manifests that were evicted", metrics.evicted_blobs.clone());
        registry.register("store_evicted_bytes", "Bytes that were evicted", metrics.evicted_bytes.clone());
        registry.register("store_refused_writes", "Writes that found no room", metrics.refused.clone());
        metrics
    }

    /// Takes the store's numbers.
    pub fn set(&self, fill: &Fill) {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.bytes.set(bytes(fill.used));
        self.limit.set(bytes(fill.limit.unwrap_or(0)));
        self.free.set(bytes(fill.free));
        self.reserve.set(bytes(fill.reserve));
        for (counter, value) in
            [(&self.evicted_blobs, fill.evicted.blobs), (&self.evicted_bytes, fill.evicted.bytes), (&self.refused, fill.refused)]
        {
            counter.inner().store(value, Ordering::Relaxed);
        }
    }
}
