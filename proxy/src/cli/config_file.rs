//! Which configuration file a command reads.

use std::path::{Path, PathBuf};

use clap::Args;
use sealgate_config::{ConfigErrors, ServerConfig};

use super::exit::{Exit, Failure};

/// The file that is read when none is named, if it exists.
pub const DEFAULT: &str = "sealgate.yaml";

/// The variables of the environment that this program reads itself, beside those of the configuration.
pub const VARIABLES: [&str; 3] = ["SEALGATE_CONFIG", "SEALGATE_LOG_FORMAT", "SEALGATE_LOG_LEVEL"];

/// `--config`
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// Configuration of the server [default: sealgate.yaml if it exists, else built-in defaults]
    #[arg(long, short, value_name = "FILE", env = "SEALGATE_CONFIG")]
    pub config: Option<PathBuf>,
}

impl ConfigArgs {
    /// The file to read, or none for the built-in defaults.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| Path::new(DEFAULT).exists().then(|| PathBuf::from(DEFAULT)))
    }

    /// Reads the file and the environment.
    ///
    /// # Errors
    /// Every problem, with [`Exit::ConfigInvalid`].
    pub fn load(&self) -> Result<ServerConfig, Failure> {
        ServerConfig::load(self.file().as_deref(), &super::environment).map_err(|errors| invalid(&errors))
    }
}

/// A failure that lists every problem.
#[must_use]
pub fn invalid(errors: &ConfigErrors) -> Failure {
    Failure::new(Exit::ConfigInvalid, listing(errors))
}

/// The problems as people read them: one each, with the offending line.
#[must_use]
pub fn listing(errors: &ConfigErrors) -> String {
    let count = errors.0.len();
    let mut text = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
    text.push_str(" in the configuration");
    for error in &errors.0 {
        text.push_str(&format!("\n{error}"));
        if let Some(snippet) = &error.snippet {
            snippet.trim_end().lines().for_each(|line| text.push_str(&format!("\n  {line}")));
        }
    }
    text
}
