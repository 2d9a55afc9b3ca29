//! Reads the ledger record by record and checks the chain.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use sealgate_verifier::{Digest, Timestamp};

use super::segment::{self, Segment, Segments};
use super::{Checkpoint, GROUP_BYTES, LedgerError, Position, RECORD_BYTES, Record, Verified, line};

/// Blocks that a disk writes whole. A file's never-written blocks read as zeros after a power cut.
const SECTOR: u64 = 512;

/// A record whose place in the chain holds.
pub(super) struct Link {
    pub(super) position: Position,
    pub(super) time: Timestamp,
    pub(super) line: Vec<u8>,
}

/// What comes next.
pub(super) enum Step {
    Link(Link),
    /// The ledger ends here, cleanly.
    End,
    /// So many bytes follow that are a record, or a group of them, which a crash or a power cut tore.
    Torn(u64),
}

/// A walk along the chain.
pub(super) struct Walker {
    segments: Segments,
    /// Index of the segment that is read.
    current: usize,
    reader: Option<BufReader<File>>,
    position: Position,
    /// Offset at which the walk ends, in the whole ledger; none for the end of the last file.
    end: Option<u64>,
}

impl Walker {
    /// Begins after `from`, which must lie on the chain.
    pub(super) fn new(segments: Segments, from: Position, end: Option<u64>) -> Result<Self, LedgerError> {
        let current = segments.files.iter().rposition(|segment| segment.base <= from.offset).unwrap_or(0);
        let walker = Self { segments, current, reader: None, position: from, end };
        if !segment::holds(&walker.segments, &from).map_err(LedgerError::io("read"))? {
            return Err(walker.damage(format!("record {} is not {}", from.seq, from.hash)));
        }
        Ok(walker)
    }

    /// The end of the last record that was read.
    pub(super) const fn position(&self) -> Position {
        self.position
    }

    /// Reads and checks the next record.
    pub(super) fn step(&mut self) -> Result<Step, LedgerError> {
        if self.end.is_some_and(|end| self.position.offset >= end) {
            return Ok(Step::End);
        }
        let Some(mut bytes) = self.read_line()? else { return Ok(Step::End) };
        if bytes.last() != Some(&b'\n') {
            return if bytes.len() <= RECORD_BYTES && self.in_last() {
                Ok(Step::Torn(bytes.len() as u64))
            } else {
                Err(self.damage(format!("expected a line of at most {RECORD_BYTES} bytes")))
            };
        }
        bytes.pop();
        match line::check(&bytes, &self.position) {
            Ok((position, time)) => {
                self.position = position;
                Ok(Step::Link(Link { position, time, line: bytes }))
            }
            Err(problem) => match self.unwritten().map_err(LedgerError::io("read"))? {
                Some(torn) => Ok(Step::Torn(torn)),
                None => Err(self.damage(problem)),
            },
        }
    }

    /// The next line with its newline, where it has one; none at the end of the last segment.
    fn read_line(&mut self) -> Result<Option<Vec<u8>>, LedgerError> {
        loop {
            let Some(segment) = self.segments.files.get(self.current) else { return Ok(None) };
            let reader = match &mut self.reader {
                Some(reader) => reader,
                none => none.insert(open(segment, self.position.offset).map_err(LedgerError::io("read"))?),
            };
            let mut bytes = Vec::new();
            reader.take(RECORD_BYTES as u64 + 1).read_until(b'\n', &mut bytes).map_err(LedgerError::io("read"))?;
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
            self.current += 1;
            self.reader = None;
        }
    }

    fn in_last(&self) -> bool {
        self.current + 1 == self.segments.files.len()
    }

