//! What is under way on a connection. The connection's service and bodies write it, its I/O guard and its task read it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Counts of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    /// Requests whose head was read, ever.
    begun: AtomicU64,
    /// Requests whose response body is not yet dropped.
    in_flight: AtomicUsize,
    /// When the last of them ended, milliseconds since `start`.
    ended: AtomicU64,
    /// HTTP/2 only: the clocks of the responses under way, and of some that ended.
    streams: Option<Mutex<Vec<Weak<Clock>>>>,
}

/// When the connection last asked one response body for bytes.
#[derive(Debug)]
struct Clock {
    /// Milliseconds since the connection's start.
    polled: AtomicU64,
    /// Whether it then got some, so that the next turn is the client's.
    owed: AtomicBool,
}

impl Activity {
    pub(super) fn new(multiplexed: bool) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            begun: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            streams: multiplexed.then(Mutex::default),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A request's head was read.
    pub(super) fn begin(self: &Arc<Self>) -> Flight {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let clock = self.streams.as_ref().map(|streams| {
            let clock = Arc::new(Clock { polled: AtomicU64::new(self.now()), owed: AtomicBool::new(false) });
            let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
            if streams.len() == streams.capacity() {
                streams.retain(|stream| stream.strong_count() > 0);
            }
            streams.push(Arc::downgrade(&clock));
            clock
        });
        Flight { activity: Arc::clone(self), clock }
    }

    /// Whether requests share the connection (HTTP/2).
    pub(super) const fn multiplexed(&self) -> bool {
        self.streams.is_some()
    }

    /// How many requests began.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many are under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// How long nothing has been under way.
    pub(super) fn idle(&self) -> Duration {
        if self.in_flight() > 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(self.now().saturating_sub(self.ended.load(Ordering::Relaxed)))
    }

    /// Whether a stream's client has taken nothing for `limit` though bytes were ready.
    pub(super) fn has_stalled_stream(&self, limit: Duration) -> bool {
        let Some(streams) = &self.streams else { return false };
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let now = self.now();
        let streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams
            .iter()
            .filter_map(Weak::upgrade)
            .any(|clock| clock.owed.load(Ordering::Relaxed) && now.saturating_sub(clock.polled.load(Ordering::Relaxed)) >= limit)
    }
}

/// One request under way: from its head until its response body is dropped.
#[derive(Debug)]
pub(crate) struct Flight {
    activity: Arc<Activity>,
    clock: Option<Arc<Clock>>,
}

impl Flight {
    /// Whether the connection carries many requests at once.
    pub(crate) const fn multiplexed(&self) -> bool {
        self.clock.is_some()
    }

    /// The body was asked for bytes, and `gave` some.
    pub(crate) fn polled(&self, gave: bool) {
        if let Some(clock) = &self.clock {
            clock.polled.store(self.activity.now(), Ordering::Relaxed);
            clock.owed.store(gave, Ordering::Relaxed);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.clock.is_some() {
            self.activity.ended.store(self.activity.now(), Ordering::Relaxed);
        }
        self.activity.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
