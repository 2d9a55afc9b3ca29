//! HTTP/1.1 on a plain socket: shows what libraries hide, such as the reason phrase and a body that stopped half way (RFC 9112).

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a read may wait.
const LIMIT: Duration = Duration::from_secs(60);

/// What manifests a client accepts.
pub const ACCEPT_MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    limit: Duration,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Reason phrase.
    pub reason: String,
    /// Header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What arrived of the body.
    pub body: Vec<u8>,
    /// Whether the body arrived to its declared end.
    pub complete: bool,
}

/// GET with the manifest types accepted.
#[must_use]
pub fn get(address: SocketAddr, target: &str) -> Reply {
    Request::new("GET", target).header("Accept", ACCEPT_MANIFESTS).send(address)
}

/// HEAD with the manifest types accepted.
#[must_use]
pub fn head(address: SocketAddr, target: &str) -> Reply {
    Request::new("HEAD", target).header("Accept", ACCEPT_MANIFESTS).send(address)
}

impl Request {
    /// A request without headers or body.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: vec![], body: vec![], limit: LIMIT }
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// Sets how long a read may wait.
    #[must_use]
    pub const fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The bytes of the request's head.
    #[must_use]
    pub fn head(&self, host: &str) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() || matches!(self.method.as_str(), "PUT" | "POST" | "PATCH") {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head + "Connection: close\r\n\r\n"
    }

    /// Sends it on a connection of its own and reads the answer. A connection that was cut before the answer's head is an incomplete
    /// reply of status 0; panics when there was none.
    #[must_use]
    pub fn send(&self, address: SocketAddr) -> Reply {
        match self.try_send(address) {
            Ok(reply) => reply,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Reply::default(),
            Err(error) => panic!("{} {} at {address}: {error}", self.method, self.target),
        }
    }

    /// Sends its head with this length of a body, and as much of that; the rest may follow on the connection, or never.
    #[must_use]
    pub fn send_part(&self, address: SocketAddr, length: usize, begun: &[u8]) -> TcpStream {
        let head = self.head(&address.to_string()).replace("Content-Length: 0", &format!("Content-Length: {length}"));
        assert!(head.contains(&format!("Content-Length: {length}")), "{head}");
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(begun)).expect("a part of a request");
        stream
    }

    /// As [`Request::send`], for servers that may not answer.
    ///
    /// # Errors
    /// The connection's, before the answer's head is complete. Later ones show as [`Reply::complete`] = false.
    pub fn try_send(&self, address: SocketAddr) -> std::io::Result<Reply> {
        let stream = TcpStream::connect_timeout(&address, self.limit)?;
        stream.set_read_timeout(Some(self.limit))?;
        stream.set_nodelay(true)?;
        self.send_on(stream, &address.to_string())
    }

    /// Sends it on `stream` and reads the answer.
    ///
    /// # Errors
    /// As [`Request::try_send`].
    pub fn send_on<S: Read + Write>(&self, mut stream: S, host: &str) -> std::io::Result<Reply> {
        stream.write_all(self.head(host).as_bytes())?;
        // A server may refuse a body that it does not read to its end: the answer is there all the same.
        let unread = stream.write_all(&self.body).and_then(|()| stream.flush());
        if let Err(error) = unread
            && !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
        {
            return Err(error);
        }
        let mut reader = BufReader::new(stream);
        let mut reply = read_head(&mut reader)?;
        reply.complete = self.method == "HEAD" || read_body(&mut reader, &mut reply).is_ok();
        Ok(reply)
    }
}

impl Reply {
    /// The first header field `name` (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text()))
    }

    /// `errors[0].code` and `.message` of a registry's error body (OCI Distribution 1.1, "Error Codes").
    #[must_use]
    pub fn error(&self) -> (String, String) {
        let json = self.json();
        let text = |name: &str| json["errors"][0][name].as_str().unwrap_or_default().to_owned();
        (text("code"), text("message"))
    }

    /// Itself, if it has this status.
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {}\n{:?}\n{}", self.status, self.reason, self.headers, self.text());
        self
    }
}

fn read_head(reader: &mut impl BufRead) -> std::io::Result<Reply> {
    let line = read_line(reader)?;
    let mut parts = line.splitn(3, ' ');
    let status = parts.nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no status line: {line:?}")))?;
    let reason = parts.next().unwrap_or_default().to_owned();
    let mut headers = vec![];
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    Ok(Reply { status, reason, headers, body: vec![], complete: false })
}

fn read_body(reader: &mut impl BufRead, reply: &mut Reply) -> std::io::Result<()> {
    if reply.status == 204 || reply.status == 304 {
        return Ok(());
    }
    if reply.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return read_chunks(reader, &mut reply.body);
    }
    match reply.header("content-length").and_then(|value| value.parse::<u64>().ok()) {
        Some(length) => {
            let read = reader.take(length).read_to_end(&mut reply.body);
            read.and_then(|_| if reply.body.len() as u64 == length { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) })
        }
        None => reader.read_to_end(&mut reply.body).map(|_| ()),
    }
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> std::io::Result<()> {
    loop {
        let line = read_line(reader)?;
        let size = line.split(';').next().and_then(|size| u64::from_str_radix(size.trim(), 16).ok());
        let size = size.ok_or(std::io::ErrorKind::InvalidData)?;
        if size == 0 {
            while !read_line(reader)?.is_empty() {}
            return Ok(());
        }
        let read = reader.take(size).read_to_end(body)?;
        if read as u64 != size {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let _ = read_line(reader)?;
    }
}

fn read_line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = vec![];
    reader.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
}
