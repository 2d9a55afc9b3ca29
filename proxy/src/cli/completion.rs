//! `sealgate completion`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit::Failure;
use super::output;

const EXAMPLES: &str = "\
Examples:
  source <(sealgate completion bash)
  sealgate completion zsh > \"${fpath[1]}/_sealgate\"
  sealgate completion fish > ~/.config/fish/completions/sealgate.fish";

/// Arguments of `sealgate completion`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionArgs {
    /// The shell
    pub shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: CompletionArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "sealgate", &mut script);
    output::result(&String::from_utf8_lossy(&script))
}
