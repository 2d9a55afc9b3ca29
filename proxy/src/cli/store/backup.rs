//! `sealgate store backup`.

use std::path::PathBuf;

use clap::Args;

use super::amount::bytes;
use super::{ask, open, require};
use crate::cli::config_file::ConfigArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{self, Format};
use crate::cli::progress::Progress;
use crate::routes::control::LedgerHead;
use crate::store::backup::{BackedUp, BackupOptions, back_up};
use crate::store::ledger::Position;

const EXAMPLES: &str = "\
Examples:
  sealgate store backup /backups/monday
  sealgate store backup --base /backups/monday /backups/tuesday     what Monday's has is linked to, and takes no room
  sealgate store backup /backups/monday.tar
  sealgate store backup - | ssh host 'cat > gate.tar'

It holds every blob and the ledger up to the last acknowledged record. Keys, configuration and policy are yours to keep.
A backup into a folder that was interrupted is gone on with when the same command runs again.";

/// Arguments of `sealgate store backup`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BackupArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// An earlier backup on the same volume, whose files are linked to
    #[arg(long, value_name = "FOLDER")]
    pub base: Vec<PathBuf>,
    /// Link to the store's own files, on the same volume: quick, and no help against a disk that fails
    #[arg(long)]
    pub link: bool,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
    /// A folder that does not exist yet, a file that ends in .tar, or - for stdout
    #[arg(value_name = "TARGET")]
    pub target: PathBuf,
}

pub(super) fn run(args: BackupArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    require(&config.data)?;
    let running: Option<LedgerHead> = ask(&config, "/store/head", &())?;
    // A stopped store is locked meanwhile.
    let (head, _stopped) = match running {
        Some(LedgerHead { seq, offset, hash }) => (Position { seq, offset, hash }, None),
        None => {
            let store = open(&config)?;
            (store.ledger_head(), Some(store))
        }
    };
    let progress = Progress::start("backing up");
    let of = |done: u64, all: u64| progress.step(format!("backing up: {} of {}", bytes(done), bytes(all)));
    let options = BackupOptions { bases: args.base, link: args.link };
    let made = back_up(&config.data, head, &args.target, &options, &of).map_err(|error| Failure::error(error.to_string()))?;
    drop(progress);
    // On stdout there may be the backup itself.
    let to_stdout = args.target == std::path::Path::new("-");
    match args.output {
        Format::Json if !to_stdout => output::json(&made)?,
        Format::Json | Format::Text => output::note(&report(&made)),
    }
    for digest in &made.damaged {
        output::note(&format!("left out, since its bytes are others: {digest}"));
    }
    if made.damaged.is_empty() { Ok(()) } else { Err(Failure::silent(Exit::Error)) }
}

fn report(made: &BackedUp) -> String {
    let manifest = &made.manifest;
    format!(
        "backed up {} blobs of {} ({} copied, {} linked) and the ledger up to {}:{}",
        manifest.blobs,
        bytes(manifest.bytes),
        made.copied,
        made.linked,
        manifest.head.seq,
        manifest.head.hash
    )
}
