//! Keys, signatures and their publication as referrers: what `sealgate sign` and `sealgate generate-key-pair` do.
//!
//! ```text
//! KeySource ──load──▶ SigningKey ──sign_image──▶ bundle bytes ──publish──▶ referrer manifest (+ fallback tag)
//!                        ▲
//! cosign_key::decrypt ───┘   PEM, scrypt, NaCl secretbox
//! ```
//!
//! The formats are cosign's, byte for byte where that can be had: a key pair generated here signs with cosign, and the reverse; an
//! image signed here verifies with `cosign verify --key`. The gate itself never imports this crate's functions.

pub mod cosign_key;
pub mod key;
pub mod key_files;
pub mod publish;
pub mod sign;
pub mod source;

pub use cosign_key::CosignKeyError;
pub use key::{Algorithm, KeyLoadError, PasswordError, SigningKey};
pub use key_files::{KeyFileError, KeyFiles, write_key_pair};
pub use publish::{PublishError, Published, Subject, publish};
pub use sign::{SignError, sign_image};
pub use source::{KeySource, KeySourceError};
