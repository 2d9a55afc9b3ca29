//! Looks at images before anybody pulls them: resolved, decided and, where that is wanted, fetched. A pull then finds them ripe.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use sealgate_verifier::{Digest, Manifest, Reference, Repository};
use serde::{Deserialize, Serialize};

use crate::body::Progress;
use crate::gate::{Admitted, BlobContent, Decided, Gate, GateError, ServedBlob, Target};

/// Blobs of one image that are fetched at once, as docker's client does with one more.
const AT_ONCE: usize = 4;
/// Levels of indexes in indexes.
const DEPTH: usize = 4;
/// How often it is looked whether a fetched blob is durable, and for how long.
const DURABLE: (Duration, usize) = (Duration::from_millis(20), 3_000);

/// What is wanted of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its blobs too.
    pub blobs: bool,
    /// Which platforms of an index, `os/architecture` or `os/architecture/variant`. Empty: all.
    pub platforms: Vec<String>,
}

/// What a look at an image found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Looked {
    /// The image's digest.
    pub digest: Digest,
    /// `admitted` or `audited`.
    pub outcome: String,
    /// What an audited decision says.
    pub line: String,
    /// Manifests that are admitted: the image, or the index and its children.
    pub manifests: u64,
    /// Children that are denied.
    pub denied: u64,
    /// Blobs that are stored now.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Gate {
    /// Resolves and decides an image, and its children; fetches its blobs where they are wanted.
    ///
    /// # Errors
    /// Its denial, or what stands in the way of a decision or a fetch.
    pub async fn prefetch(self: &Arc<Self>, reference: &Reference, wanted: &Wanted) -> Result<Looked, GateError> {
        let Target::Repository(repository) = self.target(reference.repository.as_str(), None) else {
            return Err(GateError::ManifestUnknown);
        };
        self.deny_unseen(&repository)?;
        let digest = self.resolve(&repository, &reference.target()).await?;
        let decided = self.decide(&repository, &digest).await?;
        if decided.admitted_manifest().is_none() {
            return Err(GateError::Denied(decided));
        }
        let (outcome, line) = (decided.outcome.name().to_owned(), decided.line.clone());
        let mut looked = Looked { digest, outcome, line, manifests: 0, denied: 0, blobs: 0, bytes: 0 };
        let mut images = Vec::new();
        let mut evidence = Vec::new();
        self.walk(&repository, decided, wanted, (&mut looked, &mut images, &mut evidence)).await?;
        if wanted.blobs {
            for image in images {
                self.fetch_blobs(&repository, &image, &mut looked).await?;
            }
            self.fetch_evidence(&repository, evidence).await;
        }
        Ok(looked)
    }

    /// Decides on what an index lists; gathers the admitted images.
    async fn walk(
        self: &Arc<Self>,
        repository: &Repository,
        top: Arc<Decided>,
        wanted: &Wanted,
        (looked, images, evidence): (&mut Looked, &mut Vec<Arc<Decided>>, &mut Vec<Digest>),
    ) -> Result<(), GateError> {
        let mut open = vec![(top, 0)];
        while let Some((decided, depth)) = open.pop() {
            self.store.touch(&decided.digest);
            looked.manifests += 1;
            let known = self.store.evidence(repository, &decided.digest).map_err(GateError::store)?;
            evidence.extend(known.into_iter().flat_map(|record| record.attachments).map(|item| item.digest));
            let Manifest::Index(index) = &decided.manifest else {
                images.push(decided);
                continue;
            };
            for child in index.manifests.iter().filter(|_| depth < DEPTH) {
                let platform = child.platform.as_ref().map(|platform| match &platform.variant {
                    Some(variant) => format!("{}/{}/{variant}", platform.os, platform.architecture),
                    None => format!("{}/{}", platform.os, platform.architecture),
                });
                let fits =
                    |wanted: &String| platform.as_ref().is_some_and(|found| found == wanted || found.starts_with(&format!("{wanted}/")));
                if !wanted.platforms.is_empty() && !wanted.platforms.iter().any(fits) {
                    continue;
                }
                match self.decide(repository, &child.digest).await {
                    Ok(decided) if decided.admitted_manifest().is_some() => open.push((decided, depth + 1)),
                    Ok(_) => looked.denied += 1,
                    // An index may list what its registry does not have (F15).
                    Err(GateError::ManifestUnknown) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// What clients fetch to verify for themselves: manifests and layers are there, configurations only then. No reason to fail.
    async fn fetch_evidence(self: &Arc<Self>, repository: &Repository, evidence: Vec<Digest>) {
        let mut unused = Looked {
            digest: Digest::sha256(b""),
            outcome: String::new(),
            line: String::new(),
            manifests: 0,
            denied: 0,
            blobs: 0,
            bytes: 0,
        };
        for digest in evidence {
            let fetched = match self.decide(repository, &digest).await {
                Ok(decided) => self.fetch_blobs(repository, &decided, &mut unused).await,
                Err(error) => Err(error),
            };
            if let Err(error) = fetched {
                tracing::debug!(%repository, %digest, ?error, "evidence could not be fetched whole");
            }
        }
    }

    async fn fetch_blobs(self: &Arc<Self>, repository: &Repository, image: &Arc<Decided>, looked: &mut Looked) -> Result<(), GateError> {
        let granted: Vec<Admitted<ServedBlob>> = image.manifest.blobs().filter_map(|blob| image.admitted_blob(&blob.digest)).collect();
        let fetch = |blob: Admitted<ServedBlob>| async move { self.fetch_whole(repository, &blob).await };
        let mut fetches = futures_util::stream::iter(granted.into_iter().map(fetch)).buffer_unordered(AT_ONCE);
        while let Some(fetched) = fetches.next().await {
            looked.blobs += 1;
            looked.bytes += fetched?;
        }
        Ok(())
    }

    /// Brings a blob in and waits until it is durable; its size.
    async fn fetch_whole(self: &Arc<Self>, repository: &Repository, blob: &Admitted<ServedBlob>) -> Result<u64, GateError> {
        let ServedBlob { digest, size } = *blob.get();
        let BlobContent::Growing(mut growing) = self.blob(repository, blob).await? else { return Ok(size) };
        let ended = growing.progress.wait_for(|progress| !matches!(progress, Progress::Visible(_))).await;
        if !ended.is_ok_and(|progress| *progress == Progress::Complete) {
            return Err(GateError::Upstream(sealgate_registry::FetchError::Truncated { expected: size, found: 0 }));
        }
        let (pause, times) = DURABLE;
        for _ in 0..times {
            if self.growing(&(repository.clone(), digest)).is_none() {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        match self.store.possession(repository, &digest).map_err(GateError::store)? {
            Some(_) => Ok(size),
            None => Err(GateError::Internal),
        }
    }
}
