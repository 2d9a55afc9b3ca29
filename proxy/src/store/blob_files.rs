//! Blobs as files, `blobs/<algorithm>/<first two hex digits>/<hex>`.
//!
//! A blob is written to `tmp/`, synced, renamed, and its folder synced (containerd#12301 lost blobs for want of the last step). What a
//! file holds is believed only after it was hashed in this run: by the writer, or on the first open.

mod folders;
mod open_files;
mod reader;
mod verified;
mod writer;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use sealgate_verifier::{Algorithm, Digest, Hasher};

use super::blob::{BlobStore, BlobWriter, Kept, StoredBlob, over_limit};
use folders::Folders;
use open_files::OpenFiles;
use reader::FileReader;
use verified::Verified;
use writer::FileWriter;

/// Files that stay open for the next reader. A soft limit of 1024 descriptors, the usual default, leaves room for connections.
pub const OPEN_FILES: usize = 256;
/// Bytes that are hashed at a time.
const PIECE: usize = 256 * 1024;

/// Blobs as files.
pub struct FileBlobStore {
    shared: Arc<Shared>,
}

struct Shared {
    blobs: PathBuf,
    folders: Folders,
    temporary: PathBuf,
    quarantine: PathBuf,
    verified: Verified,
    open: OpenFiles,
    quarantined: AtomicU64,
}

impl FileBlobStore {
    /// Opens the blobs below `data`, makes the folders that are missing, and removes what the last run left unfinished; says how many
    /// files that were. Only one store may have the folder open.
    ///
    /// # Errors
    /// I/O errors.
    pub fn open(data: &Path) -> io::Result<(Self, u64)> {
        let blobs = data.join("blobs");
        create_folder(&blobs)?;
        let shared = Shared {
            folders: Folders::open(&blobs)?,
            blobs,
            temporary: data.join("tmp"),
            quarantine: data.join("quarantine"),
            verified: Verified::default(),
            open: OpenFiles::new(OPEN_FILES),
            quarantined: AtomicU64::new(0),
        };
        for folder in [&shared.temporary, &shared.quarantine] {
            create_folder(folder)?;
        }
        let mut leftovers = 0;
        for entry in fs::read_dir(&shared.temporary)? {
            fs::remove_file(entry?.path())?;
            leftovers += 1;
        }
        Ok((Self { shared: Arc::new(shared) }, leftovers))
    }

    /// Blobs that did not match their digest since the start, for metrics.
    #[must_use]
    pub fn quarantined(&self) -> u64 {
        self.shared.quarantined.load(Ordering::Relaxed)
    }
}

