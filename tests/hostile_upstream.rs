//! An upstream that lies about digests, sends its client elsewhere, buries it in signatures or changes its mind.

use std::time::{Duration, Instant};

use sealgate_tests::gate::{Gate, LAB, Setup};
use sealgate_tests::hostile::{Fault, Rule, Upstream};
use sealgate_tests::image::{Content, Image};
use sealgate_tests::process::wait_until;
use sealgate_tests::signature::Signer;
use sealgate_tests::wire::{self, Request};
use serde_json::{Value, json};

fn allowing(upstream: &Upstream) -> Gate {
    Setup::new().lab_without_memory(&upstream.url()).allow_all().start()
}

fn target(rest: &str) -> String {
    Gate::target("team/app", rest)
}

// A3: our own hash decides, whatever the headers and whoever is asked.
#[test]
fn bytes_under_another_digest_are_refused() {
    let upstream = Upstream::start();
    let gate = allowing(&upstream);
    let (image, other) = (Image::small(), Image::small());
    upstream.push("team/app", "1", &image);
    upstream.push("team/app", "other", &other);
    let by_digest = target(&format!("manifests/{}", image.digest()));
    upstream.rule(Rule::on("GET", image.digest()).fault(Fault::Body(other.manifest.bytes.clone())));
    for name in [&by_digest, &target("manifests/1")] {
        let reply = wire::get(gate.address(), name).expect(502);
        assert!(!reply.text().contains(&other.layers[0].digest));
    }
    // The tag's header names one manifest and its body is another: the header's digest is asked for, and its bytes served.
    upstream.behave();
    upstream.rule(Rule::any("/manifests/1").fault(Fault::Header("docker-content-digest", other.digest().to_owned())));
    let reply = wire::get(gate.address(), &target("manifests/1")).expect(200);
    assert_eq!((reply.header("docker-content-digest"), &*reply.body), (Some(other.digest()), &*other.manifest.bytes));
    // A header that is no digest, and none at all: the bytes' own.
    for fault in
        [Fault::Header("docker-content-digest", "sha256:../../etc/passwd".to_owned()), Fault::WithoutHeader("docker-content-digest")]
    {
        upstream.behave();
        upstream.rule(Rule::any("/manifests/1").fault(fault));
        assert_eq!(wire::get(gate.address(), &target("manifests/1")).expect(200).header("docker-content-digest"), Some(image.digest()));
    }
}

// A4
#[test]
fn wrong_bytes_of_a_layer_reach_nobody_whole_and_are_not_kept() {
    let upstream = Upstream::start();
    let gate = allowing(&upstream);
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    let layer = &image.layers[1];
    let blob = target(&format!("blobs/{}", layer.digest));
    let _ = wire::get(gate.address(), &target("manifests/1")).expect(200);
    for fault in [Fault::FlipByte(0), Fault::FlipByte(layer.bytes.len() - 1), Fault::Body(vec![0; layer.bytes.len()].into())] {
        upstream.behave();
        upstream.rule(Rule::on("GET", "/blobs/").fault(fault));
        for range in [None, Some("bytes=0-0"), Some("bytes=-1")] {
            let request = range.into_iter().fold(Request::new("GET", &blob), |request, range| request.header("Range", range));
            let reply = request.send(gate.address());
            assert!(reply.status == 502 || !reply.complete, "{range:?}: {}", reply.status);
            assert!(reply.body.len() < layer.bytes.len());
        }
    }
    upstream.behave();
    assert_eq!(wire::get(gate.address(), &blob).expect(200).body, layer.bytes);
}

