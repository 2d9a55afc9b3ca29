//! The workflow (TUF specification, section 5). Each method is one of its steps; what fails changes nothing.

use bytes::Bytes;

use super::error::{RoleName, TufError};
use super::metadata::Signed;
use super::role::{Pin, Role, Root, SnapshotRole, TargetsRole, TimestampRole};
use crate::limits;
use crate::time::Timestamp;

/// The metadata that is trusted.
#[derive(Debug, Clone)]
pub struct Trusted {
    root: Signed<Root>,
    /// Every root behind the one that trust began with, oldest first.
    rotated: Vec<Bytes>,
    timestamp: Option<Signed<TimestampRole>>,
    snapshot: Option<Signed<SnapshotRole>>,
    targets: Option<Signed<TargetsRole>>,
}

/// What must be kept so that a restart knows what was trusted: the documents as they were received.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Documents {
    /// Every root behind the one that trust began with, oldest first.
    pub roots: Vec<Bytes>,
    /// The newest of each role.
    pub timestamp: Option<Bytes>,
    /// See [`Documents::timestamp`].
    pub snapshot: Option<Bytes>,
    /// See [`Documents::timestamp`].
    pub targets: Option<Bytes>,
}

/// A file to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its path below the repository's metadata or targets.
    pub path: String,
    /// Bytes that may be read of it.
    pub limit: usize,
}

/// A target that trusted and fresh metadata lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    name: String,
    /// Where it is.
    pub wanted: Wanted,
    pin: Pin,
}

impl Target {
    /// Whether `bytes` are the target (section 5.7.2).
    ///
    /// # Errors
    /// Another length or hash.
    pub fn check(&self, bytes: &[u8]) -> Result<(), TufError> {
        self.pin.check(&self.name, bytes)
    }
}

impl Trusted {
    /// Begins with a root that came by another way (section 5.2). Its own keys must have signed it; it may have expired, since its
    /// successors may not have.
    ///
    /// # Errors
    /// When it is no root that is signed by itself.
    pub fn begin(root: &Bytes) -> Result<Self, TufError> {
        let root = Signed::<Root>::read(root)?;
        root.check_signed_by(&root.role)?;
        Ok(Self { root, rotated: Vec::new(), timestamp: None, snapshot: None, targets: None })
    }

    /// Begins with `root` and goes on with what was kept of an earlier run. Everything is verified again, but for expiry: what has
    /// expired still says which versions are too old.
    ///
    /// # Errors
    /// When what was kept does not follow from `root`.
    pub fn restore(root: &Bytes, kept: &Documents) -> Result<Self, TufError> {
        let mut trusted = Self::begin(root)?;
        for root in &kept.roots {
            // A newer program may begin with a root that was a later one of the chain.
            if Signed::<Root>::read(root)?.version > trusted.root.version {
                trusted.new_root(root)?;
            }
        }
        let root = &trusted.root.role;
        trusted.timestamp = kept.timestamp.as_ref().map(|bytes| signed(bytes, root)).transpose()?;
        trusted.snapshot = kept.snapshot.as_ref().map(|bytes| signed(bytes, root)).transpose()?;
        trusted.targets = kept.targets.as_ref().map(|bytes| signed(bytes, root)).transpose()?;
        Ok(trusted)
    }

    /// What must be kept.
    #[must_use]
    pub fn documents(&self) -> Documents {
        Documents {
            roots: self.rotated.clone(),
            timestamp: self.timestamp.as_ref().map(|signed| signed.bytes.clone()),
            snapshot: self.snapshot.as_ref().map(|signed| signed.bytes.clone()),
            targets: self.targets.as_ref().map(|signed| signed.bytes.clone()),
        }
    }

    /// Version of the root.
    #[must_use]
    pub const fn root_version(&self) -> u64 {
        self.root.version
    }

