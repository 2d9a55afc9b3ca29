//! Without the gate: the real registry, every client and the misbehaving upstream do what the other tests take for granted.
//! A refusal means something only because the same pull succeeds here.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sealgate_tests::clients::Client;
use sealgate_tests::cosign::{self, KeyPair, Layout};
use sealgate_tests::hostile::{Fault, Latch, Rule, Tokens, Upstream};
use sealgate_tests::image::{Format, Image, Index};
use sealgate_tests::registry::Registry;
use sealgate_tests::wire::{self, Request};

#[test]
fn every_client_pulls_an_oci_image_from_the_registry_itself() {
    let registry = Registry::start();
    let image = Image::small();
    registry.push("team/app", "1", &image);
    for client in Client::ALL {
        let digest = client.pull(&registry.reference("team/app:1")).expect_digest();
        assert_eq!(digest, image.digest(), "{client:?}");
        let by_digest = client.pull(&registry.reference(&format!("team/app@{}", image.digest()))).expect_digest();
        assert_eq!(by_digest, image.digest(), "{client:?} by digest");
    }
    assert!(registry.count("GET", &format!("/blobs/{}", image.layers[0].digest)) >= Client::ALL.len());
}

#[test]
fn every_client_pulls_a_docker_image_from_the_registry_itself() {
    let registry = Registry::start();
    let image = Image::build(Format::Docker, "amd64", &[1_000]);
    registry.push("team/app", "1", &image);
    for client in Client::ALL {
        assert_eq!(client.pull(&registry.reference("team/app:1")).expect_digest(), image.digest(), "{client:?}");
    }
}

#[test]
fn every_client_pulls_each_platform_of_an_index_from_the_registry_itself() {
    let registry = Registry::start();
    let index = Index::small();
    registry.push_index("team/app", "1", &index);
    for client in Client::ALL {
        for image in &index.images {
            let pull = client.pull_platform(&registry.reference("team/app:1"), Some(&format!("linux/{}", image.architecture)));
            let digest = pull.expect_digest();
            // Engines and oras keep the index's digest, the others the child's.
            assert!(digest == image.digest() || digest == index.digest(), "{client:?} {digest}");
        }
    }
}

#[test]
fn no_client_stores_an_image_whose_layer_is_tampered_with() {
    let registry = Registry::start();
    let image = Image::small();
    registry.push("team/app", "1", &image);
    registry.corrupt(&image.layers[0].digest, &image.layers[0].tampered().bytes);
    for client in [Client::Docker, Client::Podman, Client::Skopeo, Client::Oras] {
        let _ = client.pull(&registry.reference("team/app:1")).expect_refusal();
    }
}

#[test]
fn cosign_signs_and_verifies_in_both_layouts() {
    let registry = Registry::start();
    let image = Image::small();
    let (key, other) = (KeyPair::generate(), KeyPair::generate());
    for layout in [Layout::Bundle, Layout::Legacy] {
        let repository = format!("team/{layout:?}").to_lowercase();
        registry.push(&repository, "1", &image);
        let reference = registry.reference(&format!("{repository}@{}", image.digest()));
        let _ = cosign::sign(&key.private(), layout, &reference).expect_success();
        let _ = cosign::verify(&key.public(), layout, &reference).expect_success();
        let _ = cosign::verify(&other.public(), layout, &reference).expect_failure();
    }
}

#[test]
fn a_registry_that_was_killed_comes_back_with_its_content() {
    let mut registry = Registry::start();
    let image = Image::small();
    registry.push("team/app", "1", &image);
    registry.restart();
    let reply = wire::get(registry.address(), "/v2/team/app/manifests/1").expect(200);
    assert_eq!(reply.body, image.manifest.bytes);
}

#[test]
fn every_client_pulls_from_the_hostile_upstream_while_it_behaves() {
    let upstream = Upstream::start();
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    for client in Client::ALL {
        let digest = client.pull(&format!("{}/team/app:1", upstream.address())).expect_digest();
        assert_eq!(digest, image.digest(), "{client:?}");
    }
}

