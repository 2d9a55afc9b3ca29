//! The control socket.

use std::os::unix::fs::PermissionsExt;

use http::{Request, Response};
use hyper::body::Incoming;
use sealgate::body::Body;
use sealgate::metrics::{Listener, Metrics};
use sealgate::server::{ControlSocket, Peer, ServerOptions, serve_unix, shutdown};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::gate::rest;

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_served_and_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let socket = ControlSocket::bind(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let service = tower::service_fn(|request: Request<Incoming>| async move {
        let peer = format!("{:?}", request.extensions().get::<Peer>().unwrap());
        Ok(Response::new(Body::full(peer.into())))
    });
    let (trigger, requested) = shutdown();
    let options = ServerOptions::new(Listener::Control, Metrics::new([]));
    let server = tokio::spawn(serve_unix(options, socket, service, requested));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: control\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = String::from_utf8(rest(&mut stream).await).unwrap();
    let user = rustix::process::getuid().as_raw();
    assert!(answer.ends_with(&format!("Unix {{ user: Some({user}) }}")), "{answer}");
    trigger.fire();
    assert_eq!(server.await.unwrap().cut, 0);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_dead_server_s_socket_is_replaced_a_living_one_s_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let living = ControlSocket::bind(&path).unwrap();
    assert_eq!(ControlSocket::bind(&path).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    assert!(path.exists());
    drop(living);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_in_the_socket_s_place_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    std::fs::write(&path, "precious").unwrap();
    assert_eq!(ControlSocket::bind(&path).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}
