//! Tokens that `sealgate token create` makes: `sgt_`, an identifier that lists show, and a secret of 256 random bits.
//!
//! What is kept is the SHA-256 of the whole token: of a random secret that is as good as a slow hash. A token names its own rights, so
//! that the configuration need not change for each.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use sealgate_config::Action;
use sealgate_verifier::{Digest, Pattern, Timestamp};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::rights::{Right, Rights};
use crate::store::{Store, StoreError, TokenRecord};

/// What a token begins with, so that secret scanners know it.
pub const PREFIX: &str = "sgt_";
/// Tokens that are not revoked.
pub const TOKENS: usize = 10_000;
/// Hex digits of an identifier.
const ID: usize = 16;
const SECRET_BYTES: usize = 32;
/// Characters of a name.
const NAME: usize = 64;
/// Patterns of one token.
const REPOSITORIES: usize = 64;

/// What a new token is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Up to 64 letters, digits and `. _ -`.
    pub name: String,
    /// Where it is good for.
    pub repositories: Vec<Pattern>,
    /// What for.
    pub actions: Vec<Action>,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Why there is no new token, or none was revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Nothing has this identifier or name.
    #[error("no token has the identifier or name {0:?}; `sealgate token list` shows them")]
    Unknown(String),
    /// A name that several tokens have.
    #[error("several tokens have this name; revoke each by its identifier: {}", .0.join(", "))]
    Ambiguous(Vec<String>),
    /// The system gave no random bits.
    #[error("the system gives no randomness")]
    Randomness,
    /// It could not be recorded.
    #[error("the token could not be recorded: {0}")]
    Store(#[from] StoreError),
}

/// A token that is not revoked.
#[derive(Debug)]
pub struct Token {
    /// As it was recorded.
    pub record: TokenRecord,
    /// What it may do.
    pub rights: Rights,
}

/// All tokens that are not revoked. The memory is what binds each request; the ledger is what a restart reads.
pub struct Tokens {
    store: Store,
    by_id: RwLock<HashMap<String, Arc<Token>>>,
}

impl Tokens {
    /// Reads them from the store.
    ///
    /// # Errors
    /// The index cannot be read, or holds a token that makes no sense.
    pub fn load(store: Store) -> Result<Self, String> {
        let records = store.tokens(TOKENS).map_err(|error| error.to_string())?;
        let tokens = records.into_iter().map(|record| Ok((record.id.clone(), Arc::new(token(record)?))));
        Ok(Self { by_id: RwLock::new(tokens.collect::<Result<_, String>>()?), store })
    }

    /// Makes a token. Its secret is in the answer and nowhere else. Durable before it returns.
    ///
    /// # Errors
    /// The request makes no sense, or cannot be recorded.
    pub async fn create(&self, new: NewToken, now: Timestamp) -> Result<(Zeroizing<String>, TokenRecord), TokenError> {
        check(&new, now)?;
        if self.by_id.read().unwrap_or_else(PoisonError::into_inner).len() >= TOKENS {
            return Err(TokenError::Invalid(format!("there are {TOKENS} tokens already; revoke some first")));
        }
        let mut id = [0; ID / 2];
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        let random = SystemRandom::new();
        random.fill(&mut id).and_then(|()| random.fill(secret.as_mut_slice())).map_err(|_| TokenError::Randomness)?;
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = Zeroizing::new(format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret.as_slice())));
        let record = TokenRecord {
            id: id.clone(),
            name: new.name,
            hash: Digest::sha256(text.as_bytes()),
            repositories: new.repositories.iter().map(ToString::to_string).collect(),
            actions: new.actions,
            created_at: now,
            expires_at: new.expires_at,
        };
        let token = token(record.clone()).map_err(TokenError::Invalid)?;
        self.store.record_token(record.clone()).await?;
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(token));
        tracing::info!(id = %record.id, name = %record.name, expires = %record.expires_at, "token created");
        Ok((text, record))
    }

    /// All that are not revoked, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<TokenRecord> {
        let tokens = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let mut records: Vec<_> = tokens.values().map(|token| token.record.clone()).collect();
        records.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        records
    }

    /// Revokes the token with this identifier, or with this name if only one has it. It counts for nothing from the next request on,
    /// whether or not that can be recorded. Durable before it returns.
    ///
    /// # Errors
    /// There is none, several have the name, or it cannot be recorded: after a restart it would count again.
    pub async fn revoke(&self, id_or_name: &str, now: Timestamp) -> Result<TokenRecord, TokenError> {
        let token = {
            let mut tokens = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
            let named = |token: &&Arc<Token>| token.record.name == id_or_name;
            let mut found: Vec<String> = match tokens.get(id_or_name) {
                Some(token) => vec![token.record.id.clone()],
                None => tokens.values().filter(named).map(|token| token.record.id.clone()).collect(),
            };
            found.sort();
            match &found[..] {
                [] => return Err(TokenError::Unknown(id_or_name.to_owned())),
                [id] => tokens.remove(id).ok_or_else(|| TokenError::Unknown(id.clone()))?,
                [..] => return Err(TokenError::Ambiguous(found)),
            }
        };
        let record = token.record.clone();
        if let Err(error) = self.store.record_token_revoked(&record.id, now).await {
            tracing::error!(id = %record.id, %error, "the token is revoked until a restart only: that could not be recorded");
            return Err(error.into());
        }
        tracing::info!(id = %record.id, name = %record.name, "token revoked");
        Ok(record)
    }

    /// The token that `text` is, while it counts. Only its identifier is looked up; the rest is compared in constant time.
    #[must_use]
    pub fn verify(&self, text: &str, now: Timestamp) -> Option<Arc<Token>> {
        let (id, _) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let token = self.by_id(id, now)?;
        let same = Digest::sha256(text.as_bytes()).as_bytes().ct_eq(token.record.hash.as_bytes());
        bool::from(same).then_some(token)
    }

    /// The token with this identifier, while it counts.
    #[must_use]
    pub fn by_id(&self, id: &str, now: Timestamp) -> Option<Arc<Token>> {
        let token = self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        token.filter(|token| now < token.record.expires_at)
    }
}

