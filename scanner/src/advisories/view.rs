//! What the matcher asks: is there a feed, and what is known about a package.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealgate_verifier::Timestamp;
use serde::{Deserialize, Serialize};

use super::range::Bounds;
use super::{Ecosystem, Entry};
use crate::version::{Scheme, Version, VersionError};

/// The advisories of one ecosystem, as they were imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Feed {
    /// The ecosystem.
    pub ecosystem: Ecosystem,
    /// When they were imported, or last found unchanged.
    #[serde(with = "super::finding::time")]
    pub imported: Timestamp,
    /// When the newest of them changed; none where no record has a date.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::finding::optional_time")]
    pub newest: Option<Timestamp>,
    /// Records that speak of packages of this ecosystem.
    pub records: usize,
    /// Records that were withdrawn.
    pub withdrawn: usize,
    /// Records that could not be read, in whole or for one package.
    pub malformed: usize,
    /// Releases that they speak of; empty for a language's packages and rolling releases.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub releases: BTreeSet<String>,
}

/// The advisories at one moment.
pub trait AdvisoryView {
    /// The feed of an ecosystem; none if it was never imported.
    ///
    /// # Errors
    /// What failed, where the advisories cannot be read.
    fn feed(&self, ecosystem: Ecosystem) -> Result<Option<Feed>, String>;

    /// What is known about a package, by [`Ecosystem::key`], in a stable order.
    ///
    /// # Errors
    /// What failed, where the advisories cannot be read.
    fn about(&self, ecosystem: Ecosystem, name: &str) -> Result<Arc<[Prepared]>, String>;
}

/// An entry whose ranges are read.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The entry.
    pub entry: Entry,
    bounds: Vec<Bounds>,
}

impl From<Entry> for Prepared {
    fn from(mut entry: Entry) -> Self {
        let scheme = entry.affected.ecosystem.scheme();
        let bounds: Result<_, VersionError> = entry.affected.ranges.iter().map(|range| Bounds::of(range, scheme)).collect();
        let bounds = bounds.unwrap_or_else(|error| {
            entry.affected.problem.get_or_insert(error.to_string());
            Vec::new()
        });
        Self { entry, bounds }
    }
}

impl Prepared {
    /// Whether `installed` is affected, and the versions that fix it.
    ///
    /// # Errors
    /// The version cannot be compared with a range.
    pub fn affects(&self, installed: &Installed<'_>) -> Result<Option<Vec<String>>, VersionError> {
        let (mut hit, mut fixes) = (false, Vec::new());
        for bounds in &self.bounds {
            let version = installed.version(bounds.scheme)?;
            if bounds.hold(&version) {
                hit = true;
                fixes.extend(bounds.fix_of(&version).map(str::to_owned));
            }
        }
        // A version may be listed in another spelling. One that cannot be read is only the listed one if it is spelled so.
        let listed = |listed: &String| {
            *listed == installed.text || installed.own.as_ref().is_ok_and(|own| self.scheme().parse(listed).as_ref() == Ok(own))
        };
        if !hit && self.entry.affected.versions.iter().any(listed) {
            hit = true;
            // The nearest fix after it, if a range names one.
            let fix =
                |bounds: &Bounds| installed.version(bounds.scheme).ok().and_then(|version| bounds.fix_of(&version).map(str::to_owned));
            fixes.extend(self.bounds.iter().find_map(fix));
        }
        if !hit {
            // Without ranges only the list decides, and a version that cannot be read may be any of them.
            return match &installed.own {
                Err(error) if self.bounds.is_empty() => Err(error.clone()),
                Ok(_) | Err(_) => Ok(None),
            };
        }
        fixes.sort();
        fixes.dedup();
        Ok(Some(fixes))
    }

    fn scheme(&self) -> Scheme {
        self.entry.affected.ecosystem.scheme()
    }
}

/// An installed version, read once.
#[derive(Debug)]
pub struct Installed<'a> {
    text: &'a str,
    scheme: Scheme,
    own: Result<Version, VersionError>,
}

impl<'a> Installed<'a> {
    /// A version of a package of `ecosystem`.
    #[must_use]
    pub fn new(text: &'a str, ecosystem: Ecosystem) -> Self {
        let scheme = ecosystem.scheme();
        Self { text, scheme, own: scheme.parse(text) }
    }

    fn version(&self, scheme: Scheme) -> Result<std::borrow::Cow<'_, Version>, VersionError> {
        if scheme == self.scheme {
            return self.own.as_ref().map(std::borrow::Cow::Borrowed).map_err(Clone::clone);
        }
        scheme.parse(self.text).map(std::borrow::Cow::Owned)
    }
}

/// Advisories in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryView {
    feeds: BTreeMap<Ecosystem, Feed>,
    entries: BTreeMap<(Ecosystem, String), Vec<Prepared>>,
}

impl MemoryView {
    /// Keeps what records say, as one import at `now`.
    #[must_use]
    pub fn of<'a>(records: impl IntoIterator<Item = &'a super::Record>, now: Timestamp) -> Self {
        let mut view = Self::default();
        for record in records {
            for entry in &record.entries {
                let ecosystem = entry.affected.ecosystem;
                let feed = view.feeds.entry(ecosystem).or_insert_with(|| Feed {
                    ecosystem,
                    imported: now,
                    newest: None,
                    records: 0,
                    withdrawn: 0,
                    malformed: 0,
                    releases: BTreeSet::new(),
                });
                feed.records += 1;
                feed.newest = feed.newest.max(record.modified);
                feed.releases.extend(entry.affected.release.clone());
                view.entries.entry((ecosystem, entry.affected.name.clone())).or_default().push(Prepared::from(entry.clone()));
            }
        }
        view
    }
}

impl AdvisoryView for MemoryView {
    fn feed(&self, ecosystem: Ecosystem) -> Result<Option<Feed>, String> {
        Ok(self.feeds.get(&ecosystem).cloned())
    }

    fn about(&self, ecosystem: Ecosystem, name: &str) -> Result<Arc<[Prepared]>, String> {
        Ok(self.entries.get(&(ecosystem, name.to_owned())).map(|entries| entries.as_slice().into()).unwrap_or_default())
    }
}
