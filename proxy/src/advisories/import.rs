//! Reads exports into new indexes, and puts them in place of the old ones only if all is well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use sealgate_scanner::advisories::{Ecosystem, Entry, Feed, osv};
use sealgate_verifier::Timestamp;
use serde::Serialize;

use super::AdvisoryError;
use super::index::{Builder, Index};
use super::source::each_record;

/// Malformed records in 100 that are taken, each with its gap. Origin: exports of 2026 have none in thousands; one in a hundred means
/// that the export, or this reader, is broken.
const MAX_MALFORMED_PERCENT: usize = 1;
/// Records in 100 of the index before that a new one must have.
const MIN_KEPT_PERCENT: usize = 50;
/// Malformed records that are named in the report.
const MAX_NAMED: usize = 20;

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The ecosystems that the sources hold completely. Empty: those that every record of a source speaks of.
    pub ecosystems: Vec<Ecosystem>,
    /// Take a feed that is older or much smaller than the one that is there.
    pub replace: bool,
}

/// What an import did.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// What was imported.
    pub imported: Vec<Imported>,
    /// Ecosystems of which the sources hold a part only.
    pub partial: Vec<Ecosystem>,
    /// Records read.
    pub records: usize,
    /// Those that were withdrawn.
    pub withdrawn: usize,
    /// Those that could not be read, in whole or for one package.
    pub malformed: usize,
    /// The first of them.
    pub named: Vec<Malformed>,
}

/// One ecosystem that was imported.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// The feed.
    #[serde(flatten)]
    pub feed: Feed,
    /// Records of the index that it replaced; none for the first.
    pub before: Option<usize>,
}

/// A record that could not be read.
#[derive(Debug, Clone, Serialize)]
pub struct Malformed {
    /// File or identifier.
    pub record: String,
    /// What was expected and found.
    pub problem: String,
}

/// Imports files and folders below a data folder's `advisories`, at `now`.
///
/// # Errors
/// Nothing is changed then, but that ecosystems before a failing one may have been replaced when the disk fails.
pub fn import(folder: &Path, sources: &[PathBuf], options: &ImportOptions, now: Timestamp) -> Result<ImportReport, AdvisoryError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(AdvisoryError::io(folder, "created"))?;
    let _lock = lock(folder)?;
    let mut importer =
        Importer { folder, options, now, report: ImportReport::default(), drafts: BTreeMap::new(), complete: BTreeSet::new(), files: 0 };
    for source in sources {
        importer.read(source)?;
    }
    importer.finish()
}

/// One importer at a time; the kernel gives the lock free at any end of the process.
fn lock(folder: &Path) -> Result<File, AdvisoryError> {
    let path = folder.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(AdvisoryError::io(&path, "opened"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(AdvisoryError::Locked { folder: folder.to_owned() }),
        Err(error) => Err(AdvisoryError::io(&path, "locked")(error.into())),
    }
}

struct Importer<'a> {
    folder: &'a Path,
    options: &'a ImportOptions,
    now: Timestamp,
    report: ImportReport,
    drafts: BTreeMap<Ecosystem, Draft>,
    /// Ecosystems that some source holds completely.
    complete: BTreeSet<Ecosystem>,
    files: usize,
}

struct Draft {
    builder: Builder,
    before: Option<Index>,
    feed: Feed,
}

