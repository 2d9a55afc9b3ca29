//! What can be wrong with an answer, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

/// One thing that is wrong with an answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This status, with a small text body in place of the content.
    Status(u16),
    /// A header field set to this, whatever the truth.
    Header(&'static str, String),
    /// A header field left out.
    WithoutHeader(&'static str),
    /// These bytes as the body; digest and length headers as before unless faults change them too.
    Body(Bytes),
    /// One bit of the byte at this place is flipped.
    FlipByte(usize),
    /// The answer begins only after this time.
    Delay(Duration),
    /// The answer begins only when the latch opens.
    Hold(Latch),
    /// The body pauses after this many bytes until the latch opens.
    HoldAfter(usize, Latch),
    /// The body goes no further than this many bytes, and the connection stays open.
    StallAfter(usize),
    /// The connection ends after this many bytes of the body.
    CutAfter(usize),
    /// The body is paced to this many bytes per second.
    Pace(usize),
    /// The body, repeated without end and without a length.
    Endless(Bytes),
    /// This redirect status, to this address.
    Redirect(u16, String),
}

/// Holds answers back until a test opens it.
#[derive(Debug, Clone)]
pub struct Latch(Arc<Semaphore>);

/// When something goes wrong, and what.
#[derive(Debug)]
pub struct Rule {
    method: Option<&'static str>,
    target: String,
    skip: AtomicUsize,
    times: AtomicUsize,
    pub(super) faults: Vec<Fault>,
}

impl Latch {
    /// A closed one.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets everything through, now and later.
    pub fn open(&self) {
        self.0.close();
    }

    pub(super) async fn wait(&self) {
        // It never has permits: the error says that it was closed, which opens the latch.
        let _ = self.0.acquire().await;
    }
}

impl Rule {
    /// For requests with this method whose target (path and query) contains `part`.
    #[must_use]
    pub fn on(method: &'static str, part: &str) -> Self {
        Self { method: Some(method), ..Self::any(part) }
    }

    /// For requests with any method whose target contains `part`.
    #[must_use]
    pub fn any(part: &str) -> Self {
        let target = part.to_owned();
        Self { method: None, target, skip: AtomicUsize::new(0), times: AtomicUsize::new(usize::MAX), faults: vec![] }
    }

    /// Adds a fault.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Leaves the first `count` such requests alone.
    #[must_use]
    pub fn skip(self, count: usize) -> Self {
        self.skip.store(count, Ordering::SeqCst);
        self
    }

    /// Applies `count` times, then never again.
    #[must_use]
    pub fn times(self, count: usize) -> Self {
        self.times.store(count, Ordering::SeqCst);
        self
    }

    /// Whether it applies to this request; counts it if so.
    pub(super) fn applies(&self, method: &str, target: &str) -> bool {
        let matches = self.method.is_none_or(|wanted| wanted == method) && target.contains(&self.target);
        matches && !take(&self.skip) && take(&self.times)
    }
}

fn take(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}
