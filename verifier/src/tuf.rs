//! What a client of The Update Framework believes, and why (TUF specification 1.0.33, section 5: "Detailed client workflow").
//!
//! [`Trusted`] holds the metadata that is trusted and takes new metadata in only where every step of the workflow holds: signatures by
//! thresholds of distinct keys, versions that never go back, expiry at the time that the caller passes in, lengths and hashes. It reads
//! no clock and speaks to nobody: the caller fetches what [`Trusted`] asks for, within the bounds of [`crate::limits`], and keeps
//! [`Trusted::documents`] so that a restart knows what was trusted.
//!
//! Read in this order: `metadata` (one signed document), `role` (what it says), `key`, `trusted` (the workflow).
//!
//! Left out: delegations. Instances of Sigstore list `trusted_root.json` in the top-level targets, and a target that only a delegated
//! role lists is not found.

mod canonical;
mod error;
mod key;
mod metadata;
mod role;
#[cfg(test)]
mod tests;
mod trusted;

pub use error::{RoleName, TufError};
pub use trusted::{Documents, Target, Trusted, Wanted};

/// The TUF root of the public Sigstore instance (version 16, tuf-repo-cdn.sigstore.dev), as sigstore-trust-root 0.15.1 embeds it
/// (Apache-2.0).
pub const PUBLIC: &[u8] = include_bytes!("tuf/public-good.root.json");
/// The TUF root of GitHub's own instance (version 9, tuf-repo.github.com), from the same place.
pub const GITHUB: &[u8] = include_bytes!("tuf/github.root.json");
