//! Reads one OSV record (schema 1.6, ossf.github.io/osv-schema). Fields that it does not know are left alone; those that it needs have
//! their type and meaning, or the record is malformed.

use sealgate_verifier::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::range::Bounds;
use super::{Advisory, Affected, Ecosystem, Entry, Event, Range, RangeKind, Rating, RatingSource, support};

/// Bytes of one record. Origin: the largest of OSV's exports (kernel advisories of distributions) have 6 to 8 MB.
pub const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;
/// Characters of an identifier. Origin: the longest known are below 40.
const MAX_ID: usize = 128;
/// Characters of a summary that are kept.
const MAX_SUMMARY: usize = 160;
/// Dates before this are placeholders (`0001-01-01`): 1990.
const FIRST_DATE: Timestamp = Timestamp(631_152_000);

/// Why a record is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OsvError {
    /// Over [`MAX_RECORD_BYTES`].
    #[error("{found} bytes: expected at most {MAX_RECORD_BYTES}")]
    TooLarge {
        /// Bytes.
        found: usize,
    },
    /// No JSON, or a field of another type.
    #[error("no OSV record: {0}")]
    Json(String),
    /// A field without its meaning.
    #[error("{field} is {found:?}: expected {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value, cut.
        found: String,
        /// What the schema wants.
        expected: &'static str,
    },
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Identifier.
    pub id: String,
    /// When it last changed.
    pub modified: Option<Timestamp>,
    /// Whether it was withdrawn: it speaks of nothing any more.
    pub withdrawn: bool,
    /// What it says of packages of known ecosystems; empty when withdrawn.
    pub entries: Vec<Entry>,
    /// How many packages of other ecosystems and products it speaks of.
    pub elsewhere: usize,
}

#[derive(Deserialize)]
struct RawRecord {
    id: String,
    modified: String,
    published: Option<String>,
    withdrawn: Option<String>,
    aliases: Option<Vec<String>>,
    upstream: Option<Vec<String>>,
    summary: Option<String>,
    severity: Option<Vec<RawSeverity>>,
    affected: Option<Vec<RawAffected>>,
    database_specific: Option<Value>,
}

#[derive(Deserialize)]
struct RawSeverity {
    #[serde(rename = "type")]
    kind: String,
    score: String,
}

#[derive(Deserialize)]
struct RawAffected {
    package: Option<RawPackage>,
    severity: Option<Vec<RawSeverity>>,
    ranges: Option<Vec<RawRange>>,
    versions: Option<Vec<String>>,
    ecosystem_specific: Option<Value>,
    database_specific: Option<Value>,
}