// B3, B8: another host gets neither the upstream's credentials nor the client's.
#[test]
fn what_a_client_sends_to_the_gate_goes_no_further() {
    let (upstream, elsewhere) = (Upstream::start(), Upstream::start());
    let gate = allowing(&upstream);
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    let layer = &image.layers[0];
    elsewhere.put_blob("team/app", layer);
    let address = format!("{}/v2/team/app/blobs/{}?signed=yes", elsewhere.url(), layer.digest);
    upstream.rule(Rule::on("GET", &layer.digest).fault(Fault::Redirect(307, address)));
    for rest in ["manifests/1".to_owned(), format!("blobs/{}", layer.digest)] {
        let mut request = Request::new("GET", &target(&rest));
        for (name, value) in [
            ("Authorization", "Bearer of-the-client"),
            ("Cookie", "session=of-the-client"),
            ("Proxy-Authorization", "Basic b2Y6Y2xpZW50"),
            ("X-Forwarded-For", "169.254.169.254"),
            ("X-Secret", "of-the-client"),
            ("Referer", "http://of-the-client.example/"),
        ] {
            request = request.header(name, value);
        }
        let _ = request.send(gate.address()).expect(200);
    }
    for seen in upstream.seen().iter().chain(&elsewhere.seen()) {
        let text = format!("{:?}", seen.headers);
        for secret in ["of-the-client", "b2Y6Y2xpZW50", "169.254", "referer", "forwarded"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    assert_eq!(elsewhere.seen().len(), 1);
    let log = gate.log();
    for secret in ["of-the-client", "b2Y6Y2xpZW50", "signed=yes"] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

// B4, B2: redirects of blobs and manifests to addresses that nobody configured, in a loop, and to other schemes.
#[test]
fn a_redirect_to_a_private_place_is_not_followed() {
    let upstream = Upstream::start();
    let gate = allowing(&upstream);
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    let _ = wire::get(gate.address(), &target("manifests/1")).expect(200);
    let layer = format!("/v2/team/app/blobs/{}", image.layers[0].digest);
    let second = format!("/v2/team/app/manifests/{}", Image::small().digest());
    for address in [
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "https://[::1]:1/".to_owned(),
        "https://[::ffff:169.254.169.254]/".to_owned(),
        "https://2852039166/".to_owned(),
        "https://0xa9fea9fe/".to_owned(),
        "https://10.0.0.1/".to_owned(),
        "https://localhost/".to_owned(),
        format!("https://{}@127.0.0.1:1/", upstream.address()),
        "file:///etc/passwd".to_owned(),
        "ftp://127.0.0.1/".to_owned(),
        format!("{}{layer}", upstream.url()),
        format!("{}{second}", upstream.url()),
        String::new(),
        "http://".to_owned(),
    ] {
        for path in [&layer, &second] {
            upstream.behave();
            upstream.rule(Rule::on("GET", path).fault(Fault::Redirect(307, address.clone())));
            let reply = wire::get(gate.address(), &path.replacen("/v2/", &format!("/v2/{LAB}/"), 1));
            // A redirect to the other of the two is followed once, to something else than was asked for, or to nothing.
            let expected = if address.starts_with(&upstream.url()) { [502, 404] } else { [502, 502] };
            assert!(expected.contains(&reply.status), "{address}: {} {}", reply.status, reply.reason);
            assert!(!reply.text().contains("169.254") && !reply.text().contains("127.0.0.1"), "{}", reply.text());
        }
    }
}

// B5: a layer with `urls` is refused where the rule admits everything, and where it is signed.
#[test]
fn an_image_with_a_foreign_layer_is_refused_and_nothing_is_fetched() {
    let (upstream, elsewhere, signer) = (Upstream::start(), Upstream::start(), Signer::generate());
    let image = Image::small();
    let mut manifest: Value = serde_json::from_slice(&image.manifest.bytes).expect("a manifest");
    manifest["layers"][0]["urls"] = json!([format!("{}/v2/team/app/blobs/{}", elsewhere.url(), image.layers[0].digest)]);
    let manifest = Content::json(&image.manifest.media_type, &manifest);
    upstream.put_manifest("team/app", &manifest);
    upstream.put_tag("team/app", "1", &manifest.digest);
    upstream.put_signature("team/app", &signer.sign(&manifest));
    for gate in [allowing(&upstream), Setup::new().lab(&upstream.url()).signed_by(&signer.public_pem()).start()] {
        let reply = wire::get(gate.address(), &target("manifests/1")).expect(403);
        assert!(reply.reason.contains("`urls`"), "{}", reply.reason);
        let _ = wire::get(gate.address(), &target(&format!("blobs/{}", image.layers[0].digest)));
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

// C1, V16: the gate opens a bounded number, answers soon, and the true signature counts where it is found first.
#[test]
fn ten_thousand_signatures_are_denied_soon() {
    let (upstream, signer) = (Upstream::start(), Signer::generate());
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    let entry = |n: usize| {
        let digest = sealgate_tests::sha256(format!("signature {n}").as_bytes());
        json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 700 })
    };
    let listing = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": (0..10_000).map(entry).collect::<Vec<_>>(),
    });
    let length = listing.to_string().len().to_string();
    let rule = Rule::on("GET", "/referrers/").fault(Fault::Body(listing.to_string().into()));
    upstream.rule(rule.fault(Fault::Header("content-length", length)));
    let gate = Setup::new().lab(&upstream.url()).signed_by(&signer.public_pem()).start();
    let started = Instant::now();
    let reply = wire::get(gate.address(), &target("manifests/1")).expect(403);
    // C1 gives two seconds; the count is what the test is about.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(reply.reason.contains("could not be seen"), "{}", reply.reason);
    let asked = upstream.seen().len();
    assert!(asked <= 2 * 64 + 10, "{asked} requests");
}

// C13, V9, F14: the tag moves at every request; each answer is one image, whole, and only the signed one.
#[test]
fn a_tag_that_flips_serves_the_signed_image_or_none() {
    let (upstream, signer) = (Upstream::start(), Signer::generate());
    let (signed, unsigned) = (Image::small(), Image::small());
    upstream.push("team/app", "a", &signed);
    upstream.push("team/app", "b", &unsigned);
    upstream.put_signature("team/app", &signer.sign(&signed.manifest));
    upstream.flip_tag("team/app", "1", &[signed.digest(), unsigned.digest()]);
    let gate = Setup::new().lab_without_memory(&upstream.url()).signed_by(&signer.public_pem()).start();
    let (mut served, mut refused) = (0, 0);
    for _ in 0..20 {
        let before = upstream.count("HEAD", "/manifests/1") + upstream.count("GET", "/manifests/1");
        let reply = wire::get(gate.address(), &target("manifests/1"));
        let asked = upstream.count("HEAD", "/manifests/1") + upstream.count("GET", "/manifests/1") - before;
        assert_eq!(asked, 1, "one resolution for one request");
        match reply.status {
            200 => assert_eq!(reply.body, signed.manifest.bytes),
            status => assert_eq!(status, 403),
        }
        if reply.status == 200 { served += 1 } else { refused += 1 }
    }
    assert_eq!((served, refused), (10, 10));
    for blob in unsigned.layers {
        assert!(wire::get(gate.address(), &target(&format!("blobs/{}", blob.digest))).status >= 403);
    }
}

// A5: damage on the disk is found at the first open after a start.
#[test]
fn a_damaged_file_of_the_store_is_fetched_again() {
    let upstream = Upstream::start();
    let mut gate = allowing(&upstream);
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    let blob = target(&format!("blobs/{}", image.layers[1].digest));
    let manifest = target(&format!("manifests/{}", image.digest()));
    let pull = |gate: &Gate| {
        assert_eq!(wire::get(gate.address(), &manifest).expect(200).body, image.manifest.bytes);
        assert_eq!(wire::get(gate.address(), &blob).expect(200).body, image.layers[1].bytes);
    };
    pull(&gate);
    let damages: [fn(&mut Vec<u8>); 3] = [|bytes| bytes[0] ^= 1, |bytes| bytes.truncate(bytes.len() / 2), Vec::clear];
    for damage in damages {
        let stored = |digest: &str| {
            let hex = digest.strip_prefix("sha256:").expect("hex");
            gate.folder().join(format!("data/blobs/sha256/{}/{hex}", &hex[..2]))
        };
        assert!(wait_until(Duration::from_secs(5), || stored(&image.layers[1].digest).is_file()));
        let files = [stored(&image.layers[1].digest), stored(image.digest())];
        gate.kill();
        for file in files {
            let mut bytes = std::fs::read(&file).expect("a stored file");
            damage(&mut bytes);
            std::fs::remove_file(&file).expect("the file");
            std::fs::write(&file, bytes).expect("a damaged file");
        }
        gate.restart();
        pull(&gate);
    }
}
