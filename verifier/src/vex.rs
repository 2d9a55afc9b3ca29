//! OpenVEX documents (openvex/spec, OPENVEX-SPEC.md 0.2.0 and ATTESTING.md) that somebody attested about the image.
//!
//! A statement clears a vulnerability when it is about this image or about the package in it, and says that it does no harm, and
//! why. Of the statements of one signer the newest counts; where several signers speak, all must agree.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::Object;
use crate::message::{problem, quote};
use crate::purl::Purl;
use crate::reference::Repository;
use crate::scan::Vulnerability;
use crate::search::LEEWAY;
use crate::time::Timestamp;
use crate::{Digest, limits};

/// One statement.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Every name of the vulnerability.
    ids: Vec<String>,
    /// What it is about; empty: the image that it is attested about.
    products: Vec<Product>,
    /// Parts of the products, for all of them.
    parts: Vec<Component>,
    /// Why it does no harm; `None` where it does, or may.
    harmless: Option<String>,
    time: Option<Timestamp>,
}

#[derive(Debug)]
struct Product {
    itself: Component,
    parts: Vec<Component>,
}

#[derive(Debug, Default)]
struct Component {
    purls: Vec<Purl>,
    /// SHA-256, lower-case hex.
    sha256: Option<String>,
}

/// What an attested document is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Image<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) digest: Digest,
}

#[derive(Deserialize)]
struct WireDocument {
    timestamp: Option<String>,
    last_updated: Option<String>,
    statements: Vec<Object<WireStatement>>,
}

#[derive(Deserialize)]
struct WireStatement {
    vulnerability: WireVulnerability,
    #[serde(default)]
    products: Vec<WireProduct>,
    #[serde(default)]
    subcomponents: Vec<WireProduct>,
    status: String,
    justification: Option<String>,
    impact_statement: Option<String>,
    timestamp: Option<String>,
    last_updated: Option<String>,
}

/// Version 0.0 had the bare name.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireVulnerability {
    Name(String),
    Named {
        name: String,
        #[serde(default)]
        aliases: Vec<String>,
    },
}

/// Version 0.0 had the bare package URL.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireProduct {
    Id(String),
    Described {
        #[serde(rename = "@id")]
        id: Option<String>,
        #[serde(default)]
        identifiers: BTreeMap<String, String>,
        #[serde(default)]
        hashes: BTreeMap<String, String>,
        #[serde(default)]
        subcomponents: Vec<WireProduct>,
    },
}

/// Whether it is the type of OpenVEX documents, of whatever version.
pub(crate) fn is_vex(predicate_type: &str) -> bool {
    let version = |rest: &str| rest.strip_prefix("/v").is_some_and(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    predicate_type.strip_prefix("https://openvex.dev/ns").is_some_and(|rest| rest.is_empty() || version(rest))
}

/// Reads a document.
///
/// # Errors
/// What is wrong, in one line. One that is wrong in a part counts in none.
pub(crate) fn parse(predicate: &RawValue) -> Result<Vec<Statement>, String> {
    let Object(document) = serde_json::from_str::<Object<WireDocument>>(predicate.get()).map_err(|error| problem(&error))?;
    if document.statements.len() > limits::VEX_STATEMENTS {
        return Err(format!("{} statements, over the limit of {}", document.statements.len(), limits::VEX_STATEMENTS));
    }
    let of_document = [time(document.last_updated.as_deref())?, time(document.timestamp.as_deref())?];
    document.statements.into_iter().map(|Object(wire)| statement(wire, of_document)).collect()
}

fn time(text: Option<&str>) -> Result<Option<Timestamp>, String> {
    let read = |text: &str| Timestamp::from_rfc_3339(text).ok_or_else(|| format!("{} is no time", quote(text)));
    text.map(read).transpose()
}

fn statement(wire: WireStatement, of_document: [Option<Timestamp>; 2]) -> Result<Statement, String> {
    let ids = match wire.vulnerability {
        WireVulnerability::Name(name) => vec![name],
        WireVulnerability::Named { name, aliases } => std::iter::once(name).chain(aliases).collect(),
    };
    // "a VEX statement MUST include either a status justification or an impact_statement".
    let why = [wire.justification, wire.impact_statement].into_iter().flatten().find(|why| !why.trim().is_empty());
    let harmless = match &*wire.status {
        "not_affected" => Some(why.ok_or("a statement not_affected without a justification")?),
        "fixed" => Some(why.unwrap_or_else(|| "fixed".to_owned())),
        "affected" | "under_investigation" => None,
        other => return Err(format!("a statement of the unknown status {}", quote(other))),
    };
    let own = [time(wire.last_updated.as_deref())?, time(wire.timestamp.as_deref())?];
    let time = own.into_iter().chain(of_document).flatten().next();
    let products = wire.products.into_iter().map(product).collect();
    let parts = wire.subcomponents.into_iter().map(|part| product(part).itself).collect();
    Ok(Statement { ids, products, parts, harmless, time })
}

fn product(wire: WireProduct) -> Product {
    match wire {
        WireProduct::Id(id) => {
            Product { itself: Component { purls: Purl::parse(&id).into_iter().collect(), sha256: None }, parts: Vec::new() }
        }
        WireProduct::Described { id, identifiers, hashes, subcomponents } => {
            let purls = id.iter().chain(identifiers.get("purl")).filter_map(|text| Purl::parse(text)).collect();
            let itself = Component { purls, sha256: hashes.get("sha-256").cloned() };
            Product { itself, parts: subcomponents.into_iter().map(|part| product(part).itself).collect() }
        }
    }
}

impl Component {
    /// ATTESTING.md: a product counts where it is the attestation's subject. purl-spec, type `oci`: the name is the last part of the
    /// repository's, the version the digest.
    fn is_image(&self, image: Image<'_>) -> bool {
        let digest = image.digest.to_string();
        let last = image.repository.as_str().rsplit('/').next();
        let by_purl = |purl: &Purl| {
            let names = purl.path.last().map(String::as_str) == last;
            matches!(&*purl.kind, "oci" | "docker") && purl.version.as_ref().map_or(names, |version| *version == digest)
        };
        self.purls.iter().any(by_purl) || self.sha256.as_ref().is_some_and(|hex| digest.strip_prefix("sha256:") == Some(hex))
    }
}

/// Whether `parts` cover the package of a vulnerability: all that is installed of it, or anything.
fn cover<'c>(parts: impl Iterator<Item = &'c Component> + Clone, installed: &[Purl], all: bool) -> bool {
    let covered = |found: &Purl| parts.clone().flat_map(|part| &part.purls).any(|purl| purl.covers(found));
    if all { !installed.is_empty() && installed.iter().all(covered) } else { installed.iter().any(covered) }
}

