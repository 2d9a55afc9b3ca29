//! Tag → digest, once per request. A fresh resolution asks nobody; at expiry one HEAD answers all waiters (DESIGN §3, "Tags").

use std::sync::Arc;

use sealgate_registry::FetchError;
use sealgate_verifier::{Digest, ManifestReference, Repository, Tag, Timestamp};

use crate::gate::{Gate, GateError};
use crate::metrics::UpstreamKind;

/// After a failed confirmation the last resolution serves this long before the upstream is asked again (F11).
const RETRY: i64 = 5;

/// What a tag points to, and until when nobody is asked again.
#[derive(Debug, Clone, Copy)]
pub struct Resolution {
    digest: Digest,
    fresh_until: Timestamp,
}

impl Gate {
    /// The digest that `reference` stands for.
    pub(in crate::gate) async fn resolve(
        self: &Arc<Self>,
        repository: &Repository,
        reference: &ManifestReference,
    ) -> Result<Digest, GateError> {
        let tag = match reference {
            ManifestReference::Digest(digest) => return Ok(*digest),
            ManifestReference::Tag(tag) => tag,
        };
        if let Some(pushed) = self.resolve_pushed(repository, tag)? {
            return Ok(pushed);
        }
        let key = (repository.clone(), tag.clone());
        let now = self.now();
        if let Some(resolution) = self.tags.get(&key)
            && now < resolution.fresh_until
        {
            return Ok(resolution.digest);
        }
        let last = self.usable_resolution(repository, tag, now)?;
        let gate = Arc::clone(self);
        let work = key.clone();
        let flight = self.tag_flights.join(key, move || async move { gate.resolve_anew(&work.0, &work.1).await });
        match last {
            // The flight goes on without us and refreshes the resolution for the next request.
            Some(last) => self.upstream(repository)?.answer_soon(flight).await.unwrap_or(Ok(last)),
            None => flight.await,
        }
    }

    /// The last resolution, where it was confirmed within `tag-max-stale`.
    fn usable_resolution(&self, repository: &Repository, tag: &Tag, now: Timestamp) -> Result<Option<Digest>, GateError> {
        let max_stale = i64::try_from(self.upstream(repository)?.tag_max_stale.as_secs()).unwrap_or(i64::MAX);
        let record = self.store.tag(repository, tag).map_err(GateError::store)?;
        Ok(record.filter(|record| now.since(record.confirmed_at) < max_stale).map(|record| record.digest))
    }

    async fn resolve_anew(self: &Arc<Self>, repository: &Repository, tag: &Tag) -> Result<Digest, GateError> {
        let upstream = self.upstream(repository)?;
        let ttl = if evidence_subject(tag).is_some() { self.config.evidence_missing_ttl } else { upstream.tag_ttl };
        let ttl = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        match self.ask_upstream(repository, tag).await {
            Ok(digest) => {
                let now = self.now();
                let recorded = self.store.tag(repository, tag).map_err(GateError::store)?.map(|record| record.digest);
                if recorded == Some(digest) {
                    self.store.confirm_tag(repository, tag, now).map_err(GateError::store)?;
                } else if recorded.is_some() || self.allowance.take() {
                    self.store.move_tag(repository, tag, digest, now).await.map_err(GateError::store)?;
                    self.metrics.tag_moves.inc();
                    tracing::info!(%repository, %tag, from = ?recorded, to = %digest, "a tag moved");
                }
                let key = (repository.clone(), tag.clone());
                self.unconfirmed.remove(&key);
                self.tags.insert(key, Resolution { digest, fresh_until: now.plus(ttl) }, 1);
                Ok(digest)
            }
            // The upstream says that the tag is gone: that is an answer, not a failure.
            Err(error @ (FetchError::NotFound | FetchError::Denied { .. })) => {
                self.tags.remove(&(repository.clone(), tag.clone()));
                self.unconfirmed.remove(&(repository.clone(), tag.clone()));
                Err(error.into())
            }
            Err(error) => {
                let now = self.now();
                let Some(digest) = self.usable_resolution(repository, tag, now)? else { return Err(error.into()) };
                tracing::warn!(%repository, %tag, %error, "the upstream cannot confirm a tag; its last resolution serves");
                let key = (repository.clone(), tag.clone());
                // Evicted now, it could not be had again.
                self.unconfirmed.insert(key.clone(), digest, 1);
                self.tags.insert(key, Resolution { digest, fresh_until: now.plus(RETRY.min(ttl)) }, 1);
                Ok(digest)
            }
        }
    }

    /// One HEAD; a GET only where the answer names no digest.
    async fn ask_upstream(self: &Arc<Self>, repository: &Repository, tag: &Tag) -> Result<Digest, FetchError> {
        let upstream = self.upstreams.of(repository).ok_or(FetchError::NotFound)?;
        upstream.check_pause()?;
        let reference = ManifestReference::Tag(tag.clone());
        let head = upstream.note(UpstreamKind::Resolve, upstream.client.head_manifest(repository.path(), &reference).await)?;
        if let Some(digest) = head.digest {
            return Ok(digest);
        }
        let fetched = self.fetch_manifest(UpstreamKind::Manifest, repository, &reference).await?;
        let digest = fetched.digest;
        if let Err(error) = self.keep_raw(repository, fetched.bytes, digest, fetched.media_type.as_deref()) {
            return Err(FetchError::Malformed { problem: format!("{error:?}") });
        }
        Ok(digest)
    }
}

/// The subject that an evidence tag names: `sha256-<hex>`, or with `.sig`, `.att` or `.sbom` behind it.
pub(in crate::gate) fn evidence_subject(tag: &Tag) -> Option<Digest> {
    let text = tag.as_str();
    let stem = [".sig", ".att", ".sbom"].iter().find_map(|suffix| text.strip_suffix(suffix)).unwrap_or(text);
    let (algorithm, hex) = stem.split_once('-')?;
    format!("{algorithm}:{hex}").parse().ok()
}
