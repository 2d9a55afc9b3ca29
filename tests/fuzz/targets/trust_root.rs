//! `trusted_root.json`
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_verifier::sigstore::TrustRoot;

fuzz_target!(|data: &[u8]| {
    let _ = TrustRoot::from_json(data).is_ok();
});
