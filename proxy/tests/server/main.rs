//! The HTTP layer of the gate against raw clients: hostile, slow, broken and plain ones.

mod blob;
mod body;
mod drain;
mod gate;
mod hostile;
mod http2;
mod slow;
mod tls;
mod unix;
