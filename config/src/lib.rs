//! Reads the server's configuration and the trust policy. Every error names file, line, column and the mend.
//!
//! [`server`] holds `sealgate.yaml`, [`policy`] turns `trust-policy.yaml` into a [`sealgate_verifier::Policy`],
//! [`template`] what `sealgate init` writes, [`schema`] the published JSON Schema.

mod document;
pub mod error;
mod file;
mod htpasswd;
pub mod limits;
mod members;
mod node;
pub mod policy;
mod problems;
mod scalar;
pub mod schema;
pub mod server;
mod shape;
mod snippet;
pub mod template;

pub use error::{ConfigError, ConfigErrors};
pub use htpasswd::{Htpasswd, PasswordHash, load_htpasswd};
pub use policy::{LoadedPolicy, exception_warnings, load_policy, uncollected, unmatched_rules};
pub use server::{
    Action, Actions, AddressRange, Admin, Auth, Credential, Grant, Hosted, IndexKind, Keep, NamePattern, Oidc, PullAccess, PushAccess,
    Registry, RegistryKind, Secret, ServerConfig, TagPattern, Tls, TrustRoots, TufRepository, Upstream, Watch, Who, unknown_variables,
};
