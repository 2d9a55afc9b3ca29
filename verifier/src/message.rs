//! The one line that says why, for every place in which a client or a person may see it: the HTTP body and reason phrase, the
//! command line, the log, the page. Printable ASCII only, at most [`limits::DENIAL_LINE`] characters.

use std::collections::BTreeSet;
use std::fmt;

use crate::evaluate::age;
use crate::evidence::{EvidenceSource, Gap};
use crate::limits;
use crate::policy::{Attested, Quorum, Requirement, SignedBy};
use crate::verdict::{Admission, Denial, Finding, FindingKind, FindingOutcome, Reason, Verdict};

/// Characters of a policy's rule or requirement that a line repeats.
const POLICY_TEXT: usize = 120;
/// Characters of an address that a line repeats; a longer one is left out, because half an address is none.
const ADDRESS: usize = 200;
/// Characters of an error's words that a message repeats.
const PROBLEM: usize = 240;
/// Failures that a line tells apart.
const FAILURES: usize = 3;

impl fmt::Display for SignedBy {
    /// The quorum alone: `any of ci, qa`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.signers.join(", ");
        match self.quorum {
            Quorum::Any => write!(f, "any of {names}"),
            Quorum::All => write!(f, "all of {names}"),
            Quorum::Threshold(threshold) => write!(f, "{threshold} of {names}"),
        }
    }
}

impl fmt::Display for Attested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attested {} by {}", self.kind, self.by)?;
        for (index, condition) in self.conditions.iter().enumerate() {
            write!(f, "{} {condition}", if index == 0 { " where" } else { " and" })?;
        }
        match self.max_age {
            Some(seconds) => write!(f, ", at most {} old", age(seconds)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allow"),
            Self::Deny => f.write_str("deny"),
            Self::Digests(digests) => write!(f, "digests ({} listed)", digests.len()),
            Self::SignedBy(signed_by) => write!(f, "signed-by {signed_by}"),
            Self::Attested(attested) => attested.fmt(f),
            Self::Scanned(policy) => write!(f, "scanned {}", policy.name),
            Self::Contents(contents) => contents.fmt(f),
            Self::Age { min } => write!(f, "age at least {}", age(*min)),
            Self::AnyOf(branches) => {
                let branch = |all: &Vec<Self>| all.iter().map(Self::to_string).collect::<Vec<_>>().join(" and ");
                f.write_str(&branches.iter().map(branch).collect::<Vec<_>>().join(", or "))
            }
        }
    }
}

/// `text` in printable ASCII, at most `limit` characters.
pub(crate) fn ascii(text: &str, limit: usize) -> String {
    let mut out: String = text.chars().take(limit).map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
    if text.chars().nth(limit).is_some() {
        out.truncate(limit.saturating_sub(3));
        out.push_str("...");
    }
    out
}

/// Untrusted text, made safe to stand in a message.
pub(crate) fn quote(text: &str) -> String {
    ascii(text, limits::QUOTED)
}

/// An error's words, which may quote untrusted text, made safe to stand in a message.
pub(crate) fn problem(error: &impl fmt::Display) -> String {
    ascii(&error.to_string(), PROBLEM)
}

/// Findings in one line: valid signatures first, then each kind of failure once.
pub(crate) fn summary(findings: &[&Finding]) -> String {
    let mut valid = BTreeSet::new();
    let mut failed = BTreeSet::new();
    for finding in findings {
        let what = match finding.kind {
            FindingKind::Signature | FindingKind::Unread => "a valid signature",
            FindingKind::Attestation { .. } => "a valid attestation",
        };
        match &finding.outcome {
            FindingOutcome::Verified { signers, by, .. } => valid.insert(format!("{what} by {} ({by})", signers.join(", "))),
            FindingOutcome::Failed { why, .. } => failed.insert(format!("{}: {why}", finding.location.name())),
        };
    }
    few(valid.into_iter().chain(failed))
}

/// The first few of several things, and how many more there are.
pub(crate) fn few(all: impl Iterator<Item = String>) -> String {
    let mut parts: Vec<String> = all.collect();
    let more = parts.len().saturating_sub(FAILURES);
    parts.truncate(FAILURES);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    parts.join("; ")
}

/// What a line says after "DENIED by policy rule …".
struct Parts {
    expected: String,
    found: String,
    mend: String,
}

impl Verdict {
    /// The verdict in one line.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Admit(admission) => admission.line(),
            Self::Deny(denial) => denial.line(None),
        }
    }
}

impl Admission {
    /// The admission in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let met = self.satisfied.iter().map(|satisfied| {
            let by = if satisfied.by.is_empty() { String::new() } else { format!(" (signed by {})", satisfied.by.join(", ")) };
            let exceptions: String = satisfied.exceptions.iter().map(|exception| format!(" ({exception})")).collect();
            format!("{}{by}{exceptions}", satisfied.requirement)
        });
        let via = self.via.map(|via| format!(" via index {via}")).unwrap_or_default();
        let line = format!("ADMITTED by policy rule {}: {}{via}", self.rule, met.collect::<Vec<_>>().join("; "));
        ascii(&line, limits::DENIAL_LINE)
    }
}

