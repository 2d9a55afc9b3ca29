//! Keys, signatures and their publication: what `sealgate sign`, `sealgate attest` and `sealgate generate-key-pair` do.
//!
//! ```text
//! KeySource ──load──▶ SigningKey ─┐                   ┌─▶ bundle ──────▶ publish: referrer (+ fallback tag)
//! IdentityToken ─▶ fulcio ────────┴▶ Signer ──sign──▶─┤
//!                  rekor, timestamp ──┘               └─▶ legacy layer ─▶ legacy: `.sig`, `.att`
//! ```
//!
//! The formats are cosign's, byte for byte where that can be had: a key pair generated here signs with cosign, and the reverse; an
//! image signed here verifies with `cosign verify`. The gate itself never imports this crate's functions.

pub mod cosign_key;
pub mod existing;
pub mod key;
pub mod key_files;
pub mod legacy;
pub mod predicate;
pub mod publish;
pub mod service;
pub mod sign;
pub mod signer;
pub mod sigstore;
pub mod source;
pub mod statement;
mod tag;

pub use cosign_key::CosignKeyError;
pub use existing::{Existing, Format, Wanted};
pub use key::{Algorithm, KeyLoadError, PasswordError, SigningKey};
pub use key_files::{KeyFileError, KeyFiles, write_key_pair};
pub use legacy::{Layer, append};
pub use predicate::{Predicate, PredicateError};
pub use publish::{Bundle, PublishError, Published, Subject, publish};
pub use service::ServiceError;
pub use sign::{SignError, sign_image};
pub use signer::Signer;
pub use sigstore::{IdentityToken, Instance, SigningConfig, SigningConfigError, TokenError, TokenSource};
pub use source::{KeySource, KeySourceError};
pub use statement::Statement;
