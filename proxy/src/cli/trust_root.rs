//! `sealgate trust-root …`: asks the running gate, which keeps trust roots current.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::config_file::ConfigArgs;
use super::exit::{Exit, Failure};
use super::output::{self, Format};
use super::{block_on, control};
use crate::routes::control::UpdateTrustRoots;
use crate::trust_root::RootStatus;

const EXAMPLES: &str = "\
Examples:
  sealgate trust-root status
  sealgate trust-root update             those that the policy needs
  sealgate trust-root update github

A refresh that fails changes nothing: the last good root stays, until trust-root.max-age in
sealgate.yaml ends it. Roots that the policy names by file are the policy's, and not listed here.

Exit codes: 0 refreshed, 1 a root was refused, 75 the repository could not be reached.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum TrustRootCommand {
    /// Show each trust root that the gate keeps current: its age, the last refresh and the last failure.
    #[command(after_help = EXAMPLES)]
    Status(StatusArgs),
    /// Refresh trust roots by TUF now.
    #[command(after_help = EXAMPLES)]
    Update(UpdateArgs),
}

/// Arguments of `sealgate trust-root status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

/// Arguments of `sealgate trust-root update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
    /// The trust root; without it, those that a signer of the policy needs
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// Asks the gate about trust roots.
///
/// # Errors
/// No gate runs on the configuration's data folder, or a refresh failed.
pub fn run(command: TrustRootCommand) -> Result<(), Failure> {
    match command {
        TrustRootCommand::Status(StatusArgs { config, output }) => {
            let all: Vec<RootStatus> = ask(&config, "/trust-root/status", &())?;
            print(&all, output)
        }
        TrustRootCommand::Update(UpdateArgs { config, output, name }) => {
            let tried: Vec<RootStatus> = ask(&config, "/trust-root/update", &UpdateTrustRoots { name })?;
            if tried.is_empty() {
                output::note("no signer of the policy needs a trust root that is kept current");
            }
            print(&tried, output)?;
            let failed: Vec<&RootStatus> = tried.iter().filter(|root| root.problem.is_some()).collect();
            let exit = if failed.iter().all(|root| root.unreachable) { Exit::TryAgain } else { Exit::Error };
            let problems = failed.iter().filter_map(|root| Some(format!("{}: {}", root.name, root.problem.as_ref()?)));
            let problems = problems.collect::<Vec<_>>().join("\n");
            if problems.is_empty() { Ok(()) } else { Err(Failure::new(exit, problems)) }
        }
    }
}

fn ask<T: DeserializeOwned>(config: &ConfigArgs, path: &str, body: &impl Serialize) -> Result<T, Failure> {
    let config = config.load()?;
    let answer = block_on(control::post(&config.data, path, body))?;
    let problem = || format!("no gate runs on {}: start it with `sealgate serve`, and ask again", config.data.display());
    answer.ok_or_else(|| Failure::new(Exit::Error, problem()))
}

fn print(roots: &[RootStatus], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => output::json(&roots),
        Format::Text if roots.is_empty() => Ok(()),
        Format::Text => output::result(&roots.iter().map(text).collect::<String>()),
    }
}

fn text(root: &RootStatus) -> String {
    let time = |time: Option<sealgate_verifier::Timestamp>| time.map_or_else(|| "never".to_owned(), |time| time.to_string());
    let mut text = format!("{}  {}{}\n", root.name, root.url, if root.needed { "" } else { "  (no signer of the policy needs it)" });
    text += &match (root.as_of, root.refreshed_at) {
        (None, _) => "  there is no root: nothing is verified under it\n".to_owned(),
        (Some(as_of), None) => format!("  built in, of {as_of}; not refreshed yet\n"),
        (Some(as_of), Some(_)) => format!("  current as of {as_of}\n"),
    };
    text += &format!("  last refresh {}, last try {}\n", time(root.refreshed_at), time(root.attempted_at));
    text += &format!("  TUF root version {}, first expiry {}\n", root.tuf_root_version, time(root.expires));
    if let Some(problem) = &root.problem {
        text += &format!("  the last try failed ({} since the start): {problem}\n", root.failures);
    }
    text
}