#[derive(Deserialize)]
struct RawPackage {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct RawRange {
    #[serde(rename = "type")]
    kind: String,
    events: Vec<RawEvent>,
}

#[derive(Deserialize)]
struct RawEvent {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

/// Reads a record.
///
/// # Errors
/// The bytes are none. What only concerns one package is that entry's `problem` instead.
pub fn read(bytes: &[u8]) -> Result<Record, OsvError> {
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(OsvError::TooLarge { found: bytes.len() });
    }
    let raw: RawRecord = serde_json::from_slice(bytes).map_err(|error| OsvError::Json(error.to_string()))?;
    let identifier = |id: &String| !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(|byte| byte.is_ascii_graphic());
    if !identifier(&raw.id) {
        return Err(field("id", &raw.id, "an identifier of printable ASCII"));
    }
    let modified = date("modified", &raw.modified)?;
    let published = raw.published.as_deref().map(|text| date("published", text)).transpose()?.flatten();
    // A withdrawal in the future has not happened; without a clock here, a date is enough, as OSV's own matching has it.
    let withdrawn = raw.withdrawn.as_deref().map(|text| date("withdrawn", text)).transpose()?.is_some();
    let identifiers = |list: Option<Vec<String>>| list.unwrap_or_default().into_iter().filter(identifier).collect::<Vec<_>>();
    let advisory = Advisory {
        id: raw.id,
        aliases: identifiers(raw.aliases),
        upstream: identifiers(raw.upstream),
        summary: line(raw.summary.as_deref().unwrap_or_default()),
        published,
        modified,
    };
    let general =
        Ratings { vectors: raw.severity.as_deref().unwrap_or_default(), database: raw.database_specific.as_ref(), distribution: None };
    let mut record = Record { id: advisory.id.clone(), modified, withdrawn, entries: Vec::new(), elsewhere: 0 };
    for affected in raw.affected.iter().flatten().filter(|_| !withdrawn) {
        match entry(&advisory, affected, &general) {
            Some(entry) => record.entries.push(entry),
            None => record.elsewhere += 1,
        }
    }
    Ok(record)
}

fn field(field: &'static str, found: &str, expected: &'static str) -> OsvError {
    OsvError::Field { field, found: found.chars().take(80).collect(), expected }
}

/// A date, none for a placeholder.
fn date(name: &'static str, text: &str) -> Result<Option<Timestamp>, OsvError> {
    let time = Timestamp::from_rfc_3339(text).ok_or_else(|| field(name, text, "an RFC 3339 time"))?;
    Ok(Some(time).filter(|time| *time >= FIRST_DATE))
}

/// One line without control characters.
fn line(text: &str) -> String {
    let plain = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    plain.take(MAX_SUMMARY).collect::<String>().trim().to_owned()
}

/// None for what is of no known ecosystem, or another product of a vendor.
fn entry(advisory: &Advisory, raw: &RawAffected, general: &Ratings<'_>) -> Option<Entry> {
    let package = raw.package.as_ref()?;
    let (name, suffix) =
        package.ecosystem.split_once(':').map_or((package.ecosystem.as_str(), None), |(name, suffix)| (name, Some(suffix)));
    let ecosystem = Ecosystem::named(name)?;
    let release = support::release_of_suffix(ecosystem, suffix).ok()?;
    let read = ranges(raw.ranges.as_deref().unwrap_or_default());
    let versions = raw.versions.clone().unwrap_or_default();
    let checked = read.and_then(|ranges| {
        if ranges.is_empty() && versions.is_empty() {
            return Err("it names no versions that can be compared".to_owned());
        }
        ranges.iter().try_for_each(|range| Bounds::of(range, ecosystem.scheme()).map(drop)).map_err(|error| error.to_string())?;
        Ok(ranges)
    });
    let (ranges, problem) = match checked {
        Ok(ranges) => (ranges, None),
        Err(problem) => (Vec::new(), Some(problem)),
    };
    let own = Ratings {
        vectors: raw.severity.as_deref().unwrap_or_default(),
        database: raw.database_specific.as_ref(),
        distribution: raw.ecosystem_specific.as_ref(),
    };
    let rating = own.rate().or_else(|| general.rate()).unwrap_or_default();
    let name = ecosystem.key(&package.name);
    let mut affected = Affected { ecosystem, release, name, ranges, versions, rating, fix_available: None, problem };
    affected.fix_available = advisory.modified.filter(|_| affected.has_fix());
    Some(Entry { advisory: advisory.clone(), affected })
}

fn ranges(raw: &[RawRange]) -> Result<Vec<Range>, String> {
    let mut ranges = Vec::new();
    for range in raw {
        let kind = match range.kind.as_str() {
            "SEMVER" => RangeKind::Semver,
            "ECOSYSTEM" => RangeKind::Ecosystem,
            "GIT" => continue,
            other => return Err(format!("range type {other:?}: expected SEMVER, ECOSYSTEM or GIT")),
        };
        let events: Result<Vec<Event>, String> = range.events.iter().map(event).collect();
        let events = events?;
        if !events.iter().any(|event| matches!(event, Event::Introduced(_))) {
            return Err("a range without an introduced event".to_owned());
        }
        ranges.push(Range { kind, events });
    }
    Ok(ranges)
}

/// "Only a single type (either introduced, fixed, last_affected, limit) is allowed in each event object."
fn event(raw: &RawEvent) -> Result<Event, String> {
    let RawEvent { introduced, fixed, last_affected, limit } = raw;
    match (introduced, fixed, last_affected, limit) {
        (Some(version), None, None, None) => Ok(Event::Introduced(version.clone())),
        (None, Some(version), None, None) => Ok(Event::Fixed(version.clone())),
        (None, None, Some(version), None) => Ok(Event::LastAffected(version.clone())),
        (None, None, None, Some(version)) => Ok(Event::Limit(version.clone())),
        (None, None, None, None) => Err("an event that is none of introduced, fixed, last_affected, limit".to_owned()),
        _ => Err("an event that is several of introduced, fixed, last_affected, limit".to_owned()),
    }
}

/// Where a severity may stand, on a record or on one of its packages.
struct Ratings<'a> {
    vectors: &'a [RawSeverity],
    database: Option<&'a Value>,
    distribution: Option<&'a Value>,
}

impl Ratings<'_> {
    /// CVSS vectors first, then the database's word, then the distribution's.
    fn rate(&self) -> Option<Rating> {
        let vectors = self.vectors.iter().filter(|severity| severity.kind.starts_with("CVSS_"));
        let word = |value: Option<&Value>, name: &str| value?.get(name)?.as_str().map(str::to_owned);
        let by_word = |word: Option<String>, source| Rating::of_word(&word?, source);
        // Ubuntu's own type carries its priority as the score.
        let ubuntu = || self.vectors.iter().find(|severity| severity.kind == "Ubuntu").map(|severity| severity.score.clone());
        Rating::of_vectors(vectors.map(|severity| severity.score.as_str()))
            .or_else(|| by_word(word(self.database, "severity"), RatingSource::Database))
            .or_else(|| by_word(ubuntu(), RatingSource::Distribution))
            .or_else(|| {
                ["urgency", "severity", "ubuntu_priority"]
                    .iter()
                    .find_map(|name| by_word(word(self.distribution, name), RatingSource::Distribution))
            })
    }
}
