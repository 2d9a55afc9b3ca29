//! How many records strangers may cause. Whoever asks for ever new tags and digests under a rule that matches them makes the ledger grow:
//! what they see is decided all the same, and beyond the allowance it is not put on record.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Records at once: a cluster of ten thousand images meets the gate for the first time.
const BURST: f64 = 10_000.0;
/// Records in a second after that: 86 400 a day, some 60 MB.
const PER_SECOND: f64 = 1.0;

/// A token bucket.
#[derive(Debug)]
pub(in crate::gate) struct Allowance {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: f64,
    at: Instant,
    /// Whether the last one was refused.
    used_up: bool,
}

impl Allowance {
    /// A full one.
    pub(in crate::gate) fn new() -> Self {
        Self { state: Mutex::new(State { left: BURST, at: Instant::now(), used_up: false }) }
    }

    /// Whether one more record may be made now.
    pub(in crate::gate) fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(state.at).as_secs_f64();
        state.left = (state.left + passed * PER_SECOND).min(BURST);
        state.at = now;
        let taken = state.left >= 1.0;
        if taken {
            state.left -= 1.0;
        } else if !state.used_up {
            tracing::warn!("ever new tags and digests are asked for: denials are enforced and not recorded until it ends");
        }
        state.used_up = !taken;
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_followed_by_a_steady_rate() {
        let allowance = Allowance::new();
        let start = Instant::now();
        let taken = |after: u64, asked: usize| (0..asked).filter(|_| allowance.take_at(start + Duration::from_secs(after))).count();
        assert_eq!(taken(0, 20_000), 10_000);
        assert_eq!(taken(60, 20_000), 60);
        assert_eq!(taken(60, 1), 0);
        // However long nobody asks, no more than a burst is saved.
        assert_eq!(taken(1_000_000, 20_000), 10_000);
    }
}