fn check(new: &NewToken, now: Timestamp) -> Result<(), TokenError> {
    let invalid = |problem: String| Err(TokenError::Invalid(problem));
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if new.name.is_empty() || new.name.len() > NAME || !new.name.bytes().all(plain) {
        return invalid(format!("a token's name has up to {NAME} letters, digits and . _ -"));
    }
    if new.repositories.is_empty() || new.repositories.len() > REPOSITORIES {
        return invalid(format!("a token names 1 to {REPOSITORIES} repositories or patterns, such as hosted.local/team/**"));
    }
    if new.actions.is_empty() {
        return invalid("a token names at least one action: pull, push, sign or delete".to_owned());
    }
    if new.expires_at <= now {
        return invalid("a token that has expired already is of no use".to_owned());
    }
    Ok(())
}

fn token(record: TokenRecord) -> Result<Token, String> {
    let pattern = |text: &String| text.parse::<Pattern>().map_err(|error| format!("token {}: {error}", record.id));
    let repositories = record.repositories.iter().map(pattern).collect::<Result<_, _>>()?;
    let rights = Rights::new([Right { repositories, actions: record.actions.iter().copied().collect() }]);
    Ok(Token { record, rights })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn new(name: &str) -> NewToken {
        let repositories = vec!["hosted.local/team/**".parse().expect("a pattern")];
        NewToken { name: name.to_owned(), repositories, actions: vec![Action::Push, Action::Sign], expires_at: Timestamp(2_000) }
    }

    #[tokio::test]
    async fn a_token_counts_until_it_ends_or_is_revoked_over_restarts_too() {
        let store = Store::in_memory();
        let tokens = Tokens::load(store.clone()).expect("tokens");
        let (text, record) = tokens.create(new("ci"), NOW).await.expect("a token");
        assert!(text.starts_with(&format!("sgt_{}_", record.id)) && text.len() == 4 + 16 + 1 + 43, "{}", text.len());
        let found = tokens.verify(&text, NOW).expect("the token");
        assert_eq!(found.rights.within(&"hosted.local/team/app".parse().expect("a name")).to_string(), "pull,push,sign");
        assert!(tokens.verify(&text, Timestamp(2_000)).is_none());
        let again = Tokens::load(store.clone()).expect("tokens");
        assert!(again.verify(&text, NOW).is_some());
        let secret = text.rsplit_once('_').map(|(_, secret)| secret.to_owned()).expect("a secret");
        assert!(!format!("{:?}", again.list()).contains(&secret));
        assert_eq!(again.revoke("ci", NOW).await.expect("revoked").id, record.id);
        assert!(again.verify(&text, NOW).is_none() && again.by_id(&record.id, NOW).is_none());
        assert!(Tokens::load(store).expect("tokens").list().is_empty());
    }

    #[tokio::test]
    async fn no_other_text_is_the_token() {
        let tokens = Tokens::load(Store::in_memory()).expect("tokens");
        let (text, record) = tokens.create(new("ci"), NOW).await.expect("a token");
        let (other, _) = tokens.create(new("other"), NOW).await.expect("a token");
        let crossed = format!("sgt_{}_{}", record.id, &other[21..]);
        for bad in ["", "sgt_", &text[4..], &text[..text.len() - 1], &format!("{}A", text.as_str()), &crossed, &text.to_uppercase()] {
            assert!(tokens.verify(bad, NOW).is_none(), "{bad}");
        }
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        let tokens = Tokens::load(Store::in_memory()).expect("tokens");
        for bad in [
            NewToken { repositories: vec![], ..new("a") },
            NewToken { actions: vec![], ..new("a") },
            NewToken { expires_at: NOW, ..new("a") },
            new(""),
            new("a#b"),
            new(&"a".repeat(65)),
        ] {
            assert!(matches!(tokens.create(bad.clone(), NOW).await, Err(TokenError::Invalid(_))), "{bad:?}");
        }
        for _ in 0..2 {
            let _ = tokens.create(new("twin"), NOW).await.expect("a token");
        }
        assert!(matches!(tokens.revoke("twin", NOW).await, Err(TokenError::Ambiguous(ids)) if ids.len() == 2));
        assert!(matches!(tokens.revoke("none", NOW).await, Err(TokenError::Unknown(_))));
        assert_eq!(tokens.list().len(), 2);
    }
}
