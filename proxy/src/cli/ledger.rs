//! `sealgate ledger …`

use clap::{Args, Subcommand};
use sealgate_verifier::Digest;
use serde_json::json;

use super::config_file::ConfigArgs;
use super::exit::Failure;
use super::output::{self, Format};
use crate::store::ledger;

const EXAMPLES: &str = "\
Examples:
  sealgate ledger verify                                 prints the head: keep it where the gate cannot write
  sealgate ledger verify --head 4711:sha256:9f86...      proves that nothing up to there was dropped or rewritten since

Works beside a running gate. Exit codes: 0 the chain holds; 1 it does not.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check the ledger's chain, and that a head that was exported earlier lies on it.
    #[command(after_help = EXAMPLES)]
    Verify(VerifyArgs),
}

/// Arguments of `sealgate ledger verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// A head that an earlier call printed
    #[arg(long, value_name = "SEQ:HASH", value_parser = head)]
    pub head: Option<(u64, Digest)>,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

fn head(text: &str) -> Result<(u64, Digest), String> {
    let parsed = text.split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok()?, hash.parse().ok()?)));
    parsed.ok_or_else(|| "expected SEQ:HASH as `sealgate ledger verify` prints it, for example 4711:sha256:9f86...".to_owned())
}

/// Runs the command.
///
/// # Errors
/// When the chain does not hold.
pub fn run(command: LedgerCommand) -> Result<(), Failure> {
    let LedgerCommand::Verify(args) = command;
    let config = args.config.load()?;
    let verified = ledger::verify(&config.data.join("ledger"), args.head).map_err(|error| Failure::error(error.to_string()))?;
    let (seq, hash) = (verified.head.seq, verified.head.hash);
    match args.output {
        Format::Json => {
            output::json(&json!({ "head": format!("{seq}:{hash}"), "records": seq, "hash": hash, "high-water": verified.high_water }))
        }
        Format::Text => output::result(&format!("{seq}:{hash}")),
    }
}
