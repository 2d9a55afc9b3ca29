//! An index: what it lists must pass by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::Case;
use crate::digest::Digest;
use crate::evidence::{EvidenceSource, Failure, Gap};
use crate::manifest::{Descriptor, Platform};
use crate::message::{few, quote};
use crate::time::Timestamp;
use crate::verdict::{Reason, Verdict};

impl Case<'_> {
    /// Until when the children pass that must; why they do not.
    pub(super) fn children(&self) -> Result<Option<Timestamp>, Vec<Reason>> {
        if !self.manifest.is_index() || !self.rule.is_per_platform() {
            return Ok(None);
        }
        let asked_for: Vec<&Descriptor> = self.manifest.children().iter().filter(|child| self.is_asked_for(child)).collect();
        if asked_for.is_empty() {
            return Err(vec![self.no_platform()]);
        }
        let mut verdicts: BTreeMap<Digest, Vec<&Verdict>> = BTreeMap::new();
        for verdict in &self.evidence.children {
            let (repository, digest) = match verdict {
                Verdict::Admit(admission) => (admission.repository(), admission.digest()),
                Verdict::Deny(denial) => (&denial.repository, denial.digest),
            };
            if *repository == self.evidence.subject.repository {
                verdicts.entry(digest).or_default().push(verdict);
            }
        }
        let mut until = None;
        let mut reasons = Vec::new();
        let mut seen = BTreeSet::new();
        for child in asked_for.into_iter().filter(|child| seen.insert(child.digest)) {
            match self.child(child, verdicts.get(&child.digest).map(Vec::as_slice).unwrap_or_default()) {
                Ok(end) => until = [until, end].into_iter().flatten().min(),
                Err(reason) => reasons.push(reason),
            }
        }
        if reasons.is_empty() { Ok(until) } else { Err(reasons) }
    }

    /// A child without a platform may be for any: it is asked for.
    fn is_asked_for(&self, child: &Descriptor) -> bool {
        match &child.platform {
            None => true,
            Some(platform) if platform.os.is_empty() && platform.architecture.is_empty() => true,
            Some(platform) => self.policy.platforms().iter().any(|name| name.matches(platform)),
        }
    }

    fn child(&self, child: &Descriptor, verdicts: &[&Verdict]) -> Result<Option<Timestamp>, Reason> {
        let platform = child.platform.as_ref().map_or_else(|| "no platform".to_owned(), platform_name);
        let denial = verdicts.iter().find_map(|verdict| match verdict {
            Verdict::Admit(_) => None,
            Verdict::Deny(denial) => Some(denial),
        });
        if let Some(denial) = denial {
            return Err(Reason::ChildDenied { platform, digest: child.digest, reasons: denial.reasons.clone() });
        }
        let gap = |failure, detail: &str| {
            let source = if self.policy.needs(&self.evidence.subject.repository).contents {
                EvidenceSource::Contents
            } else {
                EvidenceSource::Scanner
            };
            let gap = Gap { source, place: format!("child {} ({platform})", child.digest), failure, detail: detail.to_owned() };
            Reason::EvidenceMissing { expected: "a verdict on each platform's image".to_owned(), gaps: vec![gap] }
        };
        let mut admissions = verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Admit(admission) => Some((admission.revision(), verdict.valid_until())),
            Verdict::Deny(_) => None,
        });
        let Some((revision, until)) = admissions.next() else { return Err(gap(Failure::NotCollected, "")) };
        if revision != self.policy.revision() {
            return Err(gap(Failure::Stale, "its verdict is by another policy"));
        }
        match until {
            Some(end) if self.now >= end => Err(gap(Failure::Stale, "its verdict has ended")),
            until => Ok(until),
        }
    }

    fn no_platform(&self) -> Reason {
        let expected: Vec<String> = self.policy.platforms().iter().map(ToString::to_string).collect();
        let found: BTreeSet<String> =
            self.manifest.children().iter().filter_map(|child| child.platform.as_ref()).map(platform_name).collect();
        let found = if found.is_empty() { "no image at all".to_owned() } else { few(found.into_iter()) };
        Reason::NoPlatform { expected: expected.join(", "), found }
    }
}

fn platform_name(platform: &Platform) -> String {
    let variant = platform.variant.as_ref().map(|variant| format!("/{variant}")).unwrap_or_default();
    quote(&format!("{}/{}{variant}", platform.os, platform.architecture))
}
