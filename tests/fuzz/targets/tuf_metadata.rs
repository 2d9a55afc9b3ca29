//! TUF metadata of each role, as a repository answers with it.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sealgate_verifier::Timestamp;
use sealgate_verifier::tuf::{PUBLIC, Trusted};

static TRUSTED: LazyLock<Trusted> = LazyLock::new(|| Trusted::begin(&Bytes::from_static(PUBLIC)).expect("the embedded root"));

fuzz_target!(|data: &[u8]| {
    let data = Bytes::copy_from_slice(data);
    let now = Timestamp(1_795_600_000);
    let mut trusted = TRUSTED.clone();
    // Nothing that a fuzzer makes up is signed by a threshold of Sigstore's keys.
    assert!(trusted.new_root(&data).is_err() && trusted.new_timestamp(&data, now).is_err());
    let _ = Trusted::begin(&data).map(|mut trusted| (trusted.new_root(&data).is_ok(), trusted.new_timestamp(&data, now).is_ok()));
});
