//! `sealgate token …`: asks the running gate, which owns the store.

use clap::{Args, Subcommand};
use sealgate_config::Action;
use sealgate_verifier::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::config_file::ConfigArgs;
use super::exit::{Exit, Failure};
use super::output::{self, Format};
use super::{block_on, control};
use crate::routes::control::{CreateToken, CreatedToken, RevokeToken};
use crate::store::TokenRecord;

const EXAMPLES: &str = "\
Examples:
  sealgate token create --name ci --repositories 'hosted.local/team/**' --actions push,sign --expires 90d
  sealgate token create --name ci … | docker login gate.example --username ci --password-stdin
  sealgate token list
  sealgate token revoke ci

The token is shown once, on stdout; the gate keeps its hash. Clients use it as the password of any user name.
`auth: { tokens: true }` in sealgate.yaml makes the gate accept tokens.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and show it once.
    #[command(after_help = EXAMPLES)]
    Create(CreateArgs),
    /// List the tokens that are not revoked. No secret is shown.
    List(ListArgs),
    /// Revoke a token. The next request with it is refused, and so are sessions that began with it.
    Revoke(RevokeArgs),
}

/// Arguments of `sealgate token create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// What lists and the ledger call it
    #[arg(long)]
    pub name: String,
    /// Canonical repositories, or the start of some with /* or /**
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', required = true)]
    pub repositories: Vec<String>,
    /// pull, push, sign, delete; whoever may do anything may pull
    #[arg(long, value_name = "ACTION", value_delimiter = ',', required = true, value_parser = action)]
    pub actions: Vec<Action>,
    /// How long it counts, such as 12h or 90d
    #[arg(long, value_name = "DURATION", default_value = "90d", value_parser = seconds)]
    pub expires: u64,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

/// Arguments of `sealgate token list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

/// Arguments of `sealgate token revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Its identifier, or its name if no other has it
    #[arg(value_name = "ID|NAME")]
    pub token: String,
}

fn action(text: &str) -> Result<Action, String> {
    Action::named(text).ok_or_else(|| "expected pull, push, sign or delete".to_owned())
}

pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let unit = |unit| match unit {
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        _ => None,
    };
    let number = text.char_indices().last().and_then(|(at, last)| Some((text.get(..at)?, unit(last)?)));
    let digits = |number: &str| number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse::<u64>().ok()).flatten();
    let found = number.and_then(|(number, unit)| digits(number)?.checked_mul(unit)).filter(|seconds| *seconds > 0);
    found.ok_or_else(|| "expected a duration such as 30m, 12h or 90d".to_owned())
}

/// Asks the gate about tokens.
///
/// # Errors
/// No gate runs on the configuration's data folder, or it refuses.
pub fn run(command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(CreateArgs { config, name, repositories, actions, expires, output }) => {
            let request = CreateToken { name, repositories, actions, lifetime: expires };
            let created: CreatedToken = ask(&config, "/tokens/create", &request)?;
            match output {
                Format::Json => output::json(&created),
                Format::Text => {
                    output::note(&format!("{}\nit is not shown again", line(&created.record)));
                    output::result(&created.token)
                }
            }
        }
        TokenCommand::List(ListArgs { config, output }) => {
            let tokens: Vec<TokenRecord> = ask(&config, "/tokens/list", &())?;
            match output {
                Format::Json => output::json(&tokens),
                Format::Text if tokens.is_empty() => {
                    output::note("there are no tokens");
                    Ok(())
                }
                Format::Text => output::result(&tokens.iter().map(|token| line(token) + "\n").collect::<String>()),
            }
        }
        TokenCommand::Revoke(RevokeArgs { config, token }) => {
            let record: TokenRecord = ask(&config, "/tokens/revoke", &RevokeToken { token })?;
            output::note(&format!("revoked: {}", line(&record)));
            Ok(())
        }
    }
}

fn ask<T: DeserializeOwned>(config: &ConfigArgs, path: &str, body: &impl Serialize) -> Result<T, Failure> {
    let config = config.load()?;
    let answer = block_on(control::post(&config.data, path, body))?;
    let problem = || format!("no gate runs on {}: start it with `sealgate serve`, and ask again", config.data.display());
    answer.ok_or_else(|| Failure::new(Exit::Error, problem()))
}

fn line(token: &TokenRecord) -> String {
    let TokenRecord { id, name, repositories, actions, expires_at, hash: _, created_at: _ } = token;
    let actions: Vec<&str> = actions.iter().map(|action| action.name()).collect();
    let ended = if *expires_at <= super::now() && *expires_at > Timestamp(0) { " (expired)" } else { "" };
    format!("{id}  {name}  {}  {}  until {expires_at}{ended}", actions.join(","), repositories.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_need_a_number_and_a_unit() {
        for (text, expected) in [("30m", 1_800), ("12h", 43_200), ("90d", 7_776_000)] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for bad in ["", "d", "90", "-1d", "+1d", "0d", "1.5h", "1y", "99999999999999999999d", "1é"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
