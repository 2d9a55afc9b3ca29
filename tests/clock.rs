//! F24: the wall clock is wrong, jumps, or runs backwards (Debian's libfaketime sets it for the gate alone). What was fresh grows stale
//! all the same, and what is stale does not grow fresh again.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealgate_tests::gate::{Gate, LAB, Setup};
use sealgate_tests::hostile::{Fault, Rule, Tokens, Upstream};
use sealgate_tests::image::Image;
use sealgate_tests::process::wait_until;
use sealgate_tests::pull::pull;
use sealgate_tests::signature::Signer;
use sealgate_tests::wire;
use serde_json::Value;

const TEN_MINUTES: i64 = 600;

/// A gate whose wall clock is this test's to set. Its monotonic clock stays true, as a kernel's does.
struct Clocked {
    gate: Gate,
    offset: tempfile::TempDir,
}

impl Clocked {
    fn start(setup: Setup, seconds: i64) -> Self {
        let offset = tempfile::tempdir().expect("a folder");
        set(&offset.path().join("offset"), seconds);
        let file = offset.path().join("offset");
        let setup = setup.env("LD_PRELOAD", &library().display().to_string()).env("FAKETIME_TIMESTAMP_FILE", &file.display().to_string());
        let gate = setup.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").start();
        let clocked = Self { gate, offset };
        let shown = clocked.recorded_times().last().copied().expect("a record");
        assert!((shown - now() - seconds).abs() < 120, "the gate does not see the clock that was set: off by {}", shown - now());
        clocked
    }

    /// Sets the wall clock `seconds` beside the true one.
    fn set(&self, seconds: i64) {
        set(&self.offset.path().join("offset"), seconds);
    }

    fn get(&self) -> wire::Reply {
        wire::get(self.gate.address(), &Gate::target("team/app", "manifests/1"))
    }

    /// When each record of the ledger was made.
    fn recorded_times(&self) -> Vec<i64> {
        let entries = std::fs::read_dir(self.gate.folder().join("data/ledger")).expect("the ledger");
        let mut segments: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        segments.sort();
        let text: String = segments.iter().map(|path| std::fs::read_to_string(path).expect("a segment")).collect();
        text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a record")["time"].as_i64().expect("a time")).collect()
    }
}

fn set(file: &Path, seconds: i64) {
    // In one step: the gate reads the file whenever it asks for the time.
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{seconds:+}\n")).expect("the offset");
    std::fs::rename(new, file).expect("the offset");
}

fn library() -> PathBuf {
    let candidates = std::fs::read_dir("/usr/lib").expect("/usr/lib").filter_map(Result::ok);
    let found = candidates.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file());
    found.expect("libfaketime is not installed: run tests/install-clients as root")
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()).expect("seconds")
}

fn lab(upstream: &Upstream, settings: &str) -> Setup {
    Setup::new().registry(LAB, &format!("{{ upstream: {}, {settings} }}", upstream.url()))
}

#[test]
fn a_tag_grows_stale_although_the_clock_was_set_back() {
    let upstream = Upstream::start();
    let (old, new) = (Image::small(), Image::small());
    upstream.push("team/app", "1", &old);
    let clocked = Clocked::start(lab(&upstream, "tag-ttl: 2s").allow_all(), 0);
    assert_eq!(clocked.get().expect(200).body, old.manifest.bytes);
    upstream.push("team/app", "1", &new);
    clocked.set(-TEN_MINUTES);
    assert!(wait_until(Duration::from_secs(8), || clocked.get().body == new.manifest.bytes), "a clock set back keeps a tag fresh");
    let times = clocked.recorded_times();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "the ledger's time ran backwards: {times:?}");
}

#[test]
fn a_restart_with_an_earlier_clock_makes_nothing_fresh_again() {
    let (mut upstream, image) = (Upstream::start(), Image::small());
    upstream.push("team/app", "1", &image);
    let mut clocked = Clocked::start(lab(&upstream, "tag-ttl: 1s, tag-max-stale: 4s").allow_all(), 0);
    let _ = clocked.get().expect(200);
    upstream.close();
    clocked.set(-TEN_MINUTES);
    clocked.gate.restart();
    let _ = clocked.get().expect(200);
    assert!(wait_until(Duration::from_secs(15), || clocked.get().status == 502), "a tag outlived tag-max-stale");
    clocked.gate.term();
    let _ = clocked.gate.process().wait(Duration::from_secs(10)).expect("it ends");
    clocked.set(-2 * TEN_MINUTES);
    clocked.gate.restart();
    assert_eq!(clocked.get().status, 502, "what was stale is fresh again");
    let times = clocked.recorded_times();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "the ledger's time ran backwards: {times:?}");
}

#[test]
fn evidence_that_a_jump_of_the_clock_has_ended_stays_ended_when_the_clock_is_put_right() {
    let (upstream, signer, image) = (Upstream::start(), Signer::generate(), Image::small());
    upstream.push("team/app", "1", &image);
    upstream.put_signature("team/app", &signer.sign(&image.manifest));
    let setup = lab(&upstream, "tag-ttl: 1s, tag-max-stale: 1h").signed_by(&signer.public_pem());
    let clocked = Clocked::start(setup.line("evidence: { ttl: 1m, missing-ttl: 0s, max-stale: 5m }"), 0);
    let _ = clocked.get().expect(200);
    upstream.rule(Rule::any("/v2/").fault(Fault::Status(500)));
    let _ = clocked.get().expect(200);
    clocked.set(TEN_MINUTES);
    let denied = |text: &str| assert_eq!(clocked.get().error().0, "DENIED", "{text}");
    denied("evidence outlived max-stale");
    clocked.set(0);
    denied("stale evidence grew fresh when the clock was put right");
    upstream.behave();
    assert!(wait_until(Duration::from_secs(10), || clocked.get().status == 200), "{}", clocked.get().text());
}

#[test]
fn a_gate_whose_clock_is_ten_minutes_off_uses_tokens_as_any_other() {
    for offset in [-TEN_MINUTES, TEN_MINUTES] {
        let (upstream, tokens) = (Upstream::start(), Tokens::anonymous());
        upstream.push("team/app", "1", &Image::small());
        upstream.issue_tokens(&tokens);
        upstream.require_tokens(&tokens, &format!("{}/token", upstream.url()));
        let clocked = Clocked::start(lab(&upstream, "tag-ttl: 0s").allow_all(), offset);
        for _ in 0..5 {
            let _ = pull(clocked.gate.address(), "team/app", "1").expect_whole();
        }
        assert_eq!(tokens.issued(), 1, "a token's life is measured by the monotonic clock");
        clocked.set(-offset);
        let _ = pull(clocked.gate.address(), "team/app", "1").expect_whole();
        assert_eq!(tokens.issued(), 1);
    }
}
