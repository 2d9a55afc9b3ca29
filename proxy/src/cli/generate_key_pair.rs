//! `sealgate generate-key-pair`

use std::path::PathBuf;

use clap::Args;
use sealgate_signer::key_files::{KeyFiles, check_absent, write_key_pair};
use serde_json::json;

use super::exit::Failure;
use super::output::{self, Format};
use super::password;

const EXAMPLES: &str = "\
Examples:
  sealgate generate-key-pair
  COSIGN_PASSWORD=… sealgate generate-key-pair --output-key-prefix keys/release
  cosign sign --key cosign.key …      (cosign reads these keys, and sealgate reads cosign's)

The private key is encrypted with the password in COSIGN_PASSWORD, or one that is asked for on a
terminal. It is written with mode 0600, and over another file only with --force.";

/// Arguments of `sealgate generate-key-pair`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GenerateKeyPairArgs {
    /// Path of the pair without its endings: PREFIX.key and PREFIX.pub
    #[arg(long, value_name = "PREFIX", default_value = "cosign")]
    pub output_key_prefix: PathBuf,
    /// Replace files that exist: what they sign or open is lost
    #[arg(long)]
    pub force: bool,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

/// Generates the pair.
///
/// # Errors
/// When a file is in the way or cannot be written, or there is no password.
pub fn run(args: GenerateKeyPairArgs) -> Result<(), Failure> {
    if !args.force {
        check_absent(&args.output_key_prefix).map_err(|error| Failure::error(error.to_string()))?;
    }
    let password = password::fresh("").map_err(|error| Failure::error(error.to_string()))?;
    let written = write_key_pair(&args.output_key_prefix, &password, args.force);
    let KeyFiles { private, public, fingerprint } = written.map_err(|error| Failure::error(error.to_string()))?;
    match args.output {
        Format::Json => output::json(&json!({ "private": private, "public": public, "key": fingerprint })),
        Format::Text => output::result(&format!("{}\n{}", private.display(), public.display())),
    }
}
