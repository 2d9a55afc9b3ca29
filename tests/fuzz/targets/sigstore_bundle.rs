//! Bundles before the public trust root: nobody can make one for this digest.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sealgate_verifier::Digest;
use sealgate_verifier::sigstore::{Artifact, TrustRoot, verify_certificate};

static ROOT: LazyLock<TrustRoot> = LazyLock::new(|| TrustRoot::public().expect("the embedded root"));

fuzz_target!(|data: &[u8]| {
    assert!(verify_certificate(data, Artifact::Digest(Digest::sha256(b"nobody signed this")), &ROOT).is_err());
});
