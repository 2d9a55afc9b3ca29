//! Content-addressed blobs: the contract. Two implementations: files and memory.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use sealgate_verifier::Digest;

/// Reads one blob, stored or still being written. Cheap to share; stays readable after the blob was deleted or renamed.
pub trait BlobReader: Send + Sync + 'static {
    /// Reads at `offset` what is there without waiting for a disk. `Ok(None)` when that would wait: call [`BlobReader::read_at`] on a
    /// blocking thread then. `Ok(Some(0))` at the end.
    ///
    /// # Errors
    /// I/O errors.
    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>>;

    /// Reads at `offset`, waiting for the disk.
    ///
    /// # Errors
    /// I/O errors.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Whether there are still `size` bytes: a file can be cut under an open gate (F18).
    fn is_whole(&self, _size: u64) -> bool {
        true
    }
}

/// A stored blob.
#[derive(Clone)]
pub struct StoredBlob {
    /// Bytes.
    pub size: u64,
    /// Its content.
    pub reader: Arc<dyn BlobReader>,
}

/// What is known of a stored blob without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its digest, as its name says.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// When it was last used, as far as that was noted ([`BlobStore::note_use`]), or written.
    pub used: SystemTime,
}

/// Writes one blob. Dropping it without [`BlobWriter::commit`] leaves nothing behind.
pub trait BlobWriter: Send {
    /// Appends and hashes.
    ///
    /// # Errors
    /// I/O errors, disk full among them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Gives the file handle back until the next call: many unfinished uploads must not use up the descriptors.
    fn park(&mut self);

    /// Reads what was written so far, also after the commit.
    fn reader(&self) -> Arc<dyn BlobReader>;

    /// The digest of all bytes written so far, under the algorithm that [`BlobStore::begin`] was given.
    fn digest(&self) -> Digest;

    /// Makes the blob durable under its own digest: fsync, rename, fsync of the folder. A blob that is already there is left as it is.
    ///
    /// # Errors
    /// I/O errors; after one nothing counts as stored (never retry an fsync).
    fn commit(self: Box<Self>) -> io::Result<Digest>;
}

/// Content-addressed storage. All calls may block; call them on blocking threads. [`BlobStore::open`] is quick enough for the hot path.
pub trait BlobStore: Send + Sync + 'static {
    /// Starts a blob whose digest will be of `algorithm`.
    ///
    /// # Errors
    /// I/O errors.
    fn begin(&self, algorithm: sealgate_verifier::Algorithm) -> io::Result<Box<dyn BlobWriter>>;

    /// Opens a blob. On the first open after a start the bytes are hashed again; a blob that does not match is moved to quarantine and
    /// reported as missing (A5, F18, F23).
    ///
    /// # Errors
    /// I/O errors.
    fn open(&self, digest: &Digest) -> io::Result<Option<StoredBlob>>;

    /// The size of a blob, where there is one. Its bytes are not looked at.
    ///
    /// # Errors
    /// I/O errors.
    fn size(&self, digest: &Digest) -> io::Result<Option<u64>>;

    /// The whole of a small blob, hashed again on every call.
    ///
    /// # Errors
    /// I/O errors; [`io::ErrorKind::FileTooLarge`] for a blob of more than `limit` bytes.
    fn read(&self, digest: &Digest, limit: usize) -> io::Result<Option<bytes::Bytes>>;

    /// Removes a blob. Readers that are open go on.
    ///
    /// # Errors
    /// I/O errors.
    fn remove(&self, digest: &Digest) -> io::Result<()>;

    /// Every stored digest with its size, in any order.
    ///
    /// # Errors
    /// I/O errors.
    fn list(&self) -> io::Result<Vec<(Digest, u64)>>;

    /// What is stored, and when it was last used, in any order.
    ///
    /// # Errors
    /// I/O errors.
    fn inventory(&self) -> io::Result<Vec<Kept>>;

    /// Notes that a blob was used now. May be lost; one that is not there is left alone.
    ///
    /// # Errors
    /// I/O errors.
    fn note_use(&self, digest: &Digest) -> io::Result<()>;

    /// Sees to room for `bytes` more, where the store is bounded: before a blob of that size is begun.
    ///
    /// # Errors
    /// [`super::room::NoRoom`], inside.
    fn make_room(&self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn over_limit(digest: &Digest, found: u64, limit: usize) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("blob {digest} of {found} bytes is over the limit of {limit}"))
}
