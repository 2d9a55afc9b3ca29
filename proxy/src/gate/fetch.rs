//! One blob on its way in: fetched, hashed, written and served at the same time (DESIGN §1.4, §9).
//!
//! The fetch is a task of its own. It feeds a writer on a blocking thread; followers read the growing file up to a watermark that
//! holds the last byte back until the digest matches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use prometheus_client::metrics::counter::Counter;
use sealgate_registry::{BlobStream, FetchError};
use sealgate_verifier::Digest;
use tokio::sync::{mpsc, watch};

use crate::body::Progress;
use crate::gate::error::GateError;
use crate::gate::upstreams::Upstream;
use crate::metrics::UpstreamKind;
use crate::store::blob::{BlobReader, BlobStore, BlobWriter};

/// Chunks between the network and the disk. With 16 KiB to 256 KiB a chunk this bounds a fetch to a few MiB.
const QUEUE: usize = 16;
/// How often a broken or stalled body is resumed without a byte of progress in between.
const FRUITLESS_RESUMPTIONS: u32 = 1;
/// A body that brought no byte for this long is not resumed: with the idle timeout of 10 s, its waiters are free after 20 s (F3).
const SILENCE: Duration = Duration::from_secs(15);
/// How often a body is resumed in all.
const RESUMPTIONS: u32 = 8;

/// A blob that is being fetched.
#[derive(Clone)]
pub struct Growing {
    /// Reads what is there.
    pub reader: Arc<dyn BlobReader>,
    /// The size that the admitted manifest gives. An upstream that sends another is cut off.
    pub size: u64,
    /// How far it may be read.
    pub progress: watch::Receiver<Progress>,
}

/// What is to be fetched.
pub struct Request {
    /// From whom.
    pub upstream: Arc<Upstream>,
    /// Repository path at the upstream.
    pub path: String,
    /// The blob.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
    /// Counts the bytes that arrive.
    pub received: Counter,
}

/// Opens the upstream's answer and starts to fill a new blob. The returned future ends when the blob is durable, or has failed.
///
/// # Errors
/// When the upstream has no such blob of that size, or the store cannot begin one.
pub async fn start(
    request: Request,
    blobs: Arc<dyn BlobStore>,
) -> Result<(Growing, impl Future<Output = Result<(), GateError>> + Send), GateError> {
    // Of an empty blob no last byte can be held back, so its digest is checked before anything is promised.
    if request.size == 0 && !request.digest.matches(b"") {
        let problem = "the manifest says 0 bytes under a digest of something".to_owned();
        return Err(GateError::Upstream(FetchError::Malformed { problem }));
    }
    request.upstream.check_pause()?;
    let first = request.upstream.note(UpstreamKind::Blob, request.upstream.client.get_blob(&request.path, &request.digest, 0).await)?;
    check_size(&first, request.size)?;
    let algorithm = request.digest.algorithm();
    let writer = tokio::task::spawn_blocking(move || blobs.begin(algorithm)).await.map_err(GateError::store)?.map_err(GateError::store)?;
    let (progress_sender, progress) = watch::channel(Progress::Visible(0));
    let growing = Growing { reader: writer.reader(), size: request.size, progress };
    let work = async move {
        let (sender, receiver) = mpsc::channel::<Bytes>(QUEUE);
        let expected = (request.digest, request.size);
        let progress = progress_sender.clone();
        let writing = tokio::task::spawn_blocking(move || write(writer, receiver, &progress, expected));
        let fetched = pump(&request, first, sender).await;
        let written = writing.await.unwrap_or(Err(GateError::Internal));
        // The writer sees only that bytes stopped coming; the network's error says why.
        let outcome = fetched.map_err(GateError::from).and(written);
        if let Err(error) = &outcome {
            tracing::warn!(upstream = %request.upstream.name, digest = %request.digest, ?error, "a blob could not be fetched");
            progress_sender.send_if_modified(|state| {
                let unfinished = !matches!(state, Progress::Complete);
                if unfinished {
                    *state = Progress::Failed;
                }
                unfinished
            });
        }
        outcome
    };
    Ok((growing, work))
}

/// A13: the descriptor's size is binding.
fn check_size(stream: &BlobStream, size: u64) -> Result<(), GateError> {
    match stream.size {
        Some(found) if found != size => {
            let problem = format!("the manifest says {size} bytes, the upstream announces {found}");
            Err(GateError::Upstream(FetchError::Malformed { problem }))
        }
        _ => Ok(()),
    }
}

