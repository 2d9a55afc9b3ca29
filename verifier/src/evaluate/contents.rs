//! What is inside an image, beside its packages.

use std::collections::BTreeSet;

use super::{Case, Met};
use crate::contents::{Contents, SecretFinding};
use crate::evidence::{EvidenceSource, Failure, Gap};
use crate::limits;
use crate::message::{few, quote};
use crate::policy::{ContentsPolicy, IgnoredSecret};
use crate::scan::Packages;
use crate::search::{is_stale, stale};
use crate::time::Timestamp;
use crate::verdict::{Reason, Satisfied};

/// What one image's contents come to.
#[derive(Default)]
struct Judged {
    problems: Vec<String>,
    secrets: Vec<SecretFinding>,
    notes: Vec<String>,
    ends: Vec<Timestamp>,
}

impl Case<'_> {
    pub(super) fn contents(&mut self, policy: &ContentsPolicy) -> Result<Met, Vec<Reason>> {
        let (expected, now) = (policy.to_string(), self.now);
        let collected = &self.evidence.image.contents;
        self.ends.insert(collected.stale_at);
        let mut gaps: BTreeSet<Gap> = collected.gaps.iter().cloned().collect();
        let gap = |failure, detail: String| Gap { source: EvidenceSource::Contents, place: "contents".to_owned(), failure, detail };
        let mut judged = Judged::default();
        if is_stale(collected, now) {
            gaps.insert(stale(collected, EvidenceSource::Contents));
        } else {
            for contents in &collected.items {
                gaps.extend(contents.gaps.iter().cloned());
                gaps.extend(contents.over_limit().map(|limit| gap(Failure::Oversized, format!("over the limit of {limit}"))));
                judged.add(policy, contents, now);
            }
            if collected.items.is_empty() && gaps.is_empty() {
                gaps.insert(gap(Failure::NotCollected, String::new()));
            }
        }
        let mut reasons = Vec::new();
        if !judged.secrets.is_empty() {
            let total = judged.secrets.len();
            judged.secrets.sort();
            judged.secrets.truncate(limits::LISTED);
            reasons.push(Reason::SecretFound { expected: expected.clone(), secrets: judged.secrets, total });
        }
        if !judged.problems.is_empty() {
            reasons.push(Reason::ContentsDoNotSatisfy { expected: expected.clone(), found: few(judged.problems.into_iter()) });
        }
        if !gaps.is_empty() {
            reasons.push(Reason::EvidenceMissing { expected: expected.clone(), gaps: gaps.into_iter().collect() });
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        judged.notes.truncate(limits::LISTED);
        let satisfied = Satisfied { notes: judged.notes, ..Satisfied::by(expected, Vec::new()) };
        Ok(Met::plain(0, satisfied, judged.ends.into_iter().chain([collected.stale_at]).min()))
    }
}

impl Judged {
    fn add(&mut self, policy: &ContentsPolicy, contents: &Contents, now: Timestamp) {
        if policy.non_root {
            match (contents.user.uid, &*contents.user.name) {
                (Some(0), _) | (None, "") => self.problems.push("user root".to_owned()),
                (None, name) => self.problems.push(format!("user {}, whose number is not known", quote(name))),
                (Some(_), _) => {}
            }
        }
        let paths = |paths: &[String]| few(paths.iter().map(|path| quote(path)));
        for (forbidden, what, found) in [
            (policy.no_shell, "shell", &contents.shells),
            (policy.no_package_manager, "package manager", &contents.package_managers),
            (policy.no_compiler, "compiler", &contents.compilers),
        ] {
            if forbidden && !found.is_empty() {
                self.problems.push(format!("{what} {}", paths(found)));
            }
        }
        self.only("setuid file", policy.setuid.as_ref(), contents.setuid.iter().map(|file| file.path.clone()));
        self.only("file with capabilities", policy.capabilities.as_ref(), contents.capabilities.iter().map(|file| file.path.clone()));
        self.only("port", policy.ports.as_ref(), contents.exposed_ports.iter().map(|port| with_protocol(port)));
        if let Some(most) = policy.max_size.filter(|most| contents.size > *most) {
            self.problems.push(format!("{} bytes, over {most}", contents.size));
        }
        if policy.no_packages {
            match contents.packages {
                Packages::NoneRecognised => {}
                Packages::Recognised { count } => self.problems.push(format!("lists of {count} packages")),
                Packages::Unsaid => self.problems.push("contents that do not say whether there are packages".to_owned()),
            }
        }
        if let Some(ignored) = &policy.secrets {
            self.secrets(ignored, &contents.secrets, now);
        }
    }

    fn only(&mut self, what: &str, allowed: Option<&BTreeSet<String>>, found: impl Iterator<Item = String>) {
        let Some(allowed) = allowed else { return };
        let others: Vec<String> = found.filter(|one| !allowed.contains(one)).map(|one| quote(&one)).collect();
        if !others.is_empty() {
            self.problems.push(format!("{what} {}", few(others.into_iter())));
        }
    }

    fn secrets(&mut self, ignored: &[IgnoredSecret], found: &[SecretFinding], now: Timestamp) {
        for secret in found {
            let ignoring =
                ignored.iter().filter(|one| one.kind == secret.kind && one.path.matches(Some(&secret.path)) && now < one.expires);
            match ignoring.max_by_key(|one| one.expires) {
                Some(one) => {
                    self.ends.push(one.expires);
                    self.notes.push(format!("{} ignored until {}: {}", quote(&secret.to_string()), one.expires, quote(&one.reason)));
                }
                None => self.secrets.push(secret.clone()),
            }
        }
    }
}

/// Docker's `ExposedPorts`: `80` means `80/tcp`.
pub(crate) fn with_protocol(port: &str) -> String {
    if port.contains('/') { port.to_ascii_lowercase() } else { format!("{port}/tcp") }
}
