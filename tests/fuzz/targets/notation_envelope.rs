//! JWS and COSE envelopes before a root whose key is gone: none verifies.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sealgate_verifier::notation::{NotationSigner, StoreKind, Target, TrustStore, verify};
use sealgate_verifier::{Digest, Timestamp, media_type};

static SIGNER: LazyLock<NotationSigner> = LazyLock::new(|| {
    let mut store = TrustStore::new();
    store.add(StoreKind::Ca, include_bytes!("../seeds/root.pem")).expect("a root");
    NotationSigner::new(store, vec!["*".parse().expect("everybody")]).expect("a signer")
});

fuzz_target!(|data: &[u8]| {
    let target = Target { media_type: media_type::OCI_MANIFEST, digest: Digest::sha256(b""), size: 0 };
    for envelope in [media_type::JOSE, media_type::COSE] {
        assert!(verify(data, envelope, &target, &SIGNER, Timestamp(1_800_000_000)).is_err());
    }
});
