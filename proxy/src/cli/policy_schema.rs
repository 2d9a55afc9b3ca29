//! `sealgate policy schema`

use clap::{Args, ValueEnum};

use super::exit::Failure;
use super::output;

const EXAMPLES: &str = "\
Examples:
  sealgate policy schema > trust-policy.schema.json
  sealgate policy schema server > sealgate.schema.json

An editor with a YAML language server checks a file that begins with
  # yaml-language-server: $schema=trust-policy.schema.json";

/// Which file a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Subject {
    /// trust-policy.yaml
    #[default]
    Policy,
    /// sealgate.yaml
    Server,
}

/// Arguments of `sealgate policy schema`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PolicySchemaArgs {
    /// The file to describe
    #[arg(value_enum, default_value_t)]
    pub file: Subject,
}

/// Prints the schema.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: PolicySchemaArgs) -> Result<(), Failure> {
    let schema = match args.file {
        Subject::Policy => sealgate_config::schema::policy_schema(),
        Subject::Server => sealgate_config::schema::server_schema(),
    };
    output::result(&format!("{schema:#}"))
}
