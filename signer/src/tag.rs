//! A tag that several writers change. Registries have no conditional PUT (distribution-spec 1.1): a writer that read before this one
//! wrote, and writes after it, drops what this one added. So the tag is read back until what was added stays.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use sealgate_registry::{Client, FetchError};
use sealgate_verifier::{Digest, ManifestReference};

use crate::publish::PublishError;

/// How often the tag is read before giving up. Each round loses only to another writer in the same window.
const ATTEMPTS: usize = 20;
/// How long after the write the tag is read once more, at least: longer than another writer takes from reading to writing.
const SETTLE: Duration = Duration::from_millis(250);
/// Another writer is taken to be at most this many times as slow as this one was.
const SLOWER: u32 = 6;

/// How often an answer that says "not now" is taken for one writer being in another's way: docker-registry 2.8 answers 500 to who reads
/// a tag, and 400 to who names a blob, while another writes it.
const COLLISIONS: usize = 5;

/// What a tag is to hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) media_type: &'static str,
    pub(crate) manifest: Bytes,
    /// A blob that goes before it.
    pub(crate) config: Option<Bytes>,
}

/// Writes what `change` makes of the tag's present content until it makes nothing of it any more. Answers with the digest that the tag
/// has then.
pub(crate) async fn update(
    client: &Client,
    path: &str,
    tag: &str,
    change: impl Fn(Option<&[u8]>) -> Result<Option<Written>, String>,
) -> Result<Digest, PublishError> {
    let reference = ManifestReference::Tag(tag.parse()?);
    let mut settled = false;
    let mut settle = SETTLE;
    let mut collisions = 0;
    for _ in 0..ATTEMPTS {
        let began = Instant::now();
        let current = match client.get_manifest(path, &reference).await {
            Ok(manifest) => Some(manifest),
            Err(FetchError::NotFound) => None,
            Err(FetchError::Unavailable { .. }) if collisions < COLLISIONS => {
                collisions += 1;
                tokio::time::sleep(SETTLE + jitter()).await;
                continue;
            }
            Err(error) => return Err(PublishError::Registry { action: "read the tag for signatures", error }),
        };
        let written = change(current.as_ref().map(|manifest| &*manifest.bytes));
        let written = written.map_err(|problem| PublishError::Occupied { tag: tag.to_owned(), problem })?;
        match (written, current) {
            (None, Some(current)) if settled => return Ok(current.digest),
            (None, _) => {
                tokio::time::sleep(settle + jitter()).await;
                settled = true;
            }
            (Some(written), _) => {
                settled = false;
                match write(client, path, &reference, written).await {
                    Ok(()) => settle = settle.max(began.elapsed() * SLOWER),
                    Err(FetchError::Unavailable { .. }) if collisions < COLLISIONS => {
                        collisions += 1;
                        tokio::time::sleep(SETTLE + jitter()).await;
                    }
                    Err(error) => return Err(PublishError::Registry { action: "write the tag for signatures", error }),
                }
            }
        }
    }
    Err(PublishError::Contended { tag: tag.to_owned(), attempts: ATTEMPTS })
}

async fn write(client: &Client, path: &str, reference: &ManifestReference, written: Written) -> Result<(), FetchError> {
    if let Some(config) = written.config {
        client.push_blob(path, &Digest::sha256(&config), config).await?;
    }
    client.put_manifest(path, reference, written.media_type, written.manifest).await.map(|_| ())
}

/// Up to 255 ms, so that writers that collided do not collide again.
fn jitter() -> Duration {
    let mut byte = [0];
    let filled = SystemRandom::new().fill(&mut byte);
    Duration::from_millis(if filled.is_ok() { u64::from(byte[0]) } else { 0 })
}