/// Moves bytes from the upstream to the writer; resumes a body that breaks or stalls (F1, F2, F13).
async fn pump(request: &Request, first: BlobStream, sender: mpsc::Sender<Bytes>) -> Result<(), FetchError> {
    let mut received = 0_u64;
    let mut stream = first;
    let (mut resumptions, mut fruitless) = (0, 0);
    let mut last_byte = Instant::now();
    loop {
        // A registry that ignores the range starts again: what we have is skipped, and the hash covers it either way.
        let mut skip = received.saturating_sub(stream.offset);
        if stream.offset > received {
            return Err(FetchError::Malformed { problem: "a range begins after the byte that was asked for".to_owned() });
        }
        let before = received;
        let broken = loop {
            match stream.body.next().await {
                None if received == request.size => return Ok(()),
                None => break FetchError::Truncated { expected: request.size, found: received },
                Some(Err(error)) => break error,
                Some(Ok(mut chunk)) => {
                    let dropped = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
                    skip -= dropped as u64;
                    let _ = chunk.split_to(dropped);
                    received += chunk.len() as u64;
                    last_byte = Instant::now();
                    request.received.inc_by(chunk.len() as u64);
                    if received > request.size {
                        return Err(FetchError::TooLarge { limit: request.size });
                    }
                    if !chunk.is_empty() && sender.send(chunk).await.is_err() {
                        return Ok(());
                    }
                    // An upstream that keeps the connection open after the last byte holds nobody up.
                    if received == request.size {
                        return Ok(());
                    }
                }
            }
        };
        resumptions += 1;
        fruitless = if received > before { 0 } else { fruitless + 1 };
        if resumptions > RESUMPTIONS || fruitless > FRUITLESS_RESUMPTIONS || last_byte.elapsed() >= SILENCE {
            return Err(broken);
        }
        tracing::debug!(digest = %request.digest, received, %broken, "resuming a blob");
        stream =
            request.upstream.note(UpstreamKind::Blob, request.upstream.client.get_blob(&request.path, &request.digest, received).await)?;
    }
}

/// Hashes and writes on a blocking thread; publishes the watermark.
fn write(
    mut writer: Box<dyn BlobWriter>,
    mut chunks: mpsc::Receiver<Bytes>,
    progress: &watch::Sender<Progress>,
    (digest, size): (Digest, u64),
) -> Result<(), GateError> {
    let mut written = 0_u64;
    while let Some(chunk) = chunks.blocking_recv() {
        writer.write(&chunk).map_err(GateError::store)?;
        written += chunk.len() as u64;
        progress.send_replace(Progress::Visible(written.min(size.saturating_sub(1))));
    }
    let found = writer.digest();
    if written != size || found != digest {
        let problem = format!("expected {size} bytes of {digest}, received {written} bytes of {found}");
        return Err(GateError::Upstream(FetchError::Malformed { problem }));
    }
    // The bytes are right: clients may finish while the disk makes them durable.
    progress.send_replace(Progress::Complete);
    writer.commit().map_err(GateError::store)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sealgate_config::ServerConfig;
    use sealgate_verifier::Repository;

    use super::*;
    use crate::gate::upstreams::Upstreams;
    use crate::store::Store;

    #[tokio::test]
    async fn an_empty_blob_under_a_digest_of_something_is_refused_before_anybody_is_asked() {
        // A13: no byte could be held back from a client.
        let config = ServerConfig::load(None, &|_| None).expect("the defaults");
        let upstreams = Upstreams::new(&config, &crate::metrics::Metrics::new([])).expect("upstreams");
        let repository: Repository = "docker.io/library/nginx".parse().expect("a repository");
        let upstream = Arc::clone(upstreams.of(&repository).expect("Docker Hub"));
        let request = Request {
            upstream,
            path: repository.path().to_owned(),
            digest: Digest::sha256(b"something"),
            size: 0,
            received: Counter::default(),
        };
        let refused = start(request, Arc::clone(Store::in_memory().blobs())).await.map(drop);
        assert!(matches!(refused, Err(GateError::Upstream(FetchError::Malformed { .. }))), "{refused:?}");
    }
}
