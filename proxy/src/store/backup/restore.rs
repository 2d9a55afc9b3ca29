//! Restores a backup into an empty data folder, or leaves that empty.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use sealgate_verifier::{Digest, Hasher};

use super::source::{self, Names, Part};
use super::{BackupError, KIND, LIST_BYTES, MANIFEST_BYTES, Manifest, OnProgress, PIECE};
use crate::store::folder::{self, FolderLock};
use crate::store::{FORMAT, blob_files, ledger};

/// The file that says that a data folder is being restored: no gate starts on it.
pub const RESTORING: &str = "restoring";

/// What was read so far.
#[derive(Default)]
struct Gathered {
    manifest: Option<Vec<u8>>,
    list: Option<Vec<u8>>,
    blobs: HashMap<Digest, u64>,
    segments: u64,
    bytes: u64,
}

/// Copies a backup into `data`, proves it, and only then makes it a store. The index is made at the next start.
///
/// # Errors
/// [`BackupError`]: `data` is not empty, or the backup is not whole. `data` is empty again then.
pub fn restore(source: &Path, data: &Path, progress: OnProgress<'_>) -> Result<Manifest, BackupError> {
    require_empty(data)?;
    folder::create(data)?;
    let _lock = FolderLock::take(data)?;
    let marker = data.join(RESTORING);
    clear(data).map_err(BackupError::file(data, "cleared"))?;
    let mark = || -> io::Result<()> {
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&marker)?.sync_all()?;
        folder::sync(data)
    };
    mark().map_err(BackupError::file(&marker, "written"))?;
    match copy(source, data, progress) {
        Ok(manifest) => {
            folder::write_format(data)?;
            fs::remove_file(&marker).and_then(|()| folder::sync(data)).map_err(BackupError::file(&marker, "removed"))?;
            Ok(manifest)
        }
        Err(error) => {
            // What cannot be removed now stays behind the marker.
            if clear(data).is_ok() {
                let _ = fs::remove_file(&marker);
            }
            Err(error)
        }
    }
}

/// Nothing in it, but for what an interrupted restore left and what a new volume has.
fn require_empty(data: &Path) -> Result<(), BackupError> {
    if data.join(RESTORING).exists() {
        return Ok(());
    }
    let entries = match fs::read_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(BackupError::file(data, "read"))?,
    };
    for entry in entries {
        let name = entry.map_err(BackupError::file(data, "read"))?.file_name();
        if name != "lost+found" && name != "lock" {
            return Err(BackupError::NotEmpty { path: data.to_owned(), found: name.to_string_lossy().into_owned() });
        }
    }
    Ok(())
}

