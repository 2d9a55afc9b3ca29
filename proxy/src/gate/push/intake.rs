//! A body on its way into an upload. A blocking thread hashes and writes what has come, and is held no longer than that takes: there are
//! some hundreds of them for the whole gate, and clients as slow as they like.
//!
//! While some bytes are written, the next are taken in. A client that leaves takes nothing with it: what arrived is written all the same,
//! and the upload can go on from there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;

use super::session::{Content, Session, State};
use crate::store::blob::BlobStore;

/// Longest wait for the next bytes of a body (D17 for bodies: a slow loris holds a connection and an upload no longer).
const BODY_IDLE: Duration = Duration::from_secs(60);
/// Bytes that wait to be written, beside those that are being written: an upload holds about twice that.
const WAITING_BYTES: usize = 512 * 1024;
/// Pieces of them: a client may send each byte by itself.
const WAITING_PIECES: usize = 256;

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// All of it came.
    Whole,
    /// It broke off.
    Broken,
    /// It is over the limit.
    TooLarge,
}

/// An upload and what goes into it.
pub(super) struct Intake(Option<Parts>);

struct Parts {
    session: Arc<Session>,
    blobs: Arc<dyn BlobStore>,
    state: Hand,
    waiting: Vec<Bytes>,
    bytes: usize,
}

/// Who has the upload's state.
enum Hand {
    Here(OwnedMutexGuard<State>),
    /// A blocking thread, which writes.
    There(JoinHandle<Written>),
    /// Nobody: an error ended it.
    Gone,
}

type Written = (OwnedMutexGuard<State>, std::io::Result<()>);

impl Intake {
    pub(super) fn new(session: Arc<Session>, state: OwnedMutexGuard<State>, blobs: Arc<dyn BlobStore>) -> Self {
        Self(Some(Parts { session, blobs, state: Hand::Here(state), waiting: Vec::new(), bytes: 0 }))
    }

    /// Takes in a body of at most `room` bytes; says how it ended and how many bytes the upload has now. They are written, and no file is
    /// open any more.
    ///
    /// # Errors
    /// The disk's.
    pub(super) async fn take(mut self, content: Content, room: u64) -> std::io::Result<(Ended, u64)> {
        let ended = match &mut self.0 {
            Some(parts) => parts.take(content, room).await?,
            None => return Err(gone()),
        };
        // In a task of its own: it goes on when the client leaves.
        let parts = self.0.take().ok_or_else(gone)?;
        let written = tokio::spawn(parts.finish()).await.map_err(std::io::Error::other)??;
        Ok((ended, written))
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        if let Some(parts) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(parts.finish());
        }
    }
}

impl Parts {
    async fn take(&mut self, mut content: Content, mut room: u64) -> std::io::Result<Ended> {
        loop {
            self.write();
            if self.bytes >= WAITING_BYTES || self.waiting.len() >= WAITING_PIECES {
                self.come_back().await?;
                continue;
            }
            let piece = match &mut self.state {
                Hand::There(writing) => tokio::select! {
                    piece = tokio::time::timeout(BODY_IDLE, content.next()) => piece,
                    written = writing => {
                        self.state = Hand::Gone;
                        self.came_back(written)?;
                        continue;
                    }
                },
                Hand::Here(_) | Hand::Gone => tokio::time::timeout(BODY_IDLE, content.next()).await,
            };
            match piece {
                Ok(None) => return Ok(Ended::Whole),
                Ok(Some(Ok(piece))) => {
                    let Some(rest) = room.checked_sub(piece.len() as u64) else { return Ok(Ended::TooLarge) };
                    room = rest;
                    self.bytes += piece.len();
                    self.waiting.push(piece);
                }
                Ok(Some(Err(_))) | Err(_) => return Ok(Ended::Broken),
            }
        }
    }

    /// Hands what waits to a blocking thread, unless one is writing.
    fn write(&mut self) {
        if self.waiting.is_empty() || !matches!(self.state, Hand::Here(_)) {
            return;
        }
        let Hand::Here(mut state) = std::mem::replace(&mut self.state, Hand::Gone) else { return };
        let (session, blobs) = (Arc::clone(&self.session), Arc::clone(&self.blobs));
        let pieces = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        self.state = Hand::There(tokio::task::spawn_blocking(move || {
            let written = write(&session, &mut state, &*blobs, pieces);
            (state, written)
        }));
    }

    /// Waits for what is being written.
    async fn come_back(&mut self) -> std::io::Result<()> {
        if let Hand::There(writing) = &mut self.state {
            let written = writing.await;
            self.state = Hand::Gone;
            self.came_back(written)?;
        }
        Ok(())
    }

    fn came_back(&mut self, written: Result<Written, tokio::task::JoinError>) -> std::io::Result<()> {
        let (state, written) = written.map_err(std::io::Error::other)?;
        written?;
        self.state = Hand::Here(state);
        Ok(())
    }

    /// Writes the rest and closes the file; says how many bytes the upload has.
    async fn finish(mut self) -> std::io::Result<u64> {
        self.come_back().await?;
        self.write();
        self.come_back().await?;
        let Hand::Here(mut state) = self.state else { return Err(gone()) };
        if let Some(writer) = &mut state.writer {
            writer.park();
        }
        Ok(state.written)
    }
}

fn gone() -> std::io::Error {
    std::io::Error::other("the upload ended with an error")
}

/// On a blocking thread: hashes and writes.
fn write(session: &Session, state: &mut State, blobs: &dyn BlobStore, pieces: Vec<Bytes>) -> std::io::Result<()> {
    for piece in pieces {
        let writer = match &mut state.writer {
            Some(writer) => writer,
            None => state.writer.insert(blobs.begin(state.algorithm)?),
        };
        writer.write(&piece)?;
        state.written += piece.len() as u64;
        session.note_received(state.written);
    }
    Ok(())
}
