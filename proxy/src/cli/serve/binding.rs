//! Sockets that listen, and what to do when they cannot.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Both TCP listeners, bound.
#[derive(Debug)]
pub struct Listeners {
    /// For clients.
    pub gate: TcpListener,
    /// For the admin.
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds both. Port 0 lets the system choose one.
    ///
    /// # Errors
    /// Which address cannot be had, and how to mend it.
    pub async fn bind(gate: SocketAddr, admin: SocketAddr) -> Result<Self, String> {
        Ok(Self {
            gate: bind(gate, "`listen:` in sealgate.yaml (or --listen, or SEALGATE_LISTEN)").await?,
            admin: bind(admin, "`admin: { listen: }` in sealgate.yaml (or SEALGATE_ADMIN_LISTEN)").await?,
        })
    }
}

async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        let mend = match error.kind() {
            io::ErrorKind::AddrInUse => format!("stop what listens there, or set {setting} to another port"),
            io::ErrorKind::PermissionDenied => format!("ports under 1024 need a privilege; set {setting} to a higher one"),
            io::ErrorKind::AddrNotAvailable => format!("this machine does not have that address; set {setting} to one that it has"),
            _ => format!("set {setting} to another address"),
        };
        format!("cannot listen on {address}: {error}. {mend}")
    })
}
