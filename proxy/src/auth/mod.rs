//! Who may pull, push, sign and delete (DESIGN §3, §6). The trust policy is another matter: no right makes an image admitted.
//!
//! A [`Credential`] becomes an [`Identity`] ([`authenticator`]), by the users of an htpasswd file ([`users`]), a token ([`tokens`]), a client certificate,
//! or the identity token of a CI job ([`oidc`], [`jwks`]); the
//! token endpoint changes it for a short-lived bearer token ([`bearer`]), as docker's clients want it. Each request gets an [`Access`],
//! which knows its [`Principal`] and what that may do. Nothing is remembered about a client that the next request would not look up anew:
//! a user who was removed, a token that was revoked, takes its bearer tokens along.

mod access;
mod authenticator;
mod bearer;
mod credential;
mod error;
mod failures;
mod jwks;
mod oidc;
mod principal;
mod rights;
pub mod scope;
mod tokens;
mod users;

pub use access::Access;
pub use authenticator::{Auth, Identity, IssuedBearer, client_address};
pub use credential::{Credential, MalformedCredential};
pub use error::{AuthError, Unauthenticated};
pub use principal::Principal;
pub use rights::{Right, Rights};
pub use sealgate_config::{Action, Actions};
pub use tokens::{NewToken, TokenError, Tokens};

#[cfg(test)]
mod tests;
