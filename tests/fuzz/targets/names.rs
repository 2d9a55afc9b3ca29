//! References, digests, tags and patterns: what is read is written back as it was meant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_verifier::{Digest, ManifestReference, Pattern, Reference, Repository, Tag};

fuzz_target!(|text: &str| {
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(tag) = text.parse::<Tag>() {
        assert_eq!(tag.as_str(), text);
    }
    if let Ok(repository) = text.parse::<Repository>() {
        assert_eq!(repository.to_string().parse::<Repository>().as_ref(), Ok(&repository));
        assert!(!repository.path().split('/').any(|part| part.is_empty() || part == "." || part == ".."));
    }
    let _ = (text.parse::<Reference>().is_ok(), text.parse::<ManifestReference>().is_ok(), text.parse::<Pattern>().is_ok());
});