impl Importer<'_> {
    fn read(&mut self, source: &Path) -> Result<(), AdvisoryError> {
        let mut of_source: BTreeMap<Ecosystem, usize> = BTreeMap::new();
        let mut live = 0;
        let mut record = |name: &str, bytes: Result<&[u8], String>| {
            self.report.records += 1;
            let read = bytes.and_then(|bytes| osv::read(bytes).map_err(|error| error.to_string()));
            let record = match read {
                Ok(record) => record,
                Err(problem) => {
                    self.malformed(name, problem);
                    return Ok(());
                }
            };
            if let Some(entry) = record.entries.iter().find(|entry| entry.affected.problem.is_some()) {
                self.malformed(&record.id, entry.affected.problem.clone().unwrap_or_default());
            }
            self.report.withdrawn += usize::from(record.withdrawn);
            live += usize::from(!record.withdrawn);
            let mut entries: BTreeMap<Ecosystem, Vec<Entry>> = BTreeMap::new();
            for entry in record.entries {
                entries.entry(entry.affected.ecosystem).or_default().push(entry);
            }
            for (ecosystem, entries) in entries {
                *of_source.entry(ecosystem).or_default() += 1;
                self.add(ecosystem, entries)?;
            }
            Ok(())
        };
        let files = each_record(source, &mut record)?;
        self.files += files;
        self.complete.extend(of_source.iter().filter(|(_, count)| **count == live).map(|(ecosystem, _)| *ecosystem));
        Ok(())
    }

    fn malformed(&mut self, record: &str, problem: String) {
        self.report.malformed += 1;
        if self.report.named.len() < MAX_NAMED {
            self.report.named.push(Malformed { record: record.to_owned(), problem });
        }
    }

    fn add(&mut self, ecosystem: Ecosystem, mut entries: Vec<Entry>) -> Result<(), AdvisoryError> {
        if !self.options.ecosystems.is_empty() && !self.options.ecosystems.contains(&ecosystem) {
            return Ok(());
        }
        let draft = match self.drafts.entry(ecosystem) {
            std::collections::btree_map::Entry::Occupied(draft) => draft.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => place.insert(Draft::new(self.folder, ecosystem, self.now)?),
        };
        let malformed = entries.iter().any(|entry| entry.affected.problem.is_some());
        draft.feed.malformed += usize::from(malformed);
        draft.feed.records += 1;
        for entry in &mut entries {
            draft.feed.newest = draft.feed.newest.max(entry.advisory.modified);
            draft.feed.releases.extend(entry.affected.release.clone());
            draft.remember_fix(entry, self.now);
        }
        draft.builder.add(&entries.iter().collect::<Vec<_>>())
    }

    fn finish(mut self) -> Result<ImportReport, AdvisoryError> {
        let (records, malformed) = (self.report.records, self.report.malformed);
        if malformed * 100 > records * MAX_MALFORMED_PERCENT {
            let first = self.report.named.first().map(|first| format!("{}: {}", first.record, first.problem)).unwrap_or_default();
            return Err(AdvisoryError::Malformed { malformed, records, limit: MAX_MALFORMED_PERCENT, first });
        }
        if self.drafts.is_empty() && self.options.ecosystems.is_empty() {
            return Err(AdvisoryError::Nothing { records, files: self.files });
        }
        if let Some(ecosystem) = self.options.ecosystems.iter().find(|ecosystem| !self.drafts.contains_key(ecosystem)) {
            return Err(AdvisoryError::Missing { ecosystem: *ecosystem });
        }
        let all = std::mem::take(&mut self.drafts);
        let wanted = |ecosystem: &Ecosystem| {
            self.options.ecosystems.contains(ecosystem) || (self.options.ecosystems.is_empty() && self.complete.contains(ecosystem))
        };
        let (taken, partial): (BTreeMap<_, _>, BTreeMap<_, _>) = all.into_iter().partition(|(ecosystem, _)| wanted(ecosystem));
        if taken.is_empty() {
            let found = partial.keys().map(|ecosystem| ecosystem.name()).collect::<Vec<_>>().join(", ");
            return Err(AdvisoryError::Mixed { found });
        }
        self.report.partial = partial.into_keys().collect();
        // Records without a readable ecosystem may be of any.
        let unread = malformed - taken.values().map(|draft| draft.feed.malformed).sum::<usize>().min(malformed);
        for draft in taken.values() {
            draft.check(self.options.replace)?;
        }
        for mut draft in taken.into_values() {
            draft.feed.malformed += unread;
            draft.feed.withdrawn = self.report.withdrawn;
            draft.builder.finish(&draft.feed)?;
            self.report.imported.push(Imported { feed: draft.feed, before: draft.before.map(|before| before.feed.records) });
        }
        Ok(self.report)
    }
}

impl Draft {
    fn new(folder: &Path, ecosystem: Ecosystem, now: Timestamp) -> Result<Self, AdvisoryError> {
        // An index that cannot be read is replaced like none.
        let before = Index::open(folder, ecosystem).ok().flatten();
        let feed = Feed { ecosystem, imported: now, newest: None, records: 0, withdrawn: 0, malformed: 0, releases: BTreeSet::new() };
        Ok(Self { builder: Builder::new(folder, ecosystem)?, before, feed })
    }

    /// A fix is available since it was first seen here, or since its record says so, whichever is earlier; never since the future.
    fn remember_fix(&self, entry: &mut Entry, now: Timestamp) {
        let Some(modified) = entry.affected.fix_available else { return };
        let known = match &self.before {
            Some(before) => before.of_record(&entry.affected.name, &entry.advisory.id).unwrap_or_default(),
            None => Vec::new(),
        };
        let same = |old: &&Entry| old.affected.release == entry.affected.release;
        let first = known.iter().filter(same).filter_map(|old| old.affected.fix_available).min();
        entry.affected.fix_available = Some(modified.min(now).min(first.unwrap_or(now)));
    }

    fn check(&self, replace: bool) -> Result<(), AdvisoryError> {
        let Some(before) = self.before.as_ref().filter(|_| !replace).map(|before| &before.feed) else { return Ok(()) };
        let ecosystem = before.ecosystem;
        if self.feed.records * 100 < before.records * MIN_KEPT_PERCENT {
            return Err(AdvisoryError::Shrunk { ecosystem, found: self.feed.records, before: before.records });
        }
        if self.feed.newest < before.newest {
            let text = |time: Option<Timestamp>| time.map_or_else(|| "no date".to_owned(), |time| time.to_string());
            return Err(AdvisoryError::Older { ecosystem, found: text(self.feed.newest), before: text(before.newest) });
        }
        Ok(())
    }
}
