//! The upstream's listener and routes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::answer::{Answer, Body};
use super::fault::{Fault, Rule};
use super::shelf::{Referrers, Shelf};
use super::token::Tokens;
use crate::authority::Certificate;
use crate::image::{Content, Image, Index};
use crate::signature::Signature;

/// A registry in this process. Dropping it closes it.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    tls: bool,
    state: Arc<State>,
    runtime: Option<Runtime>,
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Every `Authorization` value.
    pub authorization: Vec<String>,
    /// Header fields.
    pub headers: HeaderMap,
}

#[derive(Debug, Default)]
struct State {
    shelf: Mutex<Shelf>,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
    /// Tokens that its `/token` gives out.
    issues: Mutex<Option<Tokens>>,
    /// Tokens that its `/v2/` asks for, and the realm that it names.
    requires: Mutex<Option<(Tokens, String)>>,
}

impl Upstream {
    /// Starts one over plain HTTP.
    #[must_use]
    pub fn start() -> Self {
        Self::serve(None, 0)
    }

    /// Starts one over plain HTTP on this port of 127.0.0.1.
    #[must_use]
    pub fn start_at(port: u16) -> Self {
        Self::serve(None, port)
    }

    /// Starts one over TLS.
    #[must_use]
    pub fn start_tls(certificate: &Certificate) -> Self {
        Self::serve(Some(TlsAcceptor::from(certificate.server_config())), 0)
    }

