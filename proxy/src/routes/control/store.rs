//! What `sealgate store …` asks a running gate for, which has the store to itself.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use sealgate_verifier::{Digest, Reference};
use serde::{Deserialize, Serialize};

use super::{ControlRoutes, Plan, answer, import, read};
use crate::body::Body;
use crate::routes::error::Refusal;
use crate::store::export::ExportError;
use crate::store::{Store, StoreError};

/// Body of `POST /store/gc`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CollectGarbage {
    /// Seconds for which what is removed was not used.
    pub age: u64,
    /// Only say what would go.
    pub dry_run: bool,
}

/// Answer of `POST /store/head`: the last acknowledged record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerHead {
    /// Its number.
    pub seq: u64,
    /// Where it ends in the whole ledger.
    pub offset: u64,
    /// Its hash.
    pub hash: Digest,
}

impl ControlRoutes {
    pub(super) async fn store<B>(&self, path: &str, body: B) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match path {
            "/store/usage" => self.on_store(Store::usage).await,
            "/store/index" => self.on_store(Store::check_index).await,
            "/store/head" => {
                let head = self.gate.store().ledger_head();
                answer(&LedgerHead { seq: head.seq, offset: head.offset, hash: head.hash })
            }
            "/store/gc" => {
                let CollectGarbage { age, dry_run } = read(body).await?;
                if !dry_run {
                    self.gate.sweep_uploads().await;
                }
                self.on_store(move |store| store.collect_garbage(Duration::from_secs(age), dry_run)).await
            }
            "/store/export" => {
                let Plan { references } = read(body).await?;
                let parse = |text: &String| text.parse::<Reference>().map_err(|error| Refusal::body_invalid(error.to_string()));
                let references = references.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
                let store = self.gate.store().clone();
                let plans = move || references.iter().map(|reference| store.plan_export(reference)).collect::<Result<Vec<_>, _>>();
                let plans = tokio::task::spawn_blocking(plans).await.map_err(|error| Refusal::housekeeping(error.to_string()))?;
                answer(&plans.map_err(|error| match error {
                    ExportError::Unknown { .. } | ExportError::Incomplete { .. } => Refusal::not_stored(error.to_string()),
                    ExportError::Store(_) => Refusal::housekeeping(error.to_string()),
                })?)
            }
            "/store/import" => answer(&import(&self.gate, read(body).await?).await?),
            _ => Err(Refusal::no_such_control_path()),
        }
    }

    /// Runs what may block for long.
    async fn on_store<T: Serialize + Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Response<Body>, Refusal> {
        let store = self.gate.store().clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await.map_err(|error| Refusal::housekeeping(error.to_string()))?;
        answer(&done.map_err(|error| Refusal::housekeeping(error.to_string()))?)
    }
}
