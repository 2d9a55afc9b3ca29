//! One file's content on its way through: kept whole, searched, or passed by.

use crate::packages::program::Program;
use crate::packages::{self, Source, checked, elf};
use crate::problem::Problem;
use crate::secrets::{Hit, Search, is_configuration, is_password_file};
use crate::tar::Entry;
use crate::tool::tool_of;

use super::Learned;

/// A file that is being read.
pub struct Reading {
    content: Content,
    search: Search,
}

/// What becomes of a file's content.
enum Content {
    /// Nothing is known of it.
    Pass,
    /// It says what the image holds, and is read whole; `None` once it is over the limit.
    Whole(Source, Option<Vec<u8>>),
    /// It is a program.
    Program(Box<Program>),
}

impl Reading {
    /// Begins with the first bytes.
    pub fn of(source: Option<Source>, entry: &Entry, path: &str, first: &[u8]) -> Self {
        let content = Content::of(source, entry, first);
        // Programs have strings that look like assignments, and lock files are full of hashes.
        let is_text = matches!(content, Content::Pass) && is_configuration(path) && !first.contains(&0);
        Self { content, search: Search::new(is_text, is_password_file(path)) }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, piece: &[u8]) {
        self.content.feed(piece);
        self.search.feed(piece);
    }

    /// What it said, and the credentials in it with their line.
    pub fn finish(self, entry: &Entry, path: &str) -> (Learned, Vec<(u64, Hit)>) {
        let mut learned = self.content.finish(entry, path);
        let hits = self.search.finish();
        learned.has_secret = !hits.is_empty();
        learned.tool = tool_of(path);
        (learned, hits)
    }
}

impl Content {
    fn of(source: Option<Source>, entry: &Entry, first: &[u8]) -> Self {
        match source {
            // An empty write-ahead log is what rpm leaves behind: everything is in the database.
            Some(Source::UnsupportedDatabase(_)) if entry.size == 0 => Self::Pass,
            Some(source @ (Source::UnsupportedDatabase(_) | Source::UnsupportedList(_))) => Self::Whole(source, Some(vec![])),
            Some(source) if entry.size > source.limit() => Self::Whole(source, None),
            Some(source) => Self::Whole(source, Some(vec![])),
            None if first.starts_with(&elf::MAGIC) => Self::Program(Box::new(Program::new(entry.size))),
            None => Self::Pass,
        }
    }

    fn feed(&mut self, piece: &[u8]) {
        match self {
            Self::Pass | Self::Whole(Source::UnsupportedDatabase(_) | Source::UnsupportedList(_), _) | Self::Whole(_, None) => {}
            Self::Whole(_, Some(kept)) => kept.extend_from_slice(piece),
            Self::Program(program) => program.feed(piece),
        }
    }

    fn finish(self, entry: &Entry, path: &str) -> Learned {
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
