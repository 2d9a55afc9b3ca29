//! Every file that lists packages, with any content: it is read or refused, and ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_scanner::Walk;
use sealgate_verifier::{Descriptor, Digest};

const PATHS: [&str; 14] = [
    "var/lib/dpkg/status",
    "var/lib/dpkg/info/x.list",
    "lib/apk/db/installed",
    "var/lib/rpm/rpmdb.sqlite",
    "node_modules/x/package.json",
    "package-lock.json",
    "x.dist-info/METADATA",
    "Cargo.lock",
    "usr/bin/x",
    "app.jar",
    "etc/os-release",
    "etc/passwd",
    "etc/shadow",
    "app/.env",
];

fn header(path: &str, size: usize) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, "0000644\0");
    put(124, &format!("{size:011o}\0"));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, content)) = data.split_first() else { return };
    let path = PATHS[usize::from(*kind) % PATHS.len()];
    let mut layer = header(path, content.len()).to_vec();
    layer.extend_from_slice(content);
    layer.resize(layer.len().next_multiple_of(512), 0);
    let descriptor = Descriptor {
        media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
        digest: Digest::sha256(&layer),
        size: layer.len() as u64,
        artifact_type: None,
        platform: None,
        annotations: Default::default(),
        urls: vec![],
    };
    let mut walk = Walk::new();
    walk.configuration(content, &Default::default());
    walk.layer(&descriptor, layer.as_slice());
    let report = walk.finish();
    assert_eq!(report.layers[0].files, 1, "the archive is well-formed whatever the file holds: {:?}", report.gaps);
    let _ = report.packages.iter().map(sealgate_scanner::Package::purl).count();
});
