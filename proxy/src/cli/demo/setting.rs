//! The demo's gate: a folder with a configuration, a policy and a key, as an admin would write them, and the gate that runs on it.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::cast::{Cast, REGISTRY};
use super::upstream::Upstream;
use crate::cli::serve::{self, Instance, Listeners, Overrides};

/// A folder that goes when this value goes.
struct Folder(PathBuf);

impl Folder {
    /// A new one that only this user can read.
    fn make() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("sealgate-demo-{}", ulid::Ulid::generate().to_string().to_lowercase()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.0.join(name);
        std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The gate, its upstream and its folder.
pub struct Setting {
    folder: Folder,
    upstream: Upstream,
    instance: Instance,
}

impl Setting {
    /// Writes the files and starts the gate on `listen`.
    ///
    /// # Errors
    /// What could not be written or started.
    pub async fn build(listen: SocketAddr, upstream: Upstream, cast: &Cast) -> Result<Self, String> {
        let folder = Folder::make()?;
        let listeners = Listeners::bind(listen, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = |listener: &tokio::net::TcpListener| listener.local_addr().map_err(|error| error.to_string());
        let (gate, admin) = (address(&listeners.gate)?, address(&listeners.admin)?);
        folder.write("ci.pub", cast.public_key())?;
        folder.write("trust-policy.yaml", &policy())?;
        folder.write("sealgate.yaml", &config(gate, admin, upstream.address()))?;
        let loaded = serve::load(Some(&folder.0.join("sealgate.yaml")), &Overrides::default()).map_err(|failure| failure.message)?;
        let instance = Instance::start(loaded.config, loaded.policy, listeners).await?;
        Ok(Self { folder, upstream, instance })
    }

    /// Where the gate listens.
    pub const fn gate(&self) -> SocketAddr {
        self.instance.address()
    }

    /// Where the admin listener is.
    pub const fn admin(&self) -> SocketAddr {
        self.instance.admin_address()
    }

    /// Where the upstream listens.
    pub const fn upstream(&self) -> SocketAddr {
        self.upstream.address()
    }

    /// Configuration, policy and key are here.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Stops the gate, then its upstream, and removes the folder.
    pub async fn end(self) {
        let Self { folder, upstream, instance } = self;
        if let Err(error) = instance.stop().await {
            tracing::warn!("{error}");
        }
        drop((upstream, folder));
    }
}

fn config(gate: SocketAddr, admin: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "listen: {gate}\npublic-url: http://{gate}\nadmin: {{ listen: {admin} }}\ndata: ./data\npolicy: trust-policy.yaml\nshutdown-grace: 1s\n\
         registries:\n  {REGISTRY}: {{ default: true, upstream: \"http://{upstream}\" }}\n"
    )
}

/// One rule: what lies under `demo/` must be signed by `ci`.
pub fn policy() -> String {
    format!(
        "version: 1\nmode: enforce\nsigners:\n  ci: {{ key: ci.pub }}\nrules:\n  - images: [\"{REGISTRY}/demo/*\"]\n    require:\n      - signed-by: {{ any: [ci] }}\n"
    )
}