/// Removes what a restore writes.
fn clear(data: &Path) -> io::Result<()> {
    for name in ["blobs", "ledger"] {
        match fs::remove_dir_all(data.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn copy(source: &Path, data: &Path, progress: OnProgress<'_>) -> Result<Manifest, BackupError> {
    let mut found = Gathered::default();
    source::read(source, Names { named: Part::named, others: false }, &mut |part, content, size| {
        take(&mut found, data, part, content, size)?;
        progress(found.bytes, found.bytes);
        Ok(())
    })?;
    let manifest = manifest(source, &found)?;
    let list = found.list.ok_or_else(|| BackupError::damaged("it has no list of blobs"))?;
    check_list(&manifest, &list, &found.blobs)?;
    let verified = ledger::verify(&data.join("ledger"), Some((manifest.head.seq, manifest.head.hash))).map_err(BackupError::Ledger)?;
    if verified.head != manifest.head || verified.torn_bytes > 0 {
        let (expected, ends) = (manifest.head.seq, verified.head.seq);
        return Err(BackupError::damaged(format!("expected a ledger that ends at record {expected}, found one that ends at {ends}")));
    }
    sync(data).map_err(BackupError::file(data, "synced"))?;
    Ok(manifest)
}

fn manifest(source: &Path, found: &Gathered) -> Result<Manifest, BackupError> {
    let none = |problem: String| BackupError::NoBackup { path: source.to_owned(), problem };
    let json = found.manifest.as_ref().ok_or_else(|| none("it has no backup.json, which is written last".to_owned()))?;
    let manifest: Manifest = serde_json::from_slice(json).map_err(|error| none(format!("backup.json: {error}")))?;
    if manifest.kind != KIND {
        return Err(none(format!("expected {KIND:?}, found {:?}", manifest.kind)));
    }
    if manifest.format > FORMAT {
        return Err(BackupError::Newer { found: manifest.format, supported: FORMAT });
    }
    if found.segments == 0 {
        return Err(BackupError::damaged("it has no ledger"));
    }
    Ok(manifest)
}

/// Every blob of the list is there, and the list is the one that was made.
fn check_list(manifest: &Manifest, list: &[u8], blobs: &HashMap<Digest, u64>) -> Result<(), BackupError> {
    let hash = Digest::sha256(list);
    if hash != manifest.list {
        return Err(BackupError::damaged(format!("expected the list of blobs {}, found {hash}", manifest.list)));
    }
    let text = std::str::from_utf8(list).map_err(|_| BackupError::damaged("its list of blobs is no text"))?;
    let mut count = 0;
    for line in text.lines() {
        let parsed = line.split_once(' ').and_then(|(digest, size)| Some((digest.parse::<Digest>().ok()?, size.parse::<u64>().ok()?)));
        let (digest, size) = parsed.ok_or_else(|| BackupError::damaged(format!("its list of blobs has the line {line:?}")))?;
        match blobs.get(&digest) {
            Some(found) if *found == size => count += 1,
            Some(found) => return Err(BackupError::damaged(format!("expected {size} bytes of {digest}, found {found}"))),
            None => return Err(BackupError::damaged(format!("the blob {digest} is missing"))),
        }
    }
    if count == manifest.blobs { Ok(()) } else { Err(BackupError::damaged(format!("expected {} blobs, found {count}", manifest.blobs))) }
}

fn take(found: &mut Gathered, data: &Path, part: Part, content: &mut dyn Read, size: u64) -> Result<(), BackupError> {
    match part {
        Part::Manifest => found.manifest = Some(small(content, MANIFEST_BYTES)?),
        Part::List => found.list = Some(small(content, LIST_BYTES)?),
        Part::Ledger(name) => {
            let path = data.join("ledger").join(name);
            write(&path, content, None).map_err(BackupError::file(&path, "restored"))?;
            found.segments += 1;
        }
        Part::Blob(digest) => {
            let path = blob_files::path(&data.join("blobs"), &digest);
            let matches = write(&path, content, Some(&digest)).map_err(BackupError::file(&path, "restored"))?;
            if !matches {
                return Err(BackupError::damaged(format!("the bytes of {digest} are others")));
            }
            found.blobs.insert(digest, size);
        }
    }
    found.bytes += size;
    Ok(())
}

fn small(content: &mut dyn Read, limit: u64) -> Result<Vec<u8>, BackupError> {
    let mut bytes = Vec::new();
    content.take(limit + 1).read_to_end(&mut bytes).map_err(|error| BackupError::damaged(error.to_string()))?;
    if bytes.len() as u64 > limit { Err(BackupError::damaged(format!("a file of it is over {limit} bytes"))) } else { Ok(bytes) }
}

/// Writes a file durably; says whether it is what `digest` names.
fn write(path: &Path, content: &mut dyn Read, digest: Option<&Digest>) -> io::Result<bool> {
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut hasher = digest.map(|digest| Hasher::new(digest.algorithm()));
    let mut piece = vec![0; PIECE];
    loop {
        let count = content.read(&mut piece)?;
        if count == 0 {
            break;
        }
        let bytes = piece.get(..count).unwrap_or_default();
        if let Some(hasher) = &mut hasher {
            hasher.update(bytes);
        }
        file.write_all(bytes)?;
    }
    file.sync_all()?;
    Ok(hasher.map(Hasher::finish).as_ref() == digest)
}

/// Makes the folders durable.
fn sync(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync(&path)?;
        }
    }
    File::open(folder)?.sync_all()
}
