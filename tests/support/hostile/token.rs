//! The token service of an upstream (Docker Registry v2 token authentication).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Tokens that one service gives out and an upstream accepts. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Scope by token.
    valid: HashMap<String, String>,
    issued: usize,
    /// The only login that gets tokens; without one, everybody does.
    login: Option<(String, String)>,
}

impl Tokens {
    /// For everybody who asks.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Only for this login.
    #[must_use]
    pub fn for_login(user: &str, password: &str) -> Self {
        let tokens = Self::default();
        tokens.state().login = Some((user.to_owned(), password.to_owned()));
        tokens
    }

    /// How many were given out.
    #[must_use]
    pub fn issued(&self) -> usize {
        self.state().issued
    }

    /// Ends every token that was given out.
    pub fn expire_all(&self) {
        self.state().valid.clear();
    }

    /// A new token for `scope`, unless a login is needed that `authorization` does not carry.
    pub(super) fn issue(&self, scope: &str, authorization: Option<&str>) -> Option<String> {
        let mut state = self.state();
        if let Some((user, password)) = &state.login {
            let wanted = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            if authorization != Some(wanted.as_str()) {
                return None;
            }
        }
        state.issued += 1;
        let token = format!("token-{}", state.issued);
        state.valid.insert(token.clone(), scope.to_owned());
        Some(token)
    }

    /// Whether `authorization` carries a token for `repository`.
    pub(super) fn admit(&self, repository: &str, authorization: Option<&str>) -> bool {
        let Some(token) = authorization.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
        let state = self.state();
        state.valid.get(token).is_some_and(|scope| scope.contains(&format!("repository:{repository}:")))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no test thread panicked here")
    }
}
