//! Makes a backup.

use std::fs::File;
use std::path::{Path, PathBuf};

use sealgate_verifier::Digest;

use super::sink::{Sink, Taken};
use super::{BackedUp, BackupError, KIND, LIST, MANIFEST, Manifest, OnProgress};
use crate::store::ledger::{Position, segments};
use crate::store::{FORMAT, blob_files};

/// How a backup is made.
#[derive(Debug, Clone, Default)]
pub struct BackupOptions {
    /// Earlier backups whose files are linked to, where they have a blob already.
    pub bases: Vec<PathBuf>,
    /// Whether the store's own files are linked to. Quick, and no help against a disk that fails.
    pub link: bool,
}

/// Copies the store in `data` as of `head`, its last acknowledged record, into a folder or tar archive. The gate may work on meanwhile.
///
/// # Errors
/// [`BackupError`]. What was begun in a folder is gone on with by the next attempt.
pub fn back_up(
    data: &Path,
    head: Position,
    target: &Path,
    options: &BackupOptions,
    progress: OnProgress<'_>,
) -> Result<BackedUp, BackupError> {
    let mut sink = Sink::open(target)?;
    let ledger = data.join("ledger");
    for (path, name, size) in segments(&ledger, head).map_err(|error| BackupError::Store(error.into()))? {
        let file = File::open(&path).map_err(BackupError::file(&path, "read"))?;
        sink.file(&Path::new("ledger").join(name), file, size)?;
    }
    // After the head: whatever a record up to it names is there, unless it was evicted since.
    let blobs = data.join("blobs");
    let mut inventory = blob_files::inventory(&blobs).map_err(BackupError::file(&blobs, "read"))?;
    inventory.sort_by_key(|kept| kept.digest);
    let bases: Vec<PathBuf> = options.bases.iter().cloned().chain(options.link.then(|| data.to_owned())).collect();
    let (all, mut done) = (inventory.iter().map(|kept| kept.size).sum(), 0);
    let (mut list, mut damaged) = (String::new(), Vec::new());
    let (mut copied, mut linked, mut count, mut bytes) = (0, 0, 0, 0);
    for kept in inventory {
        let name = blob_files::path(Path::new("blobs"), &kept.digest);
        let links: Vec<PathBuf> = bases.iter().map(|base| base.join(&name)).collect();
        match sink.blob((&data.join(&name), &name), &kept.digest, kept.size, &links)? {
            None => continue,
            Some(Taken::Damaged) => {
                damaged.push(kept.digest);
                continue;
            }
            Some(Taken::Copied) => copied += 1,
            Some(Taken::Linked) => linked += 1,
            Some(Taken::Known) => {}
        }
        list.push_str(&format!("{} {}\n", kept.digest, kept.size));
        count += 1;
        bytes += kept.size;
        done += kept.size;
        progress(done, all);
    }
    sink.file(Path::new(LIST), list.as_bytes(), list.len() as u64)?;
    let manifest = Manifest { kind: KIND.to_owned(), format: FORMAT, head, blobs: count, bytes, list: Digest::sha256(list.as_bytes()) };
    let json = serde_json::to_vec_pretty(&manifest).map_err(|error| BackupError::damaged(error.to_string()))?;
    sink.finish(MANIFEST, &json)?;
    Ok(BackedUp { manifest, copied, linked, damaged })
}
