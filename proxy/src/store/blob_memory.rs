//! Blobs in memory: for tests, and for commands that need no server.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use bytes::Bytes;
use sealgate_verifier::{Algorithm, Digest, Hasher};

use super::blob::{BlobReader, BlobStore, BlobWriter, Kept, StoredBlob, over_limit};

type Blobs = Arc<RwLock<HashMap<Digest, Bytes>>>;

/// Blobs in memory.
#[derive(Debug, Default)]
pub struct MemoryBlobStore {
    blobs: Blobs,
}

/// Reads from a slice as a file would.
fn copy(content: &[u8], buffer: &mut [u8], offset: u64) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or_default();
    let count = rest.len().min(buffer.len());
    if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}

struct Stored(Bytes);

impl BlobReader for Stored {
    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        Ok(Some(copy(&self.0, buffer, offset)))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(copy(&self.0, buffer, offset))
    }
}

#[derive(Default)]
struct Growing(RwLock<Vec<u8>>);

impl BlobReader for Growing {
    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.read_at(buffer, offset).map(Some)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(copy(&self.0.read().unwrap_or_else(PoisonError::into_inner), buffer, offset))
    }
}

struct Writer {
    blobs: Blobs,
    content: Arc<Growing>,
    hasher: Hasher,
}

impl BlobWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.content.0.write().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(())
    }

    fn park(&mut self) {}

    fn reader(&self) -> Arc<dyn BlobReader> {
        self.content.clone()
    }

    fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    fn commit(self: Box<Self>) -> io::Result<Digest> {
        let digest = self.digest();
        let content = self.content.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.blobs.write().unwrap_or_else(PoisonError::into_inner).entry(digest).or_insert_with(|| content.into());
        Ok(digest)
    }
}

impl MemoryBlobStore {
    fn find(&self, digest: &Digest) -> Option<Bytes> {
        self.blobs.read().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }
}

impl BlobStore for MemoryBlobStore {
    fn begin(&self, algorithm: Algorithm) -> io::Result<Box<dyn BlobWriter>> {
        Ok(Box::new(Writer { blobs: self.blobs.clone(), content: Arc::default(), hasher: Hasher::new(algorithm) }))
    }

    fn open(&self, digest: &Digest) -> io::Result<Option<StoredBlob>> {
        Ok(self.find(digest).map(|bytes| StoredBlob { size: bytes.len() as u64, reader: Arc::new(Stored(bytes)) }))
    }

    fn size(&self, digest: &Digest) -> io::Result<Option<u64>> {
        Ok(self.find(digest).map(|bytes| bytes.len() as u64))
    }

    fn read(&self, digest: &Digest, limit: usize) -> io::Result<Option<Bytes>> {
        match self.find(digest) {
            Some(bytes) if bytes.len() > limit => Err(over_limit(digest, bytes.len() as u64, limit)),
            found => Ok(found),
        }
    }

    fn remove(&self, digest: &Digest) -> io::Result<()> {
        self.blobs.write().unwrap_or_else(PoisonError::into_inner).remove(digest);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<(Digest, u64)>> {
        Ok(self.inventory()?.into_iter().map(|kept| (kept.digest, kept.size)).collect())
    }

    fn inventory(&self) -> io::Result<Vec<Kept>> {
        let blobs = self.blobs.read().unwrap_or_else(PoisonError::into_inner);
        let kept = |(digest, bytes): (&Digest, &Bytes)| Kept { digest: *digest, size: bytes.len() as u64, used: SystemTime::now() };
        Ok(blobs.iter().map(kept).collect())
    }

    fn note_use(&self, _digest: &Digest) -> io::Result<()> {
        Ok(())
    }
}
