//! Programs that say what they were built from: Go's, and Rust's with cargo-auditable.

use super::{Contribution, cargo, elf, golang};
use crate::limits::FILE_BYTES;
use crate::problem::Problem;

/// A program that is being read. Go's information is found in programs of any size; a section of cargo-auditable only in
/// those under [`FILE_BYTES`], since the table of sections stands at the end.
#[derive(Default)]
pub struct Program {
    go: golang::Search,
    whole: Option<Vec<u8>>,
}

impl Program {
    /// A program of `size` bytes.
    pub fn new(size: u64) -> Self {
        Self { go: golang::Search::default(), whole: (size <= FILE_BYTES).then(Vec::new) }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, piece: &[u8]) {
        self.go.feed(piece);
        if let Some(whole) = &mut self.whole {
            whole.extend_from_slice(piece);
        }
    }

    /// What it was built from; nothing, where it does not say.
    pub fn finish(self, path: &str) -> Result<Contribution, Problem> {
        let mut packages = self.go.finish(path)?;
        if let Some(section) = self.whole.as_deref().and_then(|file| elf::section(file, cargo::SECTION)) {
            packages.extend(cargo::auditable(path, section)?);
        }
        Ok(Contribution { packages, ..Contribution::default() })
    }
}
