//! `sealgate store …`: asks the gate that has the store open, or opens a stopped store itself.

mod amount;
mod backup;
mod check;
pub(super) mod export;
mod gc;
mod import;
mod restore;
mod usage;

pub(super) use amount::bytes;

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use sealgate_config::ServerConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exit::Failure;
use super::serve::store_options;
use super::{block_on, control};
use crate::store::{Store, StoreError};

/// How long a running gate may take to look through its store.
const ANSWER: Duration = Duration::from_hours(2);

/// The commands.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Say how much is stored, by kind and by repository, and what could go.
    Usage(usage::UsageArgs),
    /// Remove blobs that nobody refers to, and uploads that nobody goes on with.
    Gc(gc::GcArgs),
    /// Check every blob against its digest, the ledger's chain, and the index against the ledger.
    Check(check::CheckArgs),
    /// Copy the store, while the gate serves or is stopped.
    Backup(backup::BackupArgs),
    /// Make a store from a backup, in an empty data folder.
    Restore(restore::RestoreArgs),
    /// Write images with their signatures and attestations as an OCI layout.
    Export(export::ExportArgs),
    /// Take the images of an OCI layout into the store. The policy decides on them like on any other.
    Import(import::ImportArgs),
}

/// Runs the command.
///
/// # Errors
/// What it says.
pub fn run(command: StoreCommand) -> Result<(), Failure> {
    match command {
        StoreCommand::Usage(args) => usage::run(args),
        StoreCommand::Gc(args) => gc::run(args),
        StoreCommand::Check(args) => check::run(args),
        StoreCommand::Backup(args) => backup::run(args),
        StoreCommand::Restore(args) => restore::run(args),
        StoreCommand::Export(args) => export::run(args),
        StoreCommand::Import(args) => import::run(args),
    }
}

/// Asks the gate that runs on the data folder; none when none does.
fn ask<T: DeserializeOwned>(config: &ServerConfig, path: &str, body: &impl Serialize) -> Result<Option<T>, Failure> {
    block_on(control::post_within(&config.data, path, body, ANSWER))
}

/// Opens a stopped store, which stays locked meanwhile.
pub(super) fn open(config: &ServerConfig) -> Result<Store, Failure> {
    require(&config.data)?;
    Store::open(&store_options(config)).map(|(store, _)| store).map_err(|error| failure(&error))
}

/// A folder without a store is not made one by looking at it.
fn require(data: &Path) -> Result<(), Failure> {
    if data.join("format").is_file() {
        return Ok(());
    }
    Err(Failure::error(format!("there is no store in {}: `data:` in sealgate.yaml (or SEALGATE_DATA) names its folder", data.display())))
}

fn failure(error: &StoreError) -> Failure {
    Failure::error(error.to_string())
}
