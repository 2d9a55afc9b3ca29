//! `sealgate store export`.

use std::path::{Path, PathBuf};

use clap::Args;
use sealgate_verifier::Reference;

use super::amount::bytes;
use super::{ask, open};
use crate::cli::config_file::ConfigArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::explain::through_gate;
use crate::cli::output::{self, Format};
use crate::cli::progress::Progress;
use crate::cli::{image, prefetch};
use crate::routes::control::Plan;
use crate::store::export::{Export, ExportError, write_layout};

const EXAMPLES: &str = "\
Examples:
  sealgate store export docker.io/library/nginx:1.27 --to nginx.tar
  sealgate store export hosted.local/team/app:1 hosted.local/team/web:2 --to layout/
  sealgate store export nginx:1.27 --to - | ssh offline 'sealgate store import -'

What is in the store goes: the image, its platforms as far as they were fetched (`sealgate prefetch` fetches all), and its
signatures and attestations, as referrers and under the fallback tags. crane, skopeo, oras and cosign read such a layout.
No policy is asked, since whoever imports it decides again.";

/// Arguments of `sealgate store export`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// A folder that does not exist yet, a file that ends in .tar, or - for stdout
    #[arg(long, value_name = "LAYOUT")]
    pub to: PathBuf,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
    /// The images
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

pub(super) fn run(args: ExportArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    let references = prefetch::references(&args.images, &config)?;
    let request = Plan { references: references.iter().map(ToString::to_string).collect() };
    // A stopped store stays locked until all is copied.
    let (exports, _stopped): (Vec<Export>, _) = match ask(&config, "/store/export", &request)? {
        Some(exports) => (exports, None),
        None => {
            let store = open(&config)?;
            let plan = |reference: &Reference| store.plan_export(reference).map_err(|error| refusal(&error));
            (references.iter().map(plan).collect::<Result<_, _>>()?, Some(store))
        }
    };
    let progress = Progress::start("exporting");
    let of = |done: u64, all: u64| progress.step(format!("exporting: {} of {}", bytes(done), bytes(all)));
    let written = write_layout(&config.data, &exports, &args.to, &of).map_err(|error| Failure::error(error.to_string()))?;
    drop(progress);
    let to_stdout = args.to == Path::new("-");
    match args.output {
        Format::Json if !to_stdout => output::json(&exports),
        Format::Json | Format::Text => {
            exports.iter().for_each(|export| output::note(&line(export)));
            output::note(&format!("exported {}", bytes(written)));
            Ok(())
        }
    }
}

fn line(export: &Export) -> String {
    let evidence = export.manifests.iter().filter(|manifest| manifest.subject.is_some()).count();
    let images = export.manifests.len() - evidence;
    let skipped = match export.skipped.len() {
        0 => String::new(),
        count => format!("; {count} platforms or signatures are not all in the store and were left out"),
    };
    format!("{}@{}: {images} manifests, {evidence} of evidence{skipped}", export.repository, export.digest)
}

fn refusal(error: &ExportError) -> Failure {
    let exit = match error {
        ExportError::Unknown { .. } | ExportError::Incomplete { .. } => Exit::TagNotFound,
        ExportError::Store(_) => Exit::Error,
    };
    Failure::new(exit, error.to_string())
}

/// The image, as a client of the gate names it.
pub(in crate::cli) fn reference(text: &str, config: &sealgate_config::ServerConfig) -> Result<Reference, Failure> {
    through_gate(&image::parse(text)?, config)
}
