//! Keys, certificates and revocation lists.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_verifier::PublicKey;
use sealgate_verifier::notation::{StoreKind, TrustStore};

fuzz_target!(|data: &[u8]| {
    let mut store = TrustStore::new();
    for kind in [StoreKind::Ca, StoreKind::SigningAuthority, StoreKind::Tsa] {
        let _ = store.add(kind, data).is_ok();
    }
    let _ = store.add_revocation_lists(data).is_ok();
    if let Ok(key) = PublicKey::from_der(data) {
        assert!(!key.verify(b"nobody signed this", b""));
    }
    let _ = std::str::from_utf8(data).is_ok_and(|text| PublicKey::from_pem(text).is_ok());
});
