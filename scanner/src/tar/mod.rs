//! A tar archive as a stream (POSIX.1-2017, pax; GNU's and old formats), read as Go's archive/tar reads it: what container
//! engines unpack with. Where it and other readers differ the archive is refused.

use std::io::Read;

use crate::compression::Plain;
use crate::limits::{EXTENDED_HEADER_BYTES, LAYER_ENTRIES};
use crate::problem::Problem;

#[cfg(test)]
pub mod build;
mod header;
mod pax;

use header::{BLOCK, Header};
use pax::Pax;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with content.
    File,
    /// Another name of a file that stands before it.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A folder.
    Directory,
    /// A device or named pipe.
    Special,
}

/// One entry, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Kind.
    pub kind: EntryKind,
    /// Path as it stands there.
    pub path: Vec<u8>,
    /// Target of a link.
    pub target: Vec<u8>,
    /// Bytes of content that follow in the archive.
    pub stored: u64,
    /// Bytes of the file: more than are stored where it is sparse.
    pub size: u64,
    /// Permission bits with setuid (0o4000), setgid (0o2000) and sticky (0o1000).
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Whether holes are left out, so that the stored bytes are not the file's.
    pub sparse: bool,
    /// The extended attribute `security.capability` (PAX `SCHILY.xattr.security.capability`), where there is one.
    pub capability: Option<Vec<u8>>,
}

/// The entries of an archive, one after the other.
pub struct Archive<R: Read> {
    plain: Plain<R>,
    /// Bytes of the archive that were read.
    at: u64,
    /// Bytes of the current entry's content that were not.
    left: u64,
    /// Zeros that fill its last block.
    padding: u64,
    entries: u64,
}

/// What extended headers say of the entry after them.
#[derive(Default)]
struct Extended {
    pax: Option<Pax>,
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

impl<R: Read> Archive<R> {
    pub const fn new(plain: Plain<R>) -> Self {
        Self { plain, at: 0, left: 0, padding: 0, entries: 0 }
    }

    /// Bytes of the plain archive so far.
    pub const fn position(&self) -> u64 {
        self.at
    }

    /// Entries so far.
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// The next entry; what is left of the last one's content is passed over. `None` at the archive's end, behind which
    /// everything was read.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Problem> {
        self.pass()?;
        let mut extended = Extended::default();
        loop {
            let at = self.at;
            let Some(header) = self.header()? else {
                return if extended.is_empty() { Ok(None) } else { Err(cut("an extended header without its entry")) };
            };
            self.entries += 1;
            if self.entries > LAYER_ENTRIES {
                return Err(Problem::limit("entries of a layer", self.entries, LAYER_ENTRIES));
            }
            match header.kind() {
                b'x' => extended.pax = Some(Pax::parse(&self.document(&header)?, at)?),
                b'g' => Pax::parse(&self.document(&header)?, at)?.refuse_global(at)?,
                b'L' => extended.path = Some(text(self.document(&header)?)),
                b'K' => extended.target = Some(text(self.document(&header)?)),
                _ => return self.entry(&header, extended, at).map(Some),
            }
        }
    }

