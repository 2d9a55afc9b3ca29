//! What exceptions waive.

use std::collections::BTreeSet;

use super::{Case, Met};
use crate::policy::{Exception, Requirement, Waived};
use crate::scan::Vulnerability;
use crate::verdict::{Satisfied, UsedException};

impl<'a> Case<'a> {
    /// The exceptions that count now, for the subject or for the index of the view `other` that lists it.
    pub(super) fn exceptions(&mut self, other: usize) -> Vec<&'a Exception> {
        let all: &'a [Exception] = self.policy.exceptions_for(&self.evidence.subject.repository);
        let digests = [0, other].map(|view| self.views.get(view).map(|view| view.vouched.digest));
        let now = self.now;
        let covering = all.iter().filter(|exception| exception.digest.is_none_or(|digest| digests.contains(&Some(digest))));
        let (counting, other): (Vec<_>, Vec<_>) = covering.partition(|exception| exception.counts_at(now));
        // A denial may end when one of them begins.
        self.ends.extend(other.into_iter().filter_map(|exception| exception.from).filter(|from| now < *from));
        counting
    }

    /// 10.
    pub(super) fn waived(&mut self, requirement: &Requirement, other: usize) -> Option<Met> {
        if !self.glass_is_broken || !matches!(requirement, Requirement::SignedBy(_)) {
            return None;
        }
        let waiving = self.exceptions(other).into_iter().filter(|exception| exception.waive == Waived::SignedBy);
        let exception = waiving.max_by_key(|exception| exception.expires)?;
        let used = used(exception, vec!["signed-by".to_owned()]);
        let satisfied = Satisfied { exceptions: vec![used], ..Satisfied::by(requirement.to_string(), Vec::new()) };
        Some(Met::plain(0, satisfied, Some(exception.expires)))
    }
}

/// An exception as a verdict shows it.
pub(super) fn used(exception: &Exception, waived: Vec<String>) -> UsedException {
    let Exception { reason, owner, expires, .. } = exception;
    UsedException { image: exception.image(), waived, reason: reason.clone(), owner: owner.clone(), expires: *expires }
}

/// The exceptions by which each of a vulnerability's CVEs is waived, each by the one that lasts longest.
pub(super) fn waive<'a>(vulnerability: &Vulnerability, exceptions: &[&'a Exception]) -> Option<Vec<(&'a Exception, BTreeSet<String>)>> {
    let mut by: Vec<(&Exception, BTreeSet<String>)> = Vec::new();
    for cve in vulnerability.cves() {
        let waiving = exceptions.iter().copied().filter(|exception| match &exception.waive {
            Waived::Vulnerabilities(ids) => ids.contains(cve),
            Waived::SignedBy => false,
        });
        let exception = waiving.max_by_key(|exception| exception.expires)?;
        match by.iter_mut().find(|(used, _)| std::ptr::eq(*used, exception)) {
            Some((_, cves)) => {
                cves.insert(cve.to_owned());
            }
            None => by.push((exception, BTreeSet::from([cve.to_owned()]))),
        }
    }
    Some(by)
}
