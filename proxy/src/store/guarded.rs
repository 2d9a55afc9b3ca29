//! Blobs with leases and room: what is opened is touched, what is written must have room.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use sealgate_verifier::{Algorithm, Digest};

use super::blob::{BlobReader, BlobStore, BlobWriter, Kept, StoredBlob};
use super::lease::Leases;
use super::room::{Room, STEP};

/// A blob store behind leases and room.
pub(super) struct GuardedBlobs {
    pub(super) inner: Arc<dyn BlobStore>,
    pub(super) leases: Arc<Leases>,
    pub(super) room: Arc<Room>,
}

impl BlobStore for GuardedBlobs {
    fn begin(&self, algorithm: Algorithm) -> io::Result<Box<dyn BlobWriter>> {
        self.room.ensure(0)?;
        let inner = self.inner.begin(algorithm)?;
        Ok(Box::new(GuardedWriter {
            inner: Some(inner),
            blobs: Arc::clone(&self.inner),
            leases: Arc::clone(&self.leases),
            room: Arc::clone(&self.room),
            charged: 0,
            ensured: 0,
        }))
    }

    fn make_room(&self, bytes: u64) -> io::Result<()> {
        self.room.ensure(bytes)
    }

    fn open(&self, digest: &Digest) -> io::Result<Option<StoredBlob>> {
        self.leases.touch(digest);
        self.inner.open(digest)
    }

    fn read(&self, digest: &Digest, limit: usize) -> io::Result<Option<Bytes>> {
        self.leases.touch(digest);
        self.inner.read(digest, limit)
    }

    fn remove(&self, digest: &Digest) -> io::Result<()> {
        let size = self.inner.size(digest)?;
        self.inner.remove(digest)?;
        self.room.subtract(size.unwrap_or(0));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<(Digest, u64)>> {
        self.inner.list()
    }

    fn size(&self, digest: &Digest) -> io::Result<Option<u64>> {
        self.inner.size(digest)
    }

    fn inventory(&self) -> io::Result<Vec<Kept>> {
        self.inner.inventory()
    }

    fn note_use(&self, digest: &Digest) -> io::Result<()> {
        self.inner.note_use(digest)
    }
}

/// Dropping it gives its bytes back.
struct GuardedWriter {
    inner: Option<Box<dyn BlobWriter>>,
    blobs: Arc<dyn BlobStore>,
    leases: Arc<Leases>,
    room: Arc<Room>,
    /// Bytes that were written and count as used.
    charged: u64,
    /// Up to how many bytes there was room when it was last looked.
    ensured: u64,
}

impl GuardedWriter {
    fn inner(&mut self) -> io::Result<&mut Box<dyn BlobWriter>> {
        self.inner.as_mut().ok_or_else(|| io::Error::other("the blob was committed already"))
    }
}

impl BlobWriter for GuardedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let more = bytes.len() as u64;
        if self.charged + more > self.ensured {
            // The first look is exact, so that small blobs fill what is there.
            let step = if self.charged == 0 { more } else { more.max(STEP) };
            if self.room.ensure(step).is_err() {
                self.room.ensure(more)?;
                self.ensured = self.charged + more;
            } else {
                self.ensured = self.charged + step;
            }
        }
        self.inner()?.write(bytes)?;
        self.charged += more;
        self.room.add(more);
        Ok(())
    }

    fn park(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.park();
        }
    }

    fn reader(&self) -> Arc<dyn BlobReader> {
        match &self.inner {
            Some(inner) => inner.reader(),
            None => Arc::new(Ended),
        }
    }

    fn digest(&self) -> Digest {
        self.inner.as_ref().map_or(Digest::Sha256([0; 32]), |inner| inner.digest())
    }

    fn commit(mut self: Box<Self>) -> io::Result<Digest> {
        let Some(inner) = self.inner.take() else { return Err(io::Error::other("the blob was committed already")) };
        let digest = inner.digest();
        // Before the look whether it is there already: from then on it is not removed.
        self.leases.touch(&digest);
        let known = self.blobs.size(&digest)?.is_some();
        let committed = inner.commit()?;
        if !known {
            self.charged = 0;
        }
        Ok(committed)
    }
}

impl Drop for GuardedWriter {
    fn drop(&mut self) {
        self.room.subtract(self.charged);
    }
}

/// Reads of a writer that was committed.
struct Ended;

impl BlobReader for Ended {
    fn read_now(&self, _: &mut [u8], _: u64) -> io::Result<Option<usize>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::NotFound.into())
    }
}
