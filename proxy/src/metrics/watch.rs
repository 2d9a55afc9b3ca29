//! Images that are looked at before anybody pulls them (`watch:`).

use std::borrow::Cow;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Labels;

/// What was watched.
#[derive(Debug)]
pub struct WatchMetrics {
    /// `sealgate_watched_images`: images under `watch:`.
    pub images: Gauge,
    /// `sealgate_watch_looks_total`: looks that found the image admitted, or served with a warning.
    pub admitted: Counter,
    /// Looks that found it denied.
    pub denied: Counter,
    /// Looks that something stood in the way of.
    pub failed: Counter,
}

impl WatchMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let images = Gauge::default();
        registry.register("watched_images", "Images that are looked at before anybody pulls them", images.clone());
        let looks = Family::<Labels<1>, Counter>::default();
        registry.register("watch_looks", "Looks at watched images", looks.clone());
        let of = |outcome: &'static str| looks.get_or_create_owned(&[("outcome", Cow::Borrowed(outcome))]);
        Self { images, admitted: of("admitted"), denied: of("denied"), failed: of("failed") }
    }
}
