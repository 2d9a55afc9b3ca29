//! One upload.
//!
//! Bytes go through a queue to a blocking thread that hashes and writes. That thread owns the upload's state while it works, so that a
//! client which leaves takes nothing with it: what arrived stays, and the upload can go on. Between requests an upload holds no open file.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use ring::rand::{SecureRandom, SystemRandom};
use sealgate_verifier::{Algorithm, Repository};
use tokio::sync::{OwnedMutexGuard, mpsc};

use super::account::Account;
use super::{PushError, Pusher};
use crate::auth::Principal;
use crate::gate::{Gate, GateError};
use crate::store::blob::{BlobStore, BlobWriter};

/// Longest wait for the next bytes of a body (D17 for bodies: a slow loris holds a connection and a lock no longer).
const BODY_IDLE: Duration = Duration::from_secs(60);
/// Pieces between the network and the disk. With 64 KiB a piece this bounds an upload to 1 MiB.
const QUEUE: usize = 16;
/// Bits of an identifier: beyond guessing, whoever else may push.
const ID_BYTES: usize = 16;

/// A request's body. An error ends it.
pub type Content = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// What an upload is called: 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UploadId(String);

impl UploadId {
    pub(super) fn generate() -> Result<Self, GateError> {
        let mut bytes = [0; ID_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| GateError::Internal)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Reads an identifier as it stands in a path; none for what never is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 2 * ID_BYTES && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One upload.
pub(super) struct Session {
    repository: Repository,
    owner: Principal,
    /// Whom it counts for.
    pub(super) account: Account,
    /// Most bytes.
    limit: u64,
    evidence: bool,
    /// When a request last came, milliseconds since the table was made.
    pub(super) used: AtomicU64,
    /// Bytes that have arrived.
    received: AtomicU64,
    state: Arc<tokio::sync::Mutex<State>>,
}

/// What is written so far. Whoever writes holds it.
pub(super) struct State {
    pub(super) algorithm: Algorithm,
    pub(super) writer: Option<Box<dyn BlobWriter>>,
    pub(super) written: u64,
}

impl Session {
    /// One without bytes.
    pub(super) fn new(pusher: &Pusher, algorithm: Algorithm, limit: u64, evidence: bool, now: u64) -> Self {
        Self {
            repository: pusher.repository.clone(),
            owner: pusher.principal.clone(),
            account: pusher.account.clone(),
            limit,
            evidence,
            used: AtomicU64::new(now),
            received: AtomicU64::new(0),
            state: Arc::new(tokio::sync::Mutex::new(State { algorithm, writer: None, written: 0 })),
        }
    }

    /// Whether this pusher began it in this repository.
    pub(super) fn is_of(&self, pusher: &Pusher) -> bool {
        self.repository == pusher.repository && self.owner == pusher.principal
    }

    /// Whether nobody writes to it.
    pub(super) fn is_at_rest(&self) -> bool {
        self.state.try_lock().is_ok()
    }

    /// Bytes that have arrived.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    /// The state, unless another request writes.
    pub(super) fn state(&self) -> Result<OwnedMutexGuard<State>, PushError> {
        Arc::clone(&self.state).try_lock_owned().map_err(|_| PushError::UploadBusy)
    }
}

/// Where the bytes of a request belong, as its headers say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Offset of the first byte; none: after the last one.
    pub start: Option<u64>,
    /// Bytes; none: as many as come.
    pub length: Option<u64>,
}

impl Gate {
    /// Begins an upload.
    ///
    /// # Errors
    /// [`PushError::TooManyUploads`].
    pub async fn begin_upload(&self, pusher: &Pusher, algorithm: Algorithm) -> Result<UploadId, PushError> {
        let (limit, evidence) = super::blob::limit(pusher);
        match self.uploads.begin(pusher, algorithm, limit, evidence) {
            Err(PushError::TooManyUploads { .. }) => {
                self.sweep_uploads().await;
                self.uploads.begin(pusher, algorithm, limit, evidence)
            }
            begun => begun,
        }
    }

    /// Removes uploads that have expired.
    pub async fn sweep_uploads(&self) {
        let uploads = Arc::clone(&self.uploads);
        let swept = tokio::task::spawn_blocking(move || uploads.sweep()).await.unwrap_or(0);
        if swept > 0 {
            tracing::info!(uploads = swept, "unfinished uploads expired");
        }
    }

