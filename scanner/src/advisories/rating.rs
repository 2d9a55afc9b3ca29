//! How severe a vulnerability is, and who says so.

use std::cmp::Reverse;

use sealgate_verifier::scan::Severity;
use serde::{Deserialize, Serialize};

/// Who rates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RatingSource {
    /// Nobody.
    #[default]
    Nobody,
    /// A CVSS 2.0 vector, rated as NVD did: there was no critical.
    CvssV2,
    /// A CVSS 3.0 or 3.1 vector.
    CvssV3,
    /// A CVSS 4.0 vector.
    CvssV4,
    /// The advisory database's own word (`database_specific.severity`).
    Database,
    /// The distribution's own word (`ecosystem_specific`: Debian's urgency, Red Hat's severity, Ubuntu's priority).
    Distribution,
    /// An outside scanner's word, and whose it says it is.
    Scanner(String),
}

/// A severity with its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rating {
    /// How severe.
    pub severity: Severity,
    /// Who says so.
    pub source: RatingSource,
    /// CVSS score in tenths, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u8>,
    /// The CVSS vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<String>,
}

impl Default for Rating {
    fn default() -> Self {
        Self { severity: Severity::Unknown, source: RatingSource::Nobody, score: None, vector: None }
    }
}

impl Rating {
    /// The rating of a CVSS vector of any version; none for a text that is no vector.
    #[must_use]
    pub fn of_vector(text: &str) -> Option<Self> {
        let text = text.trim();
        // The crate takes a missing metric for the mildest: a cut vector would be a low severity.
        let vector: cvss::Cvss = text.parse().ok().filter(|_| is_complete(text))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let tenths = (vector.score() * 10.0).round().clamp(0.0, 100.0) as u8;
        let severity = Severity::from_tenths(u32::from(tenths));
        let (severity, source) = match vector {
            // Best last: CVSS 2 had no critical, and its high begins at the same score.
            cvss::Cvss::CvssV20(_) => (severity.max(Severity::High), RatingSource::CvssV2),
            cvss::Cvss::CvssV30(_) | cvss::Cvss::CvssV31(_) => (severity, RatingSource::CvssV3),
            cvss::Cvss::CvssV40(_) => (severity, RatingSource::CvssV4),
            // The crate's enum may grow: an unknown version is no rating.
            _ => return None,
        };
        Some(Self { severity, source, score: Some(tenths), vector: Some(text.to_owned()) })
    }

    /// A rating by word.
    #[must_use]
    pub fn of_word(word: &str, source: RatingSource) -> Option<Self> {
        // Debian's tracker marks severities that it derived from NVD's with stars.
        let severity = Severity::from_word(word.trim().trim_end_matches('*'));
        (severity != Severity::Unknown).then_some(Self { severity, source, score: None, vector: None })
    }

    /// The worst of several vectors of CVSS 3 and 4; one of CVSS 2 only where there is no other.
    #[must_use]
    pub fn of_vectors<'a>(vectors: impl Iterator<Item = &'a str>) -> Option<Self> {
        let ratings: Vec<Self> = vectors.filter_map(Self::of_vector).collect();
        let old = |rating: &&Self| rating.source == RatingSource::CvssV2;
        let newest = ratings.iter().filter(|rating| !old(rating)).max_by_key(|rating| rating.rank());
        newest.or_else(|| ratings.iter().filter(old).max_by_key(|rating| rating.rank())).cloned()
    }

    /// Worse ratings rank higher, and any known one above an unknown one.
    pub(super) fn rank(&self) -> (bool, Reverse<Severity>, u8) {
        (self.severity != Severity::Unknown, Reverse(self.severity), self.score.unwrap_or(0))
    }
}

