//! Looks at the images under `watch:` on a schedule, so that their age and evidence ripen before the first pull.

use std::sync::{Arc, Weak};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use sealgate_registry::FetchError;
use sealgate_verifier::Reference;
use tokio::sync::Semaphore;

use crate::gate::prefetch::Wanted;
use crate::gate::{Gate, GateError};

/// The first looks are spread over this time, or a tenth of the period where that is shorter: a start is no storm.
const SPREAD: Duration = Duration::from_mins(1);
/// Shortest pause after a failure.
const PAUSE: Duration = Duration::from_secs(10);

/// Begins to look at what the configuration names, as long as the gate lives.
pub fn start(gate: &Arc<Gate>) {
    let watch = &gate.config().watch;
    gate.metrics().watch.images.set(i64::try_from(watch.images.len()).unwrap_or(i64::MAX));
    let turns = Arc::new(Semaphore::new(watch.at_once));
    for image in watch.images.clone() {
        let watcher = Watcher { gate: Arc::downgrade(gate), image, every: watch.every, fetch: watch.fetch };
        tokio::spawn(watcher.run(Arc::clone(&turns)));
    }
}

struct Watcher {
    gate: Weak<Gate>,
    image: Reference,
    every: Duration,
    fetch: bool,
}

impl Watcher {
    async fn run(self, turns: Arc<Semaphore>) {
        tokio::time::sleep((self.every / 10).min(SPREAD).mul_f64(fraction())).await;
        loop {
            let Ok(turn) = turns.acquire().await else { return };
            let Some(gate) = self.gate.upgrade() else { return };
            let pause = self.look(&gate).await;
            drop((turn, gate));
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks once; says when to look again.
    async fn look(&self, gate: &Arc<Gate>) -> Duration {
        let image = &self.image;
        let wanted = Wanted { blobs: self.fetch, platforms: Vec::new() };
        let metrics = &gate.metrics().watch;
        // A tenth more or less, so that images do not stay in step.
        let period = self.every.mul_f64(0.9 + fraction() / 5.0);
        match gate.prefetch(image, &wanted).await {
            Ok(looked) => {
                metrics.admitted.inc();
                tracing::debug!(%image, digest = %looked.digest, outcome = %looked.outcome, "looked at a watched image");
                period
            }
            Err(GateError::Denied(decided)) => {
                metrics.denied.inc();
                tracing::info!(%image, line = %decided.line, "a watched image is denied");
                period
            }
            Err(GateError::DeniedUnseen { line }) => {
                metrics.denied.inc();
                tracing::warn!(%image, %line, "a watched image is denied");
                period
            }
            Err(error) => {
                metrics.failed.inc();
                tracing::warn!(%image, ?error, "a watched image could not be looked at");
                let asked = match &error {
                    GateError::Upstream(FetchError::RateLimited { retry_after }) => retry_after.unwrap_or(PAUSE),
                    _ => self.every / 4,
                };
                // After what the upstream asks for, never in one instant with the others.
                asked.clamp(PAUSE.min(period), period.max(PAUSE)) + PAUSE.mul_f64(fraction())
            }
        }
    }
}

/// From 0 to 1.
fn fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness all look at once, which is no harm.
    let _ = SystemRandom::new().fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}
