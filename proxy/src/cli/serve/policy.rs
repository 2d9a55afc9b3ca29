//! The trust policy's file: read at the start, and again on demand.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sealgate_config::{ConfigErrors, LoadedPolicy, ServerConfig, load_policy};
use sealgate_verifier::{Policy, Revision};
use tokio::sync::Mutex;

use crate::gate::Gate;

/// Reads the policy; without a file, the one that denies everything.
///
/// # Errors
/// Every problem that there is.
pub fn read(file: Option<&Path>) -> Result<LoadedPolicy, ConfigErrors> {
    match file {
        Some(file) => load_policy(file),
        None => Ok(LoadedPolicy { policy: Policy::deny_all(), files: Vec::new(), warnings: Vec::new() }),
    }
}

/// Replaces the gate's policy by what its file says now.
pub struct PolicyFile {
    gate: Arc<Gate>,
    file: Option<PathBuf>,
    /// Held while reloading: of two reloads the one that read last wins.
    reloading: Mutex<()>,
}

impl PolicyFile {
    /// The policy of `gate`, whose first load succeeded.
    pub fn new(gate: Arc<Gate>) -> Arc<Self> {
        let file = gate.config().policy.clone();
        gate.metrics().policy_last_reload_success.set(1);
        gate.metrics().policy_loaded_timestamp.set(now());
        Arc::new(Self { gate, file, reloading: Mutex::new(()) })
    }

    /// Reads the file again. A file with a problem changes nothing: the last good policy stays in force.
    ///
    /// # Errors
    /// Every problem that there is.
    pub async fn reload(&self) -> Result<Revision, Vec<String>> {
        let _turn = self.reloading.lock().await;
        let Some(file) = self.file.clone() else {
            let problem = "no trust policy is configured: name one under `policy:` in sealgate.yaml and restart";
            tracing::warn!("{problem}");
            return Err(vec![problem.to_owned()]);
        };
        let outcome = self.replace(file).await;
        self.gate.metrics().policy_last_reload_success.set(i64::from(outcome.is_ok()));
        match &outcome {
            Ok(revision) => {
                self.gate.metrics().policy_loaded_timestamp.set(now());
                tracing::info!(%revision, "the trust policy was reloaded");
            }
            Err(problems) => {
                for problem in problems {
                    tracing::error!("{problem}");
                }
                let revision = self.gate.policy_revision();
                tracing::error!(problems = problems.len(), %revision, "the trust policy was not reloaded; the last good one stays in force");
            }
        }
        outcome
    }

    async fn replace(&self, file: PathBuf) -> Result<Revision, Vec<String>> {
        let read = tokio::task::spawn_blocking(move || read(Some(&file))).await;
        let read = read.map_err(|error| vec![error.to_string()])?;
        let LoadedPolicy { policy, warnings, .. } = read.map_err(|errors| errors.0.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        for warning in warnings.into_iter().chain(warnings_of(&policy, self.gate.config())) {
            tracing::warn!("{warning}");
        }
        let revision = policy.revision();
        if let Err(error) = self.gate.reload_policy(policy).await {
            tracing::error!(?error, "the new trust policy is in force, but its load could not be recorded");
        }
        Ok(revision)
    }
}

/// What is doubtful about a policy under this configuration, and now.
pub fn warnings_of(policy: &Policy, config: &ServerConfig) -> Vec<String> {
    let mut warnings = sealgate_config::unmatched_rules(policy, config);
    warnings.extend(sealgate_config::uncollected(policy));
    warnings.extend(sealgate_config::exception_warnings(policy, crate::cli::now()));
    warnings
}

/// Unix seconds.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
