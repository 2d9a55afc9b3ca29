//! The command line (DESIGN §8): one file per command.
//!
//! Results go to stdout, diagnostics to stderr, the exit code says what a script must know ([`exit`]). Nothing prompts without a terminal.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sealgate_verifier::Timestamp;

pub mod advisories;
pub mod attest;
pub mod completion;
pub mod config_check;
pub mod config_file;
pub mod control;
pub mod demo;
pub mod exchange;
pub mod exit;
pub mod explain;
pub mod generate_key_pair;
pub mod healthcheck;
pub mod image;
pub mod init;
pub mod ledger;
pub mod local_image;
pub mod output;
pub mod password;
pub mod platform;
pub mod policy_schema;
pub mod prefetch;
pub mod progress;
pub mod sbom;
pub mod scan;
pub mod secrets;
pub mod serve;
pub mod sign;
pub mod signer;
pub mod signing;
pub mod stopped;
pub mod store;
pub mod token;
pub mod trust_root;
pub mod verify;
pub mod verify_attestation;
pub mod verify_bundle;
pub mod version;
pub mod walked;

use exit::Failure;

/// What this program calls itself to registries.
pub const USER_AGENT: &str = concat!("sealgate/", env!("CARGO_PKG_VERSION"));

const EXIT_CODES: &str = "\
Exit codes:
  0  done                          10  the image is unsigned
  1  another error                 11  the tag or digest does not exist
  2  wrong usage                   12  signatures exist, none that is expected
  3  the configuration is invalid  20  denied for its vulnerabilities
                                   21  a secret was found in the image
                                   22  denied for another reason, or for several
                                   75  try again later

Start here:
  sealgate demo                    see the whole job, without a network
  sealgate init                    write a configuration, a trust policy and a key pair
  sealgate serve                   run the gate";

/// An image signing and verification gate between container registries and everything that runs containers.
#[derive(Debug, Parser)]
#[command(name = "sealgate", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a configuration, a trust policy and a key pair to start from.
    Init(init::InitArgs),
    /// Show the whole job without a network: signed, unsigned, wrongly signed and tampered images, pulled through a gate.
    Demo(demo::DemoArgs),
    /// Run the gate.
    Serve(serve::ServeArgs),
    /// Say what the gate decides about an image, why, and what evidence it found.
    Explain(explain::ExplainArgs),
    /// Verify an image's signatures from here, without a gate.
    Verify(verify::VerifyArgs),
    /// Verify one Sigstore bundle: the command line of sigstore-conformance.
    #[command(hide = true)]
    VerifyBundle(verify_bundle::VerifyBundleArgs),
    /// Verify an attestation about an image, and write its predicate.
    VerifyAttestation(verify_attestation::VerifyAttestationArgs),
    /// Sign images by digest and publish the signatures beside them.
    Sign(sign::SignArgs),
    /// Attest something of images, and publish the attestations beside them.
    Attest(attest::AttestArgs),
    /// List the known vulnerabilities of what is inside an image, by the advisories that are imported here.
    Scan(scan::ScanArgs),
    /// List the packages of an image, in a registry or on disk, as a bill of materials.
    Sbom(sbom::SbomArgs),
    /// Look for credentials in every layer of an image, in a registry or on disk, and in its configuration.
    Secrets(secrets::SecretsArgs),
    /// Generate a key pair that cosign reads too.
    GenerateKeyPair(generate_key_pair::GenerateKeyPairArgs),
    /// Work with the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Work with the trust policy.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Make, list and revoke tokens with which clients authenticate.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Work with the vulnerability advisories that images are compared with.
    #[command(subcommand)]
    Advisories(advisories::AdvisoriesCommand),
    /// Show and refresh the trust roots that a gate keeps current.
    #[command(subcommand)]
    TrustRoot(trust_root::TrustRootCommand),
    /// Resolve, decide and fetch images before anybody pulls them.
    Prefetch(prefetch::PrefetchArgs),
    /// Keep house: look into the store, clean it, check it, back it up, move images between stores.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Prove that the ledger is whole.
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Ask a running gate whether it is ready; for container health checks.
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Print a shell's completion script.
    Completion(completion::CompletionArgs),
    /// Print the version.
    Version(version::VersionArgs),
}

/// `sealgate config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration and the trust policy; every error is listed at once.
    Check(config_check::ConfigCheckArgs),
}

/// `sealgate policy …`
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Print the JSON Schema of the trust policy, or of the server's configuration.
    Schema(policy_schema::PolicySchemaArgs),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { exit::Exit::Usage } else { exit::Exit::Ok };
            // Help into a closed pipe is no error.
            let _ = error.print();
            return code.into();
        }
    };
    // The process-wide default; only a second call fails, and there is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(cli.command) {
        Ok(()) => exit::Exit::Ok.into(),
        Err(failure) => {
            failure.report();
            failure.exit.into()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(args) => init::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Verify(args) => verify::run(args),
        Command::VerifyAttestation(args) => verify_attestation::run(args),
        Command::VerifyBundle(args) => verify_bundle::run(args),
        Command::Sign(args) => sign::run(args),
        Command::Attest(args) => attest::run(args),
        Command::Scan(args) => scan::run(args),
        Command::Sbom(args) => sbom::run(args),
        Command::Secrets(args) => secrets::run(args),
        Command::GenerateKeyPair(args) => generate_key_pair::run(args),
        Command::Config(ConfigCommand::Check(args)) => config_check::run(args),
        Command::Policy(PolicyCommand::Schema(args)) => policy_schema::run(args),
        Command::Token(command) => token::run(command),
        Command::Advisories(command) => advisories::run(command),
        Command::TrustRoot(command) => trust_root::run(command),
        Command::Prefetch(args) => prefetch::run(args),
        Command::Store(command) => store::run(command),
        Command::Ledger(command) => ledger::run(command),
        Command::Healthcheck(args) => healthcheck::run(args),
        Command::Completion(args) => completion::run(args),
        Command::Version(args) => version::run(args),
    }
}

/// A value of the process's environment, where it is set and is text.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The present. The command line reads the clock; the decision never does.
#[must_use]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Runs a client command's future on one thread. `serve` and `demo` build a runtime of their own.
///
/// # Errors
/// When the system gives no runtime, or the future fails.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::error(format!("cannot start: {error}")))?;
    runtime.block_on(future)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_tree_is_sound_and_complete() {
        Cli::command().debug_assert();
        let names: Vec<String> = Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        for expected in [
            "init",
            "demo",
            "serve",
            "explain",
            "verify",
            "verify-attestation",
            "sign",
            "attest",
            "sbom",
            "secrets",
            "generate-key-pair",
            "config",
            "policy",
            "token",
            "advisories",
            "trust-root",
            "prefetch",
            "store",
            "ledger",
            "scan",
            "healthcheck",
            "completion",
            "version",
        ] {
            assert!(names.iter().any(|name| name == expected), "{expected}");
        }
    }

    #[test]
    fn every_command_says_what_it_is_for() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