impl Denial {
    /// The denial in one line: the rule, what it expects, what was found and how to mend it, and where to read more.
    #[must_use]
    pub fn line(&self, decision_url: Option<&str>) -> String {
        let reason = self.reasons.first().unwrap_or(&Reason::DeniedByRule);
        let Parts { expected, found, mend } = self.parts(reason);
        let by = self.rule.as_deref().map_or_else(|| "policy".to_owned(), |rule| format!("policy rule {}", ascii(rule, POLICY_TEXT)));
        let more = match self.reasons.len() {
            0 | 1 => String::new(),
            reasons => format!("; {} more", reasons - 1),
        };
        let see = decision_url.filter(|url| url.len() <= ADDRESS).map(|url| format!("; see {}", ascii(url, ADDRESS))).unwrap_or_default();
        let head = format!("DENIED by {by}: expected {}; found ", ascii(&expected, POLICY_TEXT));
        let tail = ascii(&format!("{more}; mend: {mend}"), limits::DENIAL_LINE - head.len() - see.len() - limits::QUOTED);
        // `found` may hold text from signatures: it gives way first.
        let room = limits::DENIAL_LINE.saturating_sub(head.len() + tail.len() + see.len());
        format!("{head}{}{tail}{see}", ascii(&found, room))
    }

    /// The exit code of a command that ends with this denial (DESIGN §8): 10 unsigned or unattested, 12 signatures or attestations
    /// by others, 20 vulnerabilities, 21 secrets, 22 another reason or several, 75 evidence missing (try again).
    #[must_use]
    pub fn outcome_code(&self) -> u8 {
        code(&self.reasons)
    }

    fn parts(&self, reason: &Reason) -> Parts {
        let Self { repository, digest, .. } = self;
        let sign = || format!("cosign sign --key <key> {repository}@{digest}");
        let attest = || format!("cosign attest --key <key> --type <type> --predicate <file> {repository}@{digest}");
        let parts = |expected: &str, found: String, mend: String| Parts { expected: expected.to_owned(), found, mend };
        match reason {
            Reason::NoRule => {
                parts("a rule that matches the image", format!("none for {repository}"), "add a rule for it to the trust policy".to_owned())
            }
            Reason::DeniedByRule => {
                parts("an image outside of this rule", "require: [deny]".to_owned(), "use another image, or change the rule".to_owned())
            }
            Reason::DigestNotListed { listed } => parts(
                &format!("one of {listed} listed digests"),
                digest.to_string(),
                "pull a listed digest, or add this one to the rule's digests".to_owned(),
            ),
            Reason::Unsigned { expected, attested } => {
                let but = few(attested.iter().map(|kind| format!("; an attestation of type {}, which is not an approval", quote(kind))));
                parts(expected, format!("no signature in referrers API, fallback tag or .sig tag{but}"), sign())
            }
            Reason::SignaturesDoNotSatisfy { expected, by, found } => {
                parts(expected, only(by, "signed", found), format!("sign with a key that the rule names: {}", sign()))
            }
            Reason::Unattested { expected, found } => {
                let found = if found.is_empty() { String::new() } else { format!("; {found}") };
                parts(expected, format!("no such attestation in referrers API, fallback tag or .att tag{found}"), attest())
            }
            Reason::AttestationsDoNotSatisfy { expected, by, found } => {
                parts(expected, only(by, "attested", found), format!("attest as a signer that the rule names: {}", attest()))
            }
            Reason::AttestationSaysOtherwise { expected, found } => {
                parts(expected, found.clone(), "build the image as the rule asks, or change the rule's `where`".to_owned())
            }
            Reason::AttestationOutOfTime { expected, found } => {
                parts(expected, found.clone(), format!("attest anew, with a log entry or timestamp: {}", attest()))
            }
            Reason::NoAlternative { expected, alternatives } => {
                let each: Vec<Parts> = alternatives.iter().map(|reason| self.parts(reason)).collect();
                let found = each.iter().map(|parts| parts.found.as_str()).collect::<Vec<_>>().join(", and ");
                let mend = each.into_iter().next().map_or_else(String::new, |parts| parts.mend);
                parts(expected, found, mend)
            }
            Reason::Vulnerable { expected, vulnerabilities, denying } => {
                let worst = vulnerabilities.iter().filter(|found| found.standing.denies()).take(FAILURES).map(ToString::to_string);
                let found = some_of(worst.collect(), *denying);
                let fixable = vulnerabilities.iter().any(|found| found.standing.denies() && found.fixed.is_some());
                let mend = if fixable { "build the image anew with the fixed versions" } else { "use another image or package" };
                parts(expected, found, format!("{mend}, or add an exception"))
            }
            Reason::Uncovered { expected, found } => {
                let mend =
                    "update or import advisories, use a release that is looked after, or expect `contents: { packages: none-expected }`";
                parts(expected, found.clone(), mend.to_owned())
            }
            Reason::SecretFound { expected, secrets, total } => {
                let found = secrets.iter().take(FAILURES).map(|secret| quote(&secret.to_string()));
                let mend = "revoke them and build the image without them: removing the file in a later layer does not remove them";
                parts(expected, some_of(found.collect(), *total), mend.to_owned())
            }
            Reason::ContentsDoNotSatisfy { expected, found } => {
                parts(expected, found.clone(), "build the image as the rule asks, or change the rule".to_owned())
            }
            Reason::TooYoung { expected, found, .. } => {
                parts(expected, found.clone(), "wait, or use an older version of the image".to_owned())
            }
            Reason::ChildDenied { platform, digest, reasons } => {
                let inner = reasons.first().map_or_else(|| parts("admission", String::new(), String::new()), |reason| self.parts(reason));
                let more = if reasons.len() > 1 { format!("; {} more", reasons.len() - 1) } else { String::new() };
                let found = format!("for {} ({digest}) {}{more}", quote(platform), inner.found);
                parts(&inner.expected, found, inner.mend)
            }
            Reason::NoPlatform { expected, found } => {
                let mend = "name the platforms that you use under `platforms` in the trust policy";
                parts(&format!("an image for {expected}"), found.clone(), mend.to_owned())
            }
            Reason::EvidenceMissing { expected, gaps } => {
                let mend = match gaps.iter().any(|gap| gap.source == EvidenceSource::TrustRoot) {
                    true => "`sealgate trust-root update` at the gate, and `sealgate trust-root status` if it lasts",
                    false => "try again; if it lasts, check that the gate reaches the registry",
                };
                parts(expected, gaps_in_words(gaps), mend.to_owned())
            }
            Reason::BadManifest { problem } => {
                parts("a manifest with one meaning", format!("{digest}: {problem}"), "build and push the image again".to_owned())
            }
        }
    }
}

