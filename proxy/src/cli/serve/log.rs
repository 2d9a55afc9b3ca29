//! Log lines: for people or as JSON, on stderr.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log. `level` is a level, or directives of `tracing-subscriber`. A second call in one process changes nothing.
///
/// # Errors
/// When the level is none.
pub fn init(format: LogFormat, level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|error| format!("--log-level {:?} is none: {error}", level))?;
    // A line that cannot be written is lost: to say so on the same stderr would panic, and a full disk would end the gate.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    // Fails only where a log was started already.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(colours()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// For commands whose output is something else: errors only.
pub fn init_quiet() {
    let _ = tracing_subscriber::fmt().with_env_filter(EnvFilter::new("off")).with_writer(std::io::stderr).try_init();
}

/// <https://no-color.org>
fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