    fn serve(acceptor: Option<TlsAcceptor>, port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", port))).expect("a listener");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(State::default());
        let tls = acceptor.is_some();
        runtime.spawn(accept(listener, acceptor, Arc::clone(&state)));
        Self { address, tls, state, runtime: Some(runtime) }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, or with TLS `https://localhost:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        if self.tls { format!("https://localhost:{}", self.address.port()) } else { format!("http://{}", self.address) }
    }

    /// Closes it: its port refuses connections and those that are open break.
    pub fn close(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Adds a blob.
    pub fn put_blob(&self, repository: &str, blob: &Content) {
        lock(&self.state.shelf).put_blob(repository, blob.clone());
    }

    /// Adds a manifest under its digest.
    pub fn put_manifest(&self, repository: &str, manifest: &Content) {
        lock(&self.state.shelf).put_manifest(repository, manifest.clone());
    }

    /// Takes a manifest away.
    pub fn remove_manifest(&self, repository: &str, digest: &str) {
        lock(&self.state.shelf).remove_manifest(repository, digest);
    }

    /// Points a tag to a digest.
    pub fn put_tag(&self, repository: &str, tag: &str, digest: &str) {
        self.flip_tag(repository, tag, &[digest]);
    }

    /// Points a tag to each of these digests in turn, another one at each request.
    pub fn flip_tag(&self, repository: &str, tag: &str, digests: &[&str]) {
        lock(&self.state.shelf).put_tag(repository, tag, digests.iter().map(|digest| (*digest).to_owned()).collect());
    }

    /// Adds an image under a tag.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) {
        image.blobs().for_each(|blob| self.put_blob(repository, blob));
        self.put_manifest(repository, &image.manifest);
        self.put_tag(repository, tag, image.digest());
    }

    /// Adds an index and its images under a tag.
    pub fn push_index(&self, repository: &str, tag: &str, index: &Index) {
        for image in &index.images {
            image.blobs().for_each(|blob| self.put_blob(repository, blob));
            self.put_manifest(repository, &image.manifest);
        }
        self.put_manifest(repository, &index.manifest);
        self.put_tag(repository, tag, index.digest());
    }

    /// Adds a signature, which refers to its image.
    pub fn put_signature(&self, repository: &str, signature: &Signature) {
        self.put_blob(repository, &Content::new("application/vnd.oci.empty.v1+json", "{}"));
        self.put_blob(repository, &signature.bundle);
        self.put_manifest(repository, &signature.manifest);
    }

    /// Sets whether it has the referrers API.
    pub fn set_referrers(&self, referrers: Referrers) {
        lock(&self.state.shelf).referrers = referrers;
    }

    /// Adds a rule. The first rule that applies decides.
    pub fn rule(&self, rule: Rule) {
        lock(&self.state.rules).push(rule);
    }

    /// Adds a rule before all others.
    pub fn rule_first(&self, rule: Rule) {
        lock(&self.state.rules).insert(0, rule);
    }

    /// Forgets the first rule.
    pub fn remove_first_rule(&self) {
        lock(&self.state.rules).remove(0);
    }

    /// Forgets all rules.
    pub fn behave(&self) {
        lock(&self.state.rules).clear();
    }

    /// Gives out `tokens` at `/token`.
    pub fn issue_tokens(&self, tokens: &Tokens) {
        *lock(&self.state.issues) = Some(tokens.clone());
    }

    /// Asks for `tokens` from now on, and names `realm` as the place to get them.
    pub fn require_tokens(&self, tokens: &Tokens, realm: &str) {
        *lock(&self.state.requires) = Some((tokens.clone(), realm.to_owned()));
    }

    /// Every request so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }

    /// How many requests with `method` had a target that contains `part`.
    #[must_use]
    pub fn count(&self, method: &str, part: &str) -> usize {
        lock(&self.state.seen).iter().filter(|seen| seen.method == method && seen.target.contains(part)).count()
    }

    /// Every `Authorization` value that arrived, whatever for.
    #[must_use]
    pub fn authorizations(&self) -> Vec<String> {
        lock(&self.state.seen).iter().flat_map(|seen| seen.authorization.clone()).collect()
    }

    /// Forgets what it has seen.
    pub fn forget(&self) {
        lock(&self.state.seen).clear();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test thread panicked here")
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        // Only speeds a test up.
        let _ = stream.set_nodelay(true);
        let (state, acceptor) = (Arc::clone(&state), acceptor.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&state), request));
            let builder = auto::Builder::new(TokioExecutor::new());
            // A client that leaves is part of many tests.
            let _ = match acceptor {
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => builder.serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => return,
                },
                None => builder.serve_connection(TokioIo::new(stream), service).await,
            };
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let seen = Seen::of(&request);
    let faults: Vec<Fault> = {
        let rules = lock(&state.rules);
        rules.iter().find(|rule| rule.applies(&seen.method, &seen.target)).map(|rule| rule.faults.clone()).unwrap_or_default()
    };
    lock(&state.seen).push(seen.clone());
    let mut answer = state.route(&seen);
    answer.head_only = seen.method == "HEAD";
    answer.send(&faults).await
}

impl Seen {
    fn of(request: &Request<Incoming>) -> Self {
        let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        let values = request.headers().get_all(http::header::AUTHORIZATION);
        let authorization = values.iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        Self { method: request.method().to_string(), target, authorization, headers: request.headers().clone() }
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    fn query(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()?;
        Some(value.replace("%3A", ":").replace("%3a", ":").replace("%2F", "/").replace("%2f", "/").replace("%2C", ","))
    }
}

impl State {
    fn route(&self, seen: &Seen) -> Answer {
        let authorization = seen.authorization.first().map(String::as_str);
        if seen.path() == "/token" {
            return self.token(&seen.query("scope").unwrap_or_default(), authorization);
        }
        let Some(rest) = seen.path().strip_prefix("/v2/") else { return Answer::error(404, "UNSUPPORTED") };
        let (repository, kind, reference) = split(rest);
        if let Some((tokens, realm)) = &*lock(&self.requires)
            && !tokens.admit(repository, authorization)
        {
            let scope = if repository.is_empty() { String::new() } else { format!(",scope=\"repository:{repository}:pull\"") };
            let challenge = format!("Bearer realm=\"{realm}\",service=\"the registry of a test\"{scope}");
            return Answer::error(401, "UNAUTHORIZED").with("www-authenticate", challenge);
        }
        let mut shelf = lock(&self.shelf);
        match kind {
            "" => Answer::new(200, "application/json", "{}"),
            "manifests" => shelf.manifest(repository, reference).map_or_else(|| Answer::error(404, "MANIFEST_UNKNOWN"), Answer::content),
            "blobs" => shelf.blob(repository, reference).map_or_else(|| Answer::error(404, "BLOB_UNKNOWN"), |blob| ranged(blob, seen)),
            "tags" => Answer::new(200, "application/json", json!({ "name": repository, "tags": shelf.tags_of(repository) }).to_string()),
            "referrers" if shelf.referrers == Referrers::Served => {
                let index = shelf.referrers_of(repository, reference);
                Answer::new(200, "application/vnd.oci.image.index.v1+json", index.to_string())
            }
            _ => Answer::error(404, "NAME_UNKNOWN"),
        }
    }

    fn token(&self, scope: &str, authorization: Option<&str>) -> Answer {
        let issues = lock(&self.issues);
        let Some(tokens) = &*issues else { return Answer::error(404, "UNSUPPORTED") };
        match tokens.issue(scope, authorization) {
            Some(token) => Answer::new(200, "application/json", json!({ "token": token, "expires_in": 300 }).to_string()),
            None => Answer::error(401, "UNAUTHORIZED"),
        }
    }
}

/// A blob, or the range of it that a client resumes from (RFC 9110 §14.2, `bytes=N-` only).
fn ranged(blob: &Content, seen: &Seen) -> Answer {
    let size = blob.bytes.len();
    let range = seen.headers.get(http::header::RANGE).and_then(|value| value.to_str().ok());
    let start = range.and_then(|value| value.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match start.filter(|start| *start < size) {
        Some(start) => Answer::new(206, "application/octet-stream", blob.bytes.slice(start..))
            .with("content-range", format!("bytes {start}-{}/{size}", size - 1))
            .with("docker-content-digest", blob.digest.clone()),
        None => Answer::content(&Content { media_type: "application/octet-stream".to_owned(), ..blob.clone() }),
    }
}

/// Repository, kind and reference of what follows `/v2/`.
fn split(rest: &str) -> (&str, &str, &str) {
    for kind in ["manifests", "blobs", "referrers", "tags"] {
        if let Some((repository, reference)) = rest.rsplit_once(&format!("/{kind}/")) {
            return (repository, kind, reference);
        }
    }
    ("", if rest.is_empty() { "" } else { "unknown" }, "")
}
