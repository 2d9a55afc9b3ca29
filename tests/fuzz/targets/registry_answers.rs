//! What a registry answers beside manifests: challenges, tokens, pages of referrers and tags, and the link to the next page.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_registry::foreign;
use sealgate_verifier::Tag;

/// Tags that are asked for.
const COUNT: usize = 10;

fuzz_target!(|data: &[u8]| {
    let _ = (foreign::realm(data), foreign::is_token(data), foreign::referrers(data));
    if let Some(tags) = foreign::tags(data, COUNT) {
        assert!(tags.len() <= COUNT && tags.iter().all(|tag| tag.parse::<Tag>().is_ok()));
    }
    // A page never leads to another host or out of the listing.
    if let Some(next) = foreign::next_page(data, "https://registry.example/v2/team/app/tags/list?n=10") {
        assert!(next.starts_with("https://registry.example/v2/team/app/tags/list"), "{next}");
    }
});
