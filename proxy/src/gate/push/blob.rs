//! Blobs: an upload's end, and mounts.

use std::sync::Arc;

use sealgate_verifier::{Algorithm, Digest, Repository, limits};

use super::session::{Chunk, Content, UploadId};
use super::{Extent, PushError, Pusher, Uploads};
use crate::auth::{Access, Action};
use crate::gate::{Gate, GateError};
use crate::store::blob::{BlobReader, BlobStore, BlobWriter};

/// Bytes that are hashed at a time when a blob is hashed again under another algorithm.
const PIECE: usize = 256 * 1024;

/// Most bytes of a blob, and whether that is the limit of evidence.
pub(super) const fn limit(pusher: &Pusher) -> (u64, bool) {
    match pusher.extent {
        Extent::Everything => (limits::BLOB_BYTES, false),
        Extent::Evidence => (limits::EVIDENCE_LAYER_BYTES as u64, true),
    }
}

/// An upload that one request begins and ends: however the request ends, nobody goes on with it.
struct Whole<'a> {
    uploads: &'a Uploads,
    id: UploadId,
}

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        // It is in the table no more where it ended well.
        let _ = self.uploads.take(&self.id);
    }
}

impl Gate {
    /// Takes in a blob that comes whole in one request. Durable when it returns.
    ///
    /// # Errors
    /// As [`Gate::begin_upload`] and [`Gate::finish_upload`].
    pub async fn push_blob(&self, pusher: &Pusher, chunk: Chunk, content: Content, digest: Digest) -> Result<(), PushError> {
        let id = self.begin_upload(pusher, digest.algorithm()).await?;
        let whole = Whole { uploads: &self.uploads, id };
        self.finish_upload(pusher, &whole.id, chunk, content, digest).await
    }

    /// Appends the last bytes, checks the digest and keeps the blob. Durable when it returns.
    ///
    /// # Errors
    /// As [`Gate::append_upload`]; [`PushError::Digest`], after which the upload is over.
    pub async fn finish_upload(
        &self,
        pusher: &Pusher,
        id: &UploadId,
        chunk: Chunk,
        content: Content,
        digest: Digest,
    ) -> Result<(), PushError> {
        let written = self.append_upload(pusher, id, chunk, content).await?;
        let mut state = self.take_upload(pusher, id)?;
        if state.written != written {
            return Err(PushError::UploadBusy);
        }
        let blobs = Arc::clone(self.store.blobs());
        let (writer, algorithm) = (state.writer.take(), state.algorithm);
        let keeping = tokio::task::spawn_blocking(move || keep(&*blobs, writer, algorithm, written, digest));
        keeping.await.map_err(|_| GateError::Internal)??;
        self.record_pushed_blob(pusher, &digest, written).await
    }

    async fn record_pushed_blob(&self, pusher: &Pusher, digest: &Digest, size: u64) -> Result<(), PushError> {
        let name = pusher.name();
        self.store.record_upload(&pusher.repository, digest, size, name.as_deref(), self.now()).await?;
        self.uploaded_to.insert((name, *digest), pusher.repository.clone(), 1);
        Ok(())
    }

    /// As [`Gate::mount`], for a client that names no repository: from where it uploaded the blob last, as far as that is remembered
    /// (distribution-spec 1.1, "Mounting a blob from another repository": "automatic content discovery").
    ///
    /// # Errors
    /// The store's.
    pub async fn mount_own(self: &Arc<Self>, access: &Access, pusher: &Pusher, digest: &Digest) -> Result<bool, PushError> {
        match self.uploaded_to.get(&(pusher.name(), *digest)) {
            Some(from) => self.mount(access, pusher, &from, digest).await,
            None => Ok(false),
        }
    }

    /// Takes a blob over from another repository, without its bytes travelling; false where the client must upload it.
    ///
    /// It needs what a pull there needs (DESIGN §1.4): the right to read, possession, and an admitted manifest that lists it; or that
    /// this client, known by name, uploaded it there itself; for strangers, that no image lists it yet.
    ///
    /// # Errors
    /// The store's.
    pub async fn mount(self: &Arc<Self>, access: &Access, pusher: &Pusher, from: &Repository, digest: &Digest) -> Result<bool, PushError> {
        if access.require(Action::Pull, from).is_err() {
            return Ok(false);
        }
        let Some(size) = self.store.possession(from, digest)? else { return Ok(false) };
        if size > limit(pusher).0 {
            return Ok(false);
        }
        let name = pusher.name();
        // What strangers upload is theirs together, and so nobody's once an image lists it: then that image's decision counts.
        let own = self.store.uploaded_by(from, digest, name.as_deref())?
            && (name.is_some() || self.store.manifests_listing_blob(from, digest)?.is_empty());
        if !own && self.grant(from, digest).await.is_err() {
            return Ok(false);
        }
        let (blobs, wanted) = (Arc::clone(self.store.blobs()), *digest);
        let stored = tokio::task::spawn_blocking(move || blobs.open(&wanted)).await.map_err(|_| GateError::Internal)?;
        if stored.map_err(GateError::store)?.is_none_or(|stored| stored.size != size) {
            return Ok(false);
        }
        self.record_pushed_blob(pusher, digest, size).await?;
        Ok(true)
    }
}

/// On a blocking thread: checks the digest and gives the blob its name.
fn keep(
    blobs: &dyn BlobStore,
    writer: Option<Box<dyn BlobWriter>>,
    algorithm: Algorithm,
    written: u64,
    expected: Digest,
) -> Result<(), PushError> {
    let mut writer = match writer {
        Some(writer) => writer,
        // An empty blob.
        None => blobs.begin(algorithm).map_err(GateError::store)?,
    };
    if expected.algorithm() != algorithm {
        writer = under(blobs, &*writer.reader(), written, expected.algorithm()).map_err(GateError::store)?;
    }
    let found = writer.digest();
    if found != expected {
        return Err(PushError::Digest { expected: Box::new(expected), found: Box::new(found) });
    }
    writer.commit().map_err(GateError::store)?;
    Ok(())
}

/// The same bytes under another algorithm, which the client named only now.
fn under(blobs: &dyn BlobStore, from: &dyn BlobReader, size: u64, algorithm: Algorithm) -> std::io::Result<Box<dyn BlobWriter>> {
    let mut to = blobs.begin(algorithm)?;
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    while offset < size {
        let count = from.read_at(&mut piece, offset)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        to.write(piece.get(..count).unwrap_or_default())?;
        offset += count as u64;
    }
    Ok(to)
}
