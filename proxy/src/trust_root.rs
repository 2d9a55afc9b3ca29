//! Keeps instances of Sigstore current by TUF, outside of every decision.
//!
//! [`repository`] fetches, [`refresh`] walks through the client workflow, whose every check is `sealgate_verifier::tuf`'s, and [`state`]
//! keeps what is trusted in the data folder, so that a restart accepts nothing older. A refresh that fails changes nothing: the last
//! good root stays, and only `trust-root.max-age` ends it.

pub mod keeper;
pub mod refresh;
pub mod repository;
pub mod state;

pub use keeper::{RootStatus, TrustRoots};
