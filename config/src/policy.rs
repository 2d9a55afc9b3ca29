//! `trust-policy.yaml` → [`sealgate_verifier::Policy`] (DESIGN §4).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealgate_verifier::policy::{TrustRootName, TrustRootSource};
use sealgate_verifier::{Exception, Mode, PlatformName, Policy, PolicyParts, Requirement, Rule, ScanPolicy, Signer, SignerName};

use crate::document::{Document, Secrecy, whole};
use crate::error::ConfigErrors;
use crate::file;
use crate::limits;
use crate::problems::Problems;

mod contents;
mod exception;
pub(crate) mod fields;
mod identity;
mod origin;
mod preset;
mod requirement;
mod revision;
mod rule;
mod scan;
mod signer;
mod trust;
mod warning;

pub(crate) use signer::is_name;
pub use warning::{exception_warnings, uncollected, unmatched_rules};

use origin::Origin;
use revision::Files;
use trust::Trust;

/// A policy and what it was read from.
#[derive(Debug, Clone)]
pub struct LoadedPolicy {
    /// The checked policy. Its revision hashes the file and every file that it names.
    pub policy: Policy,
    /// Every file that was read, for watching.
    pub files: Vec<PathBuf>,
    /// What is legal and still worth a word, one line each.
    pub warnings: Vec<String>,
}

/// Reads the policy at `file`, and the keys that it names (paths relative to it).
///
/// # Errors
/// Every problem that there is.
pub fn load_policy(file: &Path) -> Result<LoadedPolicy, ConfigErrors> {
    let mend = "correct `policy` in the server's configuration, or write a policy with `sealgate init`";
    let bytes = file::read(file, limits::POLICY_FILE_BYTES)
        .map_err(|problem| ConfigErrors(vec![whole(file, format!("the file {problem}"), mend)]))?;
    let document = Document::parse(file, &bytes, &fields::POLICY, Secrecy::Public).map_err(|error| ConfigErrors(vec![error]))?;
    let mut problems = Problems::new(&document);
    let mut files = Files::new(file, &bytes);
    let mut origin = Origin::default();
    let parts = read(&document, &mut files, &mut origin, &mut problems);
    let (files, revision) = files.finish();
    let Parts { trust_roots, signers, baseline, rules, scan_policies, exceptions, platforms } = parts;
    let platforms = platforms.unwrap_or_else(PlatformName::defaults);
    let policy = Policy::new(PolicyParts { revision, trust_roots, signers, baseline, rules, scan_policies, exceptions, platforms });
    for error in policy.as_ref().err().into_iter().flatten() {
        origin.report(error, &mut problems);
    }
    match policy {
        Ok(policy) => {
            let warnings = warning::warnings(&policy);
            problems.finish(LoadedPolicy { policy, files, warnings })
        }
        Err(errors) => {
            if problems.is_empty() {
                // An error whose place is not known still must not be lost.
                for error in &errors {
                    problems.node(&document.root, error.to_string(), "correct the policy");
                }
            }
            problems.fail()
        }
    }
}

/// What was read.
#[derive(Default)]
struct Parts {
    trust_roots: BTreeMap<TrustRootName, TrustRootSource>,
    signers: BTreeMap<SignerName, Signer>,
    baseline: Vec<Requirement>,
    rules: Vec<Rule>,
    scan_policies: BTreeMap<String, Arc<ScanPolicy>>,
    exceptions: Vec<Exception>,
    platforms: Option<Vec<PlatformName>>,
}

fn read(document: &Document, files: &mut Files, origin: &mut Origin, problems: &mut Problems<'_>) -> Parts {
    let Some(members) = problems.members(&document.root, &fields::POLICY) else { return Parts::default() };
    if let Some(node) = members.get("version") {
        problems.parsed(node, "1, the only version that this release reads", |text| (text == "1").then_some(()));
    }
    let mode = members.get("mode").and_then(|node| rule::mode(node, problems)).unwrap_or(Mode::Enforce);
    let mut trust = Trust::default();
    if let Some(node) = members.get("trust-roots") {
        trust.read_roots(node, files, problems);
    }
    if let Some(node) = members.get("trust-stores") {
        trust.read_stores(node, files, problems);
    }
    let signers = members.get("signers").map(|node| signer::read(node, &trust, files, origin, problems)).unwrap_or_default();
    let scans = members.get("scan-policies").map(|node| scan::read(node, origin, problems)).unwrap_or_default();
    let baseline = members.get("baseline").map(|node| rule::baseline(node, &scans, origin, problems)).unwrap_or_default();
    let rules = members.get("rules").and_then(|node| problems.list(node)).unwrap_or_default();
    let rules = rules.iter().flat_map(|node| rule::read(node, (mode, &scans), origin, problems)).collect();
    let exceptions = members.get("exceptions").map(|node| exception::read(node, origin, problems)).unwrap_or_default();
    let platforms = members.get("platforms").map(|node| exception::platforms(node, problems));
    Parts { trust_roots: trust.roots, signers, baseline, rules, scan_policies: scans.known, exceptions, platforms }
}
