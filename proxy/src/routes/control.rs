//! The control socket (`data/control.sock`, mode 0600): what the command line asks a running server.

mod image;
mod store;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use sealgate_verifier::{Reference, Revision, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tower::Service;

use super::{Readiness, ResponseFuture, document};
use crate::auth::{Action, Auth, NewToken, TokenError, Tokens};
use crate::body::Body;
use crate::gate::Gate;
use crate::metrics;
use crate::routes::error::Refusal;
use crate::store::TokenRecord;
use crate::trust_root::{RootStatus, TrustRoots};

pub use image::{Import, ImportReport, Plan, Prefetch, Prefetched, Verdict, import, prefetch};
pub use store::{CollectGarbage, LedgerHead};

/// Bytes of a request's body. A reference has under 1 KiB.
pub const BODY: usize = 64 * 1024;

/// Seconds that a token may live: ten years.
const LONGEST: u64 = 10 * 366 * 86_400;

/// Loads the policy file again: the revision that is now in force, or every error, one line each, with the old policy still in force.
pub type ReloadPolicy = Arc<dyn Fn() -> BoxFuture<'static, Result<Revision, Vec<String>>> + Send + Sync>;

/// The control socket.
#[derive(Clone)]
pub struct ControlRoutes {
    gate: Arc<Gate>,
    readiness: Arc<Readiness>,
    reload: ReloadPolicy,
    auth: Option<Arc<Auth>>,
    trust_roots: Arc<TrustRoots>,
}

/// Body of `POST /tokens/create`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// See [`NewToken::name`].
    pub name: String,
    /// Patterns of canonical repository names.
    pub repositories: Vec<String>,
    /// What it may do there.
    pub actions: Vec<Action>,
    /// Seconds from now on.
    pub lifetime: u64,
}

/// Body of `POST /tokens/revoke`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeToken {
    /// Identifier or name.
    pub token: String,
}

/// Answer of `POST /tokens/create`. The one place where the secret is shown. It has no `Debug`.
#[derive(Serialize, Deserialize)]
pub struct CreatedToken {
    /// The secret.
    pub token: String,
    /// What was recorded.
    pub record: TokenRecord,
}

/// Body of `POST /trust-root/update`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateTrustRoots {
    /// Which; none: those that the policy needs.
    pub name: Option<String>,
}

/// Body of `POST /explain`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Explain {
    reference: String,
}

impl ControlRoutes {
    /// Routes about `gate`.
    #[must_use]
    pub fn new(
        gate: Arc<Gate>,
        auth: Option<Arc<Auth>>,
        trust_roots: Arc<TrustRoots>,
        readiness: Arc<Readiness>,
        reload: ReloadPolicy,
    ) -> Self {
        Self { gate, readiness, reload, auth, trust_roots }
    }

