//! Uploads of those who mean harm, or have much to do: another's session, paths that lead elsewhere, too much, too many.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sealgate_tests::disk::files;
use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::image::{Content, Image};
use sealgate_tests::layer::fresh_bytes;
use sealgate_tests::process::wait_until;
use sealgate_tests::push::{CI, Chunk, HOSTED, OTHER, PASSWORD, Pusher, SIGNER, with_users};
use sealgate_tests::wire::{Reply, Request};
use sealgate_tests::{scale, sha256, sha512};

const LIMIT: Duration = Duration::from_secs(20);
/// Uploads that one client may have unfinished.
const OF_ONE: usize = 1_000;

fn setup(settings: &str) -> Setup {
    Setup::new()
        .registry(HOSTED, &format!("{{ hosted: true, deletes: allowed{settings} }}"))
        .policy(format!("version: 1\nrules:\n  - images: [\"{HOSTED}/**\"]\n    require: [ allow ]\n"))
}

fn at(gate: &Gate, user: &str) -> Pusher {
    Pusher::new(gate.address(), &format!("{HOSTED}/team/app")).login(user, PASSWORD)
}

fn unfinished(gate: &Gate) -> usize {
    files(&gate.folder().join("data/tmp"))
}

#[test]
fn an_upload_is_nobody_elses_to_see_write_end_or_cancel() {
    // D12
    let gate = with_users(setup("")).start();
    let (ci, bytes) = (at(&gate, CI), fresh_bytes(1_000));
    let location = ci.begin();
    let _ = ci.patch(&location, Chunk { range: "", bytes: &bytes[..500] }).expect(202);
    let elsewhere = location.replace("/team/app/", "/team/other/");
    let nobody = Pusher::new(gate.address(), &format!("{HOSTED}/team/app"));
    for (who, at, status) in
        [(at(&gate, OTHER), &location, 404), (at(&gate, SIGNER), &location, 404), (ci.clone(), &elsewhere, 404), (nobody, &location, 401)]
    {
        assert_eq!(who.upload("GET", at).status, status);
        assert_eq!(who.upload("DELETE", at).status, status);
        assert_eq!(who.patch(at, Chunk { range: "", bytes: b"more" }).status, status);
        assert_eq!(who.finish(at, &sha256(&bytes[..500]), b"").status, status);
    }
    assert_eq!(ci.upload("GET", &location).expect(204).header("range"), Some("0-499"));
    let _ = ci.finish(&location, &sha256(&bytes), &bytes[500..]).expect(201);
    assert_eq!(ci.get(&format!("blobs/{}", sha256(&bytes))).expect(200).body, bytes);
}

#[test]
fn one_of_several_who_end_an_upload_does() {
    let gate = with_users(setup("")).start();
    let (ci, bytes) = (at(&gate, CI), fresh_bytes(200_000));
    for _ in 0..scale(10, 200) {
        let location = ci.begin();
        let _ = ci.patch(&location, Chunk { range: "", bytes: &bytes }).expect(202);
        let ended = std::thread::scope(|scope| {
            let puts: Vec<_> = (0..4).map(|_| scope.spawn(|| ci.finish(&location, &sha256(&bytes), b"").status)).collect();
            puts.into_iter().map(|put| put.join().expect("an answer")).collect::<Vec<u16>>()
        });
        assert_eq!(ended.iter().filter(|status| **status == 201).count(), 1, "{ended:?}");
        assert!(ended.iter().all(|status| matches!(status, 201 | 404 | 409)), "{ended:?}");
    }
    assert_eq!(unfinished(&gate), 0);
}

#[test]
fn a_thousand_half_open_uploads_are_bounded_hold_no_files_open_and_are_cleaned_up() {
    let mut gate = with_users(setup("").line("limits: { upload-idle: 6s }")).start();
    let (other, ci) = (at(&gate, OTHER), at(&gate, CI));
    let descriptors = |gate: &mut Gate| files(std::path::Path::new(&format!("/proc/{}/fd", gate.process().pid())));
    let before = descriptors(&mut gate);
    let begun = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while begun.fetch_add(1, Ordering::SeqCst) < OF_ONE {
                    let location = other.begin();
                    let _ = other.patch(&location, Chunk { range: "", bytes: b"half" }).expect(202);
                }
            });
        }
    });
    let refused = other.send(other.request("POST", "blobs/uploads/"));
    // Unless the first have expired already, on a slow machine.
    if unfinished(&gate) == OF_ONE {
        assert_eq!((refused.status, refused.error().0.as_str()), (429, "TOOMANYREQUESTS"));
        assert!(refused.header("retry-after").is_some());
    }
    assert!(unfinished(&gate) <= OF_ONE + 1);
    assert!(descriptors(&mut gate) < before + 100, "an upload at rest holds a file open");
    // Others push meanwhile.
    ci.image("1", &Image::small());
    assert!(wait_until(LIMIT, || unfinished(&gate) == 0), "{} unfinished files", unfinished(&gate));
    let _ = other.begin();
}

