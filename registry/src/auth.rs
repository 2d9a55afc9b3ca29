//! Registry credentials and the token flow (distribution "Token Authentication Specification").

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use http::{HeaderMap, HeaderValue};
use sealgate_verifier::Digest;
use tokio::sync::Mutex as AsyncMutex;

use crate::challenge::Challenge;
use crate::error::FetchError;
use crate::origin::Origin;
use crate::token::{Realm, Token, TokenRequest};
use crate::transport::Transport;

/// Repositories whose tokens are kept at once.
const SLOTS: usize = 10_000;
/// The user name under which docker stores an identity token (docker credential helper protocol).
pub(crate) const IDENTITY_TOKEN_USER: &str = "<token>";

/// A user name and password. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password, or an identity token when `username` is `<token>`.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials([secret])")
    }
}

impl Credentials {
    /// RFC 7617.
    pub(crate) fn basic(&self) -> Result<HeaderValue, FetchError> {
        let pair = format!("{}:{}", self.username, self.password);
        let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        sensitive(&value)
    }

    pub(crate) fn is_identity_token(&self) -> bool {
        self.username == IDENTITY_TOKEN_USER
    }

    fn fingerprint(&self) -> Digest {
        Digest::sha256(format!("{}\0{}", self.username, self.password).as_bytes())
    }
}

/// A header value that no log shows.
pub(crate) fn sensitive(value: &str) -> Result<HeaderValue, FetchError> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| FetchError::Malformed { problem: "a credential or token with characters that no header may hold".to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Finds the credentials for a repository path (`library/nginx`) of one registry, or none for anonymous access.
pub type CredentialSource = std::sync::Arc<dyn Fn(&str) -> Option<Credentials> + Send + Sync>;

/// A source without credentials.
#[must_use]
pub fn anonymous() -> CredentialSource {
    Arc::new(|_| None)
}

/// What a request wants to do in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    Pull,
    Push,
}

impl Access {
    fn scope(self, path: &str) -> String {
        match self {
            Self::Pull => format!("repository:{path}:pull"),
            Self::Push => format!("repository:{path}:pull,push"),
        }
    }
}

/// An `Authorization` header, and which one it is, so that a refused one is replaced once and not by every request that it failed.
#[derive(Clone)]
pub(crate) struct Authorization {
    pub(crate) header: HeaderValue,
    serial: u64,
}

/// A token belongs to one scope (hence one repository, V26) and one credential; the slot adds realm and service.
#[derive(Clone, PartialEq, Eq, Hash)]
struct SlotKey {
    scope: String,
    credential: Option<Digest>,
}

#[derive(Default)]
struct Slot {
    /// Counts the headers that the slot has held.
    serial: u64,
    held: Option<Held>,
}

struct Held {
    answers: Challenge,
    token: Token,
}

impl Slot {
    fn current(&self) -> Option<Authorization> {
        let held = self.held.as_ref().filter(|held| held.token.is_fresh())?;
        Some(Authorization { header: held.token.header.clone(), serial: self.serial })
    }
}

/// Answers one registry's challenges.
pub(crate) struct Authorizer {
    origin: Origin,
    realms: Vec<String>,
    credentials: CredentialSource,
    /// The outer lock is held for look-ups only. A slot's lock is held while its token is fetched: one fetch for all who wait, and when
    /// the fetching request goes away the next one takes over.
    slots: Mutex<HashMap<SlotKey, Arc<AsyncMutex<Slot>>>>,
}

impl Authorizer {
    pub(crate) fn new(origin: Origin, realms: Vec<String>, credentials: CredentialSource) -> Self {
        Self { origin, realms, credentials, slots: Mutex::default() }
    }

    /// Whether there are any for a repository path.
    pub(crate) fn has_credentials(&self, path: &str) -> bool {
        (self.credentials)(path).is_some()
    }

    /// The authorization that an earlier challenge led to, if it is still good.
    pub(crate) async fn remembered(&self, path: &str, access: Access) -> Option<Authorization> {
        let credentials = (self.credentials)(path);
        self.slot(path, access, credentials.as_ref()).lock().await.current()
    }

    /// Answers the challenge of a 401. `refused` is the authorization that the 401 was the answer to.
    pub(crate) async fn answer(
        &self,
        transport: &Transport,
        headers: &HeaderMap,
        path: &str,
        access: Access,
        refused: Option<&Authorization>,
    ) -> Result<Authorization, FetchError> {
        let challenge = Challenge::best(headers).ok_or(FetchError::Denied { status: 401 })?;
        let credentials = (self.credentials)(path);
        let slot = self.slot(path, access, credentials.as_ref());
        let mut slot = slot.lock().await;
        if slot.held.as_ref().is_some_and(|held| held.answers == challenge)
            && let Some(current) = slot.current().filter(|current| refused.is_none_or(|refused| refused.serial != current.serial))
        {
            return Ok(current);
        }
        slot.held = None;
        let token = match &challenge {
            Challenge::Basic => self.basic(credentials.as_ref())?,
            Challenge::Bearer { realm, service } => {
                let realm = Realm::checked(realm, &self.origin, &self.realms, credentials.as_ref())?;
                let scope = access.scope(path);
                TokenRequest { realm, service: service.as_deref(), scope: &scope, credentials: credentials.as_ref() }
                    .send(transport)
                    .await?
            }
        };
        slot.serial += 1;
        slot.held = Some(Held { answers: challenge, token });
        slot.current().ok_or(FetchError::Denied { status: 401 })
    }

    /// The credentials themselves go to the registry's own origin only: the caller sends the header nowhere else.
    fn basic(&self, credentials: Option<&Credentials>) -> Result<Token, FetchError> {
        let credentials = credentials.ok_or(FetchError::Denied { status: 401 })?;
        if credentials.is_identity_token() {
            // An identity token is good at a token endpoint only.
            return Err(FetchError::Denied { status: 401 });
        }
        refuse_plaintext(&self.origin)?;
        Ok(Token::lasting(credentials.basic()?))
    }

    fn slot(&self, path: &str, access: Access, credentials: Option<&Credentials>) -> Arc<AsyncMutex<Slot>> {
        let key = SlotKey { scope: access.scope(path), credential: credentials.map(Credentials::fingerprint) };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= SLOTS && !slots.contains_key(&key) {
            // A slot that cannot be locked is in use.
            slots.retain(|_, slot| slot.try_lock().map_or(true, |slot| slot.current().is_some()));
            if slots.len() >= SLOTS {
                slots.clear();
            }
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

/// Credentials travel over https, or over plaintext within this machine.
pub(crate) fn refuse_plaintext(origin: &Origin) -> Result<(), FetchError> {
    if origin.https || origin.is_loopback() {
        return Ok(());
    }
    Err(FetchError::Forbidden { problem: format!("credentials over plaintext to {}", origin.authority()) })
}
