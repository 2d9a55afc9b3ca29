//! What the gate decided or would decide about one reference, and why: the answer to `sealgate explain`, as it crosses the control
//! socket in JSON and as people read it.

use std::fmt::Write as _;

use sealgate_verifier::{
    Digest, Finding, FindingKind, FindingOutcome, Gap, Location, Mode, Principal, Reason, Reference, Repository, SignatureForm, Tag,
    Timestamp, Verdict,
};
use serde::{Deserialize, Serialize};

/// The whole explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// Canonical repository.
    pub repository: Repository,
    /// The tag that was asked for.
    pub tag: Option<Tag>,
    /// The digest that was decided on.
    pub digest: Digest,
    /// How the tag became the digest.
    pub resolution: Option<Resolution>,
    /// The rule that matched: its pattern.
    pub rule: Option<String>,
    /// What a client gets.
    pub outcome: Outcome,
    /// The line that a denied client sees, or the same about an admission.
    pub line: String,
    /// Each requirement that was judged.
    pub requirements: Vec<Judged>,
    /// Each signature that was looked at.
    pub findings: Vec<FoundSignature>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
    /// The decision behind it.
    pub decision: Decision,
}

/// What a client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The image.
    Admitted,
    /// 403.
    Denied,
    /// The image with a `Warning` header: the rule denies it in audit mode.
    AuditedDenial,
}

impl Outcome {
    /// The outcome in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Denied => "denied",
            Self::AuditedDenial => "denied, but served with a warning (audit mode)",
        }
    }
}

/// How a tag became a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Resolution {
    /// When upstream last confirmed it.
    pub confirmed_at: Timestamp,
    /// From then on upstream is asked again; none where every request asks.
    pub fresh_until: Option<Timestamp>,
}

/// The decision that is explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Decision {
    /// Its id, where the running gate recorded it.
    pub id: Option<String>,
    /// When it was made.
    pub at: Timestamp,
    /// From this time on it counts for nothing.
    pub valid_until: Option<Timestamp>,
    /// Hash over the policy and every file that it names.
    pub policy: Digest,
}

/// One requirement of the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Judged {
    /// The requirement in the policy's words.
    pub requirement: String,
    /// Whether it holds.
    pub met: bool,
    /// The signers that met it, or those that signed though it was not met.
    pub by: Vec<String>,
    /// Why it does not hold.
    pub problem: Option<String>,
}

/// One signature that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FoundSignature {
    /// Where it was found.
    pub location: Location,
    /// Digest of the manifest that carries it.
    pub attachment: Digest,
    /// Digest of the layer that holds it; none where the manifest itself is at fault.
    pub layer: Option<Digest>,
    /// The digest that was being vouched for.
    pub subject: Digest,
    /// How it is stored.
    pub form: String,
    /// What it says.
    pub says: FindingKind,
    /// The signer whose valid signature it is; several names where identities overlap.
    pub signer: Option<String>,
    /// That signer's key.
    pub key: Option<String>,
    /// Whose signature it is, where that is certain; the policy need not know them.
    pub by: Option<Principal>,
    /// When it was made, by the word of a log or a timestamping authority.
    pub signed_at: Option<Timestamp>,
    /// The first step that failed.
    pub failure: Option<String>,
    /// What failed and is not enforced at a Notation signer's level.
    pub warnings: Vec<String>,
}

impl From<&Finding> for FoundSignature {
    fn from(finding: &Finding) -> Self {
        let (signer, by, signed_at, failure, warnings) = match &finding.outcome {
            FindingOutcome::Verified { signers, by, at, warnings } => {
                (Some(signers.join(", ")), Some(by.clone()), *at, None, warnings.clone())
            }
            FindingOutcome::Failed { why, by } => (None, by.clone(), None, Some(why.clone()), Vec::new()),
        };
        let key = match &by {
            Some(Principal::Key { key }) => Some(key.to_string()),
            Some(Principal::Keyless { .. } | Principal::Notation { .. }) | None => None,
        };
        let Finding { location, attachment, layer, subject, .. } = *finding;
        let (form, says) = (form_name(finding.form).to_owned(), finding.kind.clone());
        Self { location, attachment, layer, subject, form, says, signer, key, by, signed_at, failure, warnings }
    }
}

const fn form_name(form: SignatureForm) -> &'static str {
    match form {
        SignatureForm::SimpleSigning => "simple signing",
        SignatureForm::Dsse => "DSSE envelope",
        SignatureForm::BundleDsse => "Sigstore bundle (DSSE)",
        SignatureForm::BundleMessage => "Sigstore bundle (message signature)",
        SignatureForm::NotationJws => "Notation (JWS)",
        SignatureForm::NotationCose => "Notation (COSE)",
        SignatureForm::Other => "unknown form",
    }
}

