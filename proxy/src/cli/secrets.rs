//! `sealgate secrets`: credentials in any layer of an image and in its configuration. What is found is named and never shown.

use clap::{Args, ValueEnum};
use sealgate_scanner::{Place, Secret};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output;
use super::walked::{WalkArgs, Walked};

mod sarif;

/// The form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SecretsFormat {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

/// Arguments of `sealgate secrets`.
#[derive(Debug, Args)]
pub struct SecretsArgs {
    /// Which image.
    #[command(flatten)]
    pub walk: WalkArgs,
    /// The form of the result
    #[arg(long, value_enum, default_value_t)]
    pub format: SecretsFormat,
}

/// The result for programs.
#[derive(Serialize)]
struct Found<'a> {
    image: &'a str,
    digest: String,
    layers: Vec<String>,
    secrets: &'a [Secret],
    published: &'a [Secret],
    gaps: Vec<String>,
}

/// Looks for credentials.
///
/// # Errors
/// [`Exit::SecretFound`] where there is one; 1 where something could not be read, so that none was found only so far.
pub fn run(args: SecretsArgs) -> Result<(), Failure> {
    let walked = args.walk.walk()?;
    let report = &walked.report;
    match args.format {
        SecretsFormat::Table => output::result(&table(&walked))?,
        SecretsFormat::Json => output::json(&Found {
            image: &walked.subject.name,
            digest: walked.subject.digest.to_string(),
            layers: report.layers.iter().map(|layer| layer.digest.to_string()).collect(),
            secrets: &report.secrets,
            published: &report.published,
            gaps: report.gaps.iter().map(ToString::to_string).collect(),
        })?,
        SecretsFormat::Sarif => output::json(&sarif::log(&walked))?,
    }
    walked.note_gaps();
    if !report.published.is_empty() {
        let count = report.published.len();
        output::note(&format!("{count} in files of distribution packages, which everybody has, are not counted"));
    }
    if !report.secrets.is_empty() {
        return Err(Failure::silent(Exit::SecretFound));
    }
    if report.is_complete() { Ok(()) } else { Err(walked.incomplete()) }
}

fn table(walked: &Walked) -> String {
    let report = &walked.report;
    if report.secrets.is_empty() {
        let layers = report.layers.len();
        return format!("{}: no secret found in {layers} {}", walked.subject.name, if layers == 1 { "layer" } else { "layers" });
    }
    let rows: Vec<[String; 3]> = report.secrets.iter().map(|secret| [secret.kind.clone(), place(secret), secret.excerpt.clone()]).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (kind, place) = (width(0), width(1));
    let lines = rows.iter().map(|[a, b, c]| format!("{a:kind$}  {b:place$}  {c}\n"));
    let count = report.secrets.len();
    lines.collect::<String>() + &format!("{}: {count} {} found", walked.subject.name, if count == 1 { "secret" } else { "secrets" })
}

/// Where a credential is, for people.
fn place(secret: &Secret) -> String {
    let text = match &secret.place {
        Place::File { layer, path, line, deleted } => {
            let deleted = if *deleted { ", deleted later" } else { "" };
            format!("{path}:{line} (layer {layer}{deleted})")
        }
        Place::Environment { name } => format!("environment, {name}"),
        Place::History { step } => format!("history, step {step}"),
        Place::Label { name } => format!("label {name}"),
        Place::Command => "entrypoint, command or health check".to_owned(),
    };
    // Paths are the image's own: no control characters reach the terminal.
    text.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}
