//! MB of plain layer that a core walks in a second, beside what `gzip -d` takes for the same layer, in CPU time.
//!
//! `cargo bench -p sealgate-scanner [-- LAYER.tar.gz]`; without a layer, one is made of this machine's libraries.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the bans are the crate's own; its benchmark reads files")]

use std::path::{Path, PathBuf};
use std::process::Command;

use sealgate_scanner::{Report, Walk};
use sealgate_verifier::{Descriptor, Digest};

/// Rounds, of which the least CPU time counts.
const ROUNDS: usize = 3;
/// What a layer is made of, and how much of it at most.
const MATERIAL: &str = "tar -cf - -C / usr/lib/x86_64-linux-gnu usr/share/doc usr/bin 2>/dev/null | head -c 402653184 | gzip -6";

fn main() {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let made = std::env::temp_dir().join(format!("sealgate-walk-{}.tar.gz", std::process::id()));
    let layer = given.clone().unwrap_or_else(|| {
        shell(&format!("{MATERIAL} > {}", made.display()));
        made.clone()
    });
    let bytes = std::fs::read(&layer).expect("a layer");
    let (mut walked, mut unpacked) = (f64::MAX, f64::MAX);
    let mut report = Report::default();
    for _ in 0..ROUNDS {
        let before = cpu_seconds();
        report = walk(&bytes);
        walked = walked.min(cpu_seconds() - before);
        unpacked = unpacked.min(gzip_seconds(&layer));
    }
    let plain = report.layers[0].plain_bytes as f64 / 1e6;
    println!(
        "{} MB stored, {plain:.0} MB plain, {} files, {} packages",
        bytes.len() / 1_000_000,
        report.layers[0].files,
        report.packages.len()
    );
    println!("walk:    {:.0} MB/s ({walked:.2} s of CPU)", plain / walked);
    println!("gzip -d: {:.0} MB/s ({unpacked:.2} s of CPU)", plain / unpacked);
    println!("walk / gzip -d: {:.2} of its rate", unpacked / walked);
    if given.is_none() {
        std::fs::remove_file(&made).expect("the layer");
    }
}

fn walk(bytes: &[u8]) -> Report {
    let descriptor = Descriptor {
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
        digest: Digest::sha256(bytes),
        size: bytes.len() as u64,
        artifact_type: None,
        platform: None,
        annotations: Default::default(),
        urls: vec![],
    };
    let mut walk = Walk::new();
    walk.layer(&descriptor, bytes);
    walk.finish()
}

/// On-CPU time of this thread (Linux, Documentation/scheduler/sched-stats.rst).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat");
    stat.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).expect("a number") / 1e9
}

fn gzip_seconds(layer: &Path) -> f64 {
    let told = shell(&format!("TIMEFORMAT='%U %S'; {{ time gzip -dc {} > /dev/null; }} 2>&1", layer.display()));
    told.split_whitespace().filter_map(|seconds| seconds.parse::<f64>().ok()).sum()
}

fn shell(command: &str) -> String {
    let output = Command::new("bash").args(["-c", command]).output().expect("bash");
    String::from_utf8(output.stdout).expect("text")
}
