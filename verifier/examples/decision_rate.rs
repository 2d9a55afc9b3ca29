//! Decisions per second on one core, for tests/bench: `decision_rate FOLDER SECONDS`.
//!
//! FOLDER holds `subject` (a manifest), `attachment` (another, with one layer), `layer`, and `signer.json`: `{"key": PEM}`, `{"root": …,
//! "issuer": …, "subject": …}` or `{"notation": PEM, "identity": …}`. Nothing is kept from one decision to the next but the policy. With
//! `--attached N` in the place of SECONDS: N copies of the attachment that differ, under a signer who made none of them; one denial.
#![allow(clippy::disallowed_methods, reason = "a measurement reads files and the clock")]

use std::path::Path;
use std::time::{Duration, Instant};

use sealgate_verifier::notation::{NotationSigner, StoreKind, TrustStore};
use sealgate_verifier::policy::TrustRootSource;
use sealgate_verifier::sigstore::TrustRoot;
use sealgate_verifier::{
    Attachment, Claim, Collected, Digest, Evidence, IdentityMatcher, ImageFacts, KeylessIdentity, Location, Policy, PolicyParts, PublicKey,
    Quorum, Requirement, Revision, Rule, SignedBy, Signer, SignerIdentity, Subject, TextMatcher, Timestamp, TrustedKey, Verdict, evaluate,
};
use serde_json::{Value, json};

/// When decisions are made, as tests/support/world.rs has it.
const NOW: Timestamp = Timestamp(1_800_000_000);
/// Most decisions of one measurement.
const MOST: u32 = 1_000_000;

fn identity(folder: &Path) -> (SignerIdentity, Option<TrustRoot>) {
    let text = std::fs::read_to_string(folder.join("signer.json")).expect("a signer");
    let signer: Value = serde_json::from_str(&text).expect("JSON");
    let field = |name: &str| signer[name].as_str().map(str::to_owned);
    if let Some(pem) = field("key") {
        let key = PublicKey::from_pem(&pem).expect("a key");
        return (SignerIdentity::Keys(vec![TrustedKey { key, until: None }]), None);
    }
    if let Some(pem) = field("notation") {
        let mut store = TrustStore::new();
        store.add(StoreKind::Ca, pem.as_bytes()).expect("a root");
        let identity = field("identity").expect("an identity").parse().expect("an identity");
        return (SignerIdentity::Notation(Box::new(NotationSigner::new(store, vec![identity]).expect("a signer"))), None);
    }
    let keyless = KeylessIdentity {
        issuer: IdentityMatcher::Exact(field("issuer").expect("an issuer")),
        subject: IdentityMatcher::Exact(field("subject").expect("a subject")),
        claims: [(Claim::SourceRepository, TextMatcher::Any)].into(),
        trust_root: "tests".to_owned(),
    };
    let root = TrustRoot::from_json(signer["root"].to_string().as_bytes()).expect("a trust root");
    (SignerIdentity::Keyless(keyless), Some(root))
}

fn policy(identity: SignerIdentity, root: Option<TrustRoot>) -> Policy {
    let by = SignedBy { quorum: Quorum::Any, signers: vec!["signer".to_owned()] };
    Policy::new(PolicyParts {
        signers: [("signer".to_owned(), Signer { identity, images: Vec::new() })].into(),
        trust_roots: root.map(|root| ("tests".to_owned(), TrustRootSource::File(Box::new(root)))).into_iter().collect(),
        rules: vec![Rule::of("docker.io/library/*".parse().expect("a pattern"), vec![Requirement::SignedBy(by)])],
        ..PolicyParts::empty(Revision(Digest::sha256(b"rate")))
    })
    .expect("a policy")
}

fn evidence(folder: &Path, copies: Option<usize>) -> Evidence {
    let read = |name: &str| bytes::Bytes::from(std::fs::read(folder.join(name)).expect("a file"));
    let (manifest, attached, layer) = (read("subject"), read("attachment"), read("layer"));
    let item = |manifest: bytes::Bytes| Attachment {
        location: Location::Referrers,
        digest: Digest::sha256(&manifest),
        manifest,
        layers: vec![layer.clone()],
    };
    let copy = |number: usize| {
        let text = String::from_utf8(attached.to_vec()).expect("JSON");
        item(text.replacen('{', &format!("{{\"number\":{number},"), 1).into())
    };
    let items = copies.map_or_else(|| vec![item(attached.clone())], |copies| (0..copies).map(copy).collect());
    let repository = "docker.io/library/nginx".parse().expect("a name");
    let subject = Subject { repository, tag: None, digest: Digest::sha256(&manifest), manifest };
    let attachments = Collected { items, gaps: Vec::new(), collected_at: NOW, stale_at: NOW.plus(600) };
    Evidence { subject, attachments, parents: Vec::new(), image: ImageFacts::not_collected(NOW), children: Vec::new() }
}

/// Seconds of CPU that this process has used (proc(5), `schedstat`).
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("schedstat");
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).expect("a number") / 1e9
}

fn peak_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

fn deny(evidence: &Evidence, policy: &Policy) -> Value {
    let (before, start) = (peak_kib(), cpu());
    let Verdict::Deny(denial) = evaluate(evidence, policy, NOW) else { panic!("admitted") };
    json!({ "looked-at": denial.findings.len(), "cpu": cpu() - start, "kib": peak_kib() - before })
}

fn admit(evidence: &Evidence, policy: &Policy, seconds: u64) -> Value {
    let (start, used, mut decisions) = (Instant::now(), cpu(), 0_u32);
    while start.elapsed() < Duration::from_secs(seconds) && decisions < MOST {
        let verdict = evaluate(evidence, policy, NOW);
        assert!(matches!(verdict, Verdict::Admit(_)), "{}", verdict.line());
        decisions += 1;
    }
    json!({ "decisions": decisions, "seconds": start.elapsed().as_secs_f64(), "cpu": cpu() - used })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, rest) = arguments.split_first().expect("usage: decision_rate FOLDER SECONDS, or FOLDER --attached N");
    let folder = Path::new(folder);
    let (identity, root) = identity(folder);
    let policy = policy(identity, root);
    let number = |text: &String| text.parse::<u32>().expect("a number");
    let found = match rest {
        [flag, copies] if flag == "--attached" => deny(&evidence(folder, Some(number(copies) as usize)), &policy),
        [seconds] => admit(&evidence(folder, None), &policy, number(seconds).into()),
        _ => panic!("expected SECONDS, or --attached N"),
    };
    println!("{found}");
}
