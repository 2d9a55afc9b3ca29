//! The gate's clock: never below the latest time that the ledger holds (DESIGN §5, F24).

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sealgate_verifier::Timestamp;

/// Wall-clock time that never runs backwards below what was already recorded, and never stands still: while the wall clock is behind,
/// the monotonic one carries it on, so that what was fresh grows stale all the same.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    /// What the latest wall clock says of the time of `started`, milliseconds since the epoch. Only ever raised.
    anchor: AtomicI64,
}

impl Clock {
    /// A clock that never shows less than `recorded`.
    #[must_use]
    pub fn new(recorded: Timestamp) -> Self {
        Self { started: Instant::now(), anchor: AtomicI64::new(recorded.0.saturating_mul(1_000)) }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.read(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), self.started.elapsed())
    }

    fn read(&self, wall: Duration, elapsed: Duration) -> Timestamp {
        let milliseconds = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let elapsed = milliseconds(elapsed);
        let anchor = milliseconds(wall).saturating_sub(elapsed);
        // Read first: the clock is on the path of every request, and one line that all cores write to is slow.
        let known = self.anchor.load(Ordering::Relaxed);
        let anchor = if anchor <= known { known } else { self.anchor.fetch_max(anchor, Ordering::Relaxed).max(anchor) };
        Timestamp(anchor.saturating_add(elapsed) / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Clock;
    use sealgate_verifier::Timestamp;

    #[test]
    fn time_never_runs_below_what_was_recorded() {
        // F24
        let future = Timestamp(9_000_000_000);
        assert!((0..2).contains(&Clock::new(future).now().since(future)));
        let clock = Clock::new(Timestamp(0));
        assert!(clock.now() > Timestamp(1_700_000_000));
    }

    #[test]
    fn time_goes_on_while_the_wall_clock_is_behind() {
        // F24
        let clock = Clock::new(Timestamp(0));
        let at = |wall, elapsed| clock.read(Duration::from_secs(wall), Duration::from_secs(elapsed)).0;
        assert_eq!(at(10_000, 100), 10_000);
        assert_eq!(at(9_400, 130), 10_030, "set back by ten minutes");
        assert_eq!(at(10_600, 140), 10_600, "set forward");
        assert_eq!(at(10_010, 150), 10_610);
        assert_eq!(at(0, 160), 10_620);
    }
}
