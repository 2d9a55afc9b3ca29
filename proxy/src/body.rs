//! Response bodies: bytes in memory, or a blob that is stored or still growing.
//!
//! A blob is read only when the connection asks for the next piece, so a stalled client holds one piece and no more. A body whose
//! length is known never ends early without an error: hyper then cuts the connection (HTTP/2: RST_STREAM), and the client sees a
//! short transfer, never a complete one (DESIGN §1.4).

mod blob;
mod piece;

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;

use crate::server::Flight;
use crate::store::blob::BlobReader;
use blob::BlobBody;

/// How far the fetch task that writes a growing blob has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// This many bytes may be sent. The fetch task holds back the last byte until the digest matched; a body holds it back as well.
    Visible(u64),
    /// All bytes are there and the digest matched.
    Complete,
    /// The upstream failed or the digest does not match: every transfer must be cut.
    Failed,
}

/// A response body with a known length.
#[derive(Default)]
pub struct Body {
    content: Content,
    /// Counts bytes as they are handed to the connection.
    served: Option<Counter>,
    /// Ends the exchange on its connection when the body is dropped.
    flight: Option<Flight>,
}

#[derive(Default)]
enum Content {
    #[default]
    Empty,
    Full(Bytes),
    Blob(Box<BlobBody>),
}

impl Body {
    /// No bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self { content: Content::Empty, served: None, flight: None }
    }

    /// Bytes in memory.
    #[must_use]
    pub const fn full(bytes: Bytes) -> Self {
        Self { content: Content::Full(bytes), served: None, flight: None }
    }

    /// The bytes `range` of a complete blob. A blob that turns out shorter is an error of the body.
    #[must_use]
    pub fn stored(reader: Arc<dyn BlobReader>, range: Range<u64>) -> Self {
        Self { content: Content::Blob(Box::new(BlobBody::stored(reader, range))), served: None, flight: None }
    }

    /// A blob of `size` bytes that a fetch task is still writing. The last byte is sent after [`Progress::Complete`] only. A sender
    /// that goes away before that fails the body.
    #[must_use]
    pub fn growing(reader: Arc<dyn BlobReader>, size: u64, progress: watch::Receiver<Progress>) -> Self {
        Self { content: Content::Blob(Box::new(BlobBody::growing(reader, size, progress))), served: None, flight: None }
    }

    /// Counts the bytes of this body into `served` as they are handed to the connection.
    #[must_use]
    pub fn counted(mut self, served: Counter) -> Self {
        self.served = Some(served);
        self
    }

    /// Bytes that are still to be sent.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        match &self.content {
            Content::Empty => 0,
            Content::Full(bytes) => bytes.len() as u64,
            Content::Blob(blob) => blob.remaining(),
        }
    }

    /// Ties the body to its exchange. On a multiplexed connection pieces are small, since each stalled stream holds one.
    pub(crate) fn on_flight(mut self, flight: Flight) -> Self {
        if flight.multiplexed()
            && let Content::Blob(blob) = &mut self.content
        {
            blob.limit_piece(piece::MULTIPLEXED);
        }
        self.flight = Some(flight);
        self
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        match &mut self.content {
            Content::Empty => Poll::Ready(None),
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)))
            }
            Content::Blob(blob) => blob.poll_piece(cx),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let polled = self.poll_content(cx);
        if let Some(flight) = &self.flight {
            flight.polled(matches!(polled, Poll::Ready(Some(Ok(_)))));
        }
        polled.map(|piece| {
            piece.map(|result| {
                result.map(|bytes| {
                    if let Some(served) = &self.served {
                        served.inc_by(bytes.len() as u64);
                    }
                    Frame::data(bytes)
                })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.remaining() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}
