//! Manifests and indexes, and what they are taken for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_verifier::{Manifest, classify, may_be_evidence, may_be_evidence_listing};

fuzz_target!(|data: &[u8]| {
    if let Ok(manifest) = Manifest::parse(data, None) {
        let _ = (may_be_evidence(&manifest), classify(&manifest, &[]));
        if let Manifest::Index(index) = &manifest {
            let _ = may_be_evidence_listing(index);
        }
        // One meaning: with the media type that it gives itself it reads the same.
        assert!(Manifest::parse(data, Some(manifest.media_type())).is_ok());
    }
});
