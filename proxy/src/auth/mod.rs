//! Who may pull, push, sign and delete (DESIGN §3, §6). The trust policy is another matter: no right makes an image admitted.

mod access;
mod error;
mod principal;
mod rights;

pub use access::Access;
pub use error::AuthError;
pub use principal::Principal;
pub use rights::{Right, Rights};
pub use sealgate_config::{Action, Actions};
