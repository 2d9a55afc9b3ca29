//! Collects what is wrong with a document, so that all of it is said at once.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::document::Document;
use crate::error::{ConfigError, ConfigErrors};
use crate::limits;
use crate::node::{Node, Place};
use crate::snippet;

/// The problems of one document so far.
#[derive(Debug)]
pub(crate) struct Problems<'a> {
    document: &'a Document,
    found: Vec<ConfigError>,
    /// Position and problem of all that was found, those beyond [`limits::ERRORS`] too.
    seen: HashSet<(Option<(usize, usize)>, String)>,
}

impl<'a> Problems<'a> {
    /// None so far.
    pub fn new(document: &'a Document) -> Self {
        Self { document, found: Vec::new(), seen: HashSet::new() }
    }

    /// The document.
    pub const fn document(&self) -> &'a Document {
        self.document
    }

    /// Notes a problem with `node`.
    pub fn node(&mut self, node: &Node, problem: impl Into<String>, mend: impl Into<String>) {
        self.place(node.place, problem, mend);
    }

    /// Notes a problem at `place`.
    pub fn place(&mut self, place: Place, problem: impl Into<String>, mend: impl Into<String>) {
        let position = Some(Document::position(place));
        self.push(Some(self.document.file.clone()), position, problem.into(), mend.into());
    }

    /// Notes a problem that has no place in the document.
    pub fn elsewhere(&mut self, problem: impl Into<String>, mend: impl Into<String>) {
        self.push(None, None, problem.into(), mend.into());
    }

    /// Notes what is wrong with a file that the document names.
    pub fn of_another_file(&mut self, errors: ConfigErrors) {
        self.found.extend(errors.0);
    }

    /// How a text of the document may be quoted in a message: cut to a bearable length, and never one that may hold a password.
    pub fn quote(&self, text: &str) -> String {
        if self.document.hides_secrets() && text.contains('@') {
            return "a text with an @".to_owned();
        }
        let mut short: String = text.chars().take(limits::QUOTED_CHARACTERS).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        format!("{short:?}")
    }

    /// Whether nothing is wrong so far.
    pub const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// `value`, when nothing is wrong.
    pub fn finish<T>(self, value: T) -> Result<T, ConfigErrors> {
        if self.is_empty() { Ok(value) } else { self.fail() }
    }

    /// What is wrong, in the file's order.
    pub fn fail<T>(mut self) -> Result<T, ConfigErrors> {
        if self.is_empty() {
            self.elsewhere("the file could not be read", "compare it with what `sealgate init` writes");
        }
        self.found.sort_by_key(|error| error.position);
        let more = self.seen.len().saturating_sub(self.found.len());
        if more > 0 {
            let problem = format!("{more} more errors are not shown");
            let mend = Some("mend those above first".to_owned());
            self.found.push(ConfigError { file: Some(self.document.file.clone()), position: None, problem, mend, snippet: None });
        }
        Err(ConfigErrors(self.found))
    }

    fn push(&mut self, file: Option<PathBuf>, position: Option<(usize, usize)>, problem: String, mend: String) {
        if self.seen.insert((position, problem.clone())) && self.found.len() < limits::ERRORS {
            let snippet = position.and_then(|(line, column)| snippet::at(self.document.source(), self.document.shown(), line, column));
            self.found.push(ConfigError { file, position, problem, mend: Some(mend), snippet });
        }
    }
}