    /// When the first of the trusted documents expires.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        let others = [
            self.timestamp.as_ref().map(|signed| signed.expires),
            self.snapshot.as_ref().map(|signed| signed.expires),
            self.targets.as_ref().map(|signed| signed.expires),
        ];
        others.into_iter().flatten().fold(self.root.expires, Timestamp::min)
    }

    /// The next root of the chain; there may be none (section 5.3.3).
    #[must_use]
    pub fn wanted_root(&self) -> Wanted {
        Wanted { path: format!("{}.root.json", self.root.version.saturating_add(1)), limit: limits::TUF_ROOT_BYTES }
    }

    /// Takes the next root in.
    ///
    /// # Errors
    /// The step that failed: the old root's threshold and the new one's own (5.3.4), the version after the trusted one (5.3.5).
    pub fn new_root(&mut self, bytes: &Bytes) -> Result<(), TufError> {
        let new = Signed::<Root>::read(bytes)?;
        new.check_signed_by(&self.root.role)?;
        new.check_signed_by(&new.role)?;
        let expected = self.root.version.saturating_add(1);
        if new.version != expected {
            return Err(TufError::RootVersion { expected, found: new.version });
        }
        // 5.3.11: keys that are replaced may have signed versions that nobody can reach again (fast-forward attacks).
        let replaced = |role| self.root.role.authority(role) != new.role.authority(role);
        if replaced(RoleName::Timestamp) || replaced(RoleName::Snapshot) {
            self.timestamp = None;
            self.snapshot = None;
        }
        // The workflow verifies targets anew after each root; what is kept of them must be by the keys that count now.
        if replaced(RoleName::Targets) {
            self.targets = None;
        }
        self.root = new;
        self.rotated.push(bytes.clone());
        Ok(())
    }

    /// The end of the chain: the root must not have expired (5.3.10).
    ///
    /// # Errors
    /// When it has.
    pub fn check_root(&self, now: Timestamp) -> Result<(), TufError> {
        self.root.check_fresh(now)
    }

    /// The timestamp (section 5.4.1).
    #[must_use]
    pub fn wanted_timestamp(&self) -> Wanted {
        Wanted { path: "timestamp.json".to_owned(), limit: limits::TUF_TIMESTAMP_BYTES }
    }

    /// Takes a timestamp in, and says whether it is a new one: of the trusted version, the trusted one stays (5.4.3.1).
    ///
    /// # Errors
    /// The step that failed: signatures (5.4.2), rollback of itself or of the snapshot (5.4.3), freeze (5.4.4).
    pub fn new_timestamp(&mut self, bytes: &Bytes, now: Timestamp) -> Result<bool, TufError> {
        let new: Signed<TimestampRole> = signed(bytes, &self.root.role)?;
        if let Some(trusted) = &self.timestamp {
            not_older("timestamp metadata", trusted.version, new.version)?;
            if new.version == trusted.version {
                trusted.check_fresh(now)?;
                return Ok(false);
            }
            not_older("snapshot metadata", trusted.role.snapshot.version, new.role.snapshot.version)?;
        }
        new.check_fresh(now)?;
        self.timestamp = Some(new);
        Ok(true)
    }

    /// The snapshot that the timestamp names (section 5.5.1), unless it is the trusted one.
    ///
    /// # Errors
    /// Before a timestamp.
    pub fn wanted_snapshot(&self) -> Result<Option<Wanted>, TufError> {
        let pin = self.pinned_snapshot()?;
        let known = self.snapshot.as_ref().is_some_and(|trusted| is_pinned(trusted, pin));
        Ok((!known).then(|| self.wanted_metadata(RoleName::Snapshot, pin, limits::TUF_SNAPSHOT_BYTES)))
    }

    /// Takes a snapshot in.
    ///
    /// # Errors
    /// The step that failed: hashes (5.5.2), signatures (5.5.3), version (5.5.4), rollback of any file (5.5.5), freeze (5.5.6).
    pub fn new_snapshot(&mut self, bytes: &Bytes, now: Timestamp) -> Result<(), TufError> {
        let new: Signed<SnapshotRole> = pinned(bytes, self.pinned_snapshot()?, &self.root.role)?;
        if let Some(trusted) = &self.snapshot {
            for (file, version) in &trusted.role.versions {
                match new.role.versions.get(file) {
                    Some(found) => not_older(file, *version, *found)?,
                    None => return Err(TufError::Removed { file: crate::message::quote(file) }),
                }
            }
        }
        new.check_fresh(now)?;
        self.snapshot = Some(new);
        Ok(())
    }

    /// The targets metadata that the snapshot names (section 5.6.1), unless it is the trusted one.
    ///
    /// # Errors
    /// Before a snapshot.
    pub fn wanted_targets(&self) -> Result<Option<Wanted>, TufError> {
        let pin = self.pinned_targets()?;
        let known = self.targets.as_ref().is_some_and(|trusted| is_pinned(trusted, pin));
        Ok((!known).then(|| self.wanted_metadata(RoleName::Targets, pin, limits::TUF_TARGETS_BYTES)))
    }

    /// Takes the targets metadata in.
    ///
    /// # Errors
    /// The step that failed: hashes (5.6.2), signatures (5.6.3), version (5.6.4), freeze (5.6.5).
    pub fn new_targets(&mut self, bytes: &Bytes, now: Timestamp) -> Result<(), TufError> {
        let new: Signed<TargetsRole> = pinned(bytes, self.pinned_targets()?, &self.root.role)?;
        new.check_fresh(now)?;
        self.targets = Some(new);
        Ok(())
    }

    /// The target called `name` (section 5.7). All four roles must be there, fresh, and the ones that name each other: what is left of
    /// an update that broke off authorises nothing.
    ///
    /// # Errors
    /// What is not so.
    pub fn target(&self, name: &str, now: Timestamp) -> Result<Target, TufError> {
        let not_listed = || TufError::NotListed { what: crate::message::quote(name) };
        let (Some(timestamp), Some(snapshot), Some(targets)) = (&self.timestamp, &self.snapshot, &self.targets) else {
            return Err(not_listed());
        };
        self.root.check_fresh(now)?;
        timestamp.check_fresh(now)?;
        snapshot.check_fresh(now)?;
        targets.check_fresh(now)?;
        check_pinned(snapshot, &timestamp.role.snapshot)?;
        check_pinned(targets, &snapshot.role.targets)?;
        let pin = targets.role.targets.get(name).ok_or_else(not_listed)?;
        let length = pin.length.unwrap_or(u64::MAX);
        let limit = limits::TUF_TARGET_BYTES;
        let bounded = usize::try_from(length).ok().filter(|length| *length <= limit);
        let bounded = bounded.ok_or_else(|| TufError::Oversized { what: crate::message::quote(name), found: length, limit })?;
        let path = match pin.hashes.first().filter(|_| self.root.role.consistent_snapshot) {
            // Section 6.2: the hash goes before the file's own name.
            Some(hash) => match name.rsplit_once('/') {
                Some((folder, file)) => format!("{folder}/{}.{file}", hash.hex()),
                None => format!("{}.{name}", hash.hex()),
            },
            None => name.to_owned(),
        };
        Ok(Target { name: name.to_owned(), wanted: Wanted { path, limit: bounded }, pin: pin.clone() })
    }

    fn pinned_snapshot(&self) -> Result<&Pin, TufError> {
        self.timestamp.as_ref().map(|timestamp| &timestamp.role.snapshot).ok_or_else(|| missing("snapshot.json"))
    }

    fn pinned_targets(&self) -> Result<&Pin, TufError> {
        self.snapshot.as_ref().map(|snapshot| &snapshot.role.targets).ok_or_else(|| missing("targets.json"))
    }

    /// The version goes before the name where snapshots are consistent (section 6.2).
    fn wanted_metadata(&self, role: RoleName, pin: &Pin, limit: usize) -> Wanted {
        let path = if self.root.role.consistent_snapshot { format!("{}.{role}.json", pin.version) } else { format!("{role}.json") };
        let length = pin.length.and_then(|length| usize::try_from(length).ok()).unwrap_or(limit);
        Wanted { path, limit: limit.min(length) }
    }
}