/// A decision and its surroundings, from which an [`Explanation`] is made.
#[derive(Debug)]
pub struct Explained<'a> {
    /// What was asked for, under its canonical name.
    pub reference: &'a Reference,
    /// The digest that was decided on.
    pub digest: Digest,
    /// How the tag became the digest.
    pub resolution: Option<Resolution>,
    /// The verdict.
    pub verdict: &'a Verdict,
    /// What could not be seen while the evidence was collected.
    pub gaps: Vec<Gap>,
    /// The decision's record.
    pub decision: Decision,
    /// The line that a denied client sees.
    pub line: String,
}

impl From<Explained<'_>> for Explanation {
    fn from(explained: Explained<'_>) -> Self {
        let Explained { reference, digest, resolution, verdict, gaps, decision, line } = explained;
        let (rule, outcome, requirements) = match verdict {
            Verdict::Admit(admission) => {
                let judged = |satisfied: &sealgate_verifier::Satisfied| Judged {
                    requirement: satisfied.requirement.clone(),
                    met: true,
                    by: satisfied.by.clone(),
                    problem: None,
                };
                (Some(admission.rule().to_owned()), Outcome::Admitted, admission.satisfied().iter().map(judged).collect())
            }
            Verdict::Deny(denial) => {
                let outcome = match denial.mode {
                    Mode::Enforce => Outcome::Denied,
                    Mode::Audit => Outcome::AuditedDenial,
                };
                (denial.rule.clone(), outcome, denial.reasons.iter().map(unmet).collect())
            }
        };
        Self {
            repository: reference.repository.clone(),
            tag: reference.tag.clone().filter(|_| reference.digest.is_none()),
            digest,
            resolution,
            rule,
            outcome,
            line,
            requirements,
            findings: verdict.findings().iter().map(FoundSignature::from).collect(),
            gaps,
            decision,
        }
    }
}

fn unmet(reason: &Reason) -> Judged {
    let (requirement, by) = match reason {
        Reason::NoRule => ("a rule that matches the repository".to_owned(), Vec::new()),
        Reason::DeniedByRule => ("deny".to_owned(), Vec::new()),
        Reason::DigestNotListed { .. } => ("digests".to_owned(), Vec::new()),
        Reason::Unsigned { expected, .. }
        | Reason::EvidenceMissing { expected, .. }
        | Reason::Unattested { expected, .. }
        | Reason::AttestationSaysOtherwise { expected, .. }
        | Reason::AttestationOutOfTime { expected, .. }
        | Reason::Vulnerable { expected, .. }
        | Reason::Uncovered { expected, .. }
        | Reason::SecretFound { expected, .. }
        | Reason::ContentsDoNotSatisfy { expected, .. }
        | Reason::TooYoung { expected, .. }
        | Reason::NoAlternative { expected, .. } => (expected.clone(), Vec::new()),
        Reason::ChildDenied { platform, .. } => (format!("an image for {platform} that is admitted itself"), Vec::new()),
        Reason::NoPlatform { expected, .. } => (format!("an image for {expected}"), Vec::new()),
        Reason::SignaturesDoNotSatisfy { expected, by, .. } | Reason::AttestationsDoNotSatisfy { expected, by, .. } => {
            (expected.clone(), by.clone())
        }
        Reason::BadManifest { .. } => ("a manifest with one meaning".to_owned(), Vec::new()),
    };
    Judged { requirement, met: false, by, problem: Some(problem(reason)) }
}

/// What was found in place of what a reason's requirement expects, in one line.
#[must_use]
pub fn problem(reason: &Reason) -> String {
    match reason {
        Reason::NoRule => "no rule of the policy matches this repository".to_owned(),
        Reason::DeniedByRule => "the rule denies every image that it matches".to_owned(),
        Reason::DigestNotListed { listed } => format!("the digest is none of the {listed} that the rule lists"),
        Reason::Unsigned { attested, .. } if attested.is_empty() => "no signature exists".to_owned(),
        Reason::Unsigned { attested, .. } => format!("no signature exists; attested is {}, which is no approval", attested.join(", ")),
        Reason::Unattested { found, .. } if found.is_empty() => "no such attestation exists".to_owned(),
        Reason::Unattested { found, .. } => format!("no such attestation exists; found {found}"),
        Reason::SignaturesDoNotSatisfy { found, .. }
        | Reason::AttestationsDoNotSatisfy { found, .. }
        | Reason::AttestationSaysOtherwise { found, .. }
        | Reason::AttestationOutOfTime { found, .. } => format!("found {found}"),
        Reason::NoAlternative { alternatives, .. } => {
            let each: Vec<String> = alternatives.iter().map(problem).collect();
            format!("no alternative holds: {}", each.join("; "))
        }
        Reason::EvidenceMissing { gaps, .. } => {
            let gaps: Vec<String> = gaps.iter().map(gap_line).collect();
            format!("not everything could be seen: {}", gaps.join("; "))
        }
        Reason::BadManifest { problem } => format!("bad manifest: {problem}"),
        Reason::Vulnerable { vulnerabilities, denying, .. } => {
            let each: Vec<String> = vulnerabilities.iter().map(ToString::to_string).collect();
            format!("{denying} vulnerabilities that deny: {}", each.join("; "))
        }
        Reason::Uncovered { found, .. } | Reason::ContentsDoNotSatisfy { found, .. } | Reason::TooYoung { found, .. } => {
            format!("found {found}")
        }
        Reason::SecretFound { secrets, total, .. } => {
            let each: Vec<String> = secrets.iter().map(ToString::to_string).collect();
            format!("{total} secrets: {}", each.join("; "))
        }
        Reason::ChildDenied { digest, reasons, .. } => {
            let each: Vec<String> = reasons.iter().map(problem).collect();
            format!("{digest} is denied: {}", each.join("; "))
        }
        Reason::NoPlatform { found, .. } => format!("the index has {found}"),
    }
}

