//! The gate's clock: never below the latest time that the ledger holds (DESIGN §5, F24).

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use sealgate_verifier::Timestamp;

/// Wall-clock time that never runs backwards below what was already recorded.
#[derive(Debug)]
pub struct Clock {
    /// Seconds since the epoch. Raised by every reading.
    high_water: AtomicI64,
}

impl Clock {
    /// A clock that never shows less than `recorded`.
    #[must_use]
    pub const fn new(recorded: Timestamp) -> Self {
        Self { high_water: AtomicI64::new(recorded.0) }
    }

    /// Now. A wall clock that was set back stands still here until it catches up.
    pub fn now(&self) -> Timestamp {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        if wall <= self.high_water.load(Ordering::Relaxed) {
            return Timestamp(self.high_water.load(Ordering::Relaxed));
        }
        Timestamp(self.high_water.fetch_max(wall, Ordering::Relaxed).max(wall))
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use sealgate_verifier::Timestamp;

    #[test]
    fn time_never_runs_below_what_was_recorded() {
        // F24
        let future = Timestamp(9_000_000_000);
        assert_eq!(Clock::new(future).now(), future);
        let clock = Clock::new(Timestamp(0));
        assert!(clock.now() > Timestamp(1_700_000_000));
    }
}
