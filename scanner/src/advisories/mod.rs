//! Known vulnerabilities: OSV advisories in, findings about installed packages out.
//!
//! [`osv`] reads one record, a view ([`view`]) answers what is known about a package, [`matcher`] compares. Nothing here reads a file, a
//! socket or a clock. What cannot be compared is [`Uncovered`], never clean.

pub mod advisory;
pub mod ecosystem;
pub mod finding;
pub mod matcher;
mod merge;
pub mod osv;
pub mod range;
pub mod rating;
mod scan_report;
pub mod support;
pub mod uncovered;
pub mod view;

#[cfg(test)]
mod tests;

pub use advisory::{Advisory, Affected, Entry};
pub use ecosystem::Ecosystem;
pub use finding::{Finding, MatchReport};
pub use matcher::match_packages;
pub use osv::{OsvError, Record};
pub use range::{Event, Range, RangeKind};
pub use rating::{Rating, RatingSource};
pub use uncovered::Uncovered;
pub use view::{AdvisoryView, Feed, MemoryView, Prepared};
