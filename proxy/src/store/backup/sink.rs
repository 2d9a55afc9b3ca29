//! Where a backup or an export goes: a folder, or a tar archive.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sealgate_verifier::Digest;

use super::{BackupError, PIECE};
use crate::store::blob_files;

/// Marks a folder in which something was begun.
const UNFINISHED: &str = "sealgate.unfinished";

/// Takes the files of a backup.
pub(in crate::store) enum Sink {
    Folder(PathBuf),
    /// With its path, where it has one, and where it is written until it is whole.
    Tar(Box<tar::Builder<Box<dyn Write>>>, Option<(PathBuf, PathBuf)>),
}

/// How a blob came into a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Taken {
    Copied,
    Linked,
    /// It was there, from an earlier attempt.
    Known,
    /// Its bytes are not what its name says.
    Damaged,
}

impl Sink {
    /// A folder that does not exist, is empty, or has an unfinished backup in it; a tar archive for a name that ends so, or for `-`.
    pub(in crate::store) fn open(target: &Path) -> Result<Self, BackupError> {
        if target == Path::new("-") {
            return Ok(Self::tar(Box::new(io::stdout()), None));
        }
        if target.extension().is_some_and(|extension| extension == "tar") {
            if target.exists() {
                let found = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Err(BackupError::NotEmpty { path: target.to_owned(), found });
            }
            let partial = target.with_extension("tar.unfinished");
            let file = create(&partial).map_err(BackupError::file(&partial, "written"))?;
            return Ok(Self::tar(Box::new(file), Some((target.to_owned(), partial))));
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(target).map_err(BackupError::file(target, "created"))?;
        let marker = target.join(UNFINISHED);
        if !marker.exists() {
            if let Some(entry) = fs::read_dir(target).map_err(BackupError::file(target, "read"))?.next() {
                let entry = entry.map_err(BackupError::file(target, "read"))?;
                let found = entry.file_name().to_string_lossy().into_owned();
                return Err(BackupError::NotEmpty { path: target.to_owned(), found });
            }
            create(&marker).and_then(|file| file.sync_all()).map_err(BackupError::file(&marker, "written"))?;
        }
        Ok(Self::Folder(target.to_owned()))
    }

    fn tar(to: Box<dyn Write>, paths: Option<(PathBuf, PathBuf)>) -> Self {
        Self::Tar(Box::new(tar::Builder::new(to)), paths)
    }

    /// Takes a blob under a name; none where its file is gone. `links` are files that may hold the same bytes.
    pub(in crate::store) fn blob(
        &mut self,
        (from, name): (&Path, &Path),
        digest: &Digest,
        size: u64,
        links: &[PathBuf],
    ) -> Result<Option<Taken>, BackupError> {
        match self {
            Self::Folder(folder) => {
                let to = folder.join(name);
                let failed = |error| BackupError::file(&to, "written")(error);
                take(from, &to, digest, size, links).map_err(failed)
            }
            Self::Tar(tar, _) => {
                // A tar archive cannot take bytes back: they are hashed before.
                let Some(file) = found(File::open(from)).map_err(BackupError::file(from, "read"))? else { return Ok(None) };
                if blob_files::hash(digest.algorithm(), &file).map_err(BackupError::file(from, "read"))? != *digest {
                    return Ok(Some(Taken::Damaged));
                }
                let file = File::open(from).map_err(BackupError::file(from, "read"))?;
                append(tar, name, file, size).map_err(BackupError::file(name, "written"))?;
                Ok(Some(Taken::Copied))
            }
        }
    }

    /// Takes a file of exactly `size` bytes.
    pub(in crate::store) fn file(&mut self, name: &Path, from: impl Read, size: u64) -> Result<(), BackupError> {
        match self {
            Self::Folder(folder) => {
                let to = folder.join(name);
                write_whole(&to, from, size).map_err(BackupError::file(&to, "written"))
            }
            Self::Tar(tar, _) => append(tar, name, from, size).map_err(BackupError::file(name, "written")),
        }
    }

    /// Makes all of it durable, and then what it is by its last file.
    pub(in crate::store) fn finish(mut self, last: &str, content: &[u8]) -> Result<(), BackupError> {
        if let Self::Folder(folder) = &self {
            sync_folders(folder).map_err(BackupError::file(folder, "synced"))?;
        }
        self.file(Path::new(last), content, content.len() as u64)?;
        match self {
            Self::Folder(folder) => {
                let end = || {
                    File::open(&folder)?.sync_all()?;
                    fs::remove_file(folder.join(UNFINISHED))?;
                    File::open(&folder)?.sync_all()
                };
                end().map_err(BackupError::file(&folder, "finished"))
            }
            Self::Tar(tar, paths) => {
                let shown = paths.as_ref().map_or_else(|| PathBuf::from("-"), |(path, _)| path.clone());
                let end = || -> io::Result<()> {
                    tar.into_inner()?.flush()?;
                    if let Some((path, partial)) = &paths {
                        File::open(partial)?.sync_all()?;
                        fs::rename(partial, path)?;
                        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
                    }
                    Ok(())
                };
                end().map_err(BackupError::file(shown, "finished"))
            }
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn append(tar: &mut tar::Builder<Box<dyn Write>>, name: &Path, from: impl Read, size: u64) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(0);
    tar.append_data(&mut header, name, Exactly { inner: from, left: size })
}

/// Gives `left` bytes, or an error.
struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(buffer.get_mut(..most).unwrap_or_default())?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// Writes a file under another name first, so that what has its name is whole.
fn write_whole(to: &Path, from: impl Read, size: u64) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let partial = to.with_extension("unfinished");
    let written = || -> io::Result<()> {
        let mut file = create(&partial)?;
        io::copy(&mut Exactly { inner: from, left: size }.take(size), &mut file)?;
        file.sync_all()?;
        fs::rename(&partial, to)
    };
    written().inspect_err(|_| {
        let _ = fs::remove_file(&partial);
    })
}

/// Links a blob from one of `links`, or copies and hashes it.
fn take(from: &Path, to: &Path, digest: &Digest, size: u64, links: &[PathBuf]) -> io::Result<Option<Taken>> {
    // Only whole files have names here; what a broken disk made of them the restore finds.
    if fs::metadata(to).is_ok_and(|known| known.len() == size) {
        return Ok(Some(Taken::Known));
    }
    if let Some(parent) = to.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    for earlier in links {
        if fs::metadata(earlier).is_ok_and(|known| known.len() == size) && fs::hard_link(earlier, to).is_ok() {
            return Ok(Some(Taken::Linked));
        }
    }
    let Some(mut file) = found(File::open(from))? else { return Ok(None) };
    let partial = to.with_extension("unfinished");
    let mut copy = || -> io::Result<bool> {
        let mut target = create(&partial)?;
        let mut hasher = sealgate_verifier::Hasher::new(digest.algorithm());
        let mut piece = vec![0; PIECE];
        loop {
            let count = file.read(&mut piece)?;
            if count == 0 {
                break;
            }
            let bytes = piece.get(..count).unwrap_or_default();
            hasher.update(bytes);
            target.write_all(bytes)?;
        }
        if hasher.finish() != *digest {
            return Ok(false);
        }
        target.sync_all()?;
        fs::rename(&partial, to)?;
        Ok(true)
    };
    match copy() {
        Ok(true) => Ok(Some(Taken::Copied)),
        other => {
            let _ = fs::remove_file(&partial);
            other.map(|_| Some(Taken::Damaged))
        }
    }
}

fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    File::open(folder)?.sync_all()
}
