//! All indexes of a data folder, and snapshots of them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ring::digest::{Context, SHA256};
use sealgate_scanner::advisories::{AdvisoryView, Ecosystem, Feed, Prepared};

use super::index::{self, Index};
use super::{AdvisoryError, update};

/// Names whose entries stay read, for each ecosystem. Origin: 10,000 images hold some 10,000 names, most without advisories.
const MAX_CACHED_NAMES: usize = 32_768;

/// The advisories of a data folder. Indexes are opened when they are first needed and again when their file was replaced.
pub struct Library {
    folder: PathBuf,
    open: Mutex<BTreeMap<Ecosystem, (Identity, Arc<Opened>)>>,
}

/// What changes when a file is replaced: device, inode, size, and modification time in nanoseconds.
type Identity = (u64, u64, u64, i64, i64);

struct Opened {
    index: Result<Index, String>,
    known: RwLock<HashMap<String, Arc<[Prepared]>>>,
}

/// The advisories at one moment: what is imported later does not show in it.
#[derive(Clone)]
pub struct Snapshot {
    indexes: BTreeMap<Ecosystem, Arc<Opened>>,
    checked: BTreeMap<Ecosystem, sealgate_verifier::Timestamp>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.indexes.keys()).finish()
    }
}

impl Library {
    /// The advisories below a data folder, which need not exist yet.
    #[must_use]
    pub fn of_data(data: &Path) -> Self {
        Self { folder: data.join("advisories"), open: Mutex::default() }
    }

    /// Where the indexes are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The advisories as they are now. An index that cannot be read is in the snapshot, and says so when it is asked.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = Snapshot { indexes: BTreeMap::new(), checked: BTreeMap::new() };
        for ecosystem in Ecosystem::ALL {
            let identity = match std::fs::metadata(index::file(&self.folder, ecosystem)) {
                Ok(found) => (found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    open.remove(&ecosystem);
                    continue;
                }
                // Opening it will say what is wrong.
                Err(_) => Identity::default(),
            };
            let current = open.get(&ecosystem).filter(|(known, opened)| *known == identity && opened.index.is_ok());
            let opened = match current {
                Some((_, opened)) => opened.clone(),
                None => Arc::new(Opened::open(&self.folder, ecosystem)),
            };
            open.insert(ecosystem, (identity, opened.clone()));
            if let Ok(index) = &opened.index
                && let Some(time) = update::last_check(&self.folder, &index.feed)
            {
                snapshot.checked.insert(ecosystem, time);
            }
            snapshot.indexes.insert(ecosystem, opened);
        }
        snapshot
    }
}

impl Opened {
    fn open(folder: &Path, ecosystem: Ecosystem) -> Self {
        let index = match Index::open(folder, ecosystem) {
            Ok(Some(index)) => Ok(index),
            Ok(None) => Err("it has just been removed".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        Self { index, known: RwLock::default() }
    }
}

impl Snapshot {
    /// Every feed, or why it cannot be read.
    #[must_use]
    pub fn feeds(&self) -> Vec<(Ecosystem, Result<Feed, String>)> {
        let feed = |ecosystem: &Ecosystem| (*ecosystem, self.feed(*ecosystem).and_then(|feed| feed.ok_or_else(|| "gone".to_owned())));
        self.indexes.keys().map(feed).collect()
    }

    /// A name for what is in it: it changes with every import that changes a record or adds a feed, not with checks that find nothing new.
    #[must_use]
    pub fn version(&self) -> String {
        let mut context = Context::new(&SHA256);
        for (ecosystem, opened) in &self.indexes {
            let feed = match &opened.index {
                Ok(index) => serde_json::to_string(&index.feed).unwrap_or_default(),
                Err(_) => "unreadable".to_owned(),
            };
            context.update(format!("{ecosystem} {feed}\n").as_bytes());
        }
        context.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    fn index(&self, ecosystem: Ecosystem) -> Result<Option<&Index>, String> {
        match self.indexes.get(&ecosystem) {
            None => Ok(None),
            Some(opened) => opened.index.as_ref().map(Some).map_err(Clone::clone),
        }
    }
}

impl AdvisoryView for Snapshot {
    fn feed(&self, ecosystem: Ecosystem) -> Result<Option<Feed>, String> {
        let Some(index) = self.index(ecosystem)? else { return Ok(None) };
        let mut feed = index.feed.clone();
        feed.imported = feed.imported.max(self.checked.get(&ecosystem).copied().unwrap_or(feed.imported));
        Ok(Some(feed))
    }

    fn about(&self, ecosystem: Ecosystem, name: &str) -> Result<Arc<[Prepared]>, String> {
        let Some(opened) = self.indexes.get(&ecosystem) else { return Ok(Arc::default()) };
        if let Some(known) = opened.known.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(known.clone());
        }
        let Some(index) = self.index(ecosystem)? else { return Ok(Arc::default()) };
        let entries = index.about(name).map_err(|error: AdvisoryError| error.to_string())?;
        let entries: Arc<[Prepared]> = entries.into_iter().map(Prepared::from).collect();
        let mut known = opened.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_CACHED_NAMES {
            known.clear();
        }
        known.insert(name.to_owned(), entries.clone());
        Ok(entries)
    }
}
