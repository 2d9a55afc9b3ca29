//! The instance over HTTP: Fulcio's `/api/v2/signingCert`, Rekor's `/api/v1/log/entries` and `/api/v2/log/entries`, a timestamp authority
//! at `/api/v1/timestamp`, and the token service of a GitHub job at `/github/token`. `cosign sign` is the oracle that it is faithful.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::fulcio::Fulcio;
use super::key::Key;
use super::{Rekor, Rekor2, Sigstore, Tsa, pem, requests};
use crate::issuer::{Issuer, now};

/// The secret with which a GitHub job asks for its token.
pub const JOB_SECRET: &str = "secret-of-a-github-job";
/// Whom tokens must be for.
const AUDIENCE: &str = "sigstore";

/// What is wrong with the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Certificates without an SCT.
    NoSct,
    /// Certificates with an SCT by a CT log that the trust root does not know.
    ForeignSct,
    /// Certificates by an authority that the trust root does not know.
    ForeignAuthority,
    /// Certificates for another key.
    OtherKey,
    /// Entries of logs that the trust root does not know.
    ForeignLog,
    /// Entries about something else.
    UnrelatedEntry,
    /// Timestamps by an authority that the trust root does not know.
    ForeignTimestamp,
    /// Timestamps of an hour ago, before the certificate.
    EarlyTimestamp,
    /// 500 from the certificate authority, with the token in its words.
    TalksOfToken,
    /// 503 from the logs.
    LogsDown,
}

/// A running instance. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct State {
    instance: Sigstore,
    other: Sigstore,
    issuer: Issuer,
    trouble: Mutex<Trouble>,
    seen: Mutex<Vec<String>>,
}

impl Server {
    /// Starts one on loopback, whose people and jobs have tokens by an issuer of its own.
    #[must_use]
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (trouble, seen) = (Mutex::new(Trouble::None), Mutex::default());
        let state = Arc::new(State { instance: Sigstore::new(), other: Sigstore::new(), issuer: Issuer::start(), trouble, seen });
        runtime.spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, runtime: Some(runtime) }
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Who vouches for people and jobs.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.state.issuer
    }

    /// Its `trusted_root.json`.
    #[must_use]
    pub fn trusted_root(&self) -> Value {
        self.state.instance.trusted_root()
    }

    /// Sets what is wrong with it.
    pub fn trouble(&self, trouble: Trouble) {
        *self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// How often `path` was asked.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|seen| *seen == path).count()
    }

    /// Its signing config with logs of these API versions.
    #[must_use]
    pub fn signing_config(&self, logs: &[u32]) -> Value {
        let service = |path: &str, version: u32| json!({ "url": format!("{}{path}", self.url()), "majorApiVersion": version, "validFor": { "start": "2022-01-01T00:00:00Z" }, "operator": "tests" });
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service("", 1)],
            "rekorTlogUrls": logs.iter().map(|version| service("", *version)).collect::<Vec<_>>(),
            "rekorTlogConfig": { "selector": "ANY" },
            "tsaUrls": [service("/api/v1/timestamp", 1)],
            "tsaConfig": { "selector": "ANY" },
        })
    }

    /// A token of a person with this address.
    #[must_use]
    pub fn person(&self, address: &str) -> String {
        self.token(json!({ "sub": "1234", "email": address, "email_verified": true }))
    }

    /// A token that says this beside what every token says.
    #[must_use]
    pub fn token(&self, claims: Value) -> String {
        self.state.token(claims)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&state), request));
            // A client that leaves is its own affair.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Answer = (u16, &'static str, Vec<u8>);

fn refused(status: u16, message: &str) -> Answer {
    (status, "application/json", json!({ "code": status, "message": message }).to_string().into_bytes())
}

fn document(status: u16, value: &Value) -> Answer {
    (status, "application/json", value.to_string().into_bytes())
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let path = head.uri.path().to_owned();
    let bearer = head.headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ")).unwrap_or_default();
    state.seen.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
    let (status, media_type, body) = match &*path {
        "/api/v2/signingCert" => state.certify(&body, bearer),
        "/api/v1/log/entries" => state.log_v1(&body),
        "/api/v2/log/entries" => state.log_v2(&body),
        "/api/v1/timestamp" => state.stamp(&body),
        "/github/token" => state.job(head.uri.query().unwrap_or_default(), bearer),
        _ => refused(404, "no such service"),
    };
    let mut response = Response::builder().status(status).header("content-type", media_type);
    if let Some(uuid) = (path == "/api/v1/log/entries").then(|| uuid(&body)).flatten() {
        // Rekor v1 names the entry so, and clients look it up by that (sigstore/rekor, openapi.yaml).
        response = response.header("etag", &uuid).header("location", format!("{path}/{uuid}"));
    }
    Ok(response.body(Full::new(Bytes::from(body))).expect("a response"))
}