/// Some of several things, and how many more there are.
fn some_of(mut some: Vec<String>, total: usize) -> String {
    let more = total.saturating_sub(some.len());
    some.extend((more > 0).then(|| format!("and {more} more")));
    some.join("; ")
}

/// Who did it of those who should have, and what else there is.
fn only(by: &[String], did: &str, found: &str) -> String {
    let by = if by.is_empty() { String::new() } else { format!("{did} by {} only", by.join(", ")) };
    [by, found.to_owned()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

/// The one code of several reasons.
fn code(reasons: &[Reason]) -> u8 {
    let one = |reason: &Reason| match reason {
        Reason::Unsigned { .. } | Reason::Unattested { .. } => 10,
        Reason::SignaturesDoNotSatisfy { .. } | Reason::AttestationsDoNotSatisfy { .. } => 12,
        Reason::EvidenceMissing { .. } => 75,
        // One alternative is enough.
        Reason::NoAlternative { .. } if reason.may_pass() => 75,
        Reason::NoAlternative { alternatives, .. } => code(alternatives),
        Reason::ChildDenied { reasons, .. } => code(reasons),
        Reason::Vulnerable { .. } | Reason::Uncovered { .. } => 20,
        Reason::SecretFound { .. } => 21,
        Reason::NoRule
        | Reason::DeniedByRule
        | Reason::DigestNotListed { .. }
        | Reason::AttestationSaysOtherwise { .. }
        | Reason::AttestationOutOfTime { .. }
        | Reason::ContentsDoNotSatisfy { .. }
        | Reason::TooYoung { .. }
        | Reason::NoPlatform { .. }
        | Reason::BadManifest { .. } => 22,
    };
    let codes: BTreeSet<u8> = reasons.iter().map(one).collect();
    // What is denied for good is not mended by trying again.
    let lasting: Vec<u8> = codes.iter().copied().filter(|code| *code != 75).collect();
    match (&*lasting, codes.contains(&75)) {
        ([one], _) => *one,
        ([], true) => 75,
        (_, _) => 22,
    }
}

/// `signatures could not be seen: referrers API timed out (no answer in 10 s); fallback tag rate limited`.
fn gaps_in_words(gaps: &[Gap]) -> String {
    let words = |gap: &Gap| {
        let detail = if gap.detail.is_empty() { String::new() } else { format!(" ({})", quote(&gap.detail)) };
        let place = if gap.place.is_empty() { String::new() } else { format!("{} ", quote(&gap.place)) };
        format!("{}: {place}{}{detail}", gap.source.name(), gap.failure.name())
    };
    let more = gaps.len().saturating_sub(FAILURES);
    let mut parts: Vec<String> = gaps.iter().take(FAILURES).map(words).collect();
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    format!("evidence that could not be seen: {}", parts.join("; "))
}

#[cfg(test)]
mod tests;
