//! A client that pushes and keeps its connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use sealgate_tests::image::Content;

use crate::server::Target;

/// How long a read may wait: a sync of 32 MiB on a slow disk.
const LIMIT: Duration = Duration::from_secs(120);

/// How a client sends a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// POST, then PUT with the bytes: crane, oras, containerd.
    Put,
    /// POST, PATCH with the bytes, PUT: docker, podman, skopeo.
    Patch,
}

/// A connection.
pub struct Uploader {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

struct Answer {
    status: u16,
    location: Option<String>,
}

impl Uploader {
    /// Over plaintext.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        Self { stream: BufReader::new(stream), address }
    }

    /// Uploads a blob that must be taken.
    pub fn blob(&mut self, target: &Target, repository: &str, blob: &Content, way: Way) {
        let mut at = self.go_on("POST", &target.path(repository, "blobs/uploads/"), b"", 202);
        let mut last: &[u8] = &blob.bytes;
        if way == Way::Patch {
            at = self.go_on("PATCH", &at, last, 202);
            last = b"";
        }
        let join = if at.contains('?') { '&' } else { '?' };
        let _ = self.go_on("PUT", &format!("{at}{join}digest={}", blob.digest), last, 201);
    }

    /// Puts a manifest that must be taken.
    pub fn manifest(&mut self, target: &Target, repository: &str, tag: &str, manifest: &Content) {
        let answer = self.send("PUT", &target.path(repository, &format!("manifests/{tag}")), &manifest.media_type, &manifest.bytes);
        assert_eq!(answer.status, 201, "{}: {tag}", target.name);
    }

    /// Sends bytes, and says where the answer points.
    fn go_on(&mut self, method: &str, path: &str, body: &[u8], expected: u16) -> String {
        let answer = self.send(method, path, "application/octet-stream", body);
        assert_eq!(answer.status, expected, "{method} {path} at {}", self.address);
        let location = answer.location.expect("a location");
        // docker-registry writes a whole URL.
        location.strip_prefix(&format!("http://{}", self.address)).unwrap_or(&location).to_owned()
    }

    fn send(&mut self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let (address, length) = (self.address, body.len());
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n");
        let stream = self.stream.get_mut();
        // One segment where that fits: two would wait for each other.
        let sent = if body.len() < 16 * 1024 {
            stream.write_all(&[head.as_bytes(), body].concat())
        } else {
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body))
        };
        sent.unwrap_or_else(|e| panic!("{method} {path} at {address}: {e}"));
        self.answer(method, path)
    }

    fn answer(&mut self, method: &str, path: &str) -> Answer {
        let line = |stream: &mut BufReader<TcpStream>| {
            let mut line = String::new();
            let read = stream.read_line(&mut line).unwrap_or_else(|e| panic!("{method} {path}: {e}"));
            assert!(read > 0, "{method} {path}: no answer");
            line.trim_end().to_owned()
        };
        let status = line(&mut self.stream);
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{method} {path}: {status}"));
        let (mut location, mut length) = (None, 0);
        loop {
            let field = line(&mut self.stream);
            let Some((name, value)) = field.split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "location" => location = Some(value.trim().to_owned()),
                "content-length" => length = value.trim().parse().expect("a length"),
                _ => {}
            }
        }
        let mut body = Vec::new();
        let read = (&mut self.stream).take(length).read_to_end(&mut body).unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        assert_eq!(read as u64, length, "{method} {path}");
        assert!(status < 400, "{method} {path}: {status} {}", String::from_utf8_lossy(&body));
        Answer { status, location }
    }
}
