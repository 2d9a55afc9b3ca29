//! What each role says.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::error::{RoleName, TufError};
use super::key::{Key, WireKey};
use super::metadata::unhex;
use crate::digest::{Algorithm, Digest};
use crate::key::KeyId;
use crate::limits;

/// One of the top-level roles.
pub(super) trait Role: Sized {
    const NAME: RoleName;
    /// Bytes of its metadata.
    const LIMIT: usize;

    /// Reads `signed`.
    fn read(signed: &Value) -> Result<Self, TufError>;
}

fn malformed(role: RoleName, problem: impl Into<String>) -> TufError {
    TufError::Malformed { role, problem: problem.into() }
}

fn fields<'v, T: Deserialize<'v>>(role: RoleName, signed: &'v Value) -> Result<T, TufError> {
    T::deserialize(signed).map_err(|error| malformed(role, crate::message::problem(&error)))
}

/// Whose signatures count for a role, and how many it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleKeys {
    pub(super) key_ids: BTreeSet<String>,
    pub(super) threshold: u64,
}

/// Section 4.3.
#[derive(Debug, Clone)]
pub(super) struct Root {
    pub(super) consistent_snapshot: bool,
    /// Those that can be verified with.
    pub(super) keys: BTreeMap<String, Key>,
    root: RoleKeys,
    timestamp: RoleKeys,
    snapshot: RoleKeys,
    targets: RoleKeys,
}

#[derive(Deserialize)]
struct WireRoot {
    #[serde(default)]
    consistent_snapshot: bool,
    keys: BTreeMap<String, WireKey>,
    roles: WireRoles,
}

#[derive(Deserialize)]
struct WireRoles {
    root: WireRoleKeys,
    timestamp: WireRoleKeys,
    snapshot: WireRoleKeys,
    targets: WireRoleKeys,
}

#[derive(Deserialize)]
struct WireRoleKeys {
    keyids: Vec<String>,
    threshold: u64,
}

impl Root {
    pub(super) const fn role(&self, name: RoleName) -> &RoleKeys {
        match name {
            RoleName::Root => &self.root,
            RoleName::Timestamp => &self.timestamp,
            RoleName::Snapshot => &self.snapshot,
            RoleName::Targets => &self.targets,
        }
    }

    /// The keys that count for a role, whatever their key ids, and the threshold.
    pub(super) fn authority(&self, name: RoleName) -> (BTreeSet<KeyId>, u64) {
        let RoleKeys { key_ids, threshold } = self.role(name);
        (key_ids.iter().filter_map(|id| self.keys.get(id)).map(Key::id).collect(), *threshold)
    }
}

impl Role for Root {
    const NAME: RoleName = RoleName::Root;
    const LIMIT: usize = limits::TUF_ROOT_BYTES;

    fn read(signed: &Value) -> Result<Self, TufError> {
        let WireRoot { consistent_snapshot, keys, roles } = fields(Self::NAME, signed)?;
        if keys.len() > limits::TUF_KEYS {
            return Err(malformed(Self::NAME, format!("over {} keys", limits::TUF_KEYS)));
        }
        let role_keys = |WireRoleKeys { keyids, threshold }: WireRoleKeys| {
            let count = keyids.len();
            let key_ids: BTreeSet<String> = keyids.into_iter().collect();
            if threshold == 0 {
                return Err(malformed(Self::NAME, "a threshold of 0: expected at least 1"));
            }
            if key_ids.len() < count {
                return Err(malformed(Self::NAME, "a role names one key id twice"));
            }
            Ok(RoleKeys { key_ids, threshold })
        };
        Ok(Self {
            consistent_snapshot,
            keys: keys.iter().filter_map(|(id, wire)| Some((id.clone(), Key::read(wire)?))).collect(),
            root: role_keys(roles.root)?,
            timestamp: role_keys(roles.timestamp)?,
            snapshot: role_keys(roles.snapshot)?,
            targets: role_keys(roles.targets)?,
        })
    }
}

/// What is signed of another file (sections 4.4 and 4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pin {
    /// Of metadata; targets have none.
    pub(super) version: u64,
    pub(super) length: Option<u64>,
    pub(super) hashes: Vec<Digest>,
}

