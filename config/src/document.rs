//! A file of YAML, parsed: bounded, without aliases, with duplicate keys left for the reader to report.

use std::path::{Path, PathBuf};

use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Budget, Error as YamlError, Options};

use crate::error::ConfigError;
use crate::limits;
use crate::node::{Node, Place, RawNode, Value, place};
use crate::shape::Object;
use crate::snippet::{self, Shown};

/// One file of YAML.
#[derive(Debug)]
pub(crate) struct Document {
    /// As the user named it.
    pub file: PathBuf,
    /// The tree.
    pub root: Node,
    /// The whole text, by characters: the YAML library counts in them.
    source: Vec<char>,
    shown: Shown,
}

/// Whether a kind of file may hold secrets, which its snippets and messages then hide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// Everything may be shown.
    Public,
    /// Only what the table knows to be no secret is shown.
    Secrets,
}

impl Document {
    /// Parses `bytes`, read from `file`, which should look like `object`.
    pub fn parse(file: &Path, bytes: &[u8], object: &'static Object, secrecy: Secrecy) -> Result<Self, ConfigError> {
        let text = std::str::from_utf8(bytes).map_err(|bad| not_utf8(file, bytes, bad.valid_up_to()))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let source: Vec<char> = text.chars().collect();
        let raw: RawNode = serde_saphyr::from_str_with_options(text, options()).map_err(|bad| {
            let shown = match secrecy {
                Secrecy::Public => Shown::All,
                Secrecy::Secrets => Shown::of_unparsed(&source, object),
            };
            let position = bad.location().map(|l| place(&l)).filter(|p| p.line > 0).map(Self::position);
            let (problem, mend) = describe(&bad);
            let snippet = position.and_then(|(line, column)| snippet::at(&source, &shown, line, column));
            ConfigError { file: Some(file.to_owned()), position, problem, mend: Some(mend.to_owned()), snippet }
        })?;
        let root = raw.resolve(&source);
        if matches!(root.value, Value::Empty) {
            return Err(whole(file, "the file is empty", "`sealgate init` writes a commented one"));
        }
        let shown = match secrecy {
            Secrecy::Public => Shown::All,
            Secrecy::Secrets => Shown::of(&root, object),
        };
        Ok(Self { file: file.to_owned(), root, source, shown })
    }

    /// The whole text.
    pub fn source(&self) -> &[char] {
        &self.source
    }

    /// What of the text may be shown.
    pub const fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Whether something of the text must not be shown.
    pub const fn hides_secrets(&self) -> bool {
        matches!(self.shown, Shown::Only(_))
    }

    /// Line and column.
    pub const fn position(place: Place) -> (usize, usize) {
        (place.line, place.column)
    }

    /// `path` as the file means it: relative to the file's folder.
    pub fn relative(&self, path: &str) -> PathBuf {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        folder.join(path.strip_prefix("./").filter(|_| folder != Path::new("")).unwrap_or(path))
    }
}

/// An error about a whole file.
pub(crate) fn whole(file: &Path, problem: impl Into<String>, mend: &str) -> ConfigError {
    ConfigError { file: Some(file.to_owned()), position: None, problem: problem.into(), mend: Some(mend.to_owned()), snippet: None }
}

fn not_utf8(file: &Path, bytes: &[u8], valid: usize) -> ConfigError {
    let before = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    ConfigError { position: Some((line, column)), ..whole(file, "the file is not UTF-8", "save it as UTF-8 text") }
}

fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_anchors = 0;
    budget.max_aliases = 0;
    budget.max_merge_keys = 0;
    budget.max_documents = 1;
    budget.max_depth = limits::DEPTH;
    budget.max_nodes = limits::NODES;
    budget.max_events = limits::NODES.saturating_mul(4);
    let mut options = Options::default();
    options.budget = Some(budget);
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    options.merge_keys = MergeKeyPolicy::Error;
    options.strict_booleans = true;
    options.reject_unsupported_tags = true;
    options.non_finite_float_policy = NonFiniteFloatPolicy::PassThrough;
    options.with_snippet = false;
    options
}

/// What the YAML library found, without the text that it may quote: that text may be a secret.
fn describe(error: &YamlError) -> (String, &'static str) {
    use serde_saphyr::budget::BudgetBreach as Breach;
    let text = |text: &str| text.to_owned();
    let plain = "write the value out where it is used; a text that starts with & or * needs quotes";
    match error.without_snippet() {
        YamlError::Budget { breach, .. } => match breach {
            Breach::Anchors { .. } | Breach::Aliases { .. } => (text("anchors and aliases are not supported"), plain),
            Breach::Documents { .. } => (text("the file holds a second document after `---`"), "keep one document per file"),
            Breach::Depth { .. } => (format!("lists and mappings are nested deeper than {} levels", limits::DEPTH), "flatten them"),
            _ => (text("the file is too large to be meant"), "split it, or remove what is not needed"),
        },
        YamlError::MergeKeyNotAllowed { .. } => (text("the merge key `<<` is not supported"), "write the keys out"),
        YamlError::MultipleDocuments { .. } => (text("the file holds a second document after `---`"), "keep one document per file"),
        YamlError::UnsupportedTag { .. } => (text("YAML tags are not supported"), "remove the tag; a text that starts with ! needs quotes"),
        YamlError::UnknownAnchor { .. } => (text("anchors and aliases are not supported"), plain),
        other => {
            let rendered = other.to_string();
            // The scanner has a bound of its own, 255 levels, which it may meet first.
            if rendered.contains("recursion limit") {
                return (format!("lists and mappings are nested deeper than {} levels", limits::DEPTH), "flatten them");
            }
            let message = rendered.split(" at line ").next().unwrap_or_default();
            // The library quotes at most one character or token, in backquotes.
            let message = message.split(['`', '"']).next().unwrap_or_default().trim_end_matches([' ', ':']);
            (format!("not valid YAML: {message}"), "mend the syntax here or just above; a text with special characters needs quotes")
        }
    }
}
