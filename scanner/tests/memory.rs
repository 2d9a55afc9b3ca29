//! A layer of gigabytes is walked in bounded memory. Alone in its process, whose peak is asserted.
#![expect(clippy::disallowed_methods, reason = "the ban is the crate's own; its tests may read /proc")]

use std::io::Read;

use sealgate_scanner::{Problem, Walk};
use sealgate_verifier::{Descriptor, Digest};

/// Bytes of one file in the layer.
const FILE: u64 = 64 << 20;
/// KiB that the process may take, its own code included. The widest window of zstd alone is 128 MiB.
const CEILING: u64 = 192 << 10;

/// A tar archive of `files` files, made while it is read.
struct Endless {
    files: u64,
    file: u64,
    at: u64,
    pattern: Vec<u8>,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = 512 + FILE;
        if self.at == length {
            self.at = 0;
            self.file += 1;
        }
        if self.file == self.files {
            return Ok(0);
        }
        if self.at < 512 {
            let header = header(&format!("data/{}.bin", self.file));
            let rest = &header[usize::try_from(self.at).expect("small")..];
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            self.at += count as u64;
            return Ok(count);
        }
        let count = buffer.len().min(usize::try_from(length - self.at).expect("64 bits"));
        let count = count.min(self.pattern.len());
        buffer[..count].copy_from_slice(&self.pattern[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

fn header(name: &str) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(124, &format!("{FILE:011o}\0"));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn a_layer_of_gigabytes_takes_bounded_memory() {
    let full = std::env::var("SEALGATE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    let files = if full { 80 } else { 4 };
    let descriptor = |media_type: &str| Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::sha256(b"made while it is read"),
        size: 1 << 40,
        artifact_type: None,
        platform: None,
        annotations: Default::default(),
        urls: vec![],
    };
    let archive =
        || Endless { files, file: 0, at: 0, pattern: (0..1u32 << 18).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect() };
    let mut walk = Walk::new();
    walk.layer(&descriptor("application/vnd.oci.image.layer.v1.tar"), archive());
    let gzip = flate2::read::GzEncoder::new(archive(), flate2::Compression::none());
    walk.layer(&descriptor("application/vnd.oci.image.layer.v1.tar+gzip"), gzip);
    let report = walk.finish();
    for layer in &report.layers {
        assert_eq!((layer.files, layer.file_bytes, layer.plain_bytes), (files, files * FILE, files * (FILE + 512)));
    }
    // Nobody knows the digest of what is made while it is read; nothing else is wrong with it.
    assert!(report.gaps.len() == 2 && report.gaps.iter().all(|gap| matches!(gap.problem, Problem::Size { .. })), "{:?}", report.gaps);
    let peak = peak();
    println!("{} MiB walked twice, peak of {} MiB", (files * FILE) >> 20, peak >> 10);
    assert!(peak < CEILING, "{peak} KiB");
}
