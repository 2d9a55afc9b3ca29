//! `sealgate ledger …`

use clap::{Args, Subcommand};
use sealgate_verifier::{Digest, Timestamp};
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

const PRUNING: &str = "\
The new ledger goes on from the old one's head: a head that was noted now is proven by it later, an older one no longer. Make a backup
first (`sealgate store backup`); it keeps the past.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check the ledger's chain, and that a head that was exported earlier lies on it.
    #[command(after_help = EXAMPLES)]
    Verify(VerifyArgs),
    /// Drop what the ledger says of the past, and keep the state that it made. Only while no gate runs.
    #[command(after_help = PRUNING)]
    Prune(PruneArgs),
}

/// Arguments of `sealgate ledger prune`.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// For how long decisions are kept that are no longer the last about their image
    #[arg(long, value_name = "DURATION", default_value = "90d", value_parser = super::token::seconds)]
    pub decisions: u64,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
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
    let args = match command {
        LedgerCommand::Verify(args) => args,
        LedgerCommand::Prune(args) => return prune(args),
    };
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

fn prune(args: PruneArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    let store = super::store::open(&config)?;
    let since = Timestamp(super::now().0.saturating_sub_unsigned(args.decisions));
    let pruned = store.prune(since).map_err(|error| Failure::error(error.to_string()))?;
    match args.output {
        Format::Json => output::json(&pruned),
        Format::Text => output::result(&format!(
            "{} before, {} now; {} decisions forgotten; the head is {}:{}",
            super::store::bytes(pruned.bytes_before),
            super::store::bytes(pruned.bytes_after),
            pruned.forgotten,
            pruned.head.position.seq,
            pruned.head.position.hash
        )),
    }
}
