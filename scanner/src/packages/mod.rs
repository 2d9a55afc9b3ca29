//! The files that say which packages an image holds: recognised by their path, programs by their first bytes.

use serde::de::DeserializeOwned;

use crate::limits::{DOCUMENT_BYTES, FIELD_BYTES, FILE_BYTES, PACKAGES};
use crate::package::Package;
use crate::problem::Problem;
use crate::release::Release;

mod apk;
mod cargo;
mod dpkg;
pub mod elf;
pub mod golang;
mod maven;
mod npm;
mod os_release;
mod passwd;
pub mod program;
mod python;
mod rpm;
mod source;
mod sqlite;
mod stanza;
mod zip;

pub use source::{Source, source_of};

/// What a file said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contribution {
    pub packages: Vec<Package>,
    pub release: Option<Release>,
    /// Files of distribution packages that may hold packages of another kind: path and package.
    pub owned: Vec<(String, String)>,
    /// Files that a distribution's packages brought, as [`file_key`]s.
    pub files: Vec<u64>,
    /// Users and their numbers.
    pub users: Vec<(String, u32)>,
}

/// Reads a whole file of a kind.
///
/// # Errors
/// [`Problem::Malformed`], [`Problem::Unsupported`], a limit.
pub fn read(source: Source, path: &str, bytes: &[u8]) -> Result<Contribution, Problem> {
    let contribution = match source {
        Source::OsRelease => Contribution { release: os_release::read(bytes), ..Contribution::default() },
        Source::Passwd => Contribution { users: passwd::read(bytes), ..Contribution::default() },
        Source::DpkgStatus | Source::DpkgStatusFile => dpkg::status(path, bytes)?,
        Source::DpkgFiles => dpkg::files(path, bytes),
        Source::ApkInstalled => apk::installed(path, bytes)?,
        Source::RpmDatabase => rpm::database(path, bytes)?,
        Source::JavaArchive => maven::archive(path, bytes)?,
        Source::NpmInstalled => npm::manifest(path, bytes)?,
        Source::NpmLock => npm::lock(path, bytes)?,
        Source::PythonMetadata => python::metadata(path, bytes)?,
        Source::CargoLock => cargo::lock(path, bytes)?,
        Source::Program => {
            let mut program = program::Program::new(bytes.len() as u64);
            program.feed(bytes);
            program.finish(path)?
        }
        Source::UnsupportedDatabase(what) => return Err(Problem::Unsupported { path: path.to_owned(), what: what.to_owned() }),
        Source::UnsupportedList(_) => Contribution::default(),
    };
    checked(path, contribution)
}

/// Checks what was read against the limits, and says where each package was found.
pub fn checked(path: &str, mut contribution: Contribution) -> Result<Contribution, Problem> {
    if contribution.packages.len() > PACKAGES {
        return Err(Problem::limit(format!("packages of {path:?}"), contribution.packages.len(), PACKAGES));
    }
    for package in &mut contribution.packages {
        let source = package.source.iter().flat_map(|source| [&source.name, &source.version]);
        let longest = [&package.namespace, &package.name, &package.version].into_iter().chain(source).map(String::len).max();
        if longest > Some(FIELD_BYTES) {
            return Err(Problem::limit(format!("bytes of a field in {path:?}"), longest.unwrap_or(0), FIELD_BYTES));
        }
        if package.location.path.is_empty() {
            path.clone_into(&mut package.location.path);
        }
    }
    Ok(contribution)
}

impl Source {
    /// Bytes up to which a file of the kind is read.
    pub const fn limit(self) -> u64 {
        match self {
            Self::UnsupportedDatabase(_) | Self::UnsupportedList(_) | Self::Program | Self::RpmDatabase | Self::JavaArchive => FILE_BYTES,
            Self::OsRelease
            | Self::Passwd
            | Self::DpkgStatus
            | Self::DpkgStatusFile
            | Self::DpkgFiles
            | Self::ApkInstalled
            | Self::NpmInstalled
            | Self::NpmLock
            | Self::PythonMetadata
            | Self::CargoLock => DOCUMENT_BYTES,
        }
    }
}

/// A path in eight bytes: whole lists of files would take tens of megabytes. It decides only whether a credential is one that a
/// distribution publishes. `bin/x` and `usr/bin/x` are the same: images merge them, lists do not.
pub fn file_key(path: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    path.strip_prefix("usr/").unwrap_or(path).hash(&mut hasher);
    hasher.finish()
}

/// Whether a file that a distribution's package brought may hold packages of another kind, so that its owner is worth knowing.
fn may_hold_others(path: &str) -> bool {
    let folder = path.rsplit('/').nth(1).unwrap_or("");
    matches!(folder, "bin" | "sbin" | "libexec") || source_of(path).is_some_and(Source::lists_packages)
}

fn json<T: DeserializeOwned>(path: &str, format: &str, bytes: &[u8]) -> Result<T, Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // serde's words may quote the document: only the place is told.
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::malformed(path, format, format!("line {}, column {}: unexpected", error.line(), error.column())))
}
