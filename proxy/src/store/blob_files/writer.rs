//! Writes a blob's file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use sealgate_verifier::{Algorithm, Digest, Hasher};

use super::reader::FileReader;
use super::{Shared, sync_folder};
use crate::store::blob::{BlobReader, BlobWriter};

/// A blob in `tmp/`. Dropping it unlinks the file.
pub(super) struct FileWriter {
    shared: Arc<Shared>,
    /// None while it is parked.
    file: Option<Arc<File>>,
    /// None after the file got its name.
    path: Option<PathBuf>,
    hasher: Hasher,
    /// A write failed: what the file holds is no longer what was hashed.
    failed: bool,
}

impl FileWriter {
    pub(super) fn begin(shared: Arc<Shared>, algorithm: Algorithm) -> io::Result<Self> {
        let path = shared.temporary.join(ulid::Ulid::generate().to_string());
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { shared, file: Some(Arc::new(file)), path: Some(path), hasher: Hasher::new(algorithm), failed: false })
    }

    /// The open file; a parked one is opened again, to be written at its end.
    fn open(&mut self) -> io::Result<Arc<File>> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let path = self.path.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let file = Arc::new(OpenOptions::new().read(true).append(true).open(path)?);
        self.file = Some(file.clone());
        Ok(file)
    }

    fn name(&mut self, digest: &Digest) -> io::Result<()> {
        let (folder, target) = self.shared.place(digest);
        let length = self.open()?.metadata()?.len();
        let Some(path) = &self.path else { return Ok(()) };
        let shared = self.shared.clone();
        let _turn = shared.verified.lock(digest);
        if fs::metadata(&target).is_ok_and(|found| self.shared.verified.contains(digest, found.len())) {
            return Ok(());
        }
        // In place of a file of that name whose bytes nobody has checked (F18: an empty one, say): these were hashed just now.
        shared.folders.make(&folder)?;
        match fs::rename(path, &target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Somebody removed the folder under a running gate.
                shared.folders.forget();
                shared.folders.make(&folder)?;
                fs::rename(path, &target)?;
            }
            other => other?,
        }
        self.path = None;
        self.shared.open.remove(digest);
        sync_folder(&folder)?;
        self.shared.verified.insert(*digest, length);
        Ok(())
    }
}

/// What is left of a file that cannot be opened again.
struct Gone;

impl BlobReader for Gone {
    fn read_now(&self, _: &mut [u8], _: u64) -> io::Result<Option<usize>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::NotFound.into())
    }
}

impl BlobWriter for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.open()?;
        if let Err(error) = (&*file).write_all(bytes) {
            self.failed = true;
            return Err(error);
        }
        self.hasher.update(bytes);
        Ok(())
    }

    fn park(&mut self) {
        self.file = None;
    }

    fn reader(&self) -> Arc<dyn BlobReader> {
        let reopened = || self.path.as_ref().and_then(|path| File::open(path).ok()).map(Arc::new);
        match self.file.clone().or_else(reopened) {
            Some(file) => Arc::new(FileReader::new(file)),
            None => Arc::new(Gone),
        }
    }

    fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    fn commit(mut self: Box<Self>) -> io::Result<Digest> {
        if self.failed {
            return Err(io::Error::other("an earlier write of this blob failed"));
        }
        let digest = self.digest();
        self.open()?.sync_all()?;
        self.name(&digest)?;
        Ok(digest)
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = fs::remove_file(path)
        {
            tracing::warn!(%error, "an unfinished blob could not be removed; the next start does it");
        }
    }
}
