//! `sealgate store check`.

use clap::Args;
use sealgate_verifier::Digest;
use serde::Serialize;

use super::amount::bytes;
use super::{ask, failure, open, require};
use crate::cli::config_file::ConfigArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{self, Format};
use crate::cli::progress::Progress;
use crate::routes::control::LedgerHead;
use crate::store::check::{BlobsChecked, IndexChecked, check_blobs};
use crate::store::ledger;

const EXAMPLES: &str = "\
Examples:
  sealgate store check
  sealgate store check --output json

Nothing is changed. A running gate moves a damaged blob to quarantine when it is opened next and fetches it again; a damaged index
is rebuilt by a restart; a damaged ledger needs a backup (`sealgate store restore`).

Exit codes: 0 all is well; 1 something is damaged, and stdout says what.";

/// Arguments of `sealgate store check`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

/// What a check found.
#[derive(Debug, Serialize)]
struct Checked {
    ok: bool,
    ledger: LedgerChecked,
    blobs: BlobsChecked,
    /// None where the ledger is damaged: there is nothing to compare with.
    index: Option<IndexChecked>,
}

#[derive(Debug, Serialize)]
struct LedgerChecked {
    records: u64,
    hash: Option<Digest>,
    problem: Option<String>,
}

pub(super) fn run(args: CheckArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    require(&config.data)?;
    let progress = Progress::start("checking the ledger");
    let running: Option<LedgerHead> = ask(&config, "/store/head", &())?;
    // A stopped store is locked for all of it.
    let stopped = match running {
        Some(_) => None,
        None => Some(open(&config)),
    };
    let head = match (&running, &stopped) {
        (Some(head), _) => Some((head.seq, head.hash)),
        (None, Some(Ok(store))) => Some((store.ledger_head().seq, store.ledger_head().hash)),
        (None, _) => None,
    };
    let ledger = match (&stopped, ledger::verify(&config.data.join("ledger"), head)) {
        (Some(Err(failure)), Ok(verified)) => {
            LedgerChecked { records: verified.head.seq, hash: Some(verified.head.hash), problem: Some(failure.message.clone()) }
        }
        (_, Ok(verified)) => LedgerChecked { records: verified.head.seq, hash: Some(verified.head.hash), problem: None },
        (_, Err(error)) => LedgerChecked { records: 0, hash: None, problem: Some(error.to_string()) },
    };
    let of = |done: u64, all: u64| progress.step(format!("hashing blobs: {} of {}", bytes(done), bytes(all)));
    let blobs = check_blobs(&config.data, &of).map_err(|error| Failure::error(format!("the blobs cannot be read: {error}")))?;
    progress.step("comparing the index with the ledger");
    let index = match (running, stopped) {
        (_, Some(Ok(store))) if ledger.problem.is_none() => Some(store.check_index().map_err(|error| failure(&error))?),
        (Some(_), _) if ledger.problem.is_none() => ask::<IndexChecked>(&config, "/store/index", &())?,
        (_, _) => None,
    };
    drop(progress);
    let ok = ledger.problem.is_none() && blobs.damaged.is_empty() && index.as_ref().is_some_and(|index| index.differences == 0);
    let checked = Checked { ok, ledger, blobs, index };
    match args.output {
        Format::Json => output::json(&checked)?,
        Format::Text => output::result(&report(&checked))?,
    }
    if ok { Ok(()) } else { Err(Failure::silent(Exit::Error)) }
}

fn report(checked: &Checked) -> String {
    let Checked { ok: _, ledger, blobs, index } = checked;
    let mut text = String::new();
    match (&ledger.problem, ledger.hash) {
        (None, Some(hash)) => text.push_str(&format!("ledger: {} records, head {}:{hash}\n", ledger.records, ledger.records)),
        (problem, _) => text.push_str(&format!("ledger: DAMAGED: {}\n", problem.as_deref().unwrap_or("it is empty"))),
    }
    text.push_str(&format!("blobs: {} of {} match their digests\n", blobs.blobs, bytes(blobs.bytes)));
    for digest in &blobs.damaged {
        text.push_str(&format!("blobs: DAMAGED: {digest}\n"));
    }
    match index {
        Some(index) if index.differences == 0 => text.push_str(&format!("index: {} entries say what the ledger says\n", index.entries)),
        Some(index) => {
            text.push_str(&format!("index: DAMAGED: {} of {} entries differ from the ledger\n", index.differences, index.entries));
            index.named.iter().for_each(|name| text.push_str(&format!("index: DAMAGED: {name}\n")));
        }
        None => text.push_str("index: not compared, since the ledger cannot be read\n"),
    }
    text
}
