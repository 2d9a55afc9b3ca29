//! Gathers the evidence about one digest: referrers API, fallback tag, `.sig` and `.att` tags; each manifest is opened.
//!
//! Registries' listings are hints only: some misreport the artifact type (GHCR), some answer an empty list although the fallback tag holds
//! one. So every place is asked, every listed manifest is opened, and the bytes decide what is fetched further.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sealgate_verifier::classify::may_be_evidence;
use sealgate_verifier::{
    Attachment, Collected, Digest, EvidenceSource, Failure, Gap, ImageManifest, Location, Manifest, ManifestError, ManifestReference,
    Needs, Repository, Timestamp, limits,
};

use crate::client::Client;
use crate::error::FetchError;
use crate::listing::Referrers;
use crate::manifest::FetchedManifest;

/// Requests that one collection has under way at once.
const CONCURRENCY: usize = 8;
/// Characters of a gap's detail: it shares a denial's line.
const DETAIL: usize = 200;

/// Where evidence is read from: the gate implements it over its store and single flight, the command line over a client.
pub trait Repositories: Send + Sync {
    /// A manifest by tag or digest.
    fn manifest(
        &self,
        repository: &Repository,
        reference: &ManifestReference,
    ) -> impl Future<Output = Result<FetchedManifest, FetchError>> + Send;
    /// A small blob, checked against its digest, at most `limit` bytes.
    fn blob(&self, repository: &Repository, digest: &Digest, limit: usize) -> impl Future<Output = Result<Bytes, FetchError>> + Send;
    /// The referrers of a digest.
    fn referrers(&self, repository: &Repository, digest: &Digest) -> impl Future<Output = Result<Referrers, FetchError>> + Send;
}

/// A client reads the repositories of its own registry; it looks at the path only.
impl Repositories for Client {
    async fn manifest(&self, repository: &Repository, reference: &ManifestReference) -> Result<FetchedManifest, FetchError> {
        self.get_manifest(repository.path(), reference).await
    }

    async fn blob(&self, repository: &Repository, digest: &Digest, limit: usize) -> Result<Bytes, FetchError> {
        self.get_small_blob(repository.path(), digest, limit).await
    }

    async fn referrers(&self, repository: &Repository, digest: &Digest) -> Result<Referrers, FetchError> {
        Self::referrers(self, repository.path(), digest).await
    }
}

/// How long collected evidence lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// After this the set counts for nothing.
    pub max_stale: Duration,
}

/// Looks in every place for what `needs` asks for about `subject`: referrers API and fallback tag hold signatures and attestations
/// alike, cosign's `.sig` and `.att` tags only the one or the other. What is not asked for becomes a gap of its own kind. Never fails:
/// what cannot be seen becomes a gap. Nothing attached costs three requests, four where both kinds are needed.
pub async fn collect<R: Repositories>(
    source: &R,
    repository: &Repository,
    subject: &Digest,
    needs: Needs,
    now: Timestamp,
    lifetimes: Lifetimes,
) -> Collected<Attachment> {
    let kind = if needs.signatures { EvidenceSource::Signatures } else { EvidenceSource::Attestations };
    let mut search = Search { source, repository, needs, kind, gaps: Vec::new() };
    let candidates = search.candidates(subject).await;
    let opened = search.open(candidates).await;
    let items = search.fetch_layers(opened).await;
    let max_stale = i64::try_from(lifetimes.max_stale.as_secs()).unwrap_or(i64::MAX);
    Collected { items, gaps: search.gaps, collected_at: now, stale_at: now.plus(max_stale) }
}

/// A manifest that was named in a place.
struct Candidate {
    location: Location,
    digest: Digest,
    /// The bytes, where the place held the manifest itself.
    fetched: Option<FetchedManifest>,
}

/// A manifest that may be evidence.
struct Opened {
    location: Location,
    digest: Digest,
    bytes: Bytes,
    manifest: ImageManifest,
}

struct Search<'a, R> {
    source: &'a R,
    repository: &'a Repository,
    needs: Needs,
    /// What is missing when a place that holds both kinds cannot be seen.
    kind: EvidenceSource,
    gaps: Vec<Gap>,
}

