//! The client that speaks to registries, and [`collect`](collect::collect): the I/O that turns a reference into evidence.
//!
//! [`client`] speaks the OCI Distribution API to one upstream: [`manifest`], [`blob`], [`listing`] and [`push`] are its requests. Below
//! it, `transport` sends one request to one server, `redirect` decides where an answer may lead, `auth`, `challenge` and `token` are the
//! token flow, and [`address`] with `resolver` and `proxies` refuses addresses that no registry should have. [`docker_config`] finds
//! credentials as docker does, and [`command_line`] puts a client together for a user who names the registry.

pub mod address;
pub mod auth;
pub mod blob;
mod body;
mod challenge;
pub mod client;
pub mod collect;
pub mod command_line;
pub mod docker_config;
pub mod document;
pub mod error;
mod failure;
#[doc(hidden)]
pub mod foreign;
pub mod listing;
pub mod manifest;
mod origin;
mod proxies;
pub mod push;
mod redirect;
mod resolver;
mod token;
mod transport;

pub use address::{AddressGuard, AddressRange};
pub use auth::{CredentialSource, Credentials, anonymous};
pub use blob::BlobStream;
pub use client::{Client, ClientConfig, IDLE_TIMEOUT};
pub use collect::{Lifetimes, Repositories, collect};
pub use command_line::{client_for, endpoint_of, realms_of};
pub use docker_config::credential_source;
pub use document::{Answer, Documents};
pub use error::FetchError;
pub use listing::{Referrers, TagPage};
pub use manifest::{FetchedManifest, ManifestHead};
