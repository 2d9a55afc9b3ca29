//! The advisories on disk: one index file for each ecosystem under `data/advisories`, replaced whole and atomically.
//!
//! [`import()`] reads exports of OSV databases into them, [`update()`] fetches exports, a [`Snapshot`] of a [`Library`] is what the
//! matcher looks into. An index that is missing, damaged or of another format is a gap of the matcher, never an empty feed.

mod error;
mod import;
mod index;
mod library;
mod source;
mod update;

#[cfg(test)]
mod tests;

pub use error::AdvisoryError;
pub use import::{ImportOptions, ImportReport, Imported, Malformed, import};
pub use library::{Library, Snapshot};
pub use source::MAX_ARCHIVE_BYTES;
pub use update::{DEFAULT_URL, Updated, update};
