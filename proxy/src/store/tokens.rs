//! Tokens for clients. What is revoked is gone from the index; the ledger remembers both.

use sealgate_verifier::Timestamp;

use super::ledger::Event;
use super::metadata::Table;
use super::{Store, StoreError, TokenRecord};

impl Store {
    /// Up to `limit` tokens that are not revoked, expired ones included.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn tokens(&self, limit: usize) -> Result<Vec<TokenRecord>, StoreError> {
        Ok(self.inner.index.scan(Table::Tokens, &[], limit)?.into_iter().map(|(_, token)| token).collect())
    }

    /// Records a new token. Durable when it returns.
    ///
    /// # Errors
    /// The record cannot be written.
    pub async fn record_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        self.record(token.created_at, Event::TokenCreated { token }).await
    }

    /// Records that a token is revoked. Durable when it returns.
    ///
    /// # Errors
    /// The record cannot be written.
    pub async fn record_token_revoked(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.record(now, Event::TokenRevoked { id: id.to_owned() }).await
    }
}
