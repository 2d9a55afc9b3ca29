//! A gate that runs: store, listeners, control socket, and its orderly end.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sealgate_config::ServerConfig;
use sealgate_verifier::Policy;
use tokio::task::JoinHandle;

use super::binding::Listeners;
use super::policy::PolicyFile;
use super::signals::{Request, Signals};
use super::watch;
use crate::auth::Auth;
use crate::cli::control::SOCKET;
use crate::gate::{Gate, GateParts};
use crate::metrics::{Listener, Metrics};
use crate::routes::{AdminRoutes, ControlRoutes, Readiness, ReloadPolicy, Routes};
use crate::server::{self, ControlSocket, Limits, ServerOptions, ShutdownTrigger, Tls, TlsFiles};
use crate::store::room::Bounds;
use crate::store::{IndexState, Store, StoreOptions};
use crate::trust_root::TrustRoots;

/// How often the time is noted: what a kill and an earlier clock together can make fresh again (F24: 60 s leeway).
const NOTE_TIME: Duration = Duration::from_secs(60);
/// Most connections of the admin and control listeners.
const ADMIN_CONNECTIONS: usize = 64;

/// How often the access log is written (DESIGN §10), and how long the store may be over its limits unnoticed.
const KEEP_HOUSE: Duration = Duration::from_secs(10);

/// How often expired uploads are looked for: a quarter of their time, within these.
const SWEEP_SHORTEST: Duration = Duration::from_millis(250);
/// See [`SWEEP_SHORTEST`].
const SWEEP_LONGEST: Duration = Duration::from_mins(5);

/// A running gate.
pub struct Instance {
    gate: Arc<Gate>,
    readiness: Arc<Readiness>,
    policy: Arc<PolicyFile>,
    auth: Option<Arc<Auth>>,
    address: SocketAddr,
    admin_address: SocketAddr,
    /// Ends the gate's listener.
    stop_gate: ShutdownTrigger,
    /// Ends the admin listener and the control socket, later: `/readyz` answers while the gate drains.
    stop_admin: ShutdownTrigger,
    serving: JoinHandle<()>,
    administering: Vec<JoinHandle<()>>,
}

impl Instance {
    /// Opens the store and begins to serve.
    ///
    /// # Errors
    /// What cannot be opened, and how to mend it.
    pub async fn start(config: ServerConfig, policy: Policy, listeners: Listeners) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let address = listeners.gate.local_addr().map_err(text)?;
        let admin_address = listeners.admin.local_addr().map_err(text)?;
        let metrics = Metrics::new(config.registries.values().map(|registry| registry.name.as_str()));
        let tls = load_tls(&config, &metrics)?;
        let store = open_store(&config).await?;
        let auth = open_auth(&config, address, &store, &metrics).await?;
        let trust_roots = open_trust_roots(&config, &metrics).await?;
        let gate = Gate::new(GateParts { config, policy, store, metrics: Arc::clone(&metrics) })?;
        // Before the first request: what was refreshed once counts from the start.
        gate.use_trust_roots(trust_roots.current());
        if let Err(error) = gate.record_policy().await {
            // A full disk must not keep what is recorded from being served (DESIGN §10).
            tracing::error!(?error, "the trust policy is in force, but its load could not be recorded");
        }
        let config = gate.config();
        let readiness = Arc::new(Readiness::default());
        let policy = PolicyFile::new(Arc::clone(&gate));
        let (stop_gate, gate_shutdown) = server::shutdown();
        let (stop_admin, admin_shutdown) = server::shutdown();

