//! CASES.md names tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every function in the Rust files below `folder`.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with(".git") {
                functions(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            let names = text.lines().filter_map(|line| line.split_once("fn ")).map(|(_, rest)| rest);
            found.extend(names.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()));
        }
    }
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
fn expanded(path: &str) -> Vec<String> {
    match path.split_once('{').and_then(|(head, rest)| Some((head, rest.split_once('}')?))) {
        Some((head, (names, tail))) => names.split(',').map(|name| format!("{head}{name}{tail}")).collect(),
        None => vec![path.to_owned()],
    }
}

#[test]
fn what_the_case_list_cites_exists() {
    let text = fs::read_to_string(root().join("tests/CASES.md")).expect("the list");
    let mut known = BTreeSet::new();
    functions(&root(), &mut known);
    let (mut files, mut tests) = (0, 0);
    let mut missing = Vec::new();
    for cited in text.split('`').skip(1).step_by(2) {
        if cited.ends_with(".rs") {
            for path in expanded(cited) {
                if !root().join(&path).is_file() && !root().join("tests").join(&path).is_file() {
                    missing.push(path);
                }
                files += 1;
            }
        } else if cited.matches('_').count() >= 2 && cited.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            if !known.contains(cited) {
                missing.push(cited.to_owned());
            }
            tests += 1;
        }
    }
    assert!(missing.is_empty(), "cited, and not there: {missing:#?}");
    assert!(files > 100 && tests > 100, "{files} files, {tests} tests");
}