fn uuid(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    answer.as_object()?.iter().find(|(_, entry)| entry["logID"].is_string()).map(|(uuid, _)| uuid.clone())
}

impl State {
    fn trouble(&self) -> Trouble {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self, claims: Value) -> String {
        let mut all = json!({ "iss": self.issuer.url(), "aud": AUDIENCE, "iat": now(), "exp": now() + 300 });
        for (name, value) in claims.as_object().expect("an object") {
            all[name] = value.clone();
        }
        self.issuer.rs256(&all)
    }

    /// GitHub's token service (docs.github.com, "OpenID Connect reference").
    fn job(&self, query: &str, bearer: &str) -> Answer {
        if bearer != JOB_SECRET {
            return refused(401, "not the job's secret");
        }
        if query != format!("api-version=2.0&audience={AUDIENCE}") {
            return refused(400, "expected an audience");
        }
        let workflow = "acme/builders/.github/workflows/release.yml@refs/tags/v1";
        let token =
            self.token(json!({ "sub": "repo:acme/app:ref:refs/heads/main", "job_workflow_ref": workflow, "repository": "acme/app" }));
        document(200, &json!({ "value": token }))
    }

    fn certify(&self, body: &[u8], bearer: &str) -> Answer {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let token = request["credentials"]["oidcIdentityToken"].as_str().unwrap_or(bearer);
        if self.trouble() == Trouble::TalksOfToken {
            return refused(500, &format!("cannot handle {token}"));
        }
        let Some(claims) = self.issuer.verified(token) else { return refused(401, "the token is not by a known issuer") };
        let current = claims["exp"].as_u64().is_some_and(|end| end > now()) && claims["aud"] == AUDIENCE;
        let Some(identity) = requests::identity(&claims).filter(|_| current) else { return refused(401, "the token does not count") };
        let subject = claims["email"].as_str().or(claims["sub"].as_str()).unwrap_or_default();
        let Some(key) = requests::certified(&request, subject) else { return refused(400, "no proof of possession") };
        let at = i64::try_from(now()).expect("a time");
        let Fulcio { ct_log, .. } = &self.instance.fulcio;
        let (fulcio, ct_log) = match self.trouble() {
            Trouble::NoSct => (&self.instance.fulcio, None),
            Trouble::ForeignSct => (&self.instance.fulcio, Some(&self.other.fulcio.ct_log)),
            Trouble::ForeignAuthority => (&self.other.fulcio, Some(ct_log)),
            _ => (&self.instance.fulcio, Some(ct_log)),
        };
        let leaf = if self.trouble() == Trouble::OtherKey {
            fulcio.issue(&identity, &Key::generate().pair, at, ct_log)
        } else {
            fulcio.issue(&identity, &key, at, ct_log)
        };
        let chain: Vec<_> = std::iter::once(&leaf).chain(&fulcio.chain).map(|der| pem("CERTIFICATE", der)).collect();
        document(200, &json!({ "signedCertificateEmbeddedSct": { "chain": { "certificates": chain } } }))
    }

    fn log_v1(&self, body: &[u8]) -> Answer {
        match self.logged(body, requests::logged_v1) {
            Ok((kind, body)) => {
                let Self { instance: Sigstore { rekor, .. }, other, .. } = self;
                let log: &Rekor = if self.trouble() == Trouble::ForeignLog { &other.rekor } else { rekor };
                document(201, &log.enter(kind, &body, i64::try_from(now()).expect("a time")).answered())
            }
            Err(answer) => answer,
        }
    }

    fn log_v2(&self, body: &[u8]) -> Answer {
        match self.logged(body, requests::logged_v2) {
            Ok((kind, body)) => {
                let Self { instance: Sigstore { rekor2, .. }, other, .. } = self;
                let log: &Rekor2 = if self.trouble() == Trouble::ForeignLog { &other.rekor2 } else { rekor2 };
                document(201, &log.enter(kind, &body).bundled())
            }
            Err(answer) => answer,
        }
    }

    fn logged(&self, body: &[u8], read: impl Fn(&Value) -> Option<requests::Body>) -> Result<requests::Body, Answer> {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        match (self.trouble(), read(&request)) {
            (Trouble::LogsDown, _) => Err(refused(503, "the log is down")),
            (Trouble::UnrelatedEntry, _) => Ok(requests::unrelated()),
            (_, Some(body)) => Ok(body),
            (_, None) => Err(refused(400, "not an entry whose signature holds")),
        }
    }

    fn stamp(&self, body: &[u8]) -> Answer {
        let at = i64::try_from(now()).expect("a time") - if self.trouble() == Trouble::EarlyTimestamp { 3600 } else { 0 };
        let tsa: &Tsa = if self.trouble() == Trouble::ForeignTimestamp { &self.other.tsa } else { &self.instance.tsa };
        match tsa.answer(body, at) {
            Some(response) => (201, "application/timestamp-reply", response),
            None => refused(400, "not a request for a timestamp"),
        }
    }
}