/// Makes a folder with mode 0700; says whether it was not there.
fn new_folder(folder: &Path) -> io::Result<bool> {
    use std::os::unix::fs::DirBuilderExt;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// The same with its entry durable.
fn create_folder(folder: &Path) -> io::Result<()> {
    if new_folder(folder)? { folder.parent().map_or(Ok(()), sync_folder) } else { Ok(()) }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The digest of what can be read, and how many bytes that were.
pub(super) fn hash(algorithm: Algorithm, mut from: impl Read) -> io::Result<Digest> {
    let mut hasher = Hasher::new(algorithm);
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Shared {
    /// The folder and the path of a blob.
    fn place(&self, digest: &Digest) -> (PathBuf, PathBuf) {
        let path = path(&self.blobs, digest);
        (path.parent().map(Path::to_owned).unwrap_or_default(), path)
    }

    /// Hashes the blob at `path` again and moves it away when it is not what its name says; says whether it is. The caller has the
    /// digest's lock.
    fn check(&self, digest: &Digest, path: &Path) -> io::Result<bool> {
        self.forget(digest);
        let Some(file) = found(File::open(path))? else { return Ok(false) };
        if hash(digest.algorithm(), &file)? == *digest {
            self.verified.insert(*digest, file.metadata()?.len());
            return Ok(true);
        }
        let number = self.quarantined.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{}-{number}", digest.algorithm().name(), digest.hex(), ulid::Ulid::generate());
        tracing::error!(%digest, "a stored blob does not match its digest; it was moved to quarantine and counts as missing");
        fs::rename(path, self.quarantine.join(name))?;
        Ok(false)
    }

    fn forget(&self, digest: &Digest) {
        self.verified.remove(digest);
        self.open.remove(digest);
    }

    /// Opens a blob whose bytes were hashed in this run.
    fn open_verified(&self, digest: &Digest, path: &Path) -> io::Result<Option<StoredBlob>> {
        let Some(file) = found(File::open(path))? else { return Ok(None) };
        let size = file.metadata()?.len();
        let blob = StoredBlob { size, reader: Arc::new(FileReader::new(Arc::new(file))) };
        self.open.insert(*digest, blob.clone());
        Ok(Some(blob))
    }
}

impl BlobStore for FileBlobStore {
    fn begin(&self, algorithm: Algorithm) -> io::Result<Box<dyn BlobWriter>> {
        Ok(Box::new(FileWriter::begin(self.shared.clone(), algorithm)?))
    }

    fn open(&self, digest: &Digest) -> io::Result<Option<StoredBlob>> {
        if let Some(blob) = self.shared.open.get(digest).filter(|blob| blob.reader.is_whole(blob.size)) {
            return Ok(Some(blob));
        }
        let (_, path) = self.shared.place(digest);
        let _turn = self.shared.verified.lock(digest);
        let Some(found) = found(fs::metadata(&path))? else {
            self.shared.forget(digest);
            return Ok(None);
        };
        if self.shared.verified.contains(digest, found.len()) || self.shared.check(digest, &path)? {
            return self.shared.open_verified(digest, &path);
        }
        Ok(None)
    }

    fn size(&self, digest: &Digest) -> io::Result<Option<u64>> {
        let (_, path) = self.shared.place(digest);
        Ok(found(fs::metadata(path))?.map(|metadata| metadata.len()))
    }

    fn read(&self, digest: &Digest, limit: usize) -> io::Result<Option<Bytes>> {
        let (_, path) = self.shared.place(digest);
        let Some(file) = found(File::open(&path))? else { return Ok(None) };
        let size = file.metadata()?.len();
        if size > limit as u64 {
            return Err(over_limit(digest, size, limit));
        }
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(limit as u64 + 1).read_to_end(&mut content)?;
        if digest.matches(&content) {
            return Ok(Some(content.into()));
        }
        let _turn = self.shared.verified.lock(digest);
        self.shared.check(digest, &path)?;
        Ok(None)
    }

    fn remove(&self, digest: &Digest) -> io::Result<()> {
        let (_, path) = self.shared.place(digest);
        let _turn = self.shared.verified.lock(digest);
        self.shared.forget(digest);
        found(fs::remove_file(path)).map(|_| ())
    }

    fn list(&self) -> io::Result<Vec<(Digest, u64)>> {
        Ok(self.inventory()?.into_iter().map(|kept| (kept.digest, kept.size)).collect())
    }

    fn inventory(&self) -> io::Result<Vec<Kept>> {
        inventory(&self.shared.blobs)
    }

    fn note_use(&self, digest: &Digest) -> io::Result<()> {
        // Its modification time: it survives a lost index, and a crash loses only its latest values.
        let Some(file) = found(File::open(self.shared.place(digest).1))? else { return Ok(()) };
        file.set_modified(SystemTime::now())
    }
}

/// The path of a blob. It comes from the hash's own digits, never from a text.
pub(super) fn path(blobs: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    blobs.join(digest.algorithm().name()).join(hex.get(..2).unwrap_or_default()).join(&hex)
}

/// Every file below `blobs` whose name is a digest.
pub(super) fn inventory(blobs: &Path) -> io::Result<Vec<Kept>> {
    let mut kept = Vec::new();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let Some(folders) = found(fs::read_dir(blobs.join(algorithm.name())))? else { continue };
        for folder in folders {
            for entry in fs::read_dir(folder?.path())? {
                let entry = entry?;
                let name = entry.file_name();
                let digest = name.to_str().and_then(|hex| format!("{}:{hex}", algorithm.name()).parse::<Digest>().ok());
                if let (Some(digest), Some(metadata)) = (digest, found(entry.metadata())?) {
                    kept.push(Kept { digest, size: metadata.len(), used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH) });
                }
            }
        }
    }
    Ok(kept)
}