    /// How many bytes of an upload have arrived.
    ///
    /// # Errors
    /// [`PushError::UploadUnknown`].
    pub fn upload_received(&self, pusher: &Pusher, id: &UploadId) -> Result<u64, PushError> {
        Ok(self.uploads.find(pusher, id)?.received())
    }

    /// Forgets an upload and its bytes.
    ///
    /// # Errors
    /// [`PushError::UploadUnknown`], [`PushError::UploadBusy`].
    pub fn cancel_upload(&self, pusher: &Pusher, id: &UploadId) -> Result<(), PushError> {
        let session = self.uploads.find(pusher, id)?;
        let _state = session.state()?;
        self.uploads.take(id).map(drop)
    }

    /// Appends to an upload; says how many bytes it has now.
    ///
    /// # Errors
    /// [`PushError::OutOfOrder`], [`PushError::Length`], [`PushError::BlobTooLarge`], [`PushError::BrokenBody`] (what arrived stays), or
    /// the disk's (the upload is over).
    pub async fn append_upload(&self, pusher: &Pusher, id: &UploadId, chunk: Chunk, content: Content) -> Result<u64, PushError> {
        let session = self.uploads.find(pusher, id)?;
        let state = session.state()?;
        if let Some(found) = chunk.start.filter(|start| *start != state.written) {
            return Err(PushError::OutOfOrder { expected: state.written, found });
        }
        let limit = PushError::BlobTooLarge { limit: session.limit, evidence: session.evidence };
        if chunk.length.is_some_and(|length| state.written.saturating_add(length) > session.limit) {
            return Err(limit);
        }
        let before = state.written;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let blobs = Arc::clone(self.store.blobs());
        let writing = {
            let session = Arc::clone(&session);
            tokio::task::spawn_blocking(move || write(&session, state, &*blobs, receiver))
        };
        let sent = send(content, &sender, session.limit - before).await;
        drop(sender);
        let written = writing.await.map_err(|_| GateError::Internal)?;
        session.used.store(self.uploads.now(), Ordering::Relaxed);
        let written = match written {
            Ok(written) => written,
            Err(error) => {
                let _ = self.uploads.take(id);
                return Err(GateError::store(error).into());
            }
        };
        match sent {
            Sent::All => {}
            Sent::Broken => return Err(PushError::BrokenBody),
            Sent::TooMuch => {
                let _ = self.uploads.take(id);
                return Err(limit);
            }
        }
        match chunk.length.filter(|length| *length != written - before) {
            Some(expected) => Err(PushError::Length { expected, found: written - before }),
            None => Ok(written),
        }
    }

    /// Takes a finished upload's state out of the table.
    pub(super) fn take_upload(&self, pusher: &Pusher, id: &UploadId) -> Result<OwnedMutexGuard<State>, PushError> {
        let session = self.uploads.find(pusher, id)?;
        let state = session.state()?;
        self.uploads.take(id)?;
        Ok(state)
    }
}

enum Sent {
    All,
    Broken,
    TooMuch,
}

async fn send(mut content: Content, to: &mpsc::Sender<Bytes>, mut room: u64) -> Sent {
    loop {
        match tokio::time::timeout(BODY_IDLE, content.next()).await {
            Ok(None) => return Sent::All,
            Ok(Some(Ok(piece))) => {
                let Some(rest) = room.checked_sub(piece.len() as u64) else { return Sent::TooMuch };
                room = rest;
                // The writer left: its own error says why.
                if to.send(piece).await.is_err() {
                    return Sent::All;
                }
            }
            Ok(Some(Err(_))) | Err(_) => return Sent::Broken,
        }
    }
}

/// On a blocking thread: hashes and writes what comes.
fn write(
    session: &Session,
    mut state: OwnedMutexGuard<State>,
    blobs: &dyn BlobStore,
    mut pieces: mpsc::Receiver<Bytes>,
) -> std::io::Result<u64> {
    let mut writer = state.writer.take();
    while let Some(piece) = pieces.blocking_recv() {
        let open = match &mut writer {
            Some(open) => open,
            None => writer.insert(blobs.begin(state.algorithm)?),
        };
        open.write(&piece)?;
        state.written += piece.len() as u64;
        session.received.store(state.written, Ordering::Release);
    }
    if let Some(writer) = &mut writer {
        writer.park();
    }
    state.writer = writer;
    Ok(state.written)
}
