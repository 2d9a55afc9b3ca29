//! The files of the ledger: `<offset of the first byte, 20 digits>.jsonl`, and `base.json` where it was pruned.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use sealgate_verifier::Digest;

use super::fault::{Fault, Faults};
use super::{Checkpoint, LedgerError, Position, RECORD_BYTES, SEGMENT_BYTES, line};

/// Bytes that are reserved beyond the end before writing counts as possible again: room for a few groups.
const RESERVE_BYTES: u64 = 256 * 1024;

/// One file.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// Offset of its first byte in the whole ledger.
    pub(super) base: u64,
    pub(super) len: u64,
}

/// All files, in order and without a hole between them.
#[derive(Debug, Clone)]
pub(super) struct Segments {
    /// Where the ledger begins: before its first record, or after what was pruned.
    pub(super) base: Checkpoint,
    pub(super) files: Vec<Segment>,
}

/// The file that says where a pruned ledger begins.
pub(super) const BASE: &str = "base.json";

/// Where the ledger in `folder` begins.
fn base(folder: &Path) -> Result<Checkpoint, LedgerError> {
    let path = folder.join(BASE);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Checkpoint::START),
        other => other.map_err(LedgerError::io("read"))?,
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        let problem = format!("where it begins cannot be read: {error}");
        LedgerError::Damaged { segment: path, offset: 0, seq: 0, problem }
    })
}

pub(super) fn name(base: u64) -> String {
    format!("{base:020}.jsonl")
}

/// Makes a folder with mode 0700, and its entry durable.
pub(super) fn create_folder(folder: &Path) -> Result<(), LedgerError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => folder.parent().map_or(Ok(()), sync_folder).map_err(LedgerError::io("created")),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(LedgerError::io("created")(error)),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// All segments in order, without a hole between them.
pub(super) fn list(folder: &Path) -> Result<Segments, LedgerError> {
    let read = LedgerError::io;
    let base = base(folder)?;
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read("read"))? {
        let entry = entry.map_err(read("read"))?;
        let file_name = entry.file_name();
        if let Some(base) = file_name.to_str().and_then(|text| text.strip_suffix(".jsonl")).and_then(|digits| digits.parse().ok()) {
            segments.push(Segment { path: entry.path(), base, len: 0 });
        }
    }
    // After the names: a segment that has a successor no longer grows.
    for segment in &mut segments {
        segment.len = std::fs::metadata(&segment.path).map_err(read("read"))?.len();
    }
    segments.sort_by_key(|segment| segment.base);
    let mut expected = base.position.offset;
    for segment in &segments {
        if segment.base != expected {
            let problem = format!("expected a segment that begins at byte {expected}, found one at {}", segment.base);
            return Err(LedgerError::Damaged { segment: segment.path.clone(), offset: 0, seq: 0, problem });
        }
        expected += segment.len;
    }
    Ok(Segments { base, files: segments })
}

/// Whether the record that ends at `position` stands there.
pub(super) fn holds(segments: &Segments, position: &Position) -> io::Result<bool> {
    if position.seq <= segments.base.position.seq {
        return Ok(*position == segments.base.position);
    }
    let Some(segment) = segments.files.iter().rev().find(|segment| segment.base < position.offset) else { return Ok(false) };
    let end = position.offset - segment.base;
    if end > segment.len {
        return Ok(false);
    }
    let start = end.saturating_sub(RECORD_BYTES as u64 + 1);
    let mut window = vec![0; usize::try_from(end - start).unwrap_or(0)];
    File::open(&segment.path)?.read_exact_at(&mut window, start)?;
    let Some((b'\n', body)) = window.split_last() else { return Ok(false) };
    let from = body.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let last = body.get(from..).unwrap_or_default();
    Ok(Digest::sha256(last) == position.hash && line::seq(last) == Some(position.seq))
}

/// The end of the ledger, open for writing.
#[derive(Debug)]
pub(super) struct Tail {
    folder: PathBuf,
    file: File,
    base: u64,
    good: Position,
}

impl Tail {
    /// Opens the file that ends at `good`, checks that the record stands there and cuts off what follows it.
    pub(super) fn open(folder: &Path, good: Position) -> Result<Self, LedgerError> {
        let segments = list(folder)?;
        if !holds(&segments, &good).map_err(LedgerError::io("read"))? {
            let segment = segments.files.last().map_or_else(|| folder.to_owned(), |segment| segment.path.clone());
            let problem = "its last record is no longer what was acknowledged".to_owned();
            return Err(LedgerError::Damaged { segment, offset: good.offset, seq: good.seq, problem });
        }
        let base = segments.files.last().map_or(segments.base.position.offset, |segment| segment.base);
        let file = open_file(folder, base).map_err(LedgerError::io("opened"))?;
        let end = good.offset - base;
        let cut = || -> io::Result<()> {
            file.set_len(end)?;
            reserve(&file, end)?;
            file.sync_all()?;
            sync_folder(folder)
        };
        cut().map_err(LedgerError::io("opened"))?;
        Ok(Self { folder: folder.to_owned(), file, base, good })
    }

    /// Writes a group that ends at `to`, durably. After an error the tail must be dropped and opened again.
    pub(super) fn write(&mut self, group: &[u8], to: Position, faults: &Faults) -> io::Result<()> {
        if self.good.offset - self.base >= SEGMENT_BYTES {
            self.file = open_file(&self.folder, self.good.offset)?;
            sync_folder(&self.folder)?;
            self.base = self.good.offset;
        }
        faults.check(Fault::Write)?;
        self.file.write_all_at(group, self.good.offset - self.base)?;
        faults.check(Fault::Sync)?;
        self.file.sync_data()?;
        self.good = to;
        Ok(())
    }
}

fn open_file(folder: &Path, base: u64) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(folder.join(name(base)))
}

/// Reserves room beyond the end, so that "writable again" is known before a record fails. File systems without it say so later.
fn reserve(file: &File, end: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::KEEP_SIZE, end, RESERVE_BYTES) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
