//! Who a request is from: credentials to principal to rights.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use http::{Extensions, HeaderMap};
use sealgate_config::{Action, Actions, Grant, PullAccess, ServerConfig, Who};
use sealgate_verifier::{Repository, Timestamp};
use zeroize::Zeroizing;

use super::access::Access;
use super::bearer::{self, Bearers, Claims};
use super::credential::Credential;
use super::error::{AuthError, Unauthenticated};
use super::failures::{Failures, Limited};
use super::oidc::{self, Workload, Workloads};
use super::principal::Principal;
use super::rights::{Right, Rights};
use super::scope::{self, Scope};
use super::tokens::{self, Token, Tokens};
use super::users::{Busy, Users};
use crate::gate::clock::Clock;
use crate::metrics::{AuthenticationOutcome, Metrics};
use crate::server::{ClientCertificate, Peer, Shutdown};
use crate::store::Store;

/// How one gate authenticates its clients.
pub struct Auth {
    users: Option<Arc<Users>>,
    tokens: Option<Tokens>,
    workloads: Workloads,
    /// Whether clients are asked for certificates.
    certificates: bool,
    grants: Option<Vec<(Vec<Who>, Arc<Right>)>>,
    /// What users may do where the configuration has no grants.
    everything: Rights,
    /// Registries from which everybody may pull.
    open: HashSet<String>,
    failures: Failures,
    bearers: Bearers,
    /// Where clients fetch bearer tokens. Never from a request: a `Host` header must not send passwords elsewhere.
    realm: String,
    service: String,
    clock: Clock,
    metrics: Arc<Metrics>,
}

/// A principal whose credential was checked.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who.
    pub principal: Principal,
    /// What they may do.
    pub rights: Rights,
    /// What they authenticated by: see [`Claims::entry`].
    entry: String,
    /// When the credential ends, where it does.
    expires: Option<Timestamp>,
}

/// A bearer token as the endpoint hands it out.
pub struct IssuedBearer {
    /// The secret.
    pub token: String,
    /// Seconds that it lives.
    pub lifetime: i64,
    /// When it was made.
    pub issued_at: Timestamp,
}

