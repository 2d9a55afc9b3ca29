//! Connections over a pipe of known size: what a kernel's socket buffers would hide.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::*;
use crate::metrics::{Listener, Metrics};
use crate::store::blob::BlobReader;

const SIZE: u64 = 4 << 20;

#[derive(Default)]
struct Zeroes {
    read: AtomicU64,
}

impl BlobReader for Zeroes {
    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.read_at(buffer, offset).map(Some)
    }

    fn read_at(&self, buffer: &mut [u8], _offset: u64) -> io::Result<usize> {
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(buffer.len())
    }
}

/// A connection with a pipe of 1 KiB in place of a socket.
fn connect(options: ServerOptions, blob: &Arc<Zeroes>) -> (DuplexStream, JoinHandle<usize>, watch::Sender<Stage>) {
    let (client, server) = tokio::io::duplex(1024);
    let blob = Arc::clone(blob);
    let service = tower::service_fn(move |_request: Request<Incoming>| {
        let blob = Arc::clone(&blob);
        async move { Ok(Response::new(Body::stored(blob, 0..SIZE))) }
    });
    let (stage, watched) = watch::channel(Stage::Serving);
    let connector = Connector::new(Arc::new(options), service, watched);
    (client, tokio::spawn(connector.run(server, Peer::Unix { user: None })), stage)
}

fn options(write_timeout: Duration) -> ServerOptions {
    let mut options = ServerOptions::new(Listener::Gate, Metrics::new([]));
    options.write_timeout = write_timeout;
    options
}

#[tokio::test]
async fn a_stalled_download_holds_one_piece() {
    let blob = Arc::<Zeroes>::default();
    let (mut client, task, stage) = connect(options(Duration::from_secs(60)), &blob);
    client.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n").await.unwrap();
    let _first = client.read_u8().await.unwrap();
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(blob.read.load(Ordering::Relaxed), 256 * 1024);
    stage.send_replace(Stage::Cut);
    assert_eq!(task.await.unwrap(), 1);
}

// D17: a few bytes now and then are no progress.
#[tokio::test]
async fn a_client_that_trickles_its_reads_is_cut_off() {
    let blob = Arc::<Zeroes>::default();
    let options = options(Duration::from_millis(300));
    let metrics = Arc::clone(&options.metrics);
    let (mut client, task, _stage) = connect(options, &blob);
    client.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n").await.unwrap();
    let mut buffer = [0; 64];
    let mut received = 0;
    while let Ok(count @ 1..) = client.read(&mut buffer).await {
        received += count;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(task.await.unwrap(), 0);
    assert_eq!(metrics.connections(Listener::Gate).reaped(Phase::Write).get(), 1);
    assert!(received < 64 * 1024, "{received}");
}

#[tokio::test]
async fn a_slow_client_that_makes_progress_gets_everything() {
    let blob = Arc::<Zeroes>::default();
    let (mut client, _task, _stage) = connect(options(Duration::from_millis(500)), &blob);
    client.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut received = 0;
    let mut buffer = vec![0; 512 * 1024];
    // One piece at a time, with pauses shorter than the limit that add up to more.
    while let Ok(()) = client.read_exact(&mut buffer).await.map(|_| ()) {
        received += buffer.len();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(received as u64 >= SIZE - buffer.len() as u64, "{received}");
}
