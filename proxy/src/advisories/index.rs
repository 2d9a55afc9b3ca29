//! One ecosystem's index: a redb file that is written once, under another name, and then only read.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::{Database, Durability, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, TableDefinition};
use sealgate_scanner::advisories::{Ecosystem, Entry, Feed};
use serde::{Deserialize, Serialize};

use super::AdvisoryError;

/// Bytes of redb's cache for one index: what is asked often is cached as read entries.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// The version of the tables below. Another version is refused: it is imported again in seconds.
const FORMAT: u32 = 1;
/// Holds one [`Meta`] under an empty key.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// `name NUL id NUL number` to an [`Entry`] as JSON.
const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");

#[derive(Serialize, Deserialize)]
struct Meta {
    format: u32,
    feed: Feed,
    entries: u64,
}

/// The index file of an ecosystem.
pub(super) fn file(folder: &Path, ecosystem: Ecosystem) -> PathBuf {
    folder.join(format!("{}.redb", ecosystem.name().to_ascii_lowercase().replace(' ', "-")))
}

fn prefix(name: &str) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.push(0);
    key
}

/// An index in the making. Dropped before [`Builder::finish`], it leaves nothing.
pub(super) struct Builder {
    ecosystem: Ecosystem,
    fresh: Fresh,
    entries: u64,
    transaction: redb::WriteTransaction,
    database: Database,
}

/// A file that is removed unless it got its name.
struct Fresh(PathBuf);

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Builder {
    pub(super) fn new(folder: &Path, ecosystem: Ecosystem) -> Result<Self, AdvisoryError> {
        let path = file(folder, ecosystem).with_extension("redb.new");
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(AdvisoryError::io(&path, "removed")(error)),
            Ok(()) | Err(_) => {}
        }
        // redb would create the file with the process's umask.
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        created.map_err(AdvisoryError::io(&path, "created"))?;
        let fresh = Fresh(path);
        let broken = AdvisoryError::index(ecosystem);
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(&fresh.0).map_err(|error| broken(error.into()))?;
        let mut transaction = database.begin_write().map_err(|error| broken(error.into()))?;
        transaction
            .set_durability(Durability::Immediate)
            .map_err(|error| AdvisoryError::Index { ecosystem, problem: error.to_string() })?;
        Ok(Self { ecosystem, fresh, entries: 0, transaction, database })
    }

    pub(super) fn add(&mut self, entries: &[&Entry]) -> Result<(), AdvisoryError> {
        let ecosystem = self.ecosystem;
        let broken = AdvisoryError::index(ecosystem);
        let mut table = self.transaction.open_table(ENTRIES).map_err(|error| broken(error.into()))?;
        for entry in entries {
            let mut key = prefix(&entry.affected.name);
            key.extend_from_slice(&prefix(&entry.advisory.id));
            key.extend_from_slice(&self.entries.to_be_bytes());
            let value = serde_json::to_vec(entry).map_err(|error| AdvisoryError::Index { ecosystem, problem: error.to_string() })?;
            table.insert(key.as_slice(), value.as_slice()).map_err(|error| broken(error.into()))?;
            self.entries += 1;
        }
        Ok(())
    }

    /// Makes the index durable and gives it its name: from here on readers see it, before they see the old one.
    pub(super) fn finish(self, feed: &Feed) -> Result<(), AdvisoryError> {
        let Self { ecosystem, fresh, entries, transaction, database } = self;
        let broken = AdvisoryError::index(ecosystem);
        let meta = Meta { format: FORMAT, feed: feed.clone(), entries };
        let meta = serde_json::to_vec(&meta).map_err(|error| AdvisoryError::Index { ecosystem, problem: error.to_string() })?;
        {
            let mut table = transaction.open_table(META).map_err(|error| broken(error.into()))?;
            table.insert("", meta.as_slice()).map_err(|error| broken(error.into()))?;
        }
        transaction.commit().map_err(|error| broken(error.into()))?;
        database.close().map_err(|error| broken(error.into()))?;
        let path = fresh.0.with_extension("");
        let folder = path.parent().unwrap_or(Path::new("."));
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        sync(&fresh.0).map_err(AdvisoryError::io(&fresh.0, "synced"))?;
        std::fs::rename(&fresh.0, &path).map_err(AdvisoryError::io(&path, "replaced"))?;
        sync(folder).map_err(AdvisoryError::io(folder, "synced"))
    }
}

/// An index that is read.
pub(super) struct Index {
    ecosystem: Ecosystem,
    transaction: ReadTransaction,
    /// Kept open for the transaction.
    _database: ReadOnlyDatabase,
    pub(super) feed: Feed,
}

impl Index {
    /// Opens an index; none where there is no file.
    pub(super) fn open(folder: &Path, ecosystem: Ecosystem) -> Result<Option<Self>, AdvisoryError> {
        let path = file(folder, ecosystem);
        if !path.try_exists().map_err(AdvisoryError::io(&path, "read"))? {
            return Ok(None);
        }
        let broken = AdvisoryError::index(ecosystem);
        // redb asserts on some damaged files.
        let opened = std::panic::catch_unwind(|| Database::builder().set_cache_size(CACHE_BYTES).open_read_only(&path));
        let opened = opened.map_err(|_| AdvisoryError::Index { ecosystem, problem: "damaged".to_owned() })?;
        let database = opened.map_err(|error| broken(error.into()))?;
        let transaction = database.begin_read().map_err(|error| broken(error.into()))?;
        let table = transaction.open_table(META).map_err(|error| broken(error.into()))?;
        let stored = table.get("").map_err(|error| broken(error.into()))?;
        let problem = |problem: String| AdvisoryError::Index { ecosystem, problem };
        let stored = stored.ok_or_else(|| problem("without its description".to_owned()))?;
        let meta: Meta = serde_json::from_slice(stored.value()).map_err(|error| problem(error.to_string()))?;
        if meta.format != FORMAT || meta.feed.ecosystem != ecosystem {
            return Err(problem(format!("format {} of {}: expected format {FORMAT} of {ecosystem}", meta.format, meta.feed.ecosystem)));
        }
        Ok(Some(Self { ecosystem, transaction, _database: database, feed: meta.feed }))
    }

    /// What is known about a package, in the order of identifiers.
    pub(super) fn about(&self, name: &str) -> Result<Vec<Entry>, AdvisoryError> {
        self.scan(&prefix(name))
    }

    /// What one record says about a package.
    pub(super) fn of_record(&self, name: &str, id: &str) -> Result<Vec<Entry>, AdvisoryError> {
        self.scan(&[prefix(name), prefix(id)].concat())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Entry>, AdvisoryError> {
        let broken = AdvisoryError::index(self.ecosystem);
        let problem = |problem: String| AdvisoryError::Index { ecosystem: self.ecosystem, problem };
        let table = self.transaction.open_table(ENTRIES).map_err(|error| broken(error.into()))?;
        let mut found = Vec::new();
        for entry in table.range(prefix..).map_err(|error| broken(error.into()))? {
            let (key, value) = entry.map_err(|error| broken(error.into()))?;
            if !key.value().starts_with(prefix) {
                break;
            }
            found.push(serde_json::from_slice(value.value()).map_err(|error| problem(error.to_string()))?);
        }
        Ok(found)
    }
}