impl Auth {
    /// As `config` says; none where it has no `auth:`. `address` is where the gate listens. Blocks on the disk.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn open(config: &ServerConfig, address: SocketAddr, store: &Store, metrics: Arc<Metrics>) -> Result<Option<Arc<Self>>, String> {
        let Some(auth) = &config.auth else { return Ok(None) };
        let (realm, service) = place(config, address);
        let everywhere = Right { repositories: pattern("**"), actions: [Action::Pull, Action::Push, Action::Sign].into() };
        let anonymous = |registry: &&sealgate_config::Registry| registry.pull == PullAccess::Anonymous;
        Ok(Some(Arc::new(Self {
            users: auth.htpasswd.clone().map(Users::load).transpose()?.map(Arc::new),
            tokens: auth.tokens.then(|| Tokens::load(store.clone())).transpose()?,
            workloads: Workloads::new(&auth.oidc)?,
            certificates: config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()),
            grants: auth.grants.as_ref().map(|grants| grants.iter().map(granted).collect()),
            everything: Rights::new([everywhere]),
            open: config.registries.values().filter(anonymous).map(|registry| registry.name.clone()).collect(),
            failures: Failures::new(),
            bearers: Bearers::open(&config.data)?,
            realm,
            service,
            clock: Clock::new(store.high_water()),
            metrics,
        })))
    }

    /// The tokens, where they are accepted.
    #[must_use]
    pub const fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_ref()
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether everybody may pull from `registry`.
    #[must_use]
    pub fn is_open(&self, registry: &str) -> bool {
        self.open.contains(registry)
    }

    /// Reads the users again; the last good ones stay in force. Blocks on file I/O.
    pub fn reload(&self) {
        if let Some(users) = &self.users {
            self.metrics.htpasswd_last_reload_success.set(i64::from(users.reload().is_ok()));
        }
    }

    /// Reloads what changes on the disk, until the shutdown.
    pub async fn watch(self: Arc<Self>, shutdown: Shutdown) {
        if let Some(users) = self.users.clone() {
            users.watch(shutdown, |good| _ = self.metrics.htpasswd_last_reload_success.set(i64::from(good))).await;
        }
    }

    /// What a request may do. Credentials that are wrong are never the same as none.
    ///
    /// # Errors
    /// 401, 429, 503.
    pub async fn access(self: &Arc<Self>, headers: &HeaderMap, extensions: &Extensions) -> Result<Access, AuthError> {
        let shown = Credential::read(headers).map_err(|_| self.challenge(Unauthenticated::Malformed, None))?;
        let (identity, scope) = match shown {
            None => (self.unasked(extensions), None),
            Some(Credential::Secret(text)) if text.starts_with(bearer::PREFIX) => {
                let (identity, scope) = self.bearer(&text, extensions).ok_or_else(|| self.challenge(Unauthenticated::StaleBearer, None))?;
                (identity, Some(scope))
            }
            Some(credential) => (self.authenticate(credential, extensions).await?, None),
        };
        Ok(Access { principal: identity.principal, rights: identity.rights, scope, auth: Some(Arc::clone(self)) })
    }

    /// Who a client is that shows no credential in its request: the holder of its certificate, or nobody.
    #[must_use]
    pub fn unasked(&self, extensions: &Extensions) -> Identity {
        self.holder(extensions).unwrap_or_else(|| self.identity(Principal::Anonymous, String::new(), None))
    }

    fn holder(&self, extensions: &Extensions) -> Option<Identity> {
        let certificate = extensions.get::<ClientCertificate>().filter(|_| self.certificates)?;
        let valid = self.now() <= certificate.not_after;
        valid.then(|| self.identity(Principal::Certificate(Arc::clone(&certificate.name)), String::new(), Some(certificate.not_after)))
    }

    /// Checks a password or a secret; a bearer token of the token endpoint is neither, so that none can make another.
    ///
    /// # Errors
    /// 401, 429, 503.
    pub async fn authenticate(&self, credential: Credential, extensions: &Extensions) -> Result<Identity, AuthError> {
        let address = client_address(extensions);
        if let Credential::Password { user, password } = &credential
            && let Some(entry) = self.users.as_ref().and_then(|users| users.recall(user, password))
        {
            self.metrics.authentication(AuthenticationOutcome::Succeeded).inc();
            return Ok(self.identity(Principal::User(user.as_str().into()), entry, None));
        }
        let outcome = match self.failures.check(address) {
            Ok(()) => self.check(credential, address).await,
            Err(limited) => Err(limited.into()),
        };
        let label = match &outcome {
            Ok(_) => AuthenticationOutcome::Succeeded,
            Err(AuthError::Limited { .. } | AuthError::Busy) => AuthenticationOutcome::Limited,
            Err(AuthError::Unauthenticated { .. } | AuthError::Forbidden { .. } | AuthError::NobodyIsAuthenticated { .. }) => {
                tracing::info!(%address, "a client failed to authenticate");
                AuthenticationOutcome::Failed
            }
        };
        self.metrics.authentication(label).inc();
        outcome
    }

    async fn check(&self, credential: Credential, address: IpAddr) -> Result<Identity, AuthError> {
        let found = match credential {
            Credential::Password { user, password } if !is_secret(&password) => return self.password(&user, &password, address).await,
            Credential::Password { password: text, .. } | Credential::Secret(text) => self.secret(&text).await,
        };
        found.ok_or_else(|| {
            let counted = self.failures.begin(address);
            counted.err().map_or_else(|| self.challenge(Unauthenticated::Wrong, None), AuthError::from)
        })
    }

    async fn password(&self, user: &str, password: &Zeroizing<String>, address: IpAddr) -> Result<Identity, AuthError> {
        let wrong = || self.challenge(Unauthenticated::Wrong, None);
        let Some(users) = &self.users else {
            return Err(self.failures.begin(address).err().map_or_else(wrong, AuthError::from));
        };
        let turn = users.turn().await.map_err(|Busy| AuthError::Busy)?;
        // It may have been checked while this request waited.
        let mut entry = users.recall(user, password);
        if entry.is_none() {
            self.failures.begin(address)?;
            entry = users.check(turn, user, password).await;
            if entry.is_some() {
                self.failures.succeeded(address);
            }
        }
        entry.map(|entry| self.identity(Principal::User(user.into()), entry, None)).ok_or_else(wrong)
    }

    async fn secret(&self, text: &str) -> Option<Identity> {
        if oidc::is_token(text) {
            let found = self.workloads.verify(text, self.now()).await;
            let Workload { name, entry, subject, expires } =
                found.map_err(|problem| tracing::info!(%problem, "an identity token does not count")).ok()?;
            let principal = Principal::Workload { name: name.into(), subject: subject.into() };
            return Some(self.identity(principal, entry, Some(expires)));
        }
        let token = self.tokens.as_ref()?.verify(text, self.now())?;
        Some(self.of_token(&token))
    }

    fn of_token(&self, token: &Token) -> Identity {
        let record = &token.record;
        let principal = Principal::Token { name: record.name.as_str().into(), id: record.id.as_str().into() };
        Identity { principal, rights: token.rights.clone(), entry: String::new(), expires: Some(record.expires_at) }
    }

    fn identity(&self, principal: Principal, entry: String, expires: Option<Timestamp>) -> Identity {
        Identity { rights: self.rights(&principal), principal, entry, expires }
    }

    /// What the configuration grants.
    fn rights(&self, principal: &Principal) -> Rights {
        let Some(grants) = &self.grants else {
            return if matches!(principal, Principal::User(_)) { self.everything.clone() } else { Rights::default() };
        };
        let meant = |who: &Who| match (who, principal) {
            (Who::Anonymous, _) => true,
            (Who::Authenticated, principal) => !principal.is_anonymous(),
            (Who::User(pattern), Principal::User(name)) => pattern.matches(name),
            (Who::Certificate(pattern), Principal::Certificate(name)) => pattern.matches(name),
            (Who::Workload(pattern), Principal::Workload { name, .. }) => pattern.matches(name),
            (Who::User(_) | Who::Certificate(_) | Who::Workload(_), _) => false,
        };
        grants.iter().filter(|(who, _)| who.iter().any(meant)).map(|(_, right)| Arc::clone(right)).collect()
    }

    /// A bearer token for `identity`, with what it may do of `wanted`.
    #[must_use]
    pub fn issue(&self, identity: &Identity, wanted: Vec<(Repository, Actions)>) -> IssuedBearer {
        let (kind, name, subject) = identity.principal.parts();
        let now = self.now();
        let end = Timestamp(now.0.saturating_add(bearer::LIFETIME));
        let expires = identity.expires.map_or(end, |ends| ends.min(end));
        let allowed = |(repository, actions): (Repository, Actions)| {
            let everybody = if self.is_open(repository.registry()) { Action::Pull.into() } else { Actions::NONE };
            let actions = identity.rights.within(&repository).union(everybody).intersection(actions);
            (repository, actions.iter().collect())
        };
        let scope = wanted.into_iter().map(allowed).collect();
        let claims = Claims { kind: kind.to_owned(), name, subject, entry: identity.entry.clone(), scope, expires };
        IssuedBearer { token: self.bearers.issue(&claims), lifetime: expires.0.saturating_sub(now.0), issued_at: now }
    }

    /// Whose bearer token it is, and what for: its principal must still be there, by the same entry.
    fn bearer(&self, text: &str, extensions: &Extensions) -> Option<(Identity, Scope)> {
        let now = self.now();
        let Claims { kind, name, subject, entry, scope, expires } = self.bearers.verify(text, now)?;
        let scope = scope.into_iter().map(|(repository, actions)| (repository, actions.into_iter().collect())).collect();
        let identity = match kind.as_str() {
            "anonymous" => self.identity(Principal::Anonymous, String::new(), None),
            "user" => {
                let present = self.users.as_ref()?.entry(&name)?;
                (present == entry).then(|| self.identity(Principal::User(name.into()), entry, Some(expires)))?
            }
            "token" => self.of_token(&*self.tokens.as_ref()?.by_id(&subject, now)?),
            // Only over a connection with the certificate itself (RFC 8705 §3).
            "certificate" => {
                self.holder(extensions).filter(|holder| matches!(&holder.principal, Principal::Certificate(held) if **held == *name))?
            }
            "oidc" => {
                let present = self.workloads.entry(&name)?;
                let principal = Principal::Workload { name: name.into(), subject: subject.into() };
                (present == entry).then(|| self.identity(principal, entry, Some(expires)))?
            }
            _ => return None,
        };
        Some((identity, scope))
    }

    /// 401 that says where to fetch a bearer token, and with which scope.
    #[must_use]
    pub fn challenge(&self, problem: Unauthenticated, wanted: Option<(&Repository, Actions)>) -> AuthError {
        let mut challenge = format!("Bearer realm=\"{}\",service=\"{}\"", self.realm, self.service);
        if let Some((repository, actions)) = wanted {
            challenge += &format!(",scope=\"{}\"", scope::write(repository, actions));
        }
        if let Some(code) = problem.code() {
            challenge += &format!(",error=\"{code}\"");
        }
        AuthError::Unauthenticated { challenge, problem }
    }
}

