//! A gate without listeners, on a stopped store: for commands that a running gate would carry out itself.

use std::sync::Arc;

use super::config_file::ConfigArgs;
use super::exit::Failure;
use super::serve::{self, Overrides, runtime, store_options};
use crate::gate::{Gate, GateParts};
use crate::metrics::Metrics;
use crate::store::Store;

/// Opens the store and runs `work` on a gate with the same configuration and policy as `serve` would have.
///
/// # Errors
/// What cannot be opened, and those of `work`.
pub fn with_gate<T, F>(config: &ConfigArgs, work: impl FnOnce(Arc<Gate>) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let loaded = serve::load(config.file().as_deref(), &Overrides::default())?;
    let (store, _) = Store::open(&store_options(&loaded.config)).map_err(|error| Failure::error(error.to_string()))?;
    let metrics = Metrics::new(loaded.config.registries.values().map(|registry| registry.name.as_str()));
    let parts = GateParts { config: loaded.config, policy: loaded.policy, store: store.clone(), metrics };
    let gate = Gate::new(parts).map_err(Failure::error)?;
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        gate.record_policy().await.map_err(|error| Failure::error(format!("the policy could not be recorded: {error:?}")))?;
        work(gate).await
    });
    drop(runtime);
    store.close().map_err(|error| Failure::error(error.to_string()))?;
    done
}