fn missing(what: &str) -> TufError {
    TufError::NotListed { what: what.to_owned() }
}

fn signed<T: Role>(bytes: &Bytes, root: &Root) -> Result<Signed<T>, TufError> {
    let signed = Signed::<T>::read(bytes)?;
    signed.check_signed_by(root)?;
    Ok(signed)
}

/// As [`signed`], and just the document that `pin` names: its hashes are looked at before anything is parsed.
fn pinned<T: Role>(bytes: &Bytes, pin: &Pin, root: &Root) -> Result<Signed<T>, TufError> {
    pin.check(&format!("{} metadata", T::NAME), bytes)?;
    let signed = signed::<T>(bytes, root)?;
    check_pinned(&signed, pin)?;
    Ok(signed)
}

fn check_pinned<T: Role>(found: &Signed<T>, pin: &Pin) -> Result<(), TufError> {
    pin.check(&format!("{} metadata", T::NAME), &found.bytes)?;
    if found.version == pin.version {
        Ok(())
    } else {
        Err(TufError::Version { role: T::NAME, expected: pin.version, found: found.version })
    }
}

fn is_pinned<T: Role>(found: &Signed<T>, pin: &Pin) -> bool {
    check_pinned(found, pin).is_ok()
}

fn not_older(what: &str, trusted: u64, found: u64) -> Result<(), TufError> {
    if found >= trusted { Ok(()) } else { Err(TufError::Rollback { what: crate::message::quote(what), trusted, found }) }
}
