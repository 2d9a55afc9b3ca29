//! An upstream registry that does what a test tells it: serves images from memory, counts each request, and misbehaves on demand.

mod answer;
mod fault;
mod server;
mod shelf;
mod token;

pub use fault::{Fault, Latch, Rule};
pub use server::{Seen, Upstream};
pub use shelf::Referrers;
pub use token::Tokens;