    /// A power cut can leave the blocks of the last group unwritten in any pattern. They read as zeros, from the group's start or a
    /// block's start to a block's end or the file's. Such a tail was never acknowledged; anything else is damage.
    fn unwritten(&self) -> io::Result<Option<u64>> {
        let (true, None, Some(segment)) = (self.in_last(), self.end, self.segments.files.get(self.current)) else { return Ok(None) };
        let start = self.position.offset - segment.base;
        let mut rest = Vec::new();
        let mut file = File::open(&segment.path)?;
        file.seek(SeekFrom::Start(start))?;
        file.take((GROUP_BYTES + RECORD_BYTES) as u64 + 1).read_to_end(&mut rest)?;
        if rest.len() > GROUP_BYTES + RECORD_BYTES {
            return Ok(None);
        }
        let mut at = 0;
        for run in rest.chunk_by(|a, b| (*a == 0) == (*b == 0)) {
            let from = start + at;
            at += run.len() as u64;
            let to = start + at;
            let begins = from == start || from.is_multiple_of(SECTOR);
            let ends = to.is_multiple_of(SECTOR) || at == rest.len() as u64;
            if run.first() == Some(&0) && begins && ends {
                return Ok(Some(rest.len() as u64));
            }
        }
        Ok(None)
    }

    fn damage(&self, problem: String) -> LedgerError {
        let segment = self.segments.files.get(self.current).or(self.segments.files.last());
        LedgerError::Damaged {
            offset: segment.map_or(0, |segment| self.position.offset.saturating_sub(segment.base)),
            segment: segment.map(|segment| segment.path.clone()).unwrap_or_default(),
            seq: self.position.seq,
            problem,
        }
    }
}

fn open(segment: &Segment, offset: u64) -> io::Result<BufReader<File>> {
    let mut file = File::open(&segment.path)?;
    file.seek(SeekFrom::Start(offset.saturating_sub(segment.base)))?;
    Ok(BufReader::with_capacity(256 * 1024, file))
}

/// The records of a ledger, in order. Ends after the first error.
pub struct Replay {
    walker: Option<Walker>,
}

impl Replay {
    pub(super) const fn new(walker: Walker) -> Self {
        Self { walker: Some(walker) }
    }

    pub(super) const fn nothing() -> Self {
        Self { walker: None }
    }
}

impl Iterator for Replay {
    type Item = Result<Record, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.walker.as_mut()?.step() {
            Ok(Step::Link(link)) => match line::event(&link.line) {
                Ok(event) => return Some(Ok(Record { position: link.position, time: link.time, event })),
                Err(error) => Some(Err(LedgerError::UnknownEvent { seq: link.position.seq, problem: error.to_string() })),
            },
            Ok(Step::End | Step::Torn(_)) => None,
            Err(error) => Some(Err(error)),
        };
        self.walker = None;
        record
    }
}

/// Checks the chain from its start, and that `head` lies on it.
pub(super) fn verify(folder: &Path, end: Option<u64>, head: Option<(u64, Digest)>) -> Result<Verified, LedgerError> {
    let segments = segment::list(folder)?;
    let Checkpoint { position: base, mut high_water } = segments.base;
    let mut walker = Walker::new(segments, base, end)?;
    let mut found = head.filter(|(seq, _)| *seq == base.seq).map(|_| base.hash);
    let torn_bytes = loop {
        match walker.step()? {
            Step::Link(link) => {
                high_water = high_water.max(link.time);
                if head.is_some_and(|(seq, _)| seq == link.position.seq) {
                    found = Some(link.position.hash);
                }
            }
            Step::End => break 0,
            Step::Torn(bytes) => break bytes,
        }
    };
    let last = walker.position();
    match (head, found) {
        (Some((seq, expected)), Some(hash)) if hash != expected => {
            Err(LedgerError::Head { seq, expected, found: format!("record {seq} is {hash}, so the history was rewritten") })
        }
        (Some((seq, expected)), None) if seq < base.seq => {
            Err(LedgerError::Head { seq, expected, found: format!("it was pruned up to record {}", base.seq) })
        }
        (Some((seq, expected)), None) => {
            Err(LedgerError::Head { seq, expected, found: format!("it ends at record {}, so its tail was dropped", last.seq) })
        }
        _ => Ok(Verified { head: last, high_water, torn_bytes }),
    }
}
