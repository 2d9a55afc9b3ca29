//! Keyless verifications per second on one core: `cargo run --release -p sealgate-verifier --example keyless_rate -- BUNDLE
//! ARTIFACT [TRUSTED_ROOT]`. Nothing is cached between them but the trust root.
#![allow(clippy::disallowed_methods, reason = "a measurement reads files and the clock")]

use std::time::{Duration, Instant};

use sealgate_verifier::sigstore::{Artifact, TrustRoot, verify_certificate};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bundle, artifact, root @ ..] = &*arguments else {
        eprintln!("usage: keyless_rate BUNDLE ARTIFACT [TRUSTED_ROOT]");
        std::process::exit(2);
    };
    let read = |file: &String| std::fs::read(file).expect("a file");
    let root = root.first().map_or_else(TrustRoot::public, |file| TrustRoot::from_json(&read(file))).expect("a trust root");
    let (bundle, artifact) = (read(bundle), read(artifact));
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < Duration::from_secs(5) && count < 100_000 {
        let found = verify_certificate(&bundle, Artifact::Bytes(&artifact), &root).expect("it verifies");
        assert!(!found.identity.subject.is_empty());
        count += 1;
    }
    println!("{count} in {:?}: {:.0} per second", start.elapsed(), f64::from(count) / start.elapsed().as_secs_f64());
}
