//! Listeners, TLS, limits, shutdown.
//!
//! [`serve`] takes a bound listener and a [`tower::Service`], and answers requests until [`Shutdown`] is requested; [`serve_unix`] does
//! the same on the control socket. What a service sees is already checked: HTTP/1.1 requests have one well-formed `Host`, the target is
//! in origin form, and a body has a known length within the limit. What a client can hold open is bounded in number, size and time by
//! [`ServerOptions`].

mod accept;
mod activity;
mod client_certificate;
mod connection;
mod guard;
mod layers;
mod options;
mod refusal;
mod request;
mod shutdown;
mod tls;
mod unix;

pub use accept::{Drained, serve, serve_unix};
pub(crate) use activity::Flight;
pub use client_certificate::ClientCertificate;
pub use connection::Peer;
pub use layers::{Limits, apart, layers};
pub use options::ServerOptions;
pub use refusal::refusal;
pub use shutdown::{Shutdown, ShutdownTrigger, shutdown};
pub(crate) use tls::{Stamp, stamp};
pub use tls::{Tls, TlsError, TlsFiles};
pub use unix::ControlSocket;
