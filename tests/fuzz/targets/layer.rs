//! A layer of any bytes in any compression: the walk ends, in bounded memory, and what it says can be stored.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_scanner::{Report, Walk};
use sealgate_verifier::{Descriptor, Digest};

const TYPES: [&str; 3] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
];

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    let descriptor = Descriptor {
        media_type: TYPES[usize::from(*kind) % TYPES.len()].to_owned(),
        digest: Digest::sha256(bytes),
        size: bytes.len() as u64,
        artifact_type: None,
        platform: None,
        annotations: Default::default(),
        urls: vec![],
    };
    let mut walk = Walk::new();
    // Twice: the second layer meets what the first left.
    walk.layer(&descriptor, bytes);
    walk.layer(&descriptor, bytes);
    let report = walk.finish();
    assert_eq!(report.layers.len(), 2);
    for package in &report.packages {
        assert!(package.purl().starts_with("pkg:"));
        // What follows after `!/` is an archive's own name for a member.
        let path = package.location.path.split("!/").next().unwrap_or_default();
        assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."), "{package:?}");
    }
    let stored = serde_json::to_vec(&report).expect("JSON");
    assert_eq!(serde_json::from_slice::<Report>(&stored).expect("a report"), report);
    let _ = report.contents();
});
