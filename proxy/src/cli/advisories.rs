//! `sealgate advisories …`: the vulnerability advisories that images are compared with. Works with and without a running gate, which sees
//! an import at its next look.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sealgate_scanner::advisories::{Ecosystem, Feed};
use sealgate_verifier::Timestamp;
use serde::Serialize;

use super::config_file::ConfigArgs;
use super::exit::{Exit, Failure};
use super::output::{self, Format};
use super::{block_on, now};
use crate::advisories::{self, AdvisoryError, DEFAULT_URL, ImportOptions, ImportReport, Library, Updated};

/// `sealgate advisories …`
#[derive(Debug, Subcommand)]
pub enum AdvisoriesCommand {
    /// Fetch the advisories of ecosystems from OSV's bucket, or from a mirror of it, if they changed.
    Update(UpdateArgs),
    /// Import OSV records: .json files, .zip exports, or folders of both. What was imported of an ecosystem before is replaced.
    Import(ImportArgs),
    /// List what is imported, and how old it is.
    Status(StatusArgs),
}

/// Arguments of `sealgate advisories update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Ecosystems as OSV names them, such as Debian or npm [default: those that are imported]
    #[arg(value_name = "ECOSYSTEM", value_parser = ecosystem)]
    pub ecosystems: Vec<Ecosystem>,
    /// Where the exports are: URL/ECOSYSTEM/all.zip
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    pub url: String,
    /// Take exports that are older or much smaller than what is here
    #[arg(long)]
    pub replace: bool,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

/// Arguments of `sealgate advisories import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Files and folders
    #[arg(value_name = "FILE|FOLDER", required = true)]
    pub sources: Vec<PathBuf>,
    /// Ecosystems that these hold completely [default: those that every record of a source speaks of]
    #[arg(long, value_name = "ECOSYSTEM", value_delimiter = ',', value_parser = ecosystem)]
    pub ecosystem: Vec<Ecosystem>,
    /// Take advisories that are older or much fewer than what is here
    #[arg(long)]
    pub replace: bool,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

/// Arguments of `sealgate advisories status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

fn ecosystem(text: &str) -> Result<Ecosystem, String> {
    let known = || Ecosystem::ALL.map(Ecosystem::name).join(", ");
    let found = Ecosystem::ALL.into_iter().find(|ecosystem| ecosystem.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| format!("expected one of {}", known()))
}

impl From<AdvisoryError> for Failure {
    fn from(error: AdvisoryError) -> Self {
        let exit = match error {
            AdvisoryError::Fetch { .. } | AdvisoryError::Locked { .. } => Exit::TryAgain,
            AdvisoryError::Mixed { .. } => Exit::Usage,
            AdvisoryError::Io { .. }
            | AdvisoryError::Archive { .. }
            | AdvisoryError::Index { .. }
            | AdvisoryError::Nothing { .. }
            | AdvisoryError::Missing { .. }
            | AdvisoryError::Malformed { .. }
            | AdvisoryError::Shrunk { .. }
            | AdvisoryError::Older { .. } => Exit::Error,
        };
        Self::new(exit, error.to_string())
    }
}

/// Runs a command about advisories.
///
/// # Errors
/// What failed; what was imported before stays.
pub fn run(command: AdvisoriesCommand) -> Result<(), Failure> {
    match command {
        AdvisoriesCommand::Update(args) => update(args),
        AdvisoriesCommand::Import(args) => import(args),
        AdvisoriesCommand::Status(args) => status(&args),
    }
}

fn import(args: ImportArgs) -> Result<(), Failure> {
    let library = Library::of_data(&args.config.load()?.data);
    let options = ImportOptions { ecosystems: args.ecosystem, replace: args.replace };
    let report = advisories::import(library.folder(), &args.sources, &options, now())?;
    warn(&report);
    match args.output {
        Format::Json => output::json(&report),
        Format::Text => output::result(&report.imported.iter().map(|imported| line(&imported.feed) + "\n").collect::<String>()),
    }
}

/// One line of `update --output json`.
#[derive(Serialize)]
struct Outcome<'a> {
    ecosystem: Ecosystem,
    #[serde(flatten)]
    updated: &'a Updated,
}

