//! Looks through what was collected about one digest, within the limits.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::claim::Claim;
use crate::digest::Digest;
use crate::evidence::{Attachment, Collected, EvidenceSource, Failure, Gap, Location};
use crate::limits;
use crate::signature::{self, Layers, Vouched};
use crate::time::Timestamp;
use crate::verdict::SignatureForm;

/// Seconds by which a collection may lie in the future: clocks of several hosts differ (F24).
pub(crate) const LEEWAY: i64 = 60;

/// What is left to open and check in one decision.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) attachments: usize,
    pub(crate) signatures: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { attachments: limits::ATTACHMENTS, signatures: limits::SIGNATURES }
    }
}

/// A signature that was found, before any key was tried.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    /// Where its attachment was found. Never empty.
    pub(crate) places: BTreeSet<Location>,
    pub(crate) attachment: Digest,
    pub(crate) layer: Option<Digest>,
    pub(crate) form: SignatureForm,
    pub(crate) claim: Result<Claim<'a>, String>,
}

/// Everything that was found about one digest.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    /// In the order of their attachments' digests, whatever the order in which they were collected.
    pub(crate) candidates: Vec<Candidate<'a>>,
    pub(crate) gaps: BTreeSet<Gap>,
    /// From this time on the result counts for nothing.
    pub(crate) stale_at: Timestamp,
}

/// The attachments under one digest, put together: equal bytes count once, wherever and however often they were found.
#[derive(Default)]
struct Group<'a> {
    /// Bytes that are those of the digest, and where they were found.
    good: Option<(&'a Bytes, BTreeSet<Location>)>,
    /// Where other bytes were found under the digest.
    bad: BTreeMap<Digest, BTreeSet<Location>>,
    layers: Vec<&'a Bytes>,
}

/// Opens every attachment that is not stale, in the order of the digests, as far as `budget` reaches. What is left out for a
/// limit is a gap.
pub(crate) fn search<'a>(
    vouched: Vouched<'a>,
    collections: &[&'a Collected<Attachment>],
    now: Timestamp,
    budget: &mut Budget,
) -> Search<'a> {
    let mut found = Search { candidates: Vec::new(), gaps: BTreeSet::new(), stale_at: Timestamp(i64::MAX) };
    let mut groups: BTreeMap<Digest, Group<'a>> = BTreeMap::new();
    for collected in collections {
        found.gaps.extend(collected.gaps.iter().cloned());
        if is_stale(collected, now) {
            found.gaps.insert(stale(collected, EvidenceSource::Signatures));
            found.stale_at = found.stale_at.min(now);
            continue;
        }
        found.stale_at = found.stale_at.min(collected.stale_at);
        for attachment in &collected.items {
            gather(attachment, &mut groups, &mut found.gaps, budget.attachments);
        }
    }
    let layers = Layers::gather(groups.values().flat_map(|group| &group.layers).copied());
    if layers.over {
        let limits = format!("over {} bytes, or {} together", limits::EVIDENCE_LAYER_BYTES, limits::EVIDENCE_TOTAL_BYTES);
        found.gaps.insert(oversized("signature layers", limits));
    }
    for (digest, group) in &groups {
        found.open(*digest, group, &layers, vouched, budget);
    }
    found
}

/// F24: a clock that went backwards makes nothing fresh.
pub(crate) fn is_stale<T>(collected: &Collected<T>, now: Timestamp) -> bool {
    now >= collected.stale_at || collected.collected_at > now.plus(LEEWAY)
}

pub(crate) fn stale<T>(collected: &Collected<T>, source: EvidenceSource) -> Gap {
    let detail = format!("collected {}, counts until {}", collected.collected_at, collected.stale_at);
    Gap { source, place: "stored evidence".to_owned(), failure: Failure::Stale, detail }
}

fn oversized(place: &str, detail: String) -> Gap {
    Gap { source: EvidenceSource::Signatures, place: place.to_owned(), failure: Failure::Oversized, detail }
}

/// Sorts an attachment under its digest. Of more digests than `limit`, the lowest stay, so that the order of collection
/// decides nothing.
fn gather<'a>(attachment: &'a Attachment, groups: &mut BTreeMap<Digest, Group<'a>>, gaps: &mut BTreeSet<Gap>, limit: usize) {
    let over_limit = || oversized("attachments", format!("over {} manifests with signatures", limits::ATTACHMENTS));
    if !groups.contains_key(&attachment.digest) && groups.len() >= limit {
        gaps.insert(over_limit());
        match groups.last_key_value().map(|(last, _)| *last) {
            Some(last) if attachment.digest < last => groups.remove(&last),
            Some(_) | None => return,
        };
    }
    let group = groups.entry(attachment.digest).or_default();
    if attachment.manifest.len() > limits::MANIFEST_BYTES {
        gaps.insert(oversized("attachments", format!("manifest {} is over {} bytes", attachment.digest, limits::MANIFEST_BYTES)));
        return;
    }
    match &mut group.good {
        Some((bytes, places)) if **bytes == attachment.manifest => {
            places.insert(attachment.location);
        }
        Some(_) | None => {
            let digest = Digest::of(attachment.digest.algorithm(), &attachment.manifest);
            if digest == attachment.digest {
                group.good = Some((&attachment.manifest, BTreeSet::from([attachment.location])));
            } else {
                group.bad.entry(digest).or_default().insert(attachment.location);
            }
        }
    }
    group.layers.extend(&attachment.layers);
}

impl<'a> Search<'a> {
    fn open(&mut self, digest: Digest, group: &Group<'a>, layers: &Layers<'a>, vouched: Vouched<'a>, budget: &mut Budget) {
        budget.attachments = budget.attachments.saturating_sub(1);
        for (found, places) in &group.bad {
            let claim = Err(format!("the manifest's bytes are those of {found}"));
            self.candidates.push(Candidate { places: places.clone(), attachment: digest, layer: None, form: SignatureForm::Other, claim });
        }
        let Some((manifest, places)) = &group.good else {
            return;
        };
        let contents = signature::open(manifest, layers, vouched, budget.signatures);
        budget.signatures = budget.signatures.saturating_sub(contents.opened.len() + contents.missing.len());
        if contents.over {
            self.gaps.insert(oversized("attachments", format!("over {} signatures", limits::SIGNATURES)));
        }
        for layer in contents.missing {
            let place = format!("layer {layer}");
            let detail = format!("its bytes are missing from {digest}");
            self.gaps.insert(Gap { source: EvidenceSource::Signatures, place, failure: Failure::Truncated, detail });
        }
        for opened in contents.opened {
            let candidate =
                Candidate { places: places.clone(), attachment: digest, layer: opened.layer, form: opened.form, claim: opened.claim };
            self.candidates.push(candidate);
        }
    }
}