    /// Reads the current entry's content; 0 at its end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Problem> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let count = self.plain.read(&mut buffer[..want])?;
        if count == 0 {
            return Err(cut("a file"));
        }
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }

    fn entry(&mut self, header: &Header, extended: Extended, at: u64) -> Result<Entry, Problem> {
        let pax = extended.pax.unwrap_or_default();
        if (extended.path.is_some() && pax.path.is_some()) || (extended.target.is_some() && pax.target.is_some()) {
            return Err(wrong(at, "one name by GNU's and by PAX's extension"));
        }
        let sparse = pax.sparse.is_some() || header.kind() == b'S';
        let path = pax.path.or(extended.path).unwrap_or_else(|| header.path());
        let path = pax.sparse.as_ref().and_then(|sparse| sparse.path.clone()).unwrap_or(path);
        let target = pax.target.or(extended.target).unwrap_or_else(|| header.target());
        let kind = header.entry_kind(&path)?;
        // Go's isHeaderOnlyType: no content follows, whatever the size says.
        let stored = if kind == EntryKind::File { pax.size.map_or_else(|| header.size(at), Ok)? } else { 0 };
        let size = match (header.kind(), &pax.sparse) {
            (b'S', _) => self.old_sparse(header, at)?,
            (_, Some(sparse)) => sparse.size.unwrap_or(stored),
            (_, None) => stored,
        };
        self.begin(stored);
        let capability = pax.capability;
        Ok(Entry { kind, path, target, stored, size, mode: header.mode(at)?, uid: header.uid(at)?, sparse, capability })
    }

    /// GNU's old sparse format: blocks of the map stand before the content (GNU tar manual, "Basic Tar Format").
    fn old_sparse(&mut self, header: &Header, at: u64) -> Result<u64, Problem> {
        let size = header.real_size(at)?;
        let mut more = header.is_extended();
        let mut blocks = 0;
        while more {
            let Some(block) = self.block()? else { return Err(cut("a sparse map")) };
            more = block[504] != 0;
            blocks += 1;
            if blocks * BLOCK as u64 > EXTENDED_HEADER_BYTES {
                return Err(Problem::limit("bytes of a sparse map", blocks * BLOCK as u64, EXTENDED_HEADER_BYTES));
            }
        }
        Ok(size)
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
    }

    /// Passes over what is left of the current entry.
    fn pass(&mut self) -> Result<(), Problem> {
        let mut buffer = [0; 8 * 1024];
        while self.read(&mut buffer)? > 0 {}
        self.left = std::mem::take(&mut self.padding);
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }

    /// The content of an extended header.
    fn document(&mut self, header: &Header) -> Result<Vec<u8>, Problem> {
        let size = header.size(self.at)?;
        if size > EXTENDED_HEADER_BYTES {
            return Err(Problem::limit("bytes of an extended tar header", size, EXTENDED_HEADER_BYTES));
        }
        self.begin(size);
        let mut content = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        let mut filled = 0;
        while filled < content.len() {
            filled += self.read(&mut content[filled..])?;
        }
        self.pass()?;
        Ok(content)
    }

    /// The next header; `None` at the end, which is two blocks of zeros, or that of the stream.
    fn header(&mut self) -> Result<Option<Header>, Problem> {
        let at = self.at;
        let Some(block) = self.block()? else { return Ok(None) };
        if block.iter().any(|byte| *byte != 0) {
            return Header::parse(block, at).map(Some);
        }
        match self.block()? {
            Some(second) if second.iter().any(|byte| *byte != 0) => Err(wrong(at, "one block of zeros, where two end an archive")),
            Some(_) => self.end().map(|()| None),
            None => Ok(None),
        }
    }

    /// After the end only zeros may stand: they fill the last record.
    fn end(&mut self) -> Result<(), Problem> {
        let mut buffer = [0; 8 * 1024];
        loop {
            let count = self.plain.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            if buffer[..count].iter().any(|byte| *byte != 0) {
                return Err(Problem::Trailing { at: self.at });
            }
            self.at += count as u64;
        }
    }

    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Problem> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let count = self.plain.read(&mut block[filled..])?;
            if count == 0 {
                return if filled == 0 { Ok(None) } else { Err(cut("a header")) };
            }
            filled += count;
            self.at += count as u64;
        }
        Ok(Some(block))
    }
}

impl Extended {
    const fn is_empty(&self) -> bool {
        self.pax.is_none() && self.path.is_none() && self.target.is_none()
    }
}

/// GNU's long names end at the first zero byte.
fn text(mut content: Vec<u8>) -> Vec<u8> {
    let end = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
    content.truncate(end);
    content
}

fn cut(place: &str) -> Problem {
    Problem::Truncated { place: place.to_owned() }
}

fn wrong(at: u64, detail: impl Into<String>) -> Problem {
    Problem::Header { at, detail: detail.into() }
}

#[cfg(test)]
mod tests;
