//! # The gate
//!
//! One pull, six files: [`server`] → [`routes`] → [`gate`] → `collect` (evidence I/O, in `sealgate-registry`) → `evaluate` (in
//! `sealgate-verifier`), with [`store`] and the upstream client supplying bytes. ARCHITECTURE.md has the map.

pub mod advisories;
pub mod auth;
pub mod body;
pub mod cli;
pub mod gate;
pub mod metrics;
pub mod range;
pub mod routes;
pub mod server;
pub mod store;
pub mod trust_root;