    /// Answers one request.
    pub async fn respond<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let answer = match (request.method(), request.uri().path()) {
            (&Method::POST, "/explain") => self.explain(request.into_body()).await,
            (&Method::POST, "/reload") => Ok(self.reload().await),
            (&Method::POST, "/tokens/create") => self.create_token(request.into_body()).await,
            (&Method::POST, "/tokens/list") => self.tokens().and_then(|(_, tokens)| answer(&tokens.list())),
            (&Method::POST, "/tokens/revoke") => self.revoke_token(request.into_body()).await,
            (&Method::POST, "/trust-root/status") => answer(&self.trust_roots.status(&self.gate)),
            (&Method::POST, "/trust-root/update") => self.update_trust_roots(request.into_body()).await,
            (&Method::GET, "/status") => Ok(self.status()),
            (&Method::POST, "/prefetch") => match read(request.into_body()).await {
                Ok(request) => prefetch(&self.gate, request).await.and_then(|found| answer(&found)),
                Err(refusal) => Err(refusal),
            },
            (&Method::POST, path) if path.starts_with("/store/") => {
                let path = path.to_owned();
                self.store(&path, request.into_body()).await
            }
            (
                _,
                "/explain" | "/reload" | "/status" | "/tokens/create" | "/tokens/list" | "/tokens/revoke" | "/trust-root/status"
                | "/trust-root/update",
            ) => Err(Refusal::control_method()),
            (_, _) => Err(Refusal::no_such_control_path()),
        };
        let response = answer.unwrap_or_else(|refusal| refusal.into_response(false));
        self.gate.metrics().request(metrics::Endpoint::Control, response.status());
        response
    }

    async fn explain<B>(&self, body: B) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Explain { reference } = read(body).await?;
        let reference: Reference = reference.parse().map_err(|error| Refusal::body_invalid(format!("{error}")))?;
        let explanation = self.gate.explain(&reference).await?;
        answer(&explanation)
    }

    fn tokens(&self) -> Result<(&Auth, &Tokens), Refusal> {
        self.auth.as_deref().and_then(|auth| Some((auth, auth.tokens()?))).ok_or_else(Refusal::no_tokens)
    }

    async fn create_token<B>(&self, body: B) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (auth, tokens) = self.tokens()?;
        let CreateToken { name, repositories, actions, lifetime } = read(body).await?;
        let pattern = |text: &String| text.parse().map_err(|error| Refusal::token(&TokenError::Invalid(format!("{text}: {error}"))));
        let repositories = repositories.iter().map(pattern).collect::<Result<Vec<_>, _>>()?;
        let now = auth.now();
        let expires_at = Timestamp(now.0.saturating_add_unsigned(lifetime.min(LONGEST)));
        let created = tokens.create(NewToken { name, repositories, actions, expires_at }, now).await;
        let (token, record) = created.map_err(|error| Refusal::token(&error))?;
        answer(&CreatedToken { token: token.to_string(), record })
    }

    async fn revoke_token<B>(&self, body: B) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (auth, tokens) = self.tokens()?;
        let RevokeToken { token } = read(body).await?;
        let record = tokens.revoke(&token, auth.now()).await.map_err(|error| Refusal::token(&error))?;
        answer(&record)
    }

    /// Answers with the status of those that were tried.
    async fn update_trust_roots<B>(&self, body: B) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let UpdateTrustRoots { name } = read(body).await?;
        let (roots, gate) = (&self.trust_roots, &self.gate);
        let names: Vec<&str> = match &name {
            Some(name) => roots.names().filter(|known| known == name).collect(),
            None => roots.names().filter(|name| gate.needs_trust_root(name)).collect(),
        };
        if let (Some(name), true) = (&name, names.is_empty()) {
            let known = roots.names().collect::<Vec<_>>().join(", ");
            return Err(Refusal::body_invalid(format!("no trust root {name} is kept current here; those that are: {known}")));
        }
        for name in &names {
            // The outcome is in the status.
            let _ = roots.update(name, gate).await;
        }
        let status: Vec<RootStatus> = roots.status(gate).into_iter().filter(|status| names.contains(&&*status.name)).collect();
        answer(&status)
    }

    async fn reload(&self) -> Response<Body> {
        match (self.reload)().await {
            Ok(revision) => document("application/json", json!({ "ok": true, "revision": revision }).to_string().into(), false),
            Err(problems) => {
                let errors: Vec<_> =
                    problems.iter().map(|problem| json!({ "code": "POLICY_INVALID", "message": problem, "detail": null })).collect();
                let body = json!({ "ok": false, "revision": self.gate.policy_revision(), "errors": errors }).to_string();
                let mut response = document("application/json", body.into(), false);
                *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
                response
            }
        }
    }

    fn status(&self) -> Response<Body> {
        let config = self.gate.config();
        let body = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "state": if self.readiness.is_draining() { "draining" } else { "ready" },
            "revision": self.gate.policy_revision(),
            "policy": config.policy,
            "data": config.data,
            "registries": config.registries.values().map(|registry| registry.name.as_str()).collect::<Vec<_>>(),
            "store-writable": self.gate.store().writable(),
        });
        document("application/json", body.to_string().into(), false)
    }
}

async fn read<T: DeserializeOwned, B>(body: B) -> Result<T, Refusal>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let bytes = Limited::new(body, BODY).collect().await.map_err(|_| Refusal::body_too_large(BODY))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| Refusal::body_invalid(error.to_string()))
}

fn answer<T: Serialize>(value: &T) -> Result<Response<Body>, Refusal> {
    let json = serde_json::to_vec(value).map_err(|error| Refusal::body_invalid(error.to_string()))?;
    Ok(document("application/json", json.into(), false))
}

impl<B> Service<Request<B>> for ControlRoutes
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let routes = self.clone();
        Box::pin(async move { Ok(routes.respond(request).await) })
    }
}
