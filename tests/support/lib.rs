//! What the end-to-end tests are made of: real registries, engines and clients, the gate itself as a process, and an upstream
//! that misbehaves on demand.
//!
//! A missing client is a failure with its mend, never a skipped test. Everything here panics when it cannot do its work: it is
//! test code, and the panic's text is the report.

pub mod authority;
pub mod clients;
pub mod containerd;
pub mod cosign;
pub mod disk;
pub mod docker;
pub mod evidence;
pub mod gate;
pub mod hostile;
pub mod image;
pub mod issuer;
pub mod keeper;
pub mod keyless;
pub mod layer;
pub mod layout;
pub mod notation;
pub mod pki;
pub mod port;
pub mod process;
pub mod program;
pub mod pull;
pub mod push;
pub mod pushing;
pub mod registry;
pub mod signature;
pub mod sigstore;
pub mod strace;
pub mod timestamp;
pub mod tuf;
pub mod wire;
pub mod world;

/// The digest of `bytes` as registries write it: `sha256:` and 64 hex digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::from("sha256:"), |text, byte| text + &format!("{byte:02x}"))
}

/// The digest of `bytes` by SHA-512: `sha512:` and 128 hex digits.
#[must_use]
pub fn sha512(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA512, bytes);
    digest.as_ref().iter().fold(String::from("sha512:"), |text, byte| text + &format!("{byte:02x}"))
}

/// The count that a long test uses: `small` by default and in CI, `full` with `SEALGATE_TEST_SCALE=full`.
#[must_use]
pub fn scale(small: usize, full: usize) -> usize {
    match std::env::var("SEALGATE_TEST_SCALE").as_deref() {
        Ok("full") => full,
        Ok("" | "1") | Err(_) => small,
        Ok(other) => panic!("SEALGATE_TEST_SCALE is {other:?}; it knows 1 and full"),
    }
}
