//! Pruning: a new ledger that goes on from the head of the old one, and begins with the state that the old one made (DESIGN §10).
//!
//! It is written beside the old one and takes its place by two renames. Whatever a crash leaves, [`settle`] ends or undoes.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Checkpoint, Event, LedgerError, Position, Restated, line, segment, verify};

/// Bytes of rows that one record holds, about.
const ROWS_BYTES: usize = 512 * 1024;

fn beside(ledger: &Path, ending: &str) -> PathBuf {
    let mut name = ledger.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    ledger.with_file_name(name)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Ends a pruning that a crash interrupted, before the ledger is opened.
///
/// # Errors
/// I/O errors.
pub fn settle(ledger: &Path) -> Result<(), LedgerError> {
    let (fresh, old) = (beside(ledger, ".new"), beside(ledger, ".old"));
    let work = || -> io::Result<()> {
        if !ledger.exists() && old.exists() {
            // The new one was complete and durable before the old one was moved away.
            fs::rename(if fresh.exists() { &fresh } else { &old }, ledger)?;
            sync(ledger.parent().unwrap_or(ledger))?;
        }
        if ledger.exists() {
            remove(&fresh)?;
            remove(&old)?;
        }
        Ok(())
    };
    work().map_err(LedgerError::io("opened"))
}

/// Writes the new ledger. Nobody may have the old one open for writing.
pub struct Rewriter {
    ledger: PathBuf,
    fresh: PathBuf,
    file: BufWriter<File>,
    base: Checkpoint,
    end: Position,
    rows: Vec<Restated>,
    bytes: usize,
}

impl Rewriter {
    /// Begins a ledger that goes on from `head`.
    ///
    /// # Errors
    /// I/O errors.
    pub fn begin(ledger: &Path, head: Checkpoint) -> Result<Self, LedgerError> {
        let fresh = beside(ledger, ".new");
        let begin = || -> io::Result<File> {
            remove(&fresh)?;
            DirBuilder::new().mode(0o700).create(&fresh)?;
            let base = OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh.join(segment::BASE))?;
            serde_json::to_writer(&base, &head)?;
            base.sync_all()?;
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh.join(segment::name(head.position.offset)))
        };
        let file = BufWriter::new(begin().map_err(LedgerError::io("written"))?);
        Ok(Self { ledger: ledger.to_owned(), fresh, file, base: head, end: head.position, rows: Vec::new(), bytes: 0 })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// I/O errors.
    pub fn row(&mut self, row: Restated) -> Result<(), LedgerError> {
        self.bytes += row.key.len() + row.value.len() + row.table.len();
        self.rows.push(row);
        if self.bytes >= ROWS_BYTES { self.record() } else { Ok(()) }
    }

    fn record(&mut self) -> Result<(), LedgerError> {
        let event = Event::Restated { rows: std::mem::take(&mut self.rows) };
        self.bytes = 0;
        let json = serde_json::to_string(&event).map_err(|error| LedgerError::Unavailable { reason: error.to_string() })?;
        let mut bytes = Vec::with_capacity(json.len() + 256);
        self.end = line::write(&mut bytes, &self.end, self.base.high_water, &json);
        self.file.write_all(&bytes).map_err(LedgerError::io("written"))
    }

    /// Proves the new ledger, puts it in the old one's place and removes that. The new head.
    ///
    /// # Errors
    /// I/O errors; the old ledger is in its place then, or will be after [`settle`].
    pub fn finish(mut self) -> Result<Checkpoint, LedgerError> {
        // At least one record: a ledger without any would be none.
        self.record()?;
        let flush = |file: &mut BufWriter<File>| -> io::Result<()> {
            file.flush()?;
            file.get_ref().sync_all()
        };
        flush(&mut self.file).and_then(|()| sync(&self.fresh)).map_err(LedgerError::io("written"))?;
        let verified = verify(&self.fresh, Some((self.end.seq, self.end.hash)))?;
        let old = beside(&self.ledger, ".old");
        let parent = self.ledger.parent().unwrap_or(&self.ledger);
        let swap = || -> io::Result<()> {
            sync(parent)?;
            fs::rename(&self.ledger, &old)?;
            fs::rename(&self.fresh, &self.ledger)?;
            sync(parent)?;
            remove(&old)
        };
        swap().map_err(LedgerError::io("written"))?;
        Ok(Checkpoint { position: self.end, high_water: verified.high_water })
    }
}