/// One gap in one line.
#[must_use]
pub fn gap_line(gap: &Gap) -> String {
    let mut line =
        if gap.place.is_empty() { format!("signatures {}", gap.failure.name()) } else { format!("{} {}", gap.place, gap.failure.name()) };
    if !gap.detail.is_empty() {
        let _ = write!(line, " ({})", gap.detail);
    }
    line
}

/// The explanation as people read it. `paint` may colour a word by whether it is good.
#[must_use]
pub fn render_explanation(explanation: &Explanation, paint: &dyn Fn(&str, bool) -> String) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<12} {value}");
    };
    let tag = explanation.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
    row("Reference", &format!("{}{tag}", explanation.repository));
    row("Digest", &explanation.digest.to_string());
    if let Some(resolution) = &explanation.resolution {
        let fresh = resolution.fresh_until.map(|until| format!(", asked again from {until} on")).unwrap_or_default();
        row("Resolved", &format!("tag confirmed {}{fresh}", resolution.confirmed_at));
    }
    row("Rule", explanation.rule.as_deref().unwrap_or("none matches"));
    let good = matches!(explanation.outcome, Outcome::Admitted);
    row("Outcome", &paint(explanation.outcome.name(), good));
    if let Some(id) = &explanation.decision.id {
        row("Decision", id);
    }
    if let Some(until) = explanation.decision.valid_until {
        row("Valid until", &until.to_string());
    }
    row("Policy", &explanation.decision.policy.to_string());
    section(&mut text, "Requirements", explanation.requirements.iter().map(|judged| requirement_lines(judged, paint)), None);
    section(
        &mut text,
        "Signatures",
        explanation.findings.iter().map(|found| signature_lines(found, explanation, paint)),
        Some("none found"),
    );
    section(&mut text, "Not seen", explanation.gaps.iter().map(gap_line), None);
    let _ = writeln!(text, "\n{}", explanation.line);
    text
}

fn section(text: &mut String, title: &str, items: impl Iterator<Item = String>, empty: Option<&str>) {
    let mut items = items.peekable();
    if items.peek().is_none() && empty.is_none() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    match (items.peek().is_none(), empty) {
        (true, Some(empty)) => {
            let _ = writeln!(text, "  {empty}");
        }
        (true | false, _) => items.for_each(|item| {
            let _ = writeln!(text, "  {item}");
        }),
    }
}

fn requirement_lines(judged: &Judged, paint: &dyn Fn(&str, bool) -> String) -> String {
    let mut line = format!("{} {}", paint(if judged.met { "met" } else { "not met" }, judged.met), judged.requirement);
    if !judged.by.is_empty() {
        let _ = write!(line, " (signed by {})", judged.by.join(", "));
    }
    if let Some(problem) = &judged.problem {
        let _ = write!(line, "\n    {problem}");
    }
    line
}

fn signature_lines(found: &FoundSignature, explanation: &Explanation, paint: &dyn Fn(&str, bool) -> String) -> String {
    let mut line = match (&found.signer, &found.failure) {
        (Some(signer), _) => format!("{} by {signer}", paint("valid", true)),
        (None, failure) => format!("{}: {}", paint("does not count", false), failure.as_deref().unwrap_or("no reason was given")),
    };
    let what = match &found.says {
        FindingKind::Attestation { predicate_type } => format!("attestation {predicate_type}, "),
        FindingKind::Signature | FindingKind::Unread => String::new(),
    };
    let _ = write!(line, "\n    {what}{} in {}, manifest {}", found.form, found.location.name(), found.attachment);
    if let Some(layer) = found.layer {
        let _ = write!(line, "\n    layer {layer}");
    }
    match &found.by {
        Some(Principal::Key { key }) => {
            let _ = write!(line, "\n    key {key}");
        }
        Some(Principal::Keyless { issuer, identity }) => {
            let _ = write!(line, "\n    issuer {issuer}\n    identity {identity}");
        }
        Some(Principal::Notation { root, subject }) => {
            let _ = write!(line, "\n    subject {subject}\n    root {root}");
        }
        None => {}
    }
    if let Some(at) = found.signed_at {
        let _ = write!(line, "\n    signed {at}");
    }
    for warning in &found.warnings {
        let _ = write!(line, "\n    not enforced: {warning}");
    }
    if found.subject != explanation.digest {
        let _ = write!(line, "\n    over the index {}", found.subject);
    }
    line
}

#[cfg(test)]
mod tests;
