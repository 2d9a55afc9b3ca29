//! Uploads that have begun: each under an identifier that cannot be guessed, for whoever began it, for a limited time.
//!
//! Bytes go through a queue to a blocking thread that hashes and writes. That thread owns the upload's state while it works, so that a
//! client which leaves takes nothing with it: what arrived stays, and the upload can go on. Between requests an upload holds no open file.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use ring::rand::{SecureRandom, SystemRandom};
use sealgate_verifier::{Algorithm, Repository};
use tokio::sync::{OwnedMutexGuard, mpsc};

use super::{PushError, Pusher};
use crate::auth::Principal;
use crate::gate::{Gate, GateError};
use crate::store::blob::{BlobStore, BlobWriter};

/// Uploads that may be unfinished at once: each holds about 1 KiB, and a file on the disk once it has bytes.
pub const UPLOADS: usize = 8_192;
/// Uploads that one client may have unfinished. A docker push has five under way; a thousand serve two hundred CI jobs in one name.
pub const UPLOADS_OF_ONE: usize = 1_000;
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
    fn generate() -> Result<Self, GateError> {
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
    /// Most bytes.
    limit: u64,
    evidence: bool,
    /// When a request last came, milliseconds since the table was made.
    used: AtomicU64,
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
    /// Bytes that have arrived.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    /// The state, unless another request writes.
    pub(super) fn state(&self) -> Result<OwnedMutexGuard<State>, PushError> {
        Arc::clone(&self.state).try_lock_owned().map_err(|_| PushError::UploadBusy)
    }
}

/// All uploads that have begun.
pub struct Uploads {
    sessions: Mutex<HashMap<UploadId, Arc<Session>>>,
    idle: Duration,
    started: Instant,
}

impl Uploads {
    /// An empty table, whose uploads expire after `idle` without a request.
    #[must_use]
    pub fn new(idle: Duration) -> Self {
        Self { sessions: Mutex::default(), idle, started: Instant::now() }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<UploadId, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Removes what has expired, files included, and says how many that were. Blocks on the disk.
    pub fn sweep(&self) -> usize {
        let (now, idle) = (self.now(), u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX));
        let expired = |session: &Session| now.saturating_sub(session.used.load(Ordering::Relaxed)) > idle;
        let mut sessions = self.sessions();
        // One that is being written to is in use, however long that takes.
        let gone: Vec<UploadId> =
            sessions.iter().filter(|(_, session)| expired(session) && session.state.try_lock().is_ok()).map(|(id, _)| id.clone()).collect();
        let gone: Vec<Arc<Session>> = gone.iter().filter_map(|id| sessions.remove(id)).collect();
        drop(sessions);
        gone.len()
    }

    /// How many are unfinished.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sessions().len()
    }

    fn begin(&self, pusher: &Pusher, algorithm: Algorithm, limit: u64, evidence: bool) -> Result<UploadId, PushError> {
        let id = UploadId::generate()?;
        let session = Session {
            repository: pusher.repository.clone(),
            owner: pusher.principal.clone(),
            limit,
            evidence,
            used: AtomicU64::new(self.now()),
            received: AtomicU64::new(0),
            state: Arc::new(tokio::sync::Mutex::new(State { algorithm, writer: None, written: 0 })),
        };
        let mut sessions = self.sessions();
        let own = sessions.values().filter(|other| other.owner == session.owner).count();
        if own >= UPLOADS_OF_ONE {
            return Err(PushError::TooManyUploads { limit: UPLOADS_OF_ONE });
        }
        if sessions.len() >= UPLOADS {
            return Err(PushError::TooManyUploads { limit: UPLOADS });
        }
        sessions.insert(id.clone(), Arc::new(session));
        Ok(id)
    }

    /// The upload `id`, where this pusher began it in this repository (D12).
    fn find(&self, pusher: &Pusher, id: &UploadId) -> Result<Arc<Session>, PushError> {
        let session = self.sessions().get(id).cloned().ok_or(PushError::UploadUnknown)?;
        if session.repository != pusher.repository || session.owner != pusher.principal {
            return Err(PushError::UploadUnknown);
        }
        session.used.store(self.now(), Ordering::Relaxed);
        Ok(session)
    }

    /// Takes the upload out of the table: of several who end it, one does.
    fn take(&self, id: &UploadId) -> Result<Arc<Session>, PushError> {
        self.sessions().remove(id).ok_or(PushError::UploadUnknown)
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
