//! A time-stamping authority on loopback (RFC 3161, section 3.4): HTTP in front of `openssl ts`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use crate::pki::Identity;
use crate::program::Program;

/// A running authority. Dropping it ends it.
#[derive(Debug)]
pub struct Authority {
    address: SocketAddr,
    served: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Authority {
    /// Starts one that signs as `identity`.
    #[must_use]
    pub fn start(identity: &Identity) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        configure(folder.path(), identity);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (served, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (served, stop) = (Arc::clone(&served), Arc::clone(&stop));
            std::thread::spawn(move || run(&listener, &folder, &served, &stop))
        };
        Self { address, served, stop, thread: Some(thread) }
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many timestamps it has made.
    #[must_use]
    pub fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the accept; fails only when the thread has ended.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn configure(folder: &Path, identity: &Identity) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
    write("key.pem", &identity.key_pem);
    write("chain.pem", &identity.chain_pem);
    write("serial", "01\n");
    write(
        "ts.cnf",
        "[tsa]\ndefault_tsa = one\n[one]\nserial = serial\nsigner_cert = chain.pem\ncerts = chain.pem\nsigner_key = key.pem\n\
         signer_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256, sha384, sha512\naccuracy = secs:1\nordering = no\n\
         tsa_name = no\ness_cert_id_chain = no\ness_cert_id_alg = sha256\n",
    );
}

fn run(listener: &TcpListener, folder: &TempDir, served: &AtomicUsize, stop: &AtomicBool) {
    while let Ok((stream, _)) = listener.accept() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        if answer(stream, folder.path()).is_some() {
            served.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Answers one request, if it is one.
fn answer(mut stream: TcpStream, folder: &Path) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let query = read_body(&mut stream)?;
    let reply = stamp(folder, &query);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nConnection: close\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n", reply.len()).ok()?;
    stream.write_all(&reply).ok()
}

fn read_body(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut read = vec![];
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = read.windows(4).position(|part| part == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse::<usize>().ok()?;
            if read.len() >= end + 4 + length {
                return Some(read[end + 4..end + 4 + length].to_vec());
            }
        }
        match stream.read(&mut buffer).ok()? {
            0 => return None,
            count => read.extend(&buffer[..count]),
        }
    }
}

fn stamp(folder: &Path, query: &[u8]) -> Vec<u8> {
    let (question, reply): (PathBuf, PathBuf) = (folder.join("query.tsq"), folder.join("reply.tsr"));
    std::fs::write(&question, query).expect("a query");
    let openssl = Program::new("openssl").folder(folder).args(["ts", "-reply", "-config", "ts.cnf", "-queryfile"]).arg(&question);
    let _ = openssl.arg("-out").arg(&reply).run().expect_success();
    std::fs::read(&reply).expect("a reply")
}
