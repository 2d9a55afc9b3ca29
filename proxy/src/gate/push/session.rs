//! One upload. Between requests it holds no open file.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::Stream;
use ring::rand::{SecureRandom, SystemRandom};
use sealgate_verifier::{Algorithm, Repository};
use tokio::sync::OwnedMutexGuard;

use super::account::Account;
use super::intake::{Ended, Intake};
use super::{PushError, Pusher};
use crate::auth::Principal;
use crate::gate::{Gate, GateError};
use crate::store::blob::BlobWriter;

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

    /// Notes how many bytes have arrived.
    pub(super) fn note_received(&self, bytes: u64) {
        self.received.store(bytes, Ordering::Release);
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
        let intake = Intake::new(Arc::clone(&session), state, Arc::clone(self.store.blobs()));
        let taken = intake.take(content, session.limit - before).await;
        session.used.store(self.uploads.now(), Ordering::Relaxed);
        let (ended, written) = taken.map_err(|error| {
            let _ = self.uploads.take(id);
            GateError::store(error)
        })?;
        match ended {
            Ended::Whole => {}
            Ended::Broken => return Err(PushError::BrokenBody),
            Ended::TooLarge => {
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