#[test]
fn hundreds_of_slow_uploads_keep_nobody_waiting() {
    // D17: a thread that waits for each of them would be one that nobody else gets.
    let gate = with_users(setup("")).start();
    let (other, ci) = (at(&gate, OTHER), at(&gate, CI));
    let slow: Vec<TcpStream> = (0..700)
        .map(|_| {
            let location = other.begin();
            other.absolute("PATCH", &location).send_part(gate.address(), 1_000_000, b"slow")
        })
        .collect();
    assert!(wait_until(LIMIT, || unfinished(&gate) == slow.len()), "{} have begun", unfinished(&gate));
    let image = Image::small();
    ci.image("1", &image);
    assert_eq!(ci.get(&format!("blobs/{}", image.layers[1].digest)).expect(200).body, image.layers[1].bytes);
    drop(slow);
    // What had arrived stays, and the file of each is closed again.
    assert_eq!(unfinished(&gate), 700);
}

#[test]
fn strangers_do_not_use_up_each_others_uploads() {
    let gate = setup(", push: anonymous").start();
    let from = |address: [u8; 4]| {
        let request = Request::new("POST", &format!("/v2/{HOSTED}/team/app/blobs/uploads/"));
        let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).expect("a socket");
        rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::from(address), 0))).expect("an address of loopback");
        rustix::net::connect(&socket, &gate.address()).expect("a connection");
        request.send_on(TcpStream::from(socket), "gate").expect("an answer").status
    };
    assert!((0..OF_ONE).all(|_| from([127, 0, 0, 2]) == 202));
    assert_eq!((from([127, 0, 0, 2]), from([127, 0, 0, 3])), (429, 202));
}

#[test]
fn what_is_too_large_is_refused_and_nothing_of_it_stays() {
    let gate = with_users(setup("")).start();
    let (signer, ci) = (at(&gate, SIGNER), at(&gate, CI));
    // Evidence has at most 8 MiB: by its announced length, and by what comes without one.
    let large = vec![7; 9 << 20];
    let location = signer.begin();
    let announced = signer.absolute("PATCH", &location).send_part(gate.address(), large.len(), b"");
    let answered = signer.patch(&location, Chunk { range: &format!("0-{}", large.len() - 1), bytes: &large });
    assert_eq!((answered.status, answered.error().0.as_str()), (413, "SIZE_INVALID"));
    drop(announced);
    for location in [signer.begin(), signer.begin()] {
        assert_eq!(chunked(&signer, "PATCH", &location, &large).status, 413);
    }
    assert_eq!(chunked(&signer, "POST", &format!("/v2/{HOSTED}/team/app/blobs/uploads/?digest={}", sha256(&large)), &large).status, 413);
    assert_eq!(signer.get(&format!("blobs/{}", sha256(&large))).status, 404);
    // D10: a manifest has at most 4 MiB, whatever its length is said to be.
    let manifest = Content::new("application/vnd.oci.image.manifest.v1+json", vec![b' '; (4 << 20) + 1]);
    assert_eq!(ci.manifest("large", &manifest).expect(413).error().0, "SIZE_INVALID");
    assert_eq!(chunked(&ci, "PUT", &format!("/v2/{HOSTED}/team/app/manifests/large"), &manifest.bytes).status, 413);
    for bytes in [&b""[..], b"{}", b"{\"schemaVersion\":2"] {
        let bad = Content::new("application/vnd.oci.image.manifest.v1+json", bytes.to_vec());
        assert_eq!(ci.manifest("bad", &bad).expect(400).error().0, "MANIFEST_INVALID");
    }
    assert!(wait_until(LIMIT, || unfinished(&gate) == 0), "{} unfinished files", unfinished(&gate));
}