#[derive(Deserialize)]
struct WirePin {
    #[serde(default)]
    version: u64,
    length: Option<u64>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

impl Pin {
    /// Hashes of unknown algorithms say nothing.
    fn read(role: RoleName, WirePin { version, length, hashes }: WirePin) -> Result<Self, TufError> {
        let known = [(Algorithm::Sha256, "sha256"), (Algorithm::Sha512, "sha512")];
        let mut found = Vec::new();
        for (algorithm, name) in known {
            let Some(hex) = hashes.get(name) else { continue };
            let digest = unhex(hex).filter(|raw| raw.len() == algorithm.len());
            let digest = digest.and_then(|_| format!("{name}:{}", hex.to_ascii_lowercase()).parse().ok());
            found.push(digest.ok_or_else(|| malformed(role, format!("a {name} that is none")))?);
        }
        if !hashes.is_empty() && found.is_empty() {
            return Err(malformed(role, "hashes of unknown algorithms only, expected sha256 or sha512"));
        }
        Ok(Self { version, length, hashes: found })
    }

    /// Of a metadata file, whose version must be there.
    fn of_metadata(role: RoleName, wire: WirePin) -> Result<Self, TufError> {
        let pin = Self::read(role, wire)?;
        if pin.version == 0 { Err(malformed(role, "a file without a version")) } else { Ok(pin) }
    }

    /// Whether `bytes` are those that are signed for.
    pub(super) fn check(&self, what: &str, bytes: &[u8]) -> Result<(), TufError> {
        let differs = |property| TufError::Bytes { what: what.to_owned(), property };
        if self.length.is_some_and(|length| length != bytes.len() as u64) {
            return Err(differs("length"));
        }
        match self.hashes.iter().find(|digest| !digest.matches(bytes)) {
            Some(digest) => Err(differs(digest.algorithm().name())),
            None => Ok(()),
        }
    }
}

/// Section 4.4.
#[derive(Debug, Clone)]
pub(super) struct TimestampRole {
    pub(super) snapshot: Pin,
}

#[derive(Deserialize)]
struct WireMeta {
    meta: BTreeMap<String, WirePin>,
}

impl Role for TimestampRole {
    const NAME: RoleName = RoleName::Timestamp;
    const LIMIT: usize = limits::TUF_TIMESTAMP_BYTES;

    fn read(signed: &Value) -> Result<Self, TufError> {
        let WireMeta { mut meta } = fields(Self::NAME, signed)?;
        let pin = meta.remove("snapshot.json").ok_or_else(|| malformed(Self::NAME, "it names no snapshot.json"))?;
        Ok(Self { snapshot: Pin::of_metadata(Self::NAME, pin)? })
    }
}

/// Section 4.5.
#[derive(Debug, Clone)]
pub(super) struct SnapshotRole {
    pub(super) targets: Pin,
    /// The version of each file.
    pub(super) versions: BTreeMap<String, u64>,
}

impl Role for SnapshotRole {
    const NAME: RoleName = RoleName::Snapshot;
    const LIMIT: usize = limits::TUF_SNAPSHOT_BYTES;

    fn read(signed: &Value) -> Result<Self, TufError> {
        let WireMeta { meta } = fields(Self::NAME, signed)?;
        let mut targets = None;
        let mut versions = BTreeMap::new();
        for (file, pin) in meta {
            let pin = Pin::of_metadata(Self::NAME, pin)?;
            versions.insert(file.clone(), pin.version);
            if file == "targets.json" {
                targets = Some(pin);
            }
        }
        Ok(Self { targets: targets.ok_or_else(|| malformed(Self::NAME, "it names no targets.json"))?, versions })
    }
}

/// Section 4.6.
#[derive(Debug, Clone)]
pub(super) struct TargetsRole {
    /// Each with its length and a hash.
    pub(super) targets: BTreeMap<String, Pin>,
}

#[derive(Deserialize)]
struct WireTargets {
    targets: BTreeMap<String, WirePin>,
}

impl Role for TargetsRole {
    const NAME: RoleName = RoleName::Targets;
    const LIMIT: usize = limits::TUF_TARGETS_BYTES;

    fn read(signed: &Value) -> Result<Self, TufError> {
        let WireTargets { targets } = fields(Self::NAME, signed)?;
        let mut found = BTreeMap::new();
        for (path, wire) in targets {
            let pin = Pin::read(Self::NAME, wire)?;
            if pin.length.is_none() || pin.hashes.is_empty() {
                return Err(malformed(Self::NAME, "a target without length or hash"));
            }
            found.insert(path, pin);
        }
        Ok(Self { targets: found })
    }
}
