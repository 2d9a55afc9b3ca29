//! The matcher's report in the form in which the decision reads it.

use sealgate_verifier::scan::{Packages, ScanReport, ScanSource, Vulnerability};
use sealgate_verifier::{Gap, Timestamp};

use super::{Finding, MatchReport, Rating, RatingSource};

impl MatchReport {
    /// The report as evidence, made at `now`. `packages` and `gaps` are the walk's.
    #[must_use]
    pub fn to_scan_report(&self, packages: Packages, gaps: Vec<Gap>, now: Timestamp) -> ScanReport {
        ScanReport {
            source: ScanSource::BuiltIn,
            scanned_at: now,
            // Packages that need no advisories have fresh ones.
            advisories_at: Some(self.feeds.iter().map(|feed| feed.imported).min().unwrap_or(now)),
            packages,
            uncovered: self.uncovered.iter().map(ToString::to_string).collect(),
            gaps,
            vulnerabilities: self.findings.iter().map(vulnerability).collect(),
        }
    }
}

fn vulnerability(finding: &Finding) -> Vulnerability {
    Vulnerability {
        id: finding.id.clone(),
        aliases: finding.advisories.iter().chain(&finding.aliases).cloned().collect(),
        package: finding.package.clone(),
        purls: finding.purls.clone(),
        installed: finding.installed.clone(),
        fixed: finding.fixed.first().cloned(),
        severity: finding.rating.severity,
        severity_source: finding.rating.to_string(),
        published: finding.published,
        fix_available: finding.fix_available,
        first_seen: None,
    }
}

impl std::fmt::Display for Rating {
    /// Whose word it is, with the score of a vector: `CVSS:3.1 9.8`, `distribution`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.source {
            RatingSource::Nobody => f.write_str("nobody"),
            RatingSource::Database => f.write_str("advisory database"),
            RatingSource::Distribution => f.write_str("distribution"),
            RatingSource::Scanner(name) => f.write_str(name),
            RatingSource::CvssV2 | RatingSource::CvssV3 | RatingSource::CvssV4 => {
                let prefix =
                    self.vector.as_deref().and_then(|vector| vector.split('/').next()).filter(|prefix| prefix.starts_with("CVSS:"));
                let score = self.score.unwrap_or(0);
                write!(f, "{} {}.{}", prefix.unwrap_or("CVSS:2.0"), score / 10, score % 10)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Uncovered;
    use super::*;

    #[test]
    fn a_rating_says_whose_word_it_is() {
        for (vector, expected) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1 9.8"),
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "CVSS:3.0 6.1"),
            ("AV:N/AC:L/Au:N/C:C/I:C/A:C", "CVSS:2.0 10.0"),
        ] {
            assert_eq!(Rating::of_vector(vector).map(|rating| rating.to_string()).as_deref(), Some(expected));
        }
        assert_eq!(Rating::default().to_string(), "nobody");
    }

    #[test]
    fn every_gap_reaches_the_decision() {
        let gap =
            Uncovered::EndOfLife { ecosystem: super::super::Ecosystem::Debian, release: "8".into(), since: "2020-06-30T23:59:59Z".into() };
        let report = MatchReport { uncovered: vec![gap], ..MatchReport::default() };
        let report = report.to_scan_report(Packages::NoneRecognised, vec![], Timestamp(7));
        assert_eq!(report.uncovered, ["Debian 8 has had no support since 2020-06-30T23:59:59Z"]);
        assert_eq!((report.advisories_at, report.scanned_at), (Some(Timestamp(7)), Timestamp(7)));
    }
}
