//! Listings that the gate makes itself: referrers of an admitted subject, and tags.

use std::sync::Arc;

use bytes::Bytes;
use sealgate_registry::{FetchError, TagPage};
use sealgate_verifier::{Attachment, Digest, Failure, Gap, Manifest, Needs, Repository, media_type};
use serde_json::{Value, json};

use crate::gate::decided::Admitted;
use crate::gate::material::Wait;
use crate::gate::{Gate, GateError};
use crate::metrics::UpstreamKind;

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
        let decided = self.decide(repository, subject).await?;
        let Some(admitted) = decided.admitted_manifest() else { return Err(GateError::Denied(decided)) };
        let needs = Some(self.policy.load().policy.needs(repository)).filter(|needs| needs.attachments());
        let needs = needs.unwrap_or(Needs { signatures: true, ..Needs::default() });
        let held = self.evidence(repository, subject, needs, self.evidence_ttl(), Wait::ForIt).await?;
        if held.set.items.is_empty()
            && let Some(gap) = held.set.unseen().next()
        {
            return Err(GateError::Upstream(gap_error(gap)));
        }
        let mut members = Vec::new();
        for item in &held.set.items {
            let Some(member) = member(item, subject) else { continue };
            if artifact_type.is_none_or(|wanted| member["artifactType"] == wanted) && self.is_served_as_evidence(repository, item).await {
                members.push(member);
            }
        }
        let index = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": members });
        Ok(admitted.map(|_| Bytes::from(index.to_string())))
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
        let upstream = self.upstream(repository)?;
        Ok(upstream.document(UpstreamKind::Tags, upstream.client.tags(repository.path(), count, last)).await?)
    }
}

/// A descriptor with what the manifest itself says (distribution-spec 1.1, "Listing Referrers").
fn member(item: &Attachment, subject: &Digest) -> Option<Value> {
    let Ok(Manifest::Image(image)) = Manifest::parse(&item.manifest, None) else { return None };
    if image.subject.as_ref().is_none_or(|named| named.digest != *subject) {
        return None;
    }
    let artifact_type = image.artifact_type.unwrap_or(image.config.media_type);
    Some(json!({
        "mediaType": image.media_type,
        "digest": item.digest,
        "size": item.manifest.len(),
        "artifactType": artifact_type,
        "annotations": image.annotations,
    }))
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