impl<R: Repositories> Search<'_, R> {
    /// Asks all places at once. The order of the result depends on the answers alone.
    async fn candidates(&mut self, subject: &Digest) -> Vec<Candidate> {
        let fallback_tag = subject.fallback_tag();
        let (referrers, fallback, signature, attestation) = tokio::join!(
            self.source.referrers(self.repository, subject),
            self.tag(fallback_tag.clone()),
            self.tag_if(self.needs.signatures, format!("{fallback_tag}.sig")),
            self.tag_if(self.needs.attestations, format!("{fallback_tag}.att")),
        );
        let mut listed = Vec::new();
        let mut direct = Vec::new();
        self.read_referrers(referrers, &mut listed);
        if let Some((fetched, manifest)) = self.read_tag(Location::FallbackTag, fallback) {
            match manifest {
                Manifest::Index(index) => listed.extend(index.manifests.iter().map(|child| (Location::FallbackTag, child.digest))),
                Manifest::Image(_) => direct.push((Location::FallbackTag, fetched)),
            }
        }
        for (location, answer) in [(Location::SignatureTag, signature), (Location::AttestationTag, attestation)] {
            let Some(answer) = answer else {
                self.gaps.push(not_asked_for(location));
                continue;
            };
            let Some((fetched, manifest)) = self.read_tag(location, answer) else { continue };
            match manifest {
                Manifest::Index(_) => self.gap(location, Failure::Malformed, "expected an image manifest, found an index"),
                Manifest::Image(_) => direct.push((location, fetched)),
            }
        }
        self.merge(listed, direct)
    }

    async fn tag_if(&self, needed: bool, tag: String) -> Option<Result<FetchedManifest, FetchError>> {
        if needed { Some(self.tag(tag).await) } else { None }
    }

    async fn tag(&self, tag: String) -> Result<FetchedManifest, FetchError> {
        let tag = tag.parse().map_err(|error| FetchError::Malformed { problem: format!("{error}") })?;
        self.source.manifest(self.repository, &ManifestReference::Tag(tag)).await
    }

    fn read_referrers(&mut self, answer: Result<Referrers, FetchError>, listed: &mut Vec<(Location, Digest)>) {
        match answer {
            Ok(Referrers::Unsupported) | Err(FetchError::NotFound) => {}
            Ok(Referrers::Listed { manifests, truncated }) => {
                listed.extend(manifests.into_iter().map(|(digest, _)| (Location::Referrers, digest)));
                if truncated {
                    self.gap(Location::Referrers, Failure::Oversized, "the listing goes on beyond the limit");
                }
            }
            Err(error) => self.failed(Location::Referrers, "", &error),
        }
    }

    fn read_tag(&mut self, location: Location, answer: Result<FetchedManifest, FetchError>) -> Option<(FetchedManifest, Manifest)> {
        match answer {
            Ok(fetched) => {
                let manifest = self.parse(location, &fetched)?;
                Some((fetched, manifest))
            }
            Err(FetchError::NotFound) => None,
            Err(error) => {
                self.failed(location, "", &error);
                None
            }
        }
    }

    /// Each manifest once, under the first place that named it. What a tag holds itself is never crowded out by a long listing.
    fn merge(&mut self, listed: Vec<(Location, Digest)>, direct: Vec<(Location, FetchedManifest)>) -> Vec<Candidate> {
        let mut seen: BTreeSet<Digest> = direct.iter().map(|(_, fetched)| fetched.digest).collect();
        let room = limits::ATTACHMENTS.saturating_sub(direct.len());
        let mut candidates = Vec::new();
        let mut crowded_out = BTreeSet::new();
        for (location, digest) in listed {
            if !seen.insert(digest) {
                continue;
            }
            if candidates.len() < room {
                candidates.push(Candidate { location, digest, fetched: None });
            } else {
                crowded_out.insert(location);
            }
        }
        for location in crowded_out {
            self.gap(location, Failure::Oversized, &format!("more than {} manifests are attached", limits::ATTACHMENTS));
        }
        let direct = direct.into_iter().map(|(location, fetched)| Candidate { location, digest: fetched.digest, fetched: Some(fetched) });
        candidates.extend(direct);
        candidates.sort_by_key(|candidate| candidate.location);
        candidates
    }

    /// Fetches the manifests that are only named, and keeps those that may be evidence.
    async fn open(&mut self, candidates: Vec<Candidate>) -> Vec<Opened> {
        let (source, repository) = (self.source, self.repository);
        let mut answers = stream::iter(candidates)
            .map(|candidate| async move {
                let Candidate { location, digest, fetched } = candidate;
                let answer = match fetched {
                    Some(fetched) => Ok(fetched),
                    None => source.manifest(repository, &ManifestReference::Digest(digest)).await,
                };
                (location, digest, answer)
            })
            .buffered(CONCURRENCY);
        let mut opened = Vec::new();
        let mut left = limits::EVIDENCE_TOTAL_BYTES;
        while let Some((location, digest, answer)) = answers.next().await {
            let fetched = match answer {
                Ok(fetched) => fetched,
                // Listed, so something was there: a gap, even when it is not found.
                Err(error) => {
                    self.failed(location, &format!("manifest {digest}: "), &error);
                    continue;
                }
            };
            let Some(manifest) = self.parse(location, &fetched) else { continue };
            if !may_be_evidence(&manifest) {
                if is_oversized_evidence(&manifest) {
                    self.gap(location, Failure::Oversized, &format!("manifest {digest} has more or larger layers than evidence has"));
                }
                continue;
            }
            let Manifest::Image(manifest) = manifest else { continue };
            let Some(rest) = left.checked_sub(fetched.bytes.len()) else {
                self.over_total(location);
                break;
            };
            left = rest;
            opened.push(Opened { location, digest, bytes: fetched.bytes, manifest });
        }
        opened
    }

    /// Fetches each layer once, within the limits, and hands it to every manifest that names it.
    async fn fetch_layers(&mut self, opened: Vec<Opened>) -> Vec<Attachment> {
        let plan = self.plan(&opened);
        let (source, repository) = (self.source, self.repository);
        let fetched: Vec<_> = stream::iter(plan)
            .map(|(location, digest, limit)| async move { (location, digest, source.blob(repository, &digest, limit).await) })
            .buffered(CONCURRENCY)
            .collect()
            .await;
        let mut layers = std::collections::BTreeMap::new();
        for (location, digest, answer) in fetched {
            match answer {
                Ok(bytes) => {
                    layers.insert(digest, bytes);
                }
                Err(error) => self.failed(location, &format!("layer {digest}: "), &error),
            }
        }
        let attachment = |opened: Opened| {
            let mut wanted: Vec<Digest> = Vec::new();
            for layer in &opened.manifest.layers {
                if !wanted.contains(&layer.digest) {
                    wanted.push(layer.digest);
                }
            }
            let layers = wanted.iter().filter_map(|digest| layers.get(digest).cloned()).collect();
            Attachment { location: opened.location, digest: opened.digest, manifest: opened.bytes, layers }
        };
        opened.into_iter().map(attachment).collect()
    }

    /// Which layers to fetch: decided by the descriptors before the first request, so that the outcome does not depend on who answers first.
    fn plan(&mut self, opened: &[Opened]) -> Vec<(Location, Digest, usize)> {
        let mut left = limits::EVIDENCE_TOTAL_BYTES.saturating_sub(opened.iter().map(|opened| opened.bytes.len()).sum());
        let mut planned = BTreeSet::new();
        let mut plan = Vec::new();
        for opened in opened {
            for layer in &opened.manifest.layers {
                if planned.contains(&layer.digest) {
                    continue;
                }
                let size = usize::try_from(layer.size).unwrap_or(usize::MAX);
                let Some(rest) = left.checked_sub(size) else {
                    self.over_total(opened.location);
                    return plan;
                };
                if plan.len() >= limits::SIGNATURES {
                    let detail = format!("more than {} layers with signatures", limits::SIGNATURES);
                    self.gap(opened.location, Failure::Oversized, &detail);
                    return plan;
                }
                left = rest;
                planned.insert(layer.digest);
                plan.push((opened.location, layer.digest, size));
            }
        }
        plan
    }

    fn parse(&mut self, location: Location, fetched: &FetchedManifest) -> Option<Manifest> {
        match Manifest::parse(&fetched.bytes, fetched.media_type.as_deref()) {
            Ok(manifest) => Some(manifest),
            Err(error @ (ManifestError::TooLarge { .. } | ManifestError::TooMany { .. })) => {
                self.gap(location, Failure::Oversized, &error.to_string());
                None
            }
            Err(error) => {
                self.gap(location, Failure::Malformed, &error.to_string());
                None
            }
        }
    }

    fn over_total(&mut self, location: Location) {
        let detail = format!("more than {} bytes are attached", limits::EVIDENCE_TOTAL_BYTES);
        self.gap(location, Failure::Oversized, &detail);
    }

    fn failed(&mut self, location: Location, what: &str, error: &FetchError) {
        self.gap(location, error.failure(), &format!("{what}{error}"));
    }

    fn gap(&mut self, location: Location, failure: Failure, detail: &str) {
        // Foreign text may stand in it: one line, printable, short.
        let detail = detail.chars().map(|c| if c.is_control() { ' ' } else { c }).take(DETAIL).collect();
        tracing::debug!(place = location.name(), failure = failure.name(), detail, "evidence that cannot be seen");
        let source = match location {
            Location::Referrers | Location::FallbackTag => self.kind,
            Location::SignatureTag | Location::AttestationTag => kind_in(location),
        };
        self.gaps.push(Gap { source, place: location.name().to_owned(), failure, detail });
    }
}

/// What is kept in a place that cosign has for one kind only.
const fn kind_in(location: Location) -> EvidenceSource {
    match location {
        Location::AttestationTag => EvidenceSource::Attestations,
        Location::Referrers | Location::FallbackTag | Location::SignatureTag => EvidenceSource::Signatures,
    }
}

fn not_asked_for(location: Location) -> Gap {
    Gap { source: kind_in(location), place: location.name().to_owned(), failure: Failure::NotCollected, detail: String::new() }
}

/// Whether only the number or the sizes of its layers keep `manifest` from being evidence: then it may hide a signature.
fn is_oversized_evidence(manifest: &Manifest) -> bool {
    let Manifest::Image(image) = manifest else { return false };
    let mut shrunk = image.clone();
    shrunk.layers.truncate(limits::SIGNATURES);
    shrunk.config.size = 0;
    for layer in &mut shrunk.layers {
        layer.size = 0;
    }
    may_be_evidence(&Manifest::Image(shrunk))
}
