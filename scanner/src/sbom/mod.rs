//! The package list as a software bill of materials: CycloneDX 1.6 and SPDX 2.3, both in JSON.
//!
//! The same image gives the same bytes: no clock and no random number goes into a document.

use std::collections::{BTreeMap, BTreeSet};

use sealgate_verifier::{Digest, Timestamp};

use crate::package::{Location, Package, SourcePackage};
use crate::report::Report;

mod cyclonedx;
mod spdx;

/// What the document is about, and who writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The image's name, as it was asked for.
    pub name: String,
    /// Digest of its manifest; of its configuration, where it has no manifest.
    pub digest: Digest,
    /// Version of the program.
    pub version: String,
}

/// A CycloneDX 1.6 document.
#[must_use]
pub fn cyclonedx(report: &Report, subject: &Subject) -> serde_json::Value {
    cyclonedx::document(report, subject)
}

/// An SPDX 2.3 document.
#[must_use]
pub fn spdx(report: &Report, subject: &Subject) -> serde_json::Value {
    spdx::document(report, subject)
}

/// One package with every place where it was found.
struct Component<'a> {
    package: &'a Package,
    sources: BTreeSet<&'a SourcePackage>,
    locations: BTreeSet<&'a Location>,
}

/// By package URL, in order.
fn components(report: &Report) -> BTreeMap<String, Component<'_>> {
    let mut components = BTreeMap::new();
    for package in &report.packages {
        let new = || Component { package, sources: BTreeSet::new(), locations: BTreeSet::new() };
        let component = components.entry(package.purl()).or_insert_with(new);
        component.locations.insert(&package.location);
        component.sources.extend(&package.source);
    }
    components
}

/// A UUID that an image and a form of document have for good (RFC 9562, section 5.8: version 8).
fn uuid(subject: &Subject, form: &str) -> String {
    let digest = Digest::sha256(format!("{form}\n{}\n{}", subject.name, subject.digest).as_bytes());
    let mut hex: Vec<char> = digest.hex().chars().take(32).collect();
    hex[12] = '8';
    hex[16] = 'a';
    let text: String = hex.into_iter().collect();
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// When the image says that it was made, in whole seconds; the epoch where it does not say.
fn created(report: &Report) -> String {
    report.configuration.created.as_deref().and_then(Timestamp::from_rfc_3339).unwrap_or(Timestamp(0)).to_string()
}

/// What a reader must know of how much the list says.
fn reservations(report: &Report) -> Vec<String> {
    let mut texts = vec![];
    if report.sources.is_empty() {
        texts.push("no package source was recognised: that nothing is listed does not mean that nothing is there".to_owned());
    }
    texts.extend(report.gaps.iter().map(|gap| format!("not read: {gap}")));
    if report.gaps_omitted > 0 {
        texts.push(format!("not read: {} more", report.gaps_omitted));
    }
    texts.extend(report.unsupported.iter().map(|file| format!("not supported: {} at {}", file.kind, file.path)));
    texts
}

#[cfg(test)]
mod tests;