/// A body in chunks, without a length (RFC 9112 §7.1).
fn chunked(push: &Pusher, method: &str, target: &str, body: &[u8]) -> Reply {
    let mut framed = Vec::new();
    for piece in body.chunks(64 << 10) {
        framed.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        framed.extend_from_slice(piece);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    let request = push.absolute(method, target).header("Transfer-Encoding", "chunked");
    let head = request.head(&push.address().to_string()).replace("Content-Length: 0\r\n", "");
    assert!(!head.contains("Content-Length"), "{head}");
    let stream = TcpStream::connect(push.address()).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    Raw { head, body: framed, stream }.send()
}

/// A request that is sent as it stands.
struct Raw {
    head: String,
    body: Vec<u8>,
    stream: TcpStream,
}

impl Raw {
    fn send(mut self) -> Reply {
        let sending = self.stream.try_clone().expect("a second handle");
        let (head, body) = (self.head, self.body);
        let sender = std::thread::spawn(move || {
            let mut sending = sending;
            // A server may refuse a body that it does not read to its end.
            let _ = sending.write_all(head.as_bytes()).and_then(|()| sending.write_all(&body));
        });
        let mut answer = Vec::new();
        let _ = std::io::Read::read_to_end(&mut self.stream, &mut answer);
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        let _ = sender.join();
        let text = String::from_utf8_lossy(&answer);
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no answer: {text:?}"));
        Reply { status, ..Reply::default() }
    }
}

#[test]
fn no_name_digest_or_upload_leads_out_of_the_data_folder() {
    let gate = with_users(setup("")).start();
    let ci = at(&gate, CI);
    let bytes = fresh_bytes(100);
    let digest = sha256(&bytes);
    let outside = || {
        let mut names: Vec<_> =
            std::fs::read_dir(gate.folder()).expect("the folder").map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    let before = outside();
    let location = ci.begin();
    for name in ["..", "../..", "team/../../app", "team%2Fapp", "team//app", "TEAM/app", "team/app%00", "team/./app", "team/app/.."] {
        let upload = ci.send(ci.absolute("POST", &format!("/v2/{HOSTED}/{name}/blobs/uploads/?digest={digest}")).body(&bytes));
        assert!(matches!(upload.status, 400 | 404 | 405), "{name}: {}", upload.status);
        let manifest =
            ci.absolute("PUT", &format!("/v2/{HOSTED}/{name}/manifests/1")).header("Content-Type", "application/json").body(b"{}");
        assert!(matches!(ci.send(manifest).status, 400 | 404 | 405), "{name}");
    }
    for id in ["..", "../../../etc/passwd", "%2e%2e", "0", &"0".repeat(31), &"0".repeat(33), &"A".repeat(32), &"0".repeat(32)] {
        for method in ["GET", "PATCH", "PUT", "DELETE"] {
            let target = format!("/v2/{HOSTED}/team/app/blobs/uploads/{id}?digest={digest}");
            assert!(matches!(ci.send(ci.absolute(method, &target)).status, 400 | 404 | 405), "{method} {id}");
        }
    }
    let hex = digest.strip_prefix("sha256:").expect("a sha256 digest");
    for bad in [
        "sha256:..",
        "sha256:../../../x",
        "sha256:%2e%2e%2f",
        "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "sha256:",
        "SHA256:x",
        "",
        &hex[..10],
    ] {
        assert_eq!(ci.finish(&location, bad, &bytes).status, 400, "{bad}");
        let mount = ci.send(ci.request("POST", &format!("blobs/uploads/?mount={bad}&from={HOSTED}/team/app")));
        assert!(matches!(mount.status, 400 | 202), "{bad}: {}", mount.status);
    }
    for from in ["..", "../team/app", "team%2F..%2Fapp", "TEAM", "%00"] {
        let mount = ci.send(ci.request("POST", &format!("blobs/uploads/?mount={digest}&from={from}")));
        assert!(matches!(mount.status, 400 | 202), "{from}: {}", mount.status);
    }
    for tag in ["..", ".x", "-x", "a/b", "a%2Fb", &"t".repeat(129), "a b"] {
        let put = ci.request("PUT", &format!("manifests/{tag}")).header("Content-Type", "application/json").body(b"{}");
        assert!(matches!(ci.send(put).status, 400 | 404 | 405), "{tag}");
    }
    assert_eq!(outside(), before);
    // Nothing of it hurt the upload; SHA-512 ends it as well.
    let _ = ci.finish(&location, &sha512(&bytes), &bytes).expect(201);
    assert_eq!(ci.get(&format!("blobs/{}", sha512(&bytes))).expect(200).body, bytes);
}
