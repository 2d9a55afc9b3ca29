//! `sealgate attest`

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use sealgate_signer::predicate::PREDICATE_BYTES;
use sealgate_signer::{Predicate, Wanted};

use super::exit::{Exit, Failure};
use super::now;
use super::signing::{self, EXIT_CODES, SigningArgs};

const EXAMPLES: &str = "\
Examples:
  sealgate attest --key cosign.key --type spdxjson --predicate sbom.spdx.json ghcr.io/acme/app@sha256:…
  sealgate attest --key cosign.key --type https://acme.example/review/v1 --predicate - IMAGE < review.json
  cosign verify-attestation --key cosign.pub --insecure-ignore-tlog --type spdxjson IMAGE

An attestation says something of an image; it does not approve it: `sign` does. It is stored as
signatures are (see `sealgate sign --help`), with --signature-format legacy under sha256-<hex>.att.";

/// Arguments of `sealgate attest`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct AttestArgs {
    /// The predicate's file, or - for standard input
    #[arg(long, value_name = "FILE")]
    pub predicate: PathBuf,
    /// slsaprovenance, slsaprovenance02, slsaprovenance1, vuln, vulns, spdx, spdxjson, cyclonedx, openvex, link, custom, or a URI
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: String,
    /// Who attests of what, and how it is stored.
    #[command(flatten)]
    pub signing: SigningArgs,
}

/// Attests of each image.
///
/// # Errors
/// When the predicate is not of its type, a signer cannot be had, or an image not be attested.
pub fn run(args: AttestArgs) -> Result<(), Failure> {
    let kind = super::verify_attestation::kind(&args.kind)?;
    if args.predicate.as_os_str() == "-" && args.signing.key.iter().any(|key| key == "-") {
        return Err(Failure::new(Exit::Usage, "--predicate - and --key -: standard input holds one of them"));
    }
    let bytes = read(&args.predicate)?;
    let predicate =
        Predicate::read(&kind, &bytes, now()).map_err(|error| Failure::error(format!("{}: {error}", args.predicate.display())))?;
    signing::run(&args.signing, &Wanted::Attestation(kind, predicate))
}

/// The whole file, up to one byte over the limit.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::error(format!("cannot read the predicate {}: {error}", file.display()));
    let limit = PREDICATE_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        std::fs::File::open(file).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    }
    Ok(bytes)
}
