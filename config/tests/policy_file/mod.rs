//! Loads trust policies for the tests.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;

use sealgate_config::{ConfigErrors, LoadedPolicy, load_policy};

/// A key.
pub const ONE: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEpHcmHbITAL48jtzfv3ovy1HZO+qY
40QB8efm1ZRlcPja/0xCmH1ibWA6dwirlTr4X6Ff7a3UrBfa5CcH+YgMwA==
-----END PUBLIC KEY-----
";
/// Another.
pub const TWO: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbt06vXReCjMeMAGsvrrYRnRFjYxU
Ks4o+JStd1EkAdyJ5KJkK+zqvlWWWhg8Wj8uf5W6ADQjJdbId2MJfIWRZQ==
-----END PUBLIC KEY-----
";
/// A digest.
pub const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Loads `text`, with `one` as the content of `one.pub`.
pub fn load_with(text: &str, one: &str) -> Result<LoadedPolicy, ConfigErrors> {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("trust-policy.yaml");
    fs::write(&file, text).expect("file");
    fs::write(folder.path().join("one.pub"), one).expect("file");
    fs::write(folder.path().join("two.pub"), TWO).expect("file");
    fs::write(folder.path().join("bad.pub"), "not a key").expect("file");
    fs::write(folder.path().join("one.key"), "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nhunter2\n").expect("file");
    load_policy(&file)
}

/// Loads `text`.
pub fn load(text: &str) -> Result<LoadedPolicy, ConfigErrors> {
    load_with(text, ONE)
}

/// A policy, and of its one error: the position, a part of the problem, and a part of the mend.
pub type Case = (&'static str, (usize, usize), &'static str, &'static str);

/// Asserts that each policy has that error and no other.
pub fn assert_refused(cases: &[Case]) {
    for (text, position, problem, mend) in cases {
        let errors = load(text).expect_err(text);
        let [error] = errors.0.as_slice() else { panic!("{text}: {errors}") };
        assert_eq!(error.position.unwrap_or_default(), *position, "{text}: {errors}");
        assert!(error.problem.contains(problem), "{text}: {errors}");
        assert!(error.mend.as_ref().is_some_and(|m| m.contains(mend)), "{text}: {errors}");
        assert!(!format!("{errors:?}").contains("hunter2"), "{text}");
    }
}
