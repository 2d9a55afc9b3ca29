//! `sealgate store gc`.

use std::time::Duration;

use clap::Args;

use super::amount::bytes;
use super::{ask, failure, open};
use crate::cli::config_file::ConfigArgs;
use crate::cli::exit::Failure;
use crate::cli::output::{self, Format};
use crate::routes::control::CollectGarbage;
use crate::store::house::Collected;

const EXAMPLES: &str = "\
Examples:
  sealgate store gc --dry-run
  sealgate store gc --older-than 1h

What goes: blobs that no manifest of their repository lists, such as those of deleted images, files that no record names, and
uploads that nobody goes on with. Safe beside pushes and pulls: what was used lately stays, and what is relied upon meanwhile too.";

/// Arguments of `sealgate store gc`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GcArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
    /// How long it was not used: longer than a client takes between a layer and its manifest
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = age)]
    pub older_than: u64,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

fn age(text: &str) -> Result<u64, String> {
    match text.strip_suffix('s').and_then(|number| number.parse().ok()) {
        Some(seconds) => Ok(seconds),
        None => crate::cli::token::seconds(text),
    }
}

pub(super) fn run(args: GcArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    let request = CollectGarbage { age: args.older_than, dry_run: args.dry_run };
    let collected: Collected = match ask(&config, "/store/gc", &request)? {
        Some(collected) => collected,
        None => {
            let store = open(&config)?;
            store.collect_garbage(Duration::from_secs(request.age), request.dry_run).map_err(|error| failure(&error))?
        }
    };
    match args.output {
        Format::Json => output::json(&collected),
        Format::Text => {
            let verb = if collected.dry_run { "would remove" } else { "removed" };
            output::result(&format!(
                "{verb} {} blobs of {}, {} of them listed by no manifest of their repository; {} are too young or in use",
                collected.blobs,
                bytes(collected.bytes),
                collected.unlisted,
                collected.spared
            ))
        }
    }
}
