//! Listings that the gate makes itself: referrers of an admitted subject, and tags.

use std::sync::Arc;

use bytes::Bytes;
use sealgate_registry::{FetchError, TagPage};
use sealgate_verifier::{Attachment, Digest, Failure, Gap, Manifest, Needs, Repository, media_type};
use serde_json::{Value, json};

use crate::gate::decided::Admitted;
use crate::gate::lane::Pass;
use crate::gate::material::Wait;
use crate::gate::{Gate, GateError};
use crate::metrics::UpstreamKind;

/// Referrers of one subject that a hosted registry lists: a listing of a thousand stays under 1 MiB unless annotations are huge.
const REFERRERS: usize = 1_024;

impl Gate {
    /// The referrers of an admitted subject, as an OCI index: those whose bytes make them evidence. Each member is served byte-exact.
    ///
    /// # Errors
    /// The subject's denial; a gap in the search is an error and never an empty list.
    pub async fn referrers(
        self: &Arc<Self>,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Admitted<Bytes>, GateError> {
        if self.upstreams.hosted(repository).is_some() {
            return self.hosted_referrers(repository, subject, artifact_type).await;
        }
        let decided = self.decide(repository, subject).await?;
        let Some(admitted) = decided.admitted_manifest() else { return Err(GateError::Denied(decided)) };
        let needs = self.listed_needs(repository);
        let held = self.evidence(repository, subject, needs, self.evidence_ttl(), Wait::ForIt).await?;
        if held.set.items.is_empty()
            && let Some(gap) = held.set.unseen().next()
        {
            return Err(GateError::Upstream(gap_error(gap)));
        }
        let mut members = Vec::new();
        for item in &held.set.items {
            let Ok(manifest) = Manifest::parse(&item.manifest, None) else { continue };
            let Some(member) = member(&manifest, &item.digest, item.manifest.len() as u64, subject) else { continue };
            if is_wanted(&member, artifact_type) && self.is_served_as_evidence(repository, item).await {
                members.push(member);
            }
        }
        Ok(admitted.map(|_| index(&members)))
    }

    /// The referrers that were pushed for a subject, which may come later or never: each that is admitted by itself, or as evidence of
    /// an admitted subject.
    async fn hosted_referrers(
        self: &Arc<Self>,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Admitted<Bytes>, GateError> {
        self.deny_unseen(repository)?;
        if self.store.pushed_manifest(repository, subject).map_err(GateError::store)?.is_some() {
            let decided = self.decide(repository, subject).await?;
            if decided.admitted_manifest().is_none() {
                return Err(GateError::Denied(decided));
            }
        }
        let mut members = Vec::new();
        for digest in self.store.pushed_referrers(repository, subject, REFERRERS).map_err(GateError::store)? {
            let decided = match self.decide(repository, &digest).await {
                Ok(decided) => decided,
                Err(error @ GateError::Store { .. }) => return Err(error),
                Err(_) => continue,
            };
            let admitted = decided.admitted_manifest();
            members.extend(admitted.map(|admitted| admitted.map(|served| (decided.manifest.clone(), digest, served.bytes.len() as u64))));
        }
        Ok(Admitted::all(members).map(|members| {
            let members = members.iter().filter_map(|(manifest, digest, size)| member(manifest, digest, *size, subject));
            index(&members.filter(|member| is_wanted(member, artifact_type)).collect::<Vec<_>>())
        }))
    }

    /// Everything that was pushed about a subject, for those who sign and push there.
    ///
    /// # Errors
    /// The store's.
    pub async fn lane_referrers(
        self: &Arc<Self>,
        _pass: &Pass,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Bytes, GateError> {
        let mut members = Vec::new();
        if self.upstreams.hosted(repository).is_some() {
            for digest in self.store.pushed_referrers(repository, subject, REFERRERS).map_err(GateError::store)? {
                let raw = self.raw_manifest(repository, &digest).await?;
                members.extend(member(&raw.manifest, &digest, raw.bytes.len() as u64, subject));
            }
        } else {
            let needs = self.listed_needs(repository);
            let held = self.evidence(repository, subject, needs, self.evidence_ttl(), Wait::ForIt).await?;
            if held.set.items.is_empty()
                && let Some(gap) = held.set.unseen().next()
            {
                return Err(GateError::Upstream(gap_error(gap)));
            }
            for item in &held.set.items {
                let Ok(manifest) = Manifest::parse(&item.manifest, None) else { continue };
                members.extend(member(&manifest, &item.digest, item.manifest.len() as u64, subject));
            }
        }
        members.retain(|member| is_wanted(member, artifact_type));
        Ok(index(&members))
    }

    /// What a listing looks for: what the rule reads, and so has found already; signatures where it reads nothing.
    fn listed_needs(&self, repository: &Repository) -> Needs {
        let needs = Some(self.policy.load().policy.needs(repository)).filter(|needs| needs.attachments());
        needs.unwrap_or(Needs { signatures: true, ..Needs::default() })
    }

    /// What could not be read is not listed, since it could not be had either.
    async fn is_served_as_evidence(self: &Arc<Self>, repository: &Repository, item: &Attachment) -> bool {
        match self.raw_manifest(repository, &item.digest).await {
            Ok(raw) => self.is_evidence(repository, &raw).await.unwrap_or(false),
            Err(_) => false,
        }
    }

    /// One page of the tags of a repository that a rule speaks of.
    ///
    /// # Errors
    /// The denial where no rule matches, or the upstream's failure.
    pub async fn tags(self: &Arc<Self>, repository: &Repository, count: usize, last: Option<&str>) -> Result<TagPage, GateError> {
        self.deny_unseen(repository)?;
        self.all_tags(repository, count, last).await
    }

    /// As [`Gate::tags`], for those who sign and push there, whatever the rules say.
    ///
    /// # Errors
    /// As [`Gate::tags`].
    pub async fn lane_tags(
        self: &Arc<Self>,
        _pass: &Pass,
        repository: &Repository,
        count: usize,
        last: Option<&str>,
    ) -> Result<TagPage, GateError> {
        self.all_tags(repository, count, last).await
    }

    async fn all_tags(self: &Arc<Self>, repository: &Repository, count: usize, last: Option<&str>) -> Result<TagPage, GateError> {
        let hosted = self.upstreams.hosted(repository).is_some();
        let pushed = self.store.pushed_tags(repository, last, count.saturating_add(1)).map_err(GateError::store)?;
        let mut pushed: Vec<String> = pushed.into_iter().map(|(tag, _)| tag.as_str().to_owned()).collect();
        if hosted {
            if pushed.is_empty() && !self.store.has_pushed(repository).map_err(GateError::store)? {
                return Err(GateError::RepositoryUnknown);
            }
            let more = pushed.len() > count;
            pushed.truncate(count);
            return Ok(TagPage { tags: pushed, more });
        }
        let upstream = self.upstream(repository)?;
        let page = upstream.document(UpstreamKind::Tags, upstream.client.tags(repository.path(), count, last)).await?;
        Ok(merge(page, pushed))
    }
}

/// The upstream's page with the tags that were pushed beside it: those within the page.
fn merge(mut page: TagPage, mut pushed: Vec<String>) -> TagPage {
    if page.more {
        let end = page.tags.last().cloned().unwrap_or_default();
        pushed.retain(|tag| *tag <= end);
    }
    if !pushed.is_empty() {
        page.tags.append(&mut pushed);
        page.tags.sort_unstable();
        page.tags.dedup();
    }
    page
}

/// A descriptor with what the manifest itself says (distribution-spec 1.1, "Listing Referrers").
fn member(manifest: &Manifest, digest: &Digest, size: u64, subject: &Digest) -> Option<Value> {
    if manifest.subject().is_none_or(|named| named.digest != *subject) {
        return None;
    }
    let mut member = json!({ "mediaType": manifest.media_type(), "digest": digest, "size": size });
    if let Some(artifact_type) = manifest.artifact_type() {
        member["artifactType"] = artifact_type.into();
    }
    if !manifest.annotations().is_empty() {
        member["annotations"] = json!(manifest.annotations());
    }
    Some(member)
}

fn is_wanted(member: &Value, artifact_type: Option<&str>) -> bool {
    artifact_type.is_none_or(|wanted| member["artifactType"] == wanted)
}

fn index(members: &[Value]) -> Bytes {
    json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": members }).to_string().into()
}

fn gap_error(gap: &Gap) -> FetchError {
    match gap.failure {
        Failure::Timeout => FetchError::Timeout,
        Failure::RateLimited => FetchError::RateLimited { retry_after: None },
        Failure::Refused
        | Failure::Unavailable
        | Failure::Truncated
        | Failure::Malformed
        | Failure::Stale
        | Failure::Oversized
        | Failure::NotCollected => FetchError::Unavailable { status: 502 },
    }
}
