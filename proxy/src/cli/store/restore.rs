//! `sealgate store restore`.

use std::path::PathBuf;

use clap::Args;

use super::amount::bytes;
use crate::cli::config_file::ConfigArgs;
use crate::cli::exit::Failure;
use crate::cli::output::{self, Format};
use crate::cli::progress::Progress;
use crate::store::backup::restore;

const EXAMPLES: &str = "\
Examples:
  sealgate store restore /backups/monday
  sealgate store restore /backups/monday.tar
  ssh host 'cat gate.tar' | sealgate store restore -

The data folder must be empty. Every blob is hashed and the ledger's chain is checked before it counts as a store; a backup that is
damaged or not finished leaves the folder empty. The next start makes the index. Nothing in a restored store is served unless the
policy admits it then.";

/// Arguments of `sealgate store restore`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RestoreArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
    /// A backup's folder or tar archive, or - for stdin
    #[arg(value_name = "BACKUP")]
    pub source: PathBuf,
}

pub(super) fn run(args: RestoreArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    let progress = Progress::start("restoring");
    let of = |done: u64, _: u64| progress.step(format!("restoring: {}", bytes(done)));
    let manifest = restore(&args.source, &config.data, &of).map_err(|error| Failure::error(error.to_string()))?;
    drop(progress);
    match args.output {
        Format::Json => output::json(&manifest),
        Format::Text => output::result(&format!(
            "restored {} blobs of {} and the ledger up to {}:{} in {}",
            manifest.blobs,
            bytes(manifest.bytes),
            manifest.head.seq,
            manifest.head.hash,
            config.data.display()
        )),
    }
}
