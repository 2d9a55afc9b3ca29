//! A client that lies about names, digests and lengths, or never ends: the gate as a process, with its own limits.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sealgate_tests::authority::Authority;
use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::hostile::Upstream;
use sealgate_tests::image::Image;
use sealgate_tests::signature::Signer;
use sealgate_tests::wire::{self, Request};
use sealgate_tests::{scale, sha256};

fn signed_gate() -> (Upstream, Gate, Image) {
    let (upstream, signer, image) = (Upstream::start(), Signer::generate(), Image::small());
    upstream.push("team/app", "1", &image);
    upstream.put_signature("team/app", &signer.sign(&image.manifest));
    let gate = Setup::new().lab(&upstream.url()).signed_by(&signer.public_pem()).start();
    (upstream, gate, image)
}

/// What the gate answers to these bytes, as far as it answers.
fn raw(gate: &Gate, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(gate.address()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
    // The gate may close before it has read all.
    let _ = stream.write_all(bytes);
    let mut answer = vec![];
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

// A6, V28, A7
#[test]
fn names_and_digests_that_are_none_are_400_and_ask_nobody() {
    let (upstream, gate, image) = signed_gate();
    let hex = image.digest().strip_prefix("sha256:").expect("hex").to_owned();
    upstream.forget();
    for digest in [
        "sha256:../..".to_owned(),
        "sha256:..%2f..%2fetc%2fpasswd".to_owned(),
        format!("sha256:{}", hex.to_uppercase()),
        format!("SHA256:{hex}"),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}0"),
        format!("sha256:{hex}%00"),
        format!("sha512:{hex}"),
        format!("md5:{}", &hex[..32]),
        "sha256:".to_owned(),
        format!("sha256:{}", "0".repeat(8_000)),
    ] {
        for kind in ["manifests", "blobs", "referrers"] {
            for method in ["GET", "HEAD"] {
                let reply = Request::new(method, &Gate::target("team/app", &format!("{kind}/{digest}"))).send(gate.address()).expect(400);
                assert!(reply.reason.len() < 600 && reply.body.len() < 2_000, "{}", reply.reason);
            }
        }
    }
    for name in ["team/..", "team%2Fapp", "team//app", "/app", "team/app%00", "TEAM/app", "team/app/", &"a/".repeat(2_000), "té/app"] {
        let target = Gate::target(name, "manifests/1");
        let answer = raw(&gate, format!("GET {target} HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400"), "{name:.40}: {answer:.200}");
    }
    let long = Gate::target(&"a".repeat(20_000), "manifests/1");
    assert!(matches!(Request::new("GET", &long).send(gate.address()).status, 400 | 414 | 431));
    assert_eq!(upstream.seen().len(), 0);
}

// D5
#[test]
fn there_is_no_catalog_and_a_page_of_tags_is_capped() {
    let upstream = Upstream::start();
    let image = Image::small();
    for tag in 0..1_500 {
        upstream.put_tag("team/app", &format!("v{tag}"), image.digest());
    }
    let gate = Setup::new().lab(&upstream.url()).allow_all().start();
    for target in ["/v2/_catalog", "/v2/_catalog?n=1000000000", "/v2/_catalog?n=-1&last=x"] {
        let reply = wire::get(gate.address(), target);
        assert!(matches!(reply.status, 400 | 404), "{}", reply.status);
        assert!(!reply.text().contains("team/app"));
    }
    let mut target = Gate::target("team/app", "tags/list?n=1000000000");
    let reply = wire::get(gate.address(), &target).expect(200);
    assert_eq!(reply.json()["tags"].as_array().map(Vec::len), Some(1_000));
    target = reply.header("link").and_then(|link| link.strip_prefix('<')?.split('>').next()).expect("a next page").to_owned();
    assert!(target.contains("n=1000&last=v"), "{target}");
    let _ = wire::get(gate.address(), &Gate::target("team/app", "tags/list?n=99999999999999999999999999")).expect(200);
    for bad in ["n=-1", "n=x", "n=1&n=2", "last=%2F", "last=a%0d%0aX:y"] {
        let _ = wire::get(gate.address(), &Gate::target("team/app", &format!("tags/list?{bad}"))).expect(400);
    }
}

// D16: names of strangers become no label, no record and no memory.
#[test]
fn names_of_strangers_leave_no_trace() {
    let (upstream, mut gate, image) = signed_gate();
    let _ = wire::get(gate.address(), &Gate::target("team/app", "manifests/1")).expect(200);
    let page = |gate: &Gate| Request::new("GET", "/metrics").send(gate.admin_address()).expect(200).text();
    let ledger = |gate: &Gate| -> u64 {
        let entries = std::fs::read_dir(gate.folder().join("data/ledger")).expect("the ledger").flatten();
        entries.map(|entry| entry.metadata().expect("a file").len()).sum()
    };
    let ask = |gate: &Gate, number: usize| {
        let digest = sha256(format!("{number}").as_bytes());
        for (target, status) in [
            (format!("/v2/attacker-{number}.example/a/manifests/1"), 404),
            (format!("/v2/docker.io/attacker-{number}/a/manifests/1"), 404),
            (Gate::target(&format!("attacker-{number}/app"), &format!("blobs/{digest}")), 404),
            (Gate::target("team/app", &format!("manifests/{digest}")), 404),
            (Gate::target("team/app", &format!("manifests/attacker-{number}")), 404),
            (format!("/attacker-{number}"), 404),
            (format!("/decisions/attacker-{number}"), 404),
        ] {
            let _ = Request::new("GET", &target).send(gate.address()).expect(status);
        }
    };
    // The series of each kind of answer appear with the first one.
    ask(&gate, usize::MAX);
    let (series, recorded, memory) = (page(&gate).lines().count(), ledger(&gate), gate.process().peak_rss_kib());
    upstream.forget();
    (0..scale(300, 20_000)).for_each(|number| ask(&gate, number));
    let text = page(&gate);
    assert!(!text.contains("attacker"), "{text}");
    assert_eq!(text.lines().count(), series);
    assert_eq!(ledger(&gate), recorded, "what is not there was recorded");
    assert!(gate.process().peak_rss_kib() - memory < 16 * 1024);
    let _ = wire::get(gate.address(), &Gate::target("team/app", &format!("manifests/{}", image.digest()))).expect(200);
}

// D13, through the whole server: one connection, two requests, and nothing smuggled between them.
#[test]
fn a_request_of_doubtful_length_carries_no_other() {
    let (upstream, gate, _) = signed_gate();
    upstream.forget();
    let smuggled = format!("GET {} HTTP/1.1\r\nHost: gate\r\n\r\n", Gate::target("team/smuggled", "manifests/1"));
    for head in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 4\r\nContent-Length: 5",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding:\x0bchunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "Content-Length: +4",
        "Content-Length: 99999999999999999999",
    ] {
        for method in ["GET", "POST"] {
            let answer = raw(&gate, format!("{method} /v2/ HTTP/1.1\r\nHost: gate\r\n{head}\r\n\r\n0\r\n\r\n{smuggled}").as_bytes());
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{method} {head:?}: {answer}");
            assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{method} {head:?}: {answer}");
        }
    }
    // A GET with a body: the gate reads none of it as a request.
    let answer = raw(&gate, format!("GET /v2/ HTTP/1.1\r\nHost: gate\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len()).as_bytes());
    assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{answer}");
    for head in ["Host: a\r\nHost: b", "Host: a b", "Host: user@gate", "X: y", "Host: gate/v2", "Host:"] {
        let answer = raw(&gate, format!("GET /v2/ HTTP/1.1\r\n{head}\r\n\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400"), "{head:?}: {answer}");
    }
    assert_eq!(upstream.seen().len(), 0);
}

// D14, D15: garbage, cleartext and HTTP/2 on a TLS listener; the gate goes on serving.
#[test]
fn a_tls_listener_survives_what_is_no_handshake() {
    let authority = Authority::new();
    let certificate = authority.issue(&["localhost", "127.0.0.1"]);
    let upstream = Upstream::start();
    let setup = Setup::new().lab(&upstream.url()).allow_all().line("tls: { certificate: gate.crt, key: gate.key }");
    let mut gate = setup.file("gate.crt", &certificate.certificate_pem).file("gate.key", &certificate.key_pem).start();
    let memory = gate.process().peak_rss_kib();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
    let hello = [&[0x16, 3, 1, 0xff, 0xff, 1, 0, 0xff, 0xfb, 3, 3][..], &[0; 200]].concat();
    for number in 0..scale(100, 2_000) {
        for garbage in [&[0; 64][..], &[0xff; 600], b"GET /v2/ HTTP/1.1\r\nHost: gate\r\n\r\n", preface, &hello, &[0x15, 3, 3, 0, 2, 2, 40]]
        {
            let mut stream = TcpStream::connect(gate.address()).expect("a connection");
            let _ = stream.write_all(garbage);
            if number % 10 == 0 {
                // Some stay open until the gate or the test ends.
                continue;
            }
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
    }
    assert!(gate.is_ready());
    assert!(gate.process().peak_rss_kib() - memory < 32 * 1024);
    assert!(!gate.log().contains("panicked"), "{}", gate.log());
}

// D17, V16: connections that say nothing, or a byte now and then, are counted and end by themselves; others are served meanwhile.
#[test]
fn slow_clients_do_not_keep_others_waiting() {
    let (_upstream, gate, image) = signed_gate();
    let slow: Vec<TcpStream> = (0..scale(200, 2_000))
        .map(|number| {
            let mut stream = TcpStream::connect(gate.address()).expect("a connection");
            if number % 2 == 0 {
                stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: ga").expect("half a head");
            }
            stream
        })
        .collect();
    let _ = wire::get(gate.address(), &Gate::target("team/app", "manifests/1")).expect(200);
    let blob = Gate::target("team/app", &format!("blobs/{}", image.layers[1].digest));
    assert_eq!(wire::get(gate.address(), &blob).expect(200).body, image.layers[1].bytes);
    // Half a head is given ten seconds.
    let reaped = || gate.metric("sealgate_connections_reaped_total{listener=\"gate\",phase=\"head\"}") as usize >= slow.len() / 2;
    assert!(sealgate_tests::process::wait_until(Duration::from_secs(30), reaped));
}
