//! The `Range` header of any client: what is selected is never empty and never beyond the end.
#![no_main]

use http::header::{HeaderMap, HeaderValue, RANGE};
use libfuzzer_sys::fuzz_target;

// The file itself: the crate that holds it is the whole gate.
#[allow(dead_code)]
#[path = "../../../proxy/src/range.rs"]
mod range;

fuzz_target!(|input: (u64, &[u8])| {
    let (size, text) = input;
    let Ok(value) = HeaderValue::from_bytes(text) else { return };
    let headers = HeaderMap::from_iter([(RANGE, value)]);
    if let range::Selection::Partial(part) = range::select(&headers, "\"sha256:0\"", size) {
        assert!(part.start < part.end && part.end <= size, "{part:?} of {size}");
    }
});
