//! `sealgate sbom`: the packages of an image as a bill of materials.

use clap::{Args, ValueEnum};
use sealgate_scanner::sbom;

use super::exit::Failure;
use super::output;
use super::walked::WalkArgs;

/// The form of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SbomFormat {
    /// CycloneDX 1.6, JSON.
    #[default]
    Cyclonedx,
    /// SPDX 2.3, JSON.
    Spdx,
}

/// Arguments of `sealgate sbom`.
#[derive(Debug, Args)]
pub struct SbomArgs {
    /// Which image.
    #[command(flatten)]
    pub walk: WalkArgs,
    /// The form of the document
    #[arg(long, value_enum, default_value_t)]
    pub format: SbomFormat,
}

/// Writes the document.
///
/// # Errors
/// When the image cannot be had. A document that leaves something out says so, and the exit code is 1.
pub fn run(args: SbomArgs) -> Result<(), Failure> {
    let walked = args.walk.walk()?;
    let document = match args.format {
        SbomFormat::Cyclonedx => sbom::cyclonedx(&walked.report, &walked.subject),
        SbomFormat::Spdx => sbom::spdx(&walked.report, &walked.subject),
    };
    output::json(&document)?;
    walked.note_gaps();
    if walked.report.sources.is_empty() {
        output::note("no package source was recognised: what the image holds is not known");
    }
    for file in &walked.report.unsupported {
        output::note(&format!("not supported: {} at {}", file.kind, file.path));
    }
    if walked.report.is_complete() { Ok(()) } else { Err(walked.incomplete()) }
}
