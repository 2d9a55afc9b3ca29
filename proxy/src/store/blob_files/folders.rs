//! Folders of blobs, and whether their own names are durable.
//!
//! Whoever finds a folder that another has just made must not count on its name: the other may not have synced it yet.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{new_folder, sync_folder};

/// The folders below `blobs` whose names are durable: `blobs/<algorithm>/<two hex digits>`, and those between.
pub(super) struct Folders {
    root: PathBuf,
    durable: Mutex<HashSet<PathBuf>>,
}

impl Folders {
    /// Makes the names of what is there durable: the last run may have ended before it did.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let mut durable = HashSet::from([root.to_owned()]);
        for algorithm in fs::read_dir(root)? {
            let algorithm = algorithm?;
            if !algorithm.file_type()?.is_dir() {
                continue;
            }
            let algorithm = algorithm.path();
            for folder in fs::read_dir(&algorithm)? {
                durable.insert(folder?.path());
            }
            sync_folder(&algorithm)?;
            durable.insert(algorithm);
        }
        sync_folder(root)?;
        Ok(Self { root: root.to_owned(), durable: Mutex::new(durable) })
    }

    fn durable(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that `folder`, two levels below the root, is there and will be after a power cut.
    pub(super) fn make(&self, folder: &Path) -> io::Result<()> {
        if self.durable().contains(folder) {
            return Ok(());
        }
        let parent = folder.parent().unwrap_or(&self.root);
        if parent != self.root {
            self.make(parent)?;
        }
        // Synced also where it was there already.
        let _ = new_folder(folder)?;
        sync_folder(parent)?;
        self.durable().insert(folder.to_owned());
        Ok(())
    }

    /// Looks anew at each folder.
    pub(super) fn forget(&self) {
        *self.durable() = HashSet::from([self.root.clone()]);
    }
}
