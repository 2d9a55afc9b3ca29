//! The client workflow of The Update Framework, step by step, against a repository whose every lie is signed as well as it can be.

mod follow;
mod refuse;

use bytes::Bytes;
use sealgate_tests::tuf::{Author, Files, OVER, Signer, TARGET, key_id, key_value, sign};
use sealgate_verifier::tuf::{RoleName, Trusted, TufError};
use sealgate_verifier::{Timestamp, limits};
use serde_json::{Value, json};

/// 2026-11-25.
const NOW: Timestamp = Timestamp(1_795_600_000);

fn bytes(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn begin(author: &Author) -> Trusted {
    Trusted::begin(&bytes(&author.roots[&1])).expect("the first root")
}

/// The whole workflow over `files`: the target's bytes.
fn update(trusted: &mut Trusted, files: &Files) -> Result<Vec<u8>, TufError> {
    let get = |path: &str| bytes(files.get(path).unwrap_or_else(|| panic!("{path} is not there")));
    while let Some(root) = files.get(&trusted.wanted_root().path) {
        trusted.new_root(&bytes(root))?;
    }
    trusted.check_root(NOW)?;
    trusted.new_timestamp(&get("timestamp.json"), NOW)?;
    if let Some(wanted) = trusted.wanted_snapshot()? {
        trusted.new_snapshot(&get(&wanted.path), NOW)?;
    }
    if let Some(wanted) = trusted.wanted_targets()? {
        trusted.new_targets(&get(&wanted.path), NOW)?;
    }
    let target = trusted.target(TARGET, NOW)?;
    let found = get(&format!("targets/{}", target.wanted.path));
    target.check(&found)?;
    Ok(found.to_vec())
}

/// Trusts `author` as it is, and then meets what `change` makes of it.
fn meets(author: &mut Author, change: impl FnOnce(&mut Author)) -> Result<Vec<u8>, TufError> {
    let mut trusted = begin(author);
    update(&mut trusted, &author.files()).expect("the honest repository");
    change(author);
    update(&mut trusted, &author.files())
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}
