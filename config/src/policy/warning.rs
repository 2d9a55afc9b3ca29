//! What is legal in a policy and still worth a word.

use std::collections::BTreeSet;

use sealgate_verifier::reference::DOCKER_HUB;
use sealgate_verifier::{Exception, ExceptionState, Mode, Pattern, Policy, Requirement, Rule, SignerName, Timestamp, Waived};

use crate::server::ServerConfig;

/// One line for each.
pub(crate) fn warnings(policy: &Policy) -> Vec<String> {
    let mut found = Vec::new();
    if policy.rules().is_empty() {
        found.push("there is no rule, so every image is denied".to_owned());
    } else if policy.rules().iter().all(|rule| rule.mode == Mode::Audit) {
        found.push("every rule is in audit mode: images that a rule denies are served all the same".to_owned());
    }
    let mut named: BTreeSet<&SignerName> = policy.scan_policies().values().flat_map(|scan| scan.signers()).collect();
    for rule in policy.rules() {
        for requirement in &rule.requirements {
            match requirement {
                Requirement::Allow => allow(rule, &mut found),
                Requirement::Deny
                | Requirement::Digests(_)
                | Requirement::SignedBy(_)
                | Requirement::Attested(_)
                | Requirement::Scanned(_)
                | Requirement::Contents(_)
                | Requirement::Age { .. }
                | Requirement::AnyOf(_) => {}
            }
        }
        let signers: BTreeSet<&SignerName> = rule.signers();
        for signer in &signers {
            counts_nowhere(policy, rule, signer, &mut found);
        }
        named.extend(signers);
        if rule.pattern.to_string() == format!("{DOCKER_HUB}/*") {
            found.push(format!(
                "rule {0}/* can never match: images there have two parts, as in {0}/library/nginx; write {0}/**",
                DOCKER_HUB
            ));
        }
    }
    unused(policy, &mut found);
    for name in policy.signers().keys().filter(|name| !named.contains(name)) {
        found.push(format!("no rule names the signer {name}"));
    }
    found
}

/// Scan policies that no rule names, and exceptions that can waive nothing.
fn unused(policy: &Policy, found: &mut Vec<String>) {
    let requirements = || policy.rules().iter().flat_map(Rule::all_requirements);
    for name in policy.scan_policies().keys() {
        if !requirements().any(|requirement| matches!(requirement, Requirement::Scanned(scan) if scan.name == *name)) {
            found.push(format!("no rule names the scan policy {name}"));
        }
    }
    for exception in policy.exceptions() {
        let image = exception.image();
        let Some(rule) = policy.rule_for(&exception.repository) else {
            found.push(format!("the exception for {image} is not used: no rule matches the image, and so it is denied"));
            continue;
        };
        let reads = |requirement: &Requirement| match (&exception.waive, requirement) {
            (Waived::Vulnerabilities(_), Requirement::Scanned(_)) | (Waived::SignedBy, Requirement::SignedBy(_)) => true,
            (
                Waived::Vulnerabilities(_) | Waived::SignedBy,
                Requirement::Allow
                | Requirement::Deny
                | Requirement::Digests(_)
                | Requirement::SignedBy(_)
                | Requirement::Attested(_)
                | Requirement::Scanned(_)
                | Requirement::Contents(_)
                | Requirement::Age { .. }
                | Requirement::AnyOf(_),
            ) => false,
        };
        if !rule.all_requirements().any(reads) {
            let what = if exception.waive == Waived::SignedBy { "asks for no signature" } else { "asks for no scan" };
            found.push(format!("the exception for {image} is not used: rule {} {what}", rule.pattern));
        }
        if exception.waive == Waived::SignedBy && exception.digest.is_none() {
            found.push(format!("the exception for {image} lets every image of the repository pass unsigned: name one by its digest"));
        }
    }
}

/// A warning for each rule that asks for what this version's gate does not collect: it denies.
#[must_use]
pub fn uncollected(policy: &Policy) -> Vec<String> {
    let asks = policy.rules().iter().filter(|rule| rule.is_per_platform());
    asks.map(|rule| format!("rule {} asks for scan status, contents or age, which the gate does not collect yet: it denies", rule.pattern))
        .collect()
}

/// A warning for each exception that has ended, or ends soon.
#[must_use]
pub fn exception_warnings(policy: &Policy, now: Timestamp) -> Vec<String> {
    let warning = |exception: &Exception| {
        let Exception { owner, expires, waive, .. } = exception;
        let about = format!("the exception for {} ({waive}, by {owner})", exception.image());
        match exception.state(now) {
            ExceptionState::Ended => Some(format!("{about} ended {expires}: remove it")),
            ExceptionState::EndsSoon => Some(format!("{about} ends {expires}")),
            ExceptionState::NotYet | ExceptionState::Active => None,
        }
    };
    policy.exceptions().into_iter().filter_map(warning).collect()
}

fn allow(rule: &Rule, found: &mut Vec<String>) {
    if rule.pattern.literal().is_empty() {
        found.push("rule ** allows every image that no other rule matches, unsigned ones too".to_owned());
    } else if !rule.pattern.literal().contains('/') {
        found.push(format!("rule {} allows a whole registry, unsigned images too", rule.pattern));
    }
}

fn counts_nowhere(policy: &Policy, rule: &Rule, signer: &str, found: &mut Vec<String>) {
    let Some(images) = policy.signer(signer).map(|signer| &signer.images) else { return };
    if !images.is_empty() && !images.iter().any(|image| overlap(image, &rule.pattern)) {
        found.push(format!("rule {} names the signer {signer}, whose `images` hold none of the rule's", rule.pattern));
    }
}

/// Whether some repository may match both. Never wrongly false.
fn overlap(one: &Pattern, other: &Pattern) -> bool {
    let within = |outer: &str, inner: &str| {
        outer.is_empty() || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    within(one.literal(), other.literal()) || within(other.literal(), one.literal())
}

/// A warning for each trust root that no TUF repository feeds.
fn unfed_roots(policy: &Policy, server: &ServerConfig) -> Vec<String> {
    let unfed = policy.tuf_roots().filter(|name| !server.trust_roots.repositories.contains_key(*name));
    unfed
        .map(|name| format!("the trust root {name} comes by TUF, and sealgate.yaml names no repository for it under `trust-root`"))
        .collect()
}

/// A warning for each rule whose registry the server does not know (it can never match, or never find what it looks for), and for
/// each trust root that the server is to keep current and cannot.
#[must_use]
pub fn unmatched_rules(policy: &Policy, server: &ServerConfig) -> Vec<String> {
    let registry = |rule: &Rule| rule.pattern.literal().split('/').next().unwrap_or_default().to_owned();
    let known: Vec<&str> = server.registries.keys().map(String::as_str).collect();
    let unknown = policy.rules().iter().map(|rule| (rule, registry(rule)));
    let other = policy.rules().iter().flat_map(|rule| rule.signatures_from.iter().map(move |repository| (rule, repository)));
    let out_of_reach = other.filter(|(_, repository)| !server.registries.contains_key(repository.registry())).map(|(rule, repository)| {
        format!("rule {} looks for signatures in {repository}, whose registry is not configured ({})", rule.pattern, known.join(", "))
    });
    unknown
        .filter(|(_, registry)| !registry.is_empty() && !server.registries.contains_key(registry))
        .map(|(rule, registry)| {
            format!("rule {} can never match: {registry} is not among the configured registries ({})", rule.pattern, known.join(", "))
        })
        .chain(out_of_reach)
        .chain(unfed_roots(policy, server))
        .collect()
}
