//! `sealgate sign`

use clap::Args;
use sealgate_signer::Wanted;

use super::exit::Failure;
use super::signing::{self, EXIT_CODES, SigningArgs};

const EXAMPLES: &str = "\
Examples:
  sealgate sign --key cosign.key ghcr.io/acme/app@sha256:…
  sealgate sign --key env://SIGNING_KEY --key release.key ghcr.io/acme/app:1.2 ghcr.io/acme/worker:1.2
  sealgate sign --yes ghcr.io/acme/app:1.2                         # keyless, in a GitHub or GitLab job
  cosign verify --key cosign.pub --insecure-ignore-tlog ghcr.io/acme/app@sha256:…

What is signed is a digest: a tag is resolved first, and `repository@digest` printed. Of an index
every image in it is signed as well. A signature is a Sigstore bundle (v0.3), published as a
referrer of the image and, where the registry lists no referrers, under the tag sha256-<hex>;
--signature-format legacy appends to the tag sha256-<hex>.sig. `cosign verify` accepts both. What
the same signer has signed is not signed again without --force.

A keyless signature is logged and timestamped by the Sigstore instance, and verified against its
trust root before it is published.";

/// Arguments of `sealgate sign`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct SignArgs {
    /// Who signs what, and how it is stored.
    #[command(flatten)]
    pub signing: SigningArgs,
}

/// Signs each image.
///
/// # Errors
/// When a signer cannot be had, or an image not be signed.
pub fn run(args: SignArgs) -> Result<(), Failure> {
    signing::run(&args.signing, &Wanted::Signature)
}
