//! `sealgate store usage`.

use clap::Args;

use super::amount::bytes;
use super::{ask, failure, open};
use crate::cli::config_file::ConfigArgs;
use crate::cli::exit::Failure;
use crate::cli::output::{self, Format};
use crate::store::usage::{Amount, Usage};

const EXAMPLES: &str = "\
Examples:
  sealgate store usage
  sealgate store usage --output json | jq .evictable

Each file counts once under its kind; a blob that several repositories have counts for each of them, and under \"alone\" for none.";

/// Arguments of `sealgate store usage`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct UsageArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

pub(super) fn run(args: UsageArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    let usage = match ask(&config, "/store/usage", &())? {
        Some(usage) => usage,
        None => {
            let store = open(&config)?;
            store.usage().map_err(|error| failure(&error))?
        }
    };
    match args.output {
        Format::Json => output::json(&usage),
        Format::Text => output::result(&table(&usage)),
    }
}

fn table(usage: &Usage) -> String {
    let mut text = String::new();
    let mut line = |name: &str, amount: Amount| text.push_str(&format!("{name:<14}{:>10}{:>12}\n", amount.count, bytes(amount.bytes)));
    line("blobs", usage.blobs);
    line("manifests", usage.manifests);
    line("evidence", usage.evidence);
    line("pushed", usage.pushed);
    line("unreferenced", usage.unreferenced);
    line("unfinished", usage.unfinished);
    line("quarantine", usage.quarantine);
    line("records", usage.records);
    line("total", usage.total);
    let limit = usage.max_size.map_or_else(|| "no max-size".to_owned(), |limit| format!("max-size {}", bytes(limit)));
    text.push_str(&format!(
        "\n{} can be evicted; {limit}; {} free on the volume, of which {} are reserve\n",
        bytes(usage.evictable),
        bytes(usage.free),
        bytes(usage.reserve)
    ));
    if !usage.repositories.is_empty() {
        text.push_str(&format!("\n{:>10}{:>10}{:>12}{:>12}  repository\n", "manifests", "blobs", "bytes", "alone"));
    }
    for of in &usage.repositories {
        text.push_str(&format!("{:>10}{:>10}{:>12}{:>12}  {}\n", of.manifests, of.blobs, bytes(of.bytes), bytes(of.alone), of.repository));
    }
    text
}