impl From<Limited> for AuthError {
    fn from(Limited(retry_after): Limited) -> Self {
        Self::Limited { retry_after }
    }
}

/// The token endpoint's URL and the service's name.
fn place(config: &ServerConfig, address: SocketAddr) -> (String, String) {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let url = config.public_url.clone().unwrap_or_else(|| format!("{scheme}://{address}"));
    let service = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let service = service.split('/').next().unwrap_or_default().to_owned();
    (format!("{url}/token"), service)
}

fn pattern(text: &str) -> Vec<sealgate_verifier::Pattern> {
    text.parse().into_iter().collect()
}

fn granted(Grant { who, repositories, actions }: &Grant) -> (Vec<Who>, Arc<Right>) {
    (who.clone(), Arc::new(Right { repositories: repositories.clone(), actions: *actions }))
}

/// Whether a password says by itself whose it is.
fn is_secret(password: &str) -> bool {
    password.starts_with(tokens::PREFIX) || password.starts_with(bearer::PREFIX) || oidc::is_token(password)
}

/// Where the client is. Whoever is not on the network shares one address that nobody else has.
#[must_use]
pub fn client_address(extensions: &Extensions) -> IpAddr {
    match extensions.get::<Peer>() {
        Some(Peer::Tcp { address, .. }) => address.ip(),
        Some(Peer::Unix { .. }) | None => IpAddr::from([0, 0, 0, 0]),
    }
}

/// Nothing else of it may be shown.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("realm", &Path::new(&self.realm)).finish_non_exhaustive()
    }
}