        let mut options = ServerOptions::new(Listener::Gate, Arc::clone(&metrics));
        options.max_connections = config.max_connections;
        options.grace = config.shutdown_grace;
        options.tls = tls;
        options.pushes = true;
        let routes = Routes::new(Arc::clone(&gate), auth.clone());
        let routes = server::apart(server::layers(routes.clone(), Limits::pushes()), server::layers(routes, Limits::default()));
        tokio::spawn(sweep_uploads(Arc::downgrade(&gate), gate.config().upload_idle));
        tokio::spawn(keep_house(Arc::downgrade(&gate)));
        watch::start(&gate);
        let serving = spawn(server::serve(options, listeners.gate, routes, gate_shutdown), "gate");

        let small = |listener| {
            let mut options = ServerOptions::new(listener, Arc::clone(&metrics));
            options.max_connections = ADMIN_CONNECTIONS;
            options
        };
        let admin = AdminRoutes::new(Arc::clone(&gate), Arc::clone(&readiness));
        let admin = server::serve(small(Listener::Admin), listeners.admin, admin, admin_shutdown.clone());
        let socket = ControlSocket::bind(&config.data.join(SOCKET)).map_err(|error| format!("the control socket: {error}"))?;
        trust_roots.watch(&gate, &admin_shutdown);
        let reload = reloader(&policy, &auth);
        let control = ControlRoutes::new(Arc::clone(&gate), auth.clone(), trust_roots, Arc::clone(&readiness), reload);
        if let Some(auth) = auth.clone() {
            tokio::spawn(auth.watch(admin_shutdown.clone()));
        }
        let control = server::serve_unix(small(Listener::Control), socket, control, admin_shutdown);
        let administering = vec![spawn(admin, "admin"), spawn(control, "control")];
        tracing::info!(%address, "listening: gate");
        tracing::info!(address = %admin_address, "listening: admin");
        Ok(Self { gate, readiness, policy, auth, address, admin_address, stop_gate, stop_admin, serving, administering })
    }

    /// Where clients reach it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the admin reaches it.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Serves until SIGTERM or SIGINT, and reloads the policy at each SIGHUP.
    ///
    /// # Errors
    /// When the store does not close.
    pub async fn run_until_signal(self, mut signals: Signals) -> Result<(), String> {
        let gate = Arc::clone(&self.gate);
        let noting = tokio::spawn(async move {
            loop {
                tokio::time::sleep(NOTE_TIME).await;
                gate.note_time();
            }
        });
        while signals.next().await == Request::Reload {
            // The outcome is in the log and in a metric.
            let _ = self.policy.reload().await;
            reload_users(&self.auth).await;
        }
        noting.abort();
        tokio::spawn(async move {
            signals.stop().await;
            tracing::warn!("stopped by a second signal: requests under way were cut");
            std::process::exit(1);
        });
        self.stop().await
    }

    /// Takes no new requests, finishes those under way as long as `shutdown-grace` allows, and closes the store.
    ///
    /// # Errors
    /// When the store does not close.
    pub async fn stop(self) -> Result<(), String> {
        self.readiness.drain();
        tracing::info!("draining");
        self.stop_gate.fire();
        // A task that panicked has ended as well.
        let _ = self.serving.await;
        self.stop_admin.fire();
        for task in self.administering {
            let _ = task.await;
        }
        self.gate.note_time();
        self.gate.keep_house().await;
        let store = self.gate.store().clone();
        let closed = tokio::task::spawn_blocking(move || store.close()).await.map_err(|error| error.to_string())?;
        closed.map_err(|error| format!("the store did not close cleanly: {error}"))?;
        tracing::info!("stopped");
        Ok(())
    }
}

fn load_tls(config: &ServerConfig, metrics: &Arc<Metrics>) -> Result<Option<Arc<Tls>>, String> {
    let Some(sealgate_config::Tls { certificate, key, client_ca, http2 }) = &config.tls else { return Ok(None) };
    let files = TlsFiles { certificate: certificate.clone(), key: key.clone(), client_ca: client_ca.clone() };
    let tls = Tls::load(files, *http2, Arc::clone(metrics));
    tls.map(Some).map_err(|error| format!("TLS: {error}"))
}

