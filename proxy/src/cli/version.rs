//! `sealgate version`

use clap::Args;
use sealgate_verifier::sigstore::TrustRoot;
use serde::Serialize;

use super::exit::Failure;
use super::output::{self, Format};

/// Arguments of `sealgate version`.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Version {
    version: &'static str,
    os: &'static str,
    architecture: &'static str,
    /// Date of the public Sigstore trust root that is built in.
    public_trust_root: &'static str,
    /// Likewise of GitHub's.
    github_trust_root: &'static str,
}

/// Prints the version.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: VersionArgs) -> Result<(), Failure> {
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        os: std::env::consts::OS,
        architecture: std::env::consts::ARCH,
        public_trust_root: TrustRoot::PUBLIC_DATE,
        github_trust_root: TrustRoot::GITHUB_DATE,
    };
    match args.output {
        Format::Json => output::json(&version),
        Format::Text => output::result(&format!(
            "sealgate {} {}/{}\nbuilt in: public Sigstore trust root of {}, GitHub's of {} (`sealgate trust-root status`: those in force at a gate)",
            version.version, version.os, version.architecture, version.public_trust_root, version.github_trust_root
        )),
    }
}