impl Statement {
    /// Whether it is about the package in the image. One that clears must be about all that is installed of the package; one that warns
    /// need not.
    fn is_about(&self, image: Image<'_>, installed: &[Purl]) -> bool {
        let all = self.harmless.is_some();
        let whole = |parts: &[Component]| parts.is_empty() || cover(parts.iter(), installed, all);
        let parts = |product: &Product| product.itself.is_image(image) && whole(&product.parts) && whole(&self.parts);
        let as_package = self.products.iter().map(|product| &product.itself);
        (self.products.is_empty() && whole(&self.parts)) || self.products.iter().any(parts) || cover(as_package, installed, all)
    }

    /// One whose time is not known, or in the future, warns as the newest and clears as the oldest.
    fn rank(&self, now: Timestamp) -> (Timestamp, Option<&str>) {
        let known = self.time.filter(|time| *time <= now.plus(LEEWAY));
        match (&self.harmless, self.time, known) {
            (Some(why), _, Some(time)) => (time, Some(why)),
            (Some(why), None, None) => (Timestamp(i64::MIN), Some(why)),
            (Some(_), Some(_), None) => (Timestamp(i64::MIN), None),
            (None, _, known) => (known.unwrap_or(Timestamp(i64::MAX)), None),
        }
    }
}

/// Every statement of the signers that may clear, by the vulnerability's names.
#[derive(Debug, Default)]
pub(crate) struct Statements<'s> {
    by_id: BTreeMap<&'s str, Vec<(&'s str, &'s Statement)>>,
}

impl<'s> Statements<'s> {
    /// Sorts them.
    pub(crate) fn of(all: impl Iterator<Item = (&'s str, &'s Statement)>) -> Self {
        let mut by_id: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (signer, statement) in all {
            for id in &statement.ids {
                by_id.entry(id).or_default().push((signer, statement));
            }
        }
        Self { by_id }
    }

    /// By whose word, and why, the vulnerability does no harm in the image: each of its CVEs must be cleared.
    pub(crate) fn clear(&self, vulnerability: &Vulnerability, image: Image<'_>, now: Timestamp) -> Option<(&'s str, String)> {
        if self.by_id.is_empty() {
            return None;
        }
        let installed: Option<Vec<Purl>> = vulnerability.purls.iter().map(|purl| Purl::parse(purl)).collect();
        let installed = installed.unwrap_or_default();
        let of =
            |id: &str| self.by_id.get(id).into_iter().flatten().copied().filter(|(_, statement)| statement.is_about(image, &installed));
        let names = std::iter::once(&vulnerability.id).chain(&vulnerability.aliases);
        // A warning under any name of it counts.
        let warnings: Vec<_> = names.flat_map(|id| of(id)).filter(|(_, statement)| statement.harmless.is_none()).collect();
        let mut cleared = None;
        for cve in vulnerability.cves() {
            cleared = Some(agreed(of(cve).chain(warnings.iter().copied()), now)?);
        }
        cleared
    }
}

/// The newest statements of each signer, all of which must clear.
fn agreed<'s>(statements: impl Iterator<Item = (&'s str, &'s Statement)>, now: Timestamp) -> Option<(&'s str, String)> {
    let mut newest: BTreeMap<&str, (Timestamp, Option<&str>)> = BTreeMap::new();
    for (signer, statement) in statements {
        let (time, why) = statement.rank(now);
        let held = newest.entry(signer).or_insert((time, why));
        if time > held.0 {
            *held = (time, why);
        } else if time == held.0 {
            // Of several with one time nobody can say which supersedes which.
            held.1 = held.1.and(why);
        }
    }
    let all: Option<Vec<(&str, &str)>> = newest.into_iter().map(|(signer, (_, why))| Some((signer, why?))).collect();
    all?.into_iter().next().map(|(signer, why)| (signer, why.to_owned()))
}
