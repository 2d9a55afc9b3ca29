//! How much the store may hold: `max-size` over all blobs, and the `reserve` that blobs leave free on the volume, so that the ledger and
//! the index can always be written.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{OnceLock, Weak};
use std::time::Duration;

/// The reserve where none is configured, unless the volume is small.
const RESERVE: u64 = 1024 * 1024 * 1024;
/// The part of a small volume that is its reserve.
const RESERVE_PART: u64 = 64;
/// Bytes that a blob under way may grow before there is another look for room.
pub(super) const STEP: u64 = 4 * 1024 * 1024;

/// What the configuration says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most bytes of blobs, unfinished ones included. None: as many as the volume takes.
    pub max_size: Option<u64>,
    /// Bytes of the volume that blobs leave free. None: 1 GiB, or 1/64 of a smaller volume.
    pub reserve: Option<u64>,
    /// How long what was just used is spared.
    pub lease: Duration,
}

impl Default for Bounds {
    /// No limit of its own, the default reserve, half an hour.
    fn default() -> Self {
        Self { max_size: None, reserve: None, lease: Duration::from_mins(30) }
    }
}

/// There is no room, and none could be made. A value of its own inside an [`io::Error`], so that it is told from a disk's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// `max-size` is reached by what may not go.
    #[error("the store holds {used} of at most {limit} bytes (`store: {{ max-size }}`), and nothing of it may be evicted now")]
    MaxSize {
        /// Bytes of blobs.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// The volume is full.
    #[error("the volume has {free} bytes free, under the reserve of {reserve} (`store: {{ reserve }}`), and nothing may be evicted now")]
    Reserve {
        /// Bytes that are free.
        free: u64,
        /// The limit.
        reserve: u64,
    },
}

impl NoRoom {
    /// This, where it is the reason of an error or of what that error wraps.
    #[must_use]
    pub fn of<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            if let Some(found) = error.downcast_ref::<io::Error>().and_then(|error| error.get_ref()).and_then(|inner| inner.downcast_ref())
            {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}

impl From<NoRoom> for io::Error {
    fn from(error: NoRoom) -> Self {
        Self::new(io::ErrorKind::StorageFull, error)
    }
}

/// Makes room when there is none.
pub(super) trait MakesRoom: Send + Sync {
    /// Removes what may go until `bytes` more have room, as far as possible. Blocks.
    fn make_room(&self, bytes: u64);
}

/// The room of one store.
pub(super) struct Room {
    folder: PathBuf,
    bounds: Bounds,
    /// Bytes of blobs: as of the last count, and what was written and removed since.
    used: AtomicI64,
    maker: OnceLock<Weak<dyn MakesRoom>>,
    /// Writes that found no room.
    refused: AtomicU64,
}

/// Bytes of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Free for us.
    pub free: u64,
    /// In all.
    pub size: u64,
}

/// How many bytes must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shortage(pub(super) u64);

impl Room {
    pub(super) fn new(folder: PathBuf, bounds: Bounds) -> Self {
        Self { folder, bounds, used: AtomicI64::new(0), maker: OnceLock::new(), refused: AtomicU64::new(0) }
    }

    pub(super) const fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(super) fn set_maker(&self, maker: Weak<dyn MakesRoom>) {
        let _ = self.maker.set(maker);
    }

    /// Takes the result of a count.
    pub(super) fn counted(&self, used: u64) {
        self.used.store(i64::try_from(used).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(super) fn add(&self, bytes: u64) {
        self.used.fetch_add(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, bytes: u64) {
        self.used.fetch_sub(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> u64 {
        u64::try_from(self.used.load(Ordering::Relaxed)).unwrap_or(0)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The volume, as statvfs(3) has it.
    pub(super) fn volume(&self) -> io::Result<Volume> {
        let found = rustix::fs::statvfs(&self.folder)?;
        Ok(Volume { free: found.f_bavail.saturating_mul(found.f_frsize), size: found.f_blocks.saturating_mul(found.f_frsize) })
    }

    pub(super) fn reserve(&self, volume: Volume) -> u64 {
        self.bounds.reserve.unwrap_or_else(|| RESERVE.min(volume.size / RESERVE_PART))
    }

    /// Why `bytes` more have no room; none where they do. A volume that cannot be looked at says so when it is written.
    pub(super) fn obstacle(&self, bytes: u64) -> Option<NoRoom> {
        if let Some(limit) = self.bounds.max_size
            && self.used().saturating_add(bytes) > limit
        {
            return Some(NoRoom::MaxSize { used: self.used(), limit });
        }
        let volume = self.volume().ok()?;
        let reserve = self.reserve(volume);
        (volume.free < reserve.saturating_add(bytes)).then_some(NoRoom::Reserve { free: volume.free, reserve })
    }

    /// How many bytes must go so that `bytes` more have room, and some to spare.
    pub(super) fn shortage(&self, bytes: u64) -> Shortage {
        let over = self.bounds.max_size.map_or(0, |limit| {
            // A twentieth more than must be, so that not every blob needs a look at the whole store.
            let goal = limit - limit / 20;
            let used = self.used().saturating_add(bytes);
            if used > limit { used.saturating_sub(goal) } else { 0 }
        });
        let under = self.volume().map_or(0, |volume| {
            let reserve = self.reserve(volume);
            let wanted = reserve.saturating_add(bytes);
            if volume.free < wanted { wanted.saturating_add(reserve / 20).saturating_sub(volume.free) } else { 0 }
        });
        Shortage(over.max(under))
    }

    /// Sees to room for `bytes` more. Blocks while room is made.
    ///
    /// # Errors
    /// [`NoRoom`], inside.
    pub(super) fn ensure(&self, bytes: u64) -> io::Result<()> {
        if self.obstacle(bytes).is_none() {
            return Ok(());
        }
        if let Some(maker) = self.maker.get().and_then(Weak::upgrade) {
            maker.make_room(bytes);
        }
        match self.obstacle(bytes) {
            None => Ok(()),
            Some(obstacle) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(obstacle.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_store_is_told_from_a_failing_disk() {
        let full: io::Error = NoRoom::MaxSize { used: 3, limit: 2 }.into();
        let wrapped = super::super::StoreError::Blob(full);
        assert_eq!(NoRoom::of(&wrapped), Some(&NoRoom::MaxSize { used: 3, limit: 2 }));
        assert_eq!(NoRoom::of(&io::Error::from_raw_os_error(28)), None);
    }

    #[test]
    fn what_is_written_counts_against_the_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let room = Room::new(folder.path().to_owned(), Bounds { max_size: Some(1_000), reserve: Some(0), ..Bounds::default() });
        room.counted(800);
        assert_eq!((room.obstacle(200), room.shortage(200)), (None, Shortage(0)));
        room.add(100);
        assert_eq!(room.obstacle(200), Some(NoRoom::MaxSize { used: 900, limit: 1_000 }));
        assert_eq!(room.shortage(200), Shortage(150));
        room.subtract(100);
        assert!(room.ensure(200).is_ok() && room.ensure(201).is_err());
        assert_eq!(room.refused(), 1);
        let volume = room.volume().expect("a volume");
        let greedy = Room::new(folder.path().to_owned(), Bounds { reserve: Some(volume.size), ..Bounds::default() });
        assert!(matches!(greedy.obstacle(1), Some(NoRoom::Reserve { .. })));
    }
}