#[test]
fn each_fault_of_the_body_arrives_on_the_wire() {
    let upstream = Upstream::start();
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    let layer = &image.layers[1];
    let target = format!("/v2/team/app/blobs/{}", layer.digest);
    let fetch = |fault: Fault| {
        upstream.behave();
        upstream.rule(Rule::on("GET", "/blobs/").fault(fault));
        Request::new("GET", &target).limit(Duration::from_secs(2)).send(upstream.address())
    };

    let cut = fetch(Fault::CutAfter(1000));
    assert_eq!((cut.status, cut.body.len(), cut.complete), (200, 1000, false));
    assert_eq!(cut.header("content-length"), Some(layer.bytes.len().to_string().as_str()));
    let stalled = fetch(Fault::StallAfter(1000));
    assert_eq!((stalled.body.len(), stalled.complete), (1000, false));
    let flipped = fetch(Fault::FlipByte(7));
    assert!(flipped.complete && flipped.body != layer.bytes && flipped.body.len() == layer.bytes.len());
    let other = fetch(Fault::Body("other".into()));
    assert_eq!((&other.body[..], other.complete), (&b"other"[..], false), "the length still promises the layer");
    let longer = fetch(Fault::Header("content-length", "10".to_owned()));
    assert_eq!(longer.body, layer.bytes[..10]);
    let redirected = fetch(Fault::Redirect(307, "https://elsewhere.example/x".to_owned()));
    assert_eq!((redirected.status, redirected.header("location")), (307, Some("https://elsewhere.example/x")));
    let status = fetch(Fault::Status(503));
    assert_eq!((status.status, status.header("docker-content-digest")), (503, None));
    assert_eq!(upstream.count("GET", "/blobs/"), 7);
}

#[test]
fn an_endless_body_does_not_end() {
    let upstream = Upstream::start();
    upstream.rule(Rule::on("GET", "/manifests/").fault(Fault::Status(200)).fault(Fault::Endless(" ".into())));
    let mut stream = TcpStream::connect(upstream.address()).expect("a connection");
    std::io::Write::write_all(&mut stream, Request::new("GET", "/v2/team/app/manifests/1").head("x").as_bytes()).expect("a request");
    let mut read = vec![];
    let count = stream.take(50_000_000).read_to_end(&mut read).expect("bytes");
    assert_eq!(count, 50_000_000);
}

#[test]
fn a_held_answer_arrives_when_the_latch_opens() {
    let upstream = Upstream::start();
    upstream.push("team/app", "1", &Image::small());
    let latch = Latch::closed();
    upstream.rule(Rule::on("GET", "/manifests/").fault(Fault::Hold(latch.clone())));
    let address = upstream.address();
    let waiting = std::thread::spawn(move || wire::get(address, "/v2/team/app/manifests/1"));
    std::thread::sleep(Duration::from_millis(200));
    assert!(!waiting.is_finished());
    latch.open();
    let _ = waiting.join().expect("a reply").expect(200);
}

#[test]
fn rules_skip_and_run_out() {
    let upstream = Upstream::start();
    upstream.push("team/app", "1", &Image::small());
    upstream.rule(Rule::on("GET", "/manifests/").skip(1).times(2).fault(Fault::Status(500)));
    let statuses: Vec<u16> = (0..4).map(|_| wire::get(upstream.address(), "/v2/team/app/manifests/1").status).collect();
    assert_eq!(statuses, [200, 500, 500, 200]);
}

#[test]
fn a_paced_body_takes_its_time() {
    let upstream = Upstream::start();
    let image = Image::build(Format::Oci, "amd64", &[200_000]);
    upstream.push("team/app", "1", &image);
    upstream.rule(Rule::on("GET", "/blobs/").fault(Fault::Pace(400_000)));
    let started = Instant::now();
    let reply = wire::get(upstream.address(), &format!("/v2/team/app/blobs/{}", image.layers[0].digest));
    assert!(reply.complete && started.elapsed() >= Duration::from_millis(400));
}

#[test]
fn a_flipping_tag_stands_for_another_digest_at_each_request() {
    let upstream = Upstream::start();
    let (a, b) = (Image::small(), Image::small());
    upstream.push("team/app", "a", &a);
    upstream.push("team/app", "b", &b);
    upstream.flip_tag("team/app", "1", &[a.digest(), b.digest()]);
    let digest = || wire::head(upstream.address(), "/v2/team/app/manifests/1").header("docker-content-digest").map(str::to_owned);
    assert_eq!([digest(), digest(), digest()], [Some(a.digest().into()), Some(b.digest().into()), Some(a.digest().into())]);
}

#[test]
fn clients_fetch_a_token_where_the_upstream_asks_for_one() {
    let upstream = Upstream::start();
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    let tokens = Tokens::anonymous();
    upstream.issue_tokens(&tokens);
    upstream.require_tokens(&tokens, &format!("{}/token", upstream.url()));
    let _ = wire::get(upstream.address(), "/v2/team/app/manifests/1").expect(401);
    for client in Client::ALL {
        let digest = client.pull(&format!("{}/team/app:1", upstream.address())).expect_digest();
        assert_eq!(digest, image.digest(), "{client:?}");
    }
    assert!(tokens.issued() >= Client::ALL.len());
    assert!(upstream.authorizations().iter().all(|value| value.starts_with("Bearer token-")));
}
