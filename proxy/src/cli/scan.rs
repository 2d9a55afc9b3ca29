//! `sealgate scan`: known vulnerabilities of what is inside an image, by the advisories that are imported here.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use sealgate_scanner::advisories::{Finding, MatchReport, match_packages};
use sealgate_scanner::{sarif, sbom};
use sealgate_verifier::Severity;
use serde::Serialize;

use super::config_file::ConfigArgs;
use super::exit::{Exit, Failure};
use super::walked::{WalkArgs, Walked};
use super::{now, output};
use crate::advisories::Library;

/// Characters of a title in the table.
const TITLE: usize = 60;
/// Versions that fix something, in the table.
const FIXES: usize = 2;

/// The form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ScanFormat {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// The packages, as a CycloneDX 1.6 document.
    Cyclonedx,
    /// The packages, as an SPDX 2.3 document.
    Spdx,
}

/// Arguments of `sealgate scan`.
#[derive(Debug, Args)]
pub struct ScanArgs {
    /// The configuration file, for the data folder that holds the advisories.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Which image.
    #[command(flatten)]
    pub walk: WalkArgs,
    /// The form of the result
    #[arg(long, value_enum, default_value_t)]
    pub format: ScanFormat,
    /// Severities that are shown and count: critical, high, unknown, medium, low, negligible [default: all]
    #[arg(long, value_name = "SEVERITY", value_delimiter = ',', value_parser = severity)]
    pub severity: Vec<Severity>,
    /// Leave out what no version fixes
    #[arg(long)]
    pub ignore_unfixed: bool,
    /// End with exit code 20 where something is found
    #[arg(long)]
    pub exit_code: bool,
}

fn severity(text: &str) -> Result<Severity, String> {
    let found = Severity::ALL.into_iter().find(|severity| severity.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| "expected critical, high, unknown, medium, low or negligible".to_owned())
}

/// The result for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Scanned<'a> {
    image: &'a str,
    digest: String,
    packages: usize,
    advisories: String,
    #[serde(flatten)]
    report: &'a MatchReport,
    /// What the walk could not read.
    gaps: Vec<String>,
}

/// Scans an image.
///
/// # Errors
/// [`Exit::VulnerabilityPolicy`] where something was found and `--exit-code` is given; 1 where something could not be judged, so that
/// nothing was found only so far.
pub fn run(args: ScanArgs) -> Result<(), Failure> {
    let snapshot = Library::of_data(&args.config.load()?.data).snapshot();
    let walked = args.walk.walk()?;
    let mut report = match_packages(&walked.report.packages, walked.report.release.as_ref(), &snapshot, now());
    report.findings.retain(|finding| args.severity.is_empty() || args.severity.contains(&finding.rating.severity));
    report.findings.retain(|finding| !args.ignore_unfixed || !finding.fixed.is_empty());
    let scanned = Scanned {
        image: &walked.subject.name,
        digest: walked.subject.digest.to_string(),
        packages: walked.report.packages.len(),
        advisories: snapshot.version(),
        report: &report,
        gaps: walked.report.gaps.iter().map(ToString::to_string).collect(),
    };
    match args.format {
        ScanFormat::Table => output::result(&table(&scanned))?,
        ScanFormat::Json => output::json(&scanned)?,
        ScanFormat::Sarif => output::json(&sarif::log(&report, env!("CARGO_PKG_VERSION"), scanned.image))?,
        ScanFormat::Cyclonedx => output::json(&sbom::cyclonedx(&walked.report, &walked.subject))?,
        ScanFormat::Spdx => output::json(&sbom::spdx(&walked.report, &walked.subject))?,
    }
    conclude(&walked, &report, args.exit_code)
}

/// Says what was not judged. What was found goes before what was not.
fn conclude(walked: &Walked, report: &MatchReport, exit_code: bool) -> Result<(), Failure> {
    walked.note_gaps();
    let unknown = walked.report.sources.is_empty();
    if unknown {
        output::note("not judged: no package source was recognised, so what the image holds is not known");
    }
    report.uncovered.iter().for_each(|gap| output::note(&format!("not judged: {gap}")));
    walked.report.unsupported.iter().for_each(|file| output::note(&format!("not judged: {} at {} is not supported", file.kind, file.path)));
    if exit_code && !report.findings.is_empty() {
        return Err(Failure::silent(Exit::VulnerabilityPolicy));
    }
    if !walked.report.is_complete() {
        return Err(walked.incomplete());
    }
    if unknown || !report.uncovered.is_empty() || !walked.report.unsupported.is_empty() {
        return Err(Failure::error(format!(
            "part of {} could not be judged: that nothing more was found does not say that it is clean",
            walked.subject.name
        )));
    }
    Ok(())
}

fn table(scanned: &Scanned<'_>) -> String {
    let findings = &scanned.report.findings;
    let mut text = String::new();
    if !findings.is_empty() {
        let mut rows = vec![["SEVERITY", "ID", "PACKAGE", "INSTALLED", "FIXED", "TITLE"].map(str::to_owned)];
        rows.extend(findings.iter().map(row));
        let widths: [usize; 5] =
            std::array::from_fn(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0));
        for row in &rows {
            let line: String = row.iter().zip(widths.iter().chain([&0])).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push('\n');
    }
    let mut counts: BTreeMap<Severity, usize> = BTreeMap::new();
    findings.iter().for_each(|finding| *counts.entry(finding.rating.severity).or_default() += 1);
    let counts = counts.iter().map(|(severity, count)| format!("{count} {severity}")).collect::<Vec<_>>().join(", ");
    let found = if findings.is_empty() { "no known vulnerabilities".to_owned() } else { counts };
    let ages = scanned.report.feeds.iter().map(|feed| format!("{} of {}", feed.ecosystem, feed.imported)).collect::<Vec<_>>().join(", ");
    let ages = if ages.is_empty() { "no advisories".to_owned() } else { format!("advisories: {ages}") };
    text.push_str(&format!("{}: {} packages, {found} ({ages})\n", scanned.image, scanned.packages));
    text
}

fn row(finding: &Finding) -> [String; 6] {
    let more = if finding.fixed.len() > FIXES { ", …" } else { "" };
    let fixed = finding.fixed.iter().take(FIXES).map(String::as_str).collect::<Vec<_>>().join(", ");
    [
        finding.rating.severity.name().to_owned(),
        printable(&finding.id),
        printable(&finding.package),
        printable(&finding.installed),
        printable(&(fixed + more)),
        printable(&finding.summary).chars().take(TITLE).collect(),
    ]
}

/// What comes from an image or a feed must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_named_as_policies_name_them() {
        assert_eq!(severity("HIGH"), Ok(Severity::High));
        assert!(severity("severe").is_err());
    }

    #[test]
    fn what_an_image_calls_its_packages_does_not_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
