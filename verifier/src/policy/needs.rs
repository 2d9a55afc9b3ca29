//! Which evidence a rule reads.

use super::requirement::Requirement;
use super::rule::Rule;

/// Which evidence a rule reads, so that nothing else is collected (Docker Hub counts requests).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Signatures, of the subject or of an index above it.
    pub signatures: bool,
    /// Attestations, likewise.
    pub attestations: bool,
    /// The indexes that list the subject (for signatures, attestations, digest lists and exceptions).
    pub parents: bool,
    /// Scan reports of a platform's image, by [`super::Policy::scan_sources`].
    pub scans: bool,
    /// The contents of a platform's image.
    pub contents: bool,
    /// When the image was first seen.
    pub first_seen: bool,
    /// The verdicts on an index's children: the rule asks something of platforms' images.
    pub children: bool,
}

impl Needs {
    /// Whether anything that is attached to a manifest is read.
    #[must_use]
    pub const fn attachments(self) -> bool {
        self.signatures || self.attestations
    }

    /// What either asks for.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            signatures: self.signatures || other.signatures,
            attestations: self.attestations || other.attestations,
            parents: self.parents || other.parents,
            scans: self.scans || other.scans,
            contents: self.contents || other.contents,
            first_seen: self.first_seen || other.first_seen,
            children: self.children || other.children,
        }
    }

    /// What `rule` reads.
    pub(super) fn of(rule: &Rule) -> Self {
        let mut needs = Self { children: rule.is_per_platform(), ..Self::default() };
        for requirement in rule.all_requirements() {
            match requirement {
                Requirement::Allow | Requirement::Deny | Requirement::AnyOf(_) => {}
                Requirement::Digests(_) => needs.parents = true,
                Requirement::SignedBy(_) => (needs.signatures, needs.parents) = (true, true),
                Requirement::Attested(_) => (needs.attestations, needs.parents) = (true, true),
                Requirement::Scanned(policy) => {
                    needs.scans |= policy.reads_reports();
                    needs.attestations |= policy.signers().next().is_some();
                }
                Requirement::Contents(_) => needs.contents = true,
                Requirement::Age { .. } => needs.first_seen = true,
            }
        }
        needs
    }
}
