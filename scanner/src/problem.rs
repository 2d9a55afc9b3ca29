//! Why something in an image cannot be read as one thing with one meaning.

use serde::{Deserialize, Serialize};

/// What is wrong with a layer, or with a file in it. Each makes the report incomplete: a gap, never "nothing found".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "problem")]
#[non_exhaustive]
pub enum Problem {
    /// The source of bytes failed.
    #[error("cannot be read: {detail}")]
    Read {
        /// What the source said.
        detail: String,
    },
    /// The media type names no layer that can be walked (foreign, encrypted, or no layer at all).
    #[error("media type {found:?}: expected a tar layer, plain, gzip or zstd")]
    MediaType {
        /// The media type.
        found: String,
    },
    /// The bytes are compressed otherwise than the media type says. Engines believe either.
    #[error("compressed with {found}: its media type says {expected}")]
    Compression {
        /// What the media type says.
        expected: String,
        /// What the bytes are.
        found: String,
    },
    /// The compressed stream breaks off, fails its checksum or is none.
    #[error("{format} stream: {detail}")]
    Stream {
        /// `gzip` or `zstd`.
        format: String,
        /// What the decoder said.
        detail: String,
    },
    /// The bytes are not those of the descriptor.
    #[error("digest {found}: expected {expected}")]
    Digest {
        /// The descriptor's.
        expected: String,
        /// Of the bytes.
        found: String,
    },
    /// The number of bytes is not the descriptor's.
    #[error("{found} bytes: expected {expected}")]
    Size {
        /// The descriptor's.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// More than a limit of [`crate::limits`].
    #[error("{what}: {found} is over the limit of {limit}")]
    Limit {
        /// What was counted, with its unit.
        what: String,
        /// How many, as far as it was counted.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The archive ends inside a header or a file.
    #[error("archive cut off in {place}")]
    Truncated {
        /// Where.
        place: String,
    },
    /// A tar header that is none.
    #[error("tar header at byte {at}: {detail}")]
    Header {
        /// Offset in the plain archive.
        at: u64,
        /// What was expected and found.
        detail: String,
    },
    /// An entry of a type that no container engine unpacks.
    #[error("tar entry {path:?} of type {found:?}")]
    EntryType {
        /// Path.
        path: String,
        /// The type's byte, as a character.
        found: char,
    },
    /// Something but zeros after the archive's end: readers disagree whether it is there.
    #[error("bytes after the archive's end, at byte {at}")]
    Trailing {
        /// Offset in the plain archive.
        at: u64,
    },
    /// A path or link target that leaves the image's root (CVE-2026-50163, CVE-2021-29136).
    #[error("{path:?} leaves the image's root")]
    Escape {
        /// Path or target.
        path: String,
    },
    /// A whiteout whose name deletes nothing that can be named.
    #[error("whiteout {path:?} names no file")]
    Whiteout {
        /// Its path.
        path: String,
    },
    /// Two entries of one layer with one path, of which engines keep the last.
    #[error("{path:?} stands twice in one layer")]
    Duplicate {
        /// Path.
        path: String,
    },
    /// A link that decides what a package source holds, and whose target was not kept or is not there.
    #[error("link {path:?} to {target:?}, which was not read")]
    Link {
        /// The link.
        path: String,
        /// Its target.
        target: String,
    },
    /// A symbolic link chain that does not end.
    #[error("symbolic links without end at {path:?}")]
    LinkLoop {
        /// Where it starts.
        path: String,
    },
    /// A file that says what the image holds breaks its own format.
    #[error("{path:?} is no {format}: {detail}")]
    Malformed {
        /// Path.
        path: String,
        /// The format.
        format: String,
        /// What was expected and found.
        detail: String,
    },
    /// A file that says what the image holds has a form that is not read.
    #[error("{path:?}: {what} is not supported")]
    Unsupported {
        /// Path.
        path: String,
        /// The form.
        what: String,
    },
}

impl Problem {
    pub(crate) fn limit(what: impl Into<String>, found: impl TryInto<u64>, limit: impl TryInto<u64>) -> Self {
        Self::Limit { what: what.into(), found: found.try_into().unwrap_or(u64::MAX), limit: limit.try_into().unwrap_or(u64::MAX) }
    }

    pub(crate) fn malformed(path: &str, format: &str, detail: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), format: format.to_owned(), detail: detail.into() }
    }
}
