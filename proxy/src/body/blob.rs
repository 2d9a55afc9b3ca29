//! The body of a blob: reads a piece when the connection asks for one.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Progress;
use super::piece::Piece;
use crate::store::blob::BlobReader;

/// After this many bytes without a wait the task lets others run: eight inline streams on one thread waited 24 ms for a first byte
/// without it, 6 ms with it, at no cost (research).
const BURST: u64 = 1024 * 1024;

type Receiver = watch::Receiver<Progress>;
type Waiting = Pin<Box<dyn Future<Output = (Receiver, bool)> + Send>>;

/// A blob on its way to a client.
pub(super) struct BlobBody {
    reader: Arc<dyn BlobReader>,
    position: u64,
    end: u64,
    /// Largest piece, bytes.
    most: u64,
    /// Bytes since the last wait.
    burst: u64,
    source: Source,
    reading: Option<JoinHandle<(Piece, io::Result<usize>)>>,
}

/// Where the number of bytes that may be sent comes from.
enum Source {
    /// All bytes are there.
    Stored,
    /// As many as the fetch task says.
    Growing(Receiver),
    /// Waiting for the fetch task's next word.
    Waiting(Waiting),
    /// Failed, for good.
    Failed,
}

impl BlobBody {
    pub(super) fn stored(reader: Arc<dyn BlobReader>, range: Range<u64>) -> Self {
        let end = range.end.max(range.start);
        Self { reader, position: range.start, end, most: u64::MAX, burst: 0, source: Source::Stored, reading: None }
    }

    pub(super) fn growing(reader: Arc<dyn BlobReader>, size: u64, progress: Receiver) -> Self {
        Self { reader, position: 0, end: size, most: u64::MAX, burst: 0, source: Source::Growing(progress), reading: None }
    }

    pub(super) const fn remaining(&self) -> u64 {
        self.end - self.position
    }

    pub(super) fn limit_piece(&mut self, most: usize) {
        self.most = most as u64;
    }

    /// The next piece. None at the end, and never before it.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.remaining() == 0 {
            return Poll::Ready(None);
        }
        if self.burst >= BURST {
            self.burst = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = match ready!(self.poll_read(cx)) {
            Ok(piece) => piece,
            Err(error) => {
                self.source = Source::Failed;
                return Poll::Ready(Some(Err(error)));
            }
        };
        self.position += piece.len() as u64;
        self.burst += piece.len() as u64;
        Poll::Ready(Some(Ok(piece)))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.reading.is_some() {
            return self.poll_blocking(cx);
        }
        let visible = ready!(self.poll_visible(cx))?;
        let want = (visible - self.position).min(self.most);
        let mut piece = Piece::take(want);
        if let Some(count) = self.reader.read_now(piece.space(), self.position)? {
            return Poll::Ready(self.filled(piece, count));
        }
        let (reader, position) = (Arc::clone(&self.reader), self.position);
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let result = reader.read_at(piece.space(), position);
            (piece, result)
        }));
        self.poll_blocking(cx)
    }

    fn poll_blocking(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let Some(reading) = &mut self.reading else {
            return Poll::Ready(Err(io::Error::other("no read is under way")));
        };
        let Poll::Ready(joined) = Pin::new(reading).poll(cx) else {
            self.burst = 0;
            return Poll::Pending;
        };
        self.reading = None;
        let (piece, result) = joined.map_err(io::Error::other)?;
        // While the read was under way the fetch may have failed: then nothing more leaves (DESIGN §1.4).
        if let Source::Growing(progress) = &self.source
            && matches!(*progress.borrow(), Progress::Failed)
        {
            return Poll::Ready(Err(fetch_failed()));
        }
        Poll::Ready(self.filled(piece, result?))
    }

    fn filled(&self, piece: Piece, count: usize) -> io::Result<Bytes> {
        if count == 0 {
            let message = format!("the blob ends at byte {}, expected {}", self.position, self.end);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        Ok(piece.into_bytes(count))
    }

    /// Up to which byte may be sent: more than was sent already.
    fn poll_visible(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        loop {
            match &mut self.source {
                Source::Stored => return Poll::Ready(Ok(self.end)),
                Source::Failed => return Poll::Ready(Err(fetch_failed())),
                Source::Growing(progress) => {
                    let visible = match *progress.borrow_and_update() {
                        // The last byte waits for the digest, whatever the fetch task says.
                        Progress::Visible(bytes) => bytes.min(self.end - 1),
                        Progress::Complete => self.end,
                        Progress::Failed => return Poll::Ready(Err(fetch_failed())),
                    };
                    if visible > self.position {
                        return Poll::Ready(Ok(visible));
                    }
                    let mut progress = progress.clone();
                    self.source = Source::Waiting(Box::pin(async move {
                        let alive = progress.changed().await.is_ok();
                        (progress, alive)
                    }));
                }
                Source::Waiting(waiting) => {
                    let Poll::Ready((progress, alive)) = waiting.as_mut().poll(cx) else {
                        self.burst = 0;
                        return Poll::Pending;
                    };
                    if !alive && *progress.borrow() != Progress::Complete {
                        return Poll::Ready(Err(fetch_failed()));
                    }
                    self.source = Source::Growing(progress);
                }
            }
        }
    }
}

fn fetch_failed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the fetch of the blob failed")
}
