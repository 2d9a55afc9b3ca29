//! A stream that gives up on a client that is too slow (D17).
//!
//! hyper's header timeout runs while a connection is idle as well, so it serves as the idle timeout here, and the guard times the head
//! from its first byte. hyper has no timeout for writes at all.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::activity::Activity;
use super::options::ServerOptions;
use crate::metrics::{ConnectionMetrics, Phase};

/// A client that takes less than this in [`ServerOptions::write_timeout`] has stalled: a few bytes now and then are no progress.
const PROGRESS: usize = 16 * 1024;

/// The stream of one connection, above TLS.
pub(super) struct Guard<T> {
    stream: T,
    activity: Arc<Activity>,
    options: Arc<ServerOptions>,
    head: Option<Head>,
    backlog: Option<Backlog>,
    head_timer: Timer,
    write_timer: Timer,
}

/// A request head that is being read.
#[derive(Clone, Copy)]
struct Head {
    deadline: Instant,
    /// Requests that had begun before it.
    begun: u64,
}

/// Bytes that were offered and not taken at once.
struct Backlog {
    since: Instant,
    taken: usize,
}

impl<T> Guard<T> {
    pub(super) fn new(stream: T, activity: Arc<Activity>, options: Arc<ServerOptions>) -> Self {
        // On HTTP/2 heads are part of what the connection's task times.
        let head = (!activity.multiplexed()).then(|| Head { deadline: Instant::now() + options.head_timeout, begun: 0 });
        Self { stream, activity, options, head, backlog: None, head_timer: Timer::default(), write_timer: Timer::default() }
    }

    fn metrics(&self) -> &ConnectionMetrics {
        self.options.metrics.connections(self.options.listener)
    }

    /// Bytes came in: outside a request they are the start of a head.
    fn received(&mut self) {
        let begun = self.activity.begun();
        if self.activity.multiplexed() || self.activity.in_flight() > 0 {
            self.head = None;
        } else if self.head.is_none_or(|head| head.begun != begun) {
            self.head = Some(Head { deadline: Instant::now() + self.options.head_timeout, begun });
        }
    }

    /// No bytes came in. Ready if a head has taken too long.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        // A head of an earlier request is read already.
        let Some(head) = self.head.filter(|head| head.begun == self.activity.begun()) else { return Poll::Pending };
        std::task::ready!(self.head_timer.poll(head.deadline, cx));
        self.metrics().reaped(Phase::Head).inc();
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the request head took too long"))
    }

    /// `taken` of `offered` bytes were written.
    fn sent(&mut self, taken: usize, offered: usize) {
        if taken >= offered {
            self.backlog = None;
            return;
        }
        if let Some(backlog) = &mut self.backlog {
            backlog.taken = backlog.taken.saturating_add(taken);
            if backlog.taken >= PROGRESS {
                self.backlog = None;
            }
        }
    }

    /// Nothing could be written. Ready if that is so for too long.
    fn poll_backlog(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let since = self.backlog.get_or_insert_with(|| Backlog { since: Instant::now(), taken: 0 }).since;
        std::task::ready!(self.write_timer.poll(since + self.options.write_timeout, cx));
        self.metrics().reaped(Phase::Write).inc();
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing"))
    }

    fn after_write(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>, offered: usize) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(taken)) => {
                self.sent(taken, offered);
                Poll::Ready(Ok(taken))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_backlog(cx).map(Err),
        }
    }
}

/// A timer that is armed only while somebody waits, and moved only when it rings.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            std::task::ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guard<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                if buffer.filled().len() > before {
                    this.received();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => this.poll_head(cx).map(Err),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guard<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.after_write(cx, written, bytes.len())
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let offered = slices.iter().map(|slice| slice.len()).sum();
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.after_write(cx, written, offered)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(result) => {
                self.backlog = None;
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_backlog(cx).map(Err),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.poll_backlog(cx).map(Err),
        }
    }
}
