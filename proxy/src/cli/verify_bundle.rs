//! `sealgate verify-bundle`: the command line of sigstore-conformance (`docs/cli_protocol.md`). No network.

use std::path::{Path, PathBuf};

use clap::Args;
use sealgate_verifier::sigstore::{self, Artifact, TrustRoot};
use sealgate_verifier::{Digest, PublicKey};

use super::exit::{Exit, Failure};
use super::output;

/// Sigstore's staging instance, as sigstore-trust-root 0.15.1 embeds it (Apache-2.0).
const STAGING: &[u8] = include_bytes!("verify_bundle/staging.trusted_root.json");

/// Arguments of `sealgate verify-bundle`.
#[derive(Debug, Args)]
pub struct VerifyBundleArgs {
    /// Trust Sigstore's staging instance instead of the public one
    #[arg(long)]
    pub staging: bool,
    /// The bundle
    #[arg(long, value_name = "FILE")]
    pub bundle: PathBuf,
    /// The identity that the certificate has to carry
    #[arg(long, value_name = "IDENTITY", requires = "certificate_oidc_issuer", required_unless_present = "key", conflicts_with = "key")]
    pub certificate_identity: Option<String>,
    /// The OIDC issuer that the certificate has to carry
    #[arg(long, value_name = "URL", requires = "certificate_identity", conflicts_with = "key")]
    pub certificate_oidc_issuer: Option<String>,
    /// The public key, as PEM, instead of an identity
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Trust this instance: its trusted_root.json
    #[arg(long, value_name = "FILE", conflicts_with = "staging")]
    pub trusted_root: Option<PathBuf>,
    /// The signed file, or its digest as sha256:HEX
    #[arg(value_name = "FILE_OR_DIGEST")]
    pub artifact: String,
}

/// Verifies the bundle.
///
/// # Errors
/// When it does not verify.
pub fn run(args: VerifyBundleArgs) -> Result<(), Failure> {
    let bundle = read(&args.bundle)?;
    let root = match &args.trusted_root {
        Some(file) => TrustRoot::from_json(&read(file)?),
        None if args.staging => TrustRoot::from_json(STAGING),
        None => TrustRoot::public(),
    };
    let root = root.map_err(|error| Failure::error(error.to_string()))?;
    // A file of that name wins, as the protocol's other clients have it.
    let bytes = match args.artifact.parse::<Digest>() {
        Ok(digest) if !Path::new(&args.artifact).exists() => Err(digest),
        Ok(_) | Err(_) => Ok(read(Path::new(&args.artifact))?),
    };
    let artifact = match &bytes {
        Ok(bytes) => Artifact::Bytes(bytes),
        Err(digest) => Artifact::Digest(*digest),
    };
    let failed = |error: sigstore::VerifyError| Failure::new(Exit::SignatureMismatch, error.to_string());
    match (args.key, args.certificate_identity, args.certificate_oidc_issuer) {
        (Some(file), _, _) => {
            let pem = String::from_utf8(read(&file)?).map_err(|_| Failure::error(format!("{}: not text", file.display())))?;
            let key = PublicKey::from_pem(&pem).map_err(|error| Failure::error(format!("{}: {error}", file.display())))?;
            sigstore::verify_key_logged(&bundle, artifact, &key, &root).map_err(failed)?;
            output::result(&format!("verified, by key {}", key.id()))
        }
        (None, Some(subject), Some(issuer)) => {
            let found = sigstore::verify_certificate(&bundle, artifact, &root).map_err(failed)?.identity;
            if (&found.subject, &found.issuer) != (&subject, &issuer) {
                let text = format!("signed by {} (issuer {}), expected {subject} (issuer {issuer})", found.subject, found.issuer);
                return Err(Failure::new(Exit::SignatureMismatch, text));
            }
            output::result(&format!("verified, by {subject} (issuer {issuer}), signed at {}", found.signed_at))
        }
        (None, _, _) => Err(Failure::new(Exit::Usage, "expected --key, or --certificate-identity and --certificate-oidc-issuer")),
    }
}

/// The whole file.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::error(format!("{}: {error}", file.display())))
}