/// Whether a vector has every mandatory metric, and each metric once (CVSS v2 §2.4, v3.1 §6, v4.0 §7).
fn is_complete(text: &str) -> bool {
    let mandatory: &[&str] = match text.get(..7) {
        Some("CVSS:4.") => &["AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"],
        Some("CVSS:3.") => &["AV", "AC", "PR", "UI", "S", "C", "I", "A"],
        Some(_) | None => &["AV", "AC", "Au", "C", "I", "A"],
    };
    let mut names: Vec<&str> = text.split('/').filter_map(|metric| Some(metric.split_once(':')?.0)).collect();
    names.sort_unstable();
    let once = names.windows(2).all(|pair| pair.first() != pair.last());
    once && mandatory.iter().all(|name| names.binary_search(name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors with the scores that NVD and FIRST's examples publish.
    #[test]
    fn published_vectors_have_their_published_scores() {
        for (vector, score, severity) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 100, Severity::Critical), // CVE-2021-44228
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 75, Severity::High),      // CVE-2014-0160
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61, Severity::Medium),    // CVE-2013-1937
            ("CVSS:3.1/AV:P/AC:H/PR:N/UI:N/S:U/C:N/I:L/A:N", 20, Severity::Low),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0, Severity::Negligible),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 100, Severity::Critical),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 93, Severity::Critical),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", 0, Severity::Negligible),
            ("AV:N/AC:L/Au:N/C:C/I:C/A:C", 100, Severity::High), // CVE-2014-6271: critical did not exist
            ("AV:N/AC:L/Au:N/C:P/I:N/A:N", 50, Severity::Medium), // CVE-2014-0160
        ] {
            let rating = Rating::of_vector(vector).expect(vector);
            assert_eq!((rating.score, rating.severity), (Some(score), severity), "{vector}");
        }
        for bad in ["", "CVSS:3.1", "CVSS:3.1/AV:N", "CVSS:9.9/AV:N/AC:L", "9.8", "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"] {
            assert_eq!(Rating::of_vector(bad), None, "{bad}");
        }
    }

    /// Generated vectors, scored by PyPI's `cvss` (see `vectors/generate`).
    #[test]
    fn an_independent_implementation_gives_the_same_scores() {
        let mut compared = 0;
        for line in include_str!("vectors/cvss.tsv").lines().filter(|line| !line.starts_with('#')) {
            let (vector, score) = line.split_once('\t').expect("two fields");
            let found = Rating::of_vector(vector).and_then(|rating| rating.score);
            assert_eq!(found, Some(score.parse().expect("tenths")), "{vector}");
            compared += 1;
        }
        assert!(compared >= 1_000, "{compared}");
    }

    #[test]
    fn a_vector_that_lacks_a_metric_or_repeats_one_is_no_rating() {
        for complete in [
            "AV:N/AC:L/Au:N/C:P/I:N/A:N",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H",
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
        ] {
            let metrics: Vec<&str> = complete.split('/').collect();
            for (at, metric) in metrics.iter().enumerate().filter(|(_, metric)| !metric.starts_with("CVSS")) {
                let without: Vec<&str> = metrics.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, metric)| *metric).collect();
                assert_eq!(Rating::of_vector(&without.join("/")), None, "{complete} without {metric}");
                assert_eq!(Rating::of_vector(&format!("{complete}/{metric}")), None, "{complete} with {metric} twice");
            }
        }
    }

    #[test]
    fn the_worst_vector_counts_and_an_old_one_only_alone() {
        let old = "AV:N/AC:L/Au:N/C:C/I:C/A:C";
        let (low, critical) =
            ("CVSS:3.1/AV:P/AC:H/PR:N/UI:N/S:U/C:N/I:L/A:N", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H");
        let severity = |vectors: &[&str]| Rating::of_vectors(vectors.iter().copied()).map(|rating| rating.severity);
        assert_eq!(severity(&[low, critical]), Some(Severity::Critical));
        assert_eq!(severity(&[old, low]), Some(Severity::Low));
        assert_eq!(severity(&[old, "nonsense"]), Some(Severity::High));
        assert_eq!(severity(&["nonsense"]), None);
    }

    #[test]
    fn words_of_databases_are_severities() {
        for (word, expected) in [
            ("MODERATE", Some(Severity::Medium)),
            ("Important", Some(Severity::High)),
            ("unimportant", Some(Severity::Negligible)),
            ("medium**", Some(Severity::Medium)),
            ("not yet assigned", None),
            ("untriaged", None),
            ("", None),
        ] {
            assert_eq!(Rating::of_word(word, RatingSource::Database).map(|rating| rating.severity), expected, "{word}");
        }
    }
}
