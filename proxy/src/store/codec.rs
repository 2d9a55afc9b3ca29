//! Keys and values of the index.
//!
//! A key begins with the repository (or a registry) and a NUL byte, which neither contains: no prefix is another's. A value begins with
//! a checksum over table, key and content, since no engine checks its pages on each read: a flipped bit must be damage, never another
//! fact (F23).

use sealgate_verifier::{Digest, Repository, Tag};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::metadata::{MetadataError, Table};

/// Bytes of the checksum: a SHA-256, cut. It guards against accidents; whoever can write the files can write the ledger too.
const CHECKSUM: usize = 8;

/// All keys of a repository.
pub(super) fn prefix(repository: &Repository) -> Vec<u8> {
    let mut key = Vec::with_capacity(repository.as_str().len() + 70);
    key.extend_from_slice(repository.as_str().as_bytes());
    key.push(0);
    key
}

pub(super) fn tag(repository: &Repository, tag: &Tag) -> Vec<u8> {
    let mut key = prefix(repository);
    key.extend_from_slice(tag.as_str().as_bytes());
    key
}

pub(super) fn digest(repository: &Repository, digest: &Digest) -> Vec<u8> {
    let mut key = prefix(repository);
    push(&mut key, digest);
    key
}

pub(super) fn of_registry(registry: &str, digest: &Digest) -> Vec<u8> {
    let mut key = registry.as_bytes().to_vec();
    key.push(0);
    push(&mut key, digest);
    key
}

pub(super) fn pair(repository: &Repository, first: &Digest, second: &Digest) -> Vec<u8> {
    let mut key = digest(repository, first);
    push(&mut key, second);
    key
}

/// Who uploaded a blob: names are of any length and alphabet, so the key holds their hash.
pub(super) fn upload(repository: &Repository, blob: &Digest, by: Option<&str>) -> Vec<u8> {
    let name = by.map_or_else(|| "-".to_owned(), |by| format!("={by}"));
    pair(repository, blob, &Digest::sha256(name.as_bytes()))
}

/// The length follows from the first byte, so that a digest is never the prefix of another.
fn push(key: &mut Vec<u8>, digest: &Digest) {
    key.push(match digest {
        Digest::Sha256(_) => 1,
        Digest::Sha512(_) => 2,
    });
    key.extend_from_slice(digest.as_bytes());
}

/// The digest that is all of `rest`, the part of a key after its prefix.
pub(super) fn read_digest(table: Table, rest: &[u8]) -> Result<Digest, MetadataError> {
    let digest = match rest.split_first() {
        Some((1, hash)) => hash.try_into().ok().map(Digest::Sha256),
        Some((2, hash)) => hash.try_into().ok().map(Digest::Sha512),
        Some(_) | None => None,
    };
    digest.ok_or_else(|| damaged(table.name(), "a key that ends in no digest"))
}

/// The repository and the digests that a whole key names.
pub(super) fn read_key(table: Table, key: &[u8]) -> Result<(Repository, Vec<Digest>), MetadataError> {
    let (repository, mut rest) = split(table, key)?;
    let mut digests = Vec::with_capacity(2);
    while let Some(first) = rest.first() {
        let length = match first {
            1 => 33,
            2 => 65,
            _ => return Err(damaged(table.name(), "a key that ends in no digest")),
        };
        let (digest, others) = rest.split_at_checked(length).ok_or_else(|| damaged(table.name(), "a key that ends in no digest"))?;
        digests.push(read_digest(table, digest)?);
        rest = others;
    }
    Ok((repository, digests))
}

/// The repository of a whole key, and what follows it.
pub(super) fn split(table: Table, key: &[u8]) -> Result<(Repository, &[u8]), MetadataError> {
    let name = key.split(|byte| *byte == 0).next().unwrap_or_default();
    let repository = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
    let repository = repository.ok_or_else(|| damaged(table.name(), "a key that begins with no repository"))?;
    Ok((repository, key.get(name.len() + 1..).unwrap_or_default()))
}

/// The tag that is all of `rest`.
pub(super) fn read_tag(table: Table, rest: &[u8]) -> Result<Tag, MetadataError> {
    let text = std::str::from_utf8(rest).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| damaged(table.name(), "a key that ends in no tag"))
}

fn damaged(table: &str, problem: &str) -> MetadataError {
    MetadataError::Damaged { problem: format!("table {table}: {problem}") }
}

fn checksum(table: &str, key: &[u8], body: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = sealgate_verifier::Hasher::new(sealgate_verifier::Algorithm::Sha256);
    hasher.update(table.as_bytes());
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(body);
    let hash = hasher.finish();
    let mut sum = [0; CHECKSUM];
    sum.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
    sum
}

/// `value` as it is stored under `key`.
pub(super) fn seal<T: Serialize>(table: &str, key: &[u8], value: &T) -> Result<Vec<u8>, MetadataError> {
    let body = serde_json::to_vec(value).map_err(|error| damaged(table, &error.to_string()))?;
    let mut sealed = checksum(table, key, &body).to_vec();
    sealed.extend_from_slice(&body);
    Ok(sealed)
}

/// The JSON of a value that was stored under `key`.
pub(super) fn body<'s>(table: &str, key: &[u8], sealed: &'s [u8]) -> Result<&'s [u8], MetadataError> {
    match sealed.split_at_checked(CHECKSUM) {
        Some((sum, body)) if sum == checksum(table, key, body) => Ok(body),
        Some(_) => Err(damaged(table, "a value that does not match its checksum")),
        None => Err(damaged(table, "a value without its checksum")),
    }
}

/// JSON as it is stored under `key`.
pub(super) fn reseal(table: &str, key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut sealed = checksum(table, key, body).to_vec();
    sealed.extend_from_slice(body);
    sealed
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |text, byte| text + &format!("{byte:02x}"))
}

/// What [`hex`] wrote.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

/// The value that was stored under `key`.
pub(super) fn unseal<T: DeserializeOwned>(table: &str, key: &[u8], sealed: &[u8]) -> Result<T, MetadataError> {
    serde_json::from_slice(body(table, key, sealed)?).map_err(|error| damaged(table, &error.to_string()))
}
