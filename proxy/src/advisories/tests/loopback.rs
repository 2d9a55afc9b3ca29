//! Updates from a bucket on loopback: conditional requests, refusals, and what stays when one fails.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;

/// What the bucket answers, and the heads of the requests that it saw.
#[derive(Default)]
struct Bucket {
    answer: Mutex<Vec<u8>>,
    seen: Mutex<Vec<String>>,
}

impl Bucket {
    /// Serves on loopback until the process ends.
    fn start() -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let bucket = Arc::new(Self::default());
        let serving = bucket.clone();
        std::thread::spawn(move || listener.incoming().for_each(|stream| serving.serve(&stream.expect("a connection"))));
        (bucket, url)
    }

    fn serve(&self, mut stream: &TcpStream) {
        let head: Vec<String> = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        self.seen.lock().expect("a lock").push(head.join("\n").to_ascii_lowercase());
        let answer = self.answer.lock().expect("a lock").clone();
        // A client that has gone away is its own affair.
        let _ = stream.write_all(&answer);
    }

    fn answers(&self, status: &str, headers: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        *self.answer.lock().expect("a lock") = [head.as_bytes(), body].concat();
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().expect("a lock"))
    }
}

fn run(scene: &Scene, url: &str, ecosystem: Ecosystem, now: Timestamp) -> Result<Updated, AdvisoryError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(update(&scene.library, url, ecosystem, false, now))
}

#[test]
fn an_export_is_fetched_once_and_then_asked_after() {
    let (scene, (bucket, url)) = (Scene::new(), Bucket::start());
    let body = std::fs::read(export(scene.data.path(), &[npm("GHSA-1", "a")])).expect("an archive");
    bucket.answers("200 OK", "etag: \"one\"\r\nlast-modified: Tue, 24 Nov 2026 00:00:00 GMT\r\n", &body);
    assert!(matches!(run(&scene, &url, Ecosystem::Npm, now()), Ok(Updated::Imported(_))));
    let seen = bucket.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].starts_with("get /npm/all.zip http/1.1") && !seen[0].contains("if-none-match"), "{seen:?}");

    bucket.answers("304 Not Modified", "", b"");
    let later = now().plus(3_600);
    let version = scene.library.snapshot().version();
    assert!(matches!(run(&scene, &url, Ecosystem::Npm, later), Ok(Updated::Unchanged(feed)) if feed.imported == later));
    let seen = bucket.seen();
    assert!(
        seen.len() == 1 && seen[0].contains("if-none-match: \"one\"") && seen[0].contains("if-modified-since: tue, 24 nov 2026"),
        "{seen:?}"
    );
    // The feed is as old as its last check, and still the same feed.
    let snapshot = scene.library.snapshot();
    assert_eq!(snapshot.feed(Ecosystem::Npm).expect("an index").expect("a feed").imported, later);
    assert_eq!(snapshot.version(), version);

    // An import by hand ends what the server said of the older export.
    scene.import_with(&[npm("GHSA-1", "a")], &ImportOptions::default(), later.plus(60)).expect("an import");
    bucket.answers("200 OK", "", &body);
    assert!(matches!(run(&scene, &url, Ecosystem::Npm, later.plus(120)), Ok(Updated::Imported(_))));
    assert!(!bucket.seen()[0].contains("if-none-match"));
    assert_eq!(scene.leftovers(), [""; 0]);
}

#[test]
fn names_with_spaces_are_encoded_and_other_ecosystems_of_an_export_are_left_out() {
    let (scene, (bucket, url)) = (Scene::new(), Bucket::start());
    let mut both = record("RHSA-1", "Red Hat:enterprise_linux:9::baseos", "bash", "2026-01-01T00:00:00Z", None);
    both["affected"].as_array_mut().expect("a list").push(npm("x", "a")["affected"][0].clone());
    bucket.answers("200 OK", "", &std::fs::read(export(scene.data.path(), &[both])).expect("an archive"));
    assert!(run(&scene, &format!("{url}/mirror/"), Ecosystem::RedHat, now()).is_ok());
    assert!(bucket.seen()[0].starts_with("get /mirror/red%20hat/all.zip "));
    assert_eq!(scene.library.snapshot().feeds().into_iter().map(|(ecosystem, _)| ecosystem).collect::<Vec<_>>(), [Ecosystem::RedHat]);
}

#[test]
fn what_is_no_export_changes_nothing() {
    let (scene, (bucket, url)) = (Scene::new(), Bucket::start());
    scene.import(&[npm("GHSA-1", "a")]).expect("an import");
    let version = scene.library.snapshot().version();
    let python =
        std::fs::read(export(scene.data.path(), &[record("PYSEC-1", "PyPI", "a", "2026-01-01T00:00:00Z", None)])).expect("an archive");
    for (status, headers, body) in [
        ("404 Not Found", "", &b"no"[..]),
        ("500 Internal Server Error", "", b""),
        ("200 OK", "", b"<html>"),
        ("200 OK", "", &python),
        ("304 Not Modified", "", b""),
        ("302 Found", "location: ftp://127.0.0.1/x\r\n", b""),
    ] {
        bucket.answers(status, headers, body);
        assert!(run(&scene, &url, Ecosystem::Npm, now()).is_err(), "{status}");
    }
    // Cut off in the middle.
    *bucket.answer.lock().expect("a lock") = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\nconnection: close\r\n\r\nPK".to_vec();
    assert!(matches!(run(&scene, &url, Ecosystem::Npm, now()), Err(AdvisoryError::Fetch { .. })));
    *bucket.answer.lock().expect("a lock") = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\nconnection: close\r\n\r\nPK".to_vec();
    assert!(matches!(run(&scene, &url, Ecosystem::Npm, now()), Err(AdvisoryError::Fetch { problem, .. }) if problem.contains("more than")));
    assert!(matches!(run(&scene, "ftp://127.0.0.1", Ecosystem::Npm, now()), Err(AdvisoryError::Fetch { .. })));
    assert_eq!(scene.library.snapshot().version(), version);
    assert_eq!(scene.leftovers(), [""; 0]);
}