/// How the configuration has the store opened.
#[must_use]
pub fn store_options(config: &ServerConfig) -> StoreOptions {
    let sealgate_config::Keep { max_size, reserve, lease } = config.keep;
    StoreOptions { folder: config.data.clone(), index: config.index, bounds: Bounds { max_size, reserve, lease } }
}

async fn open_store(config: &ServerConfig) -> Result<Store, String> {
    let options = store_options(config);
    let opened = tokio::task::spawn_blocking(move || Store::open(&options)).await.map_err(|error| error.to_string())?;
    let (store, report) = opened.map_err(|error| error.to_string())?;
    tracing::info!(
        created = report.created,
        replayed = report.replayed,
        torn_bytes = report.torn_bytes,
        leftovers = report.leftovers,
        missing_manifests = report.missing_manifests,
        "the store is open"
    );
    if let IndexState::Rebuilt { reason } = &report.index {
        tracing::warn!(%reason, "the index was rebuilt from the ledger");
    }
    Ok(store)
}

/// Notes who used what and evicts what there is no room for, as long as the gate lives.
async fn keep_house(gate: Weak<Gate>) {
    let counting = gate.upgrade().map(|gate| gate.store().clone());
    if let Some(store) = counting
        && let Ok(Err(error)) = tokio::task::spawn_blocking(move || store.count()).await
    {
        tracing::error!(%error, "the blobs could not be counted");
    }
    let mut ticks = tokio::time::interval(KEEP_HOUSE);
    loop {
        ticks.tick().await;
        let Some(gate) = gate.upgrade() else { return };
        gate.keep_house().await;
    }
}

/// Removes uploads that nobody goes on with, as long as the gate lives.
async fn sweep_uploads(gate: Weak<Gate>, idle: Duration) {
    let mut ticks = tokio::time::interval((idle / 4).clamp(SWEEP_SHORTEST, SWEEP_LONGEST));
    loop {
        ticks.tick().await;
        let Some(gate) = gate.upgrade() else { return };
        gate.sweep_uploads().await;
    }
}

async fn open_auth(config: &ServerConfig, address: SocketAddr, store: &Store, metrics: &Arc<Metrics>) -> Result<Option<Arc<Auth>>, String> {
    let (config, store, metrics) = (config.clone(), store.clone(), Arc::clone(metrics));
    let opened = tokio::task::spawn_blocking(move || Auth::open(&config, address, &store, metrics)).await;
    opened.map_err(|error| error.to_string())?.map_err(|error| format!("client authentication: {error}"))
}

async fn open_trust_roots(config: &ServerConfig, metrics: &Arc<Metrics>) -> Result<Arc<TrustRoots>, String> {
    let (roots, data, metrics) = (config.trust_roots.clone(), config.data.clone(), Arc::clone(metrics));
    tokio::task::spawn_blocking(move || TrustRoots::open(&roots, &data, &metrics)).await.map_err(|error| error.to_string())?
}

fn reloader(policy: &Arc<PolicyFile>, auth: &Option<Arc<Auth>>) -> ReloadPolicy {
    let (policy, auth) = (Arc::clone(policy), auth.clone());
    Arc::new(move || {
        let (policy, auth) = (Arc::clone(&policy), auth.clone());
        Box::pin(async move {
            reload_users(&auth).await;
            policy.reload().await
        })
    })
}

/// The outcome is in the log and in a metric.
async fn reload_users(auth: &Option<Arc<Auth>>) {
    if let Some(auth) = auth.clone()
        && let Err(error) = tokio::task::spawn_blocking(move || auth.reload()).await
    {
        tracing::error!(%error, "the users were not reloaded");
    }
}

fn spawn(serving: impl Future<Output = server::Drained> + Send + 'static, listener: &'static str) -> JoinHandle<()> {
    tokio::spawn(async move {
        let drained = serving.await;
        tracing::debug!(listener, ?drained, "a listener ended");
    })
}