fn update(args: UpdateArgs) -> Result<(), Failure> {
    let library = Library::of_data(&args.config.load()?.data);
    let present = || library.snapshot().feeds().into_iter().map(|(ecosystem, _)| ecosystem).collect();
    let ecosystems: Vec<Ecosystem> = if args.ecosystems.is_empty() { present() } else { args.ecosystems };
    if ecosystems.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "nothing is imported yet: name the ecosystems, such as `sealgate advisories update Debian npm`",
        ));
    }
    let mut failures = Vec::new();
    for ecosystem in ecosystems {
        let updated = block_on(async { Ok(advisories::update(&library, &args.url, ecosystem, args.replace, now()).await) })?;
        match (&updated, args.output) {
            (Err(error), _) => failures.push(format!("{ecosystem}: {error}")),
            (Ok(updated), Format::Json) => output::json(&Outcome { ecosystem, updated })?,
            (Ok(Updated::Unchanged(feed)), Format::Text) => output::result(&format!("{}  unchanged", line(feed)))?,
            (Ok(Updated::Imported(report)), Format::Text) => {
                warn(report);
                report.imported.iter().try_for_each(|imported| output::result(&line(&imported.feed)))?;
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(Failure::new(Exit::TryAgain, failures.join("\n"))) }
}

fn warn(report: &ImportReport) {
    for malformed in &report.named {
        output::note(&format!("malformed: {}: {}", malformed.record, malformed.problem));
    }
    if report.malformed > report.named.len() {
        output::note(&format!("malformed: {} more", report.malformed - report.named.len()));
    }
    if !report.partial.is_empty() {
        let names = report.partial.iter().map(|ecosystem| ecosystem.name()).collect::<Vec<_>>().join(", ");
        output::note(&format!("not imported, because these are only parts of their databases: {names}"));
    }
}

/// One line of `status --output json`.
#[derive(Serialize)]
#[serde(untagged)]
enum Status {
    Feed(Feed),
    Unreadable { ecosystem: Ecosystem, problem: String },
}

fn status(args: &StatusArgs) -> Result<(), Failure> {
    let feeds = Library::of_data(&args.config.load()?.data).snapshot().feeds();
    match args.output {
        Format::Json => {
            let status = |(ecosystem, feed)| match feed {
                Ok(feed) => Status::Feed(feed),
                Err(problem) => Status::Unreadable { ecosystem, problem },
            };
            output::json(&feeds.into_iter().map(status).collect::<Vec<_>>())
        }
        Format::Text if feeds.is_empty() => {
            output::note("no advisories are imported: run `sealgate advisories update` or `import`");
            Ok(())
        }
        Format::Text => {
            let line = |(ecosystem, feed): (Ecosystem, Result<Feed, String>)| match feed {
                Ok(feed) => line(&feed),
                Err(problem) => format!("{ecosystem:<12} cannot be read: {problem}"),
            };
            output::result(&feeds.into_iter().map(|feed| line(feed) + "\n").collect::<String>())
        }
    }
}

fn line(feed: &Feed) -> String {
    let Feed { ecosystem, imported, newest, records, withdrawn, malformed, releases } = feed;
    let newest = newest.map_or_else(|| "no date".to_owned(), |newest| newest.to_string());
    let mut text =
        format!("{:<12} {records:>7} records, newest {newest}, imported {imported} ({})", ecosystem.name(), age(*imported, now()));
    if *withdrawn > 0 {
        text.push_str(&format!(", {withdrawn} withdrawn"));
    }
    if *malformed > 0 {
        text.push_str(&format!(", {malformed} malformed"));
    }
    if !releases.is_empty() {
        text.push_str(&format!("; releases {}", releases.iter().map(String::as_str).collect::<Vec<_>>().join(" ")));
    }
    text
}

fn age(then: Timestamp, now: Timestamp) -> String {
    match now.since(then) {
        seconds if seconds < 0 => "in the future".to_owned(),
        seconds if seconds < 7_200 => format!("{} min ago", seconds / 60),
        seconds if seconds < 172_800 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecosystems_are_found_in_any_case_and_others_are_listed() {
        assert_eq!(ecosystem("debian"), Ok(Ecosystem::Debian));
        assert_eq!(ecosystem("Red Hat"), Ok(Ecosystem::RedHat));
        assert!(ecosystem("Fedora").expect_err("no such ecosystem").contains("crates.io"));
    }

    #[test]
    fn ages_have_one_unit() {
        let age = |seconds| age(Timestamp(0), Timestamp(seconds));
        assert_eq!(
            (age(59), age(7_199), age(7_200), age(172_800), age(-1)),
            ("0 min ago".into(), "119 min ago".into(), "2 h ago".into(), "2 days ago".into(), "in the future".into())
        );
    }
}
