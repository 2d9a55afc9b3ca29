//! One file's content on its way through: kept whole, searched, or passed by.

use crate::packages::program::Program;
use crate::packages::{self, Source, checked, elf};
use crate::problem::Problem;
use crate::tar::Entry;

use super::Learned;

/// What becomes of a file's content.
pub enum Reading {
    /// Nothing is known of it.
    Pass,
    /// It says what the image holds, and is read whole; `None` once it is over the limit.
    Whole(Source, Option<Vec<u8>>),
    /// It is a program.
    Program(Box<Program>),
}

impl Reading {
    /// Begins with the first bytes.
    pub fn of(source: Option<Source>, entry: &Entry, first: &[u8]) -> Self {
        match source {
            Some(source @ (Source::UnsupportedDatabase(_) | Source::UnsupportedList(_))) => Self::Whole(source, Some(vec![])),
            Some(source) if entry.size > source.limit() => Self::Whole(source, None),
            Some(source) => Self::Whole(source, Some(vec![])),
            None if first.starts_with(&elf::MAGIC) => Self::Program(Box::new(Program::new(entry.size))),
            None => Self::Pass,
        }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, piece: &[u8]) {
        match self {
            Self::Pass | Self::Whole(Source::UnsupportedDatabase(_) | Source::UnsupportedList(_), _) | Self::Whole(_, None) => {}
            Self::Whole(_, Some(kept)) => kept.extend_from_slice(piece),
            Self::Program(program) => program.feed(piece),
        }
    }

    /// What it said.
    pub fn finish(self, entry: &Entry, path: &str) -> Learned {
        let mut learned = Learned { size: entry.size, mode: entry.mode, uid: entry.uid, ..Learned::default() };
        learned.capability.clone_from(&entry.capability);
        let unsupported = |what: &str| Problem::Unsupported { path: path.to_owned(), what: what.to_owned() };
        match self {
            Self::Pass => {}
            Self::Whole(source, kept) => {
                learned.source = Some(source);
                learned.take(match kept {
                    _ if entry.sparse => Err(unsupported("a sparse file")),
                    None => Err(Problem::limit(format!("bytes of {path:?}"), entry.size, source.limit())),
                    Some(kept) => packages::read(source, path, &kept),
                });
            }
            Self::Program(program) => {
                let outcome = program.finish(path).and_then(|contribution| checked(path, contribution));
                if !matches!(&outcome, Ok(contribution) if contribution.packages.is_empty()) {
                    learned.source = Some(Source::Program);
                    learned.take(outcome);
                }
            }
        }
        learned
    }
}
