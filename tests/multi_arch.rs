//! Indexes: a signature on the index covers its children, and a signature on a child never covers the index.

use sealgate_tests::clients::Client;
use sealgate_tests::cosign::{self, KeyPair, Layout};
use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::image::{Format, Image, Index};
use sealgate_tests::registry::Registry;
use sealgate_tests::wire;

fn sign(registry: &Registry, key: &KeyPair, layout: Layout, digest: &str) {
    let _ = cosign::sign(&key.private(), layout, &registry.reference(&format!("team/app@{digest}"))).expect_success();
}

#[test]
fn every_child_of_a_signed_index_is_pulled() {
    for (layout, format) in [(Layout::Bundle, Format::Oci), (Layout::Legacy, Format::Docker)] {
        let (registry, key) = (Registry::start(), KeyPair::generate());
        let gate = Setup::new().lab(&registry.url()).signed_by(&key.public_pem()).start();
        let images = ["amd64", "arm64", "s390x"].map(|architecture| Image::build(format, architecture, &[2_000]));
        let index = Index::of(format, images.to_vec());
        registry.push_index("team/app", "1", &index);
        sign(&registry, &key, layout, index.digest());
        for client in Client::ALL {
            for image in &index.images {
                let pull = client.pull_platform(&gate.reference("team/app:1"), Some(&format!("linux/{}", image.architecture)));
                let digest = pull.expect_digest();
                assert!(digest == image.digest() || digest == index.digest(), "{client:?}, {layout:?}: {digest}");
                let child = client.pull_platform(
                    &gate.reference(&format!("team/app@{}", image.digest())),
                    Some(&format!("linux/{}", image.architecture)),
                );
                assert_eq!(child.expect_digest(), image.digest(), "{client:?}, {layout:?}: the child by digest");
            }
        }
        let target = Gate::target("team/app", "manifests/1");
        assert_eq!(wire::get(gate.address(), &target).expect(200).body, index.manifest.bytes, "the index is byte-exact");
    }
}

#[test]
fn an_unsigned_index_that_lists_a_signed_child_is_refused_and_the_child_is_not() {
    let (registry, key) = (Registry::start(), KeyPair::generate());
    let gate = Setup::new().lab(&registry.url()).signed_by(&key.public_pem()).start();
    let index = Index::small();
    registry.push_index("team/app", "1", &index);
    let [signed, unsigned] = [&index.images[0], &index.images[1]];
    sign(&registry, &key, Layout::Bundle, signed.digest());
    for client in Client::ALL {
        let text = client.pull(&gate.reference("team/app:1")).expect_refusal();
        assert!(text.contains("DENIED by policy rule"), "{client:?}:\n{text}");
        let child = client.pull(&gate.reference(&format!("team/app@{}", signed.digest())));
        assert_eq!(child.expect_digest(), signed.digest(), "{client:?}");
        let _ = client.pull_platform(&gate.reference(&format!("team/app@{}", unsigned.digest())), Some("linux/arm64")).expect_refusal();
    }
}

// C15
#[test]
fn children_and_blobs_of_an_unsigned_index_cannot_be_had_by_digest() {
    let (registry, key) = (Registry::start(), KeyPair::generate());
    let gate = Setup::new().lab(&registry.url()).signed_by(&key.public_pem()).start();
    let index = Index::small();
    registry.push_index("team/app", "1", &index);
    let _ = wire::get(gate.address(), &Gate::target("team/app", "manifests/1")).expect(403);
    for image in &index.images {
        let child = Gate::target("team/app", &format!("manifests/{}", image.digest()));
        let _ = wire::get(gate.address(), &child).expect(403);
        let _ = wire::head(gate.address(), &child).expect(403);
        for blob in image.blobs() {
            let reply = wire::get(gate.address(), &Gate::target("team/app", &format!("blobs/{}", blob.digest)));
            assert!(matches!(reply.status, 403 | 404), "{}", reply.status);
            assert_eq!(registry.count("GET", &blob.digest), 0);
        }
    }
}

#[test]
fn a_child_of_an_index_signed_in_another_repository_is_refused() {
    let (registry, key) = (Registry::start(), KeyPair::generate());
    let gate = Setup::new().lab(&registry.url()).signed_by(&key.public_pem()).start();
    let index = Index::small();
    registry.push_index("team/app", "1", &index);
    registry.push("team/copy", "1", &index.images[0]);
    sign(&registry, &key, Layout::Bundle, index.digest());
    let _ = wire::get(gate.address(), &Gate::target("team/app", "manifests/1")).expect(200);
    let _ = wire::get(gate.address(), &Gate::target("team/copy", &format!("manifests/{}", index.images[0].digest()))).expect(403);
}

// C7: signatures of index and child are never counted together.
#[test]
fn one_signature_on_the_index_and_one_on_the_child_do_not_make_two() {
    let (registry, a, b) = (Registry::start(), KeyPair::generate(), KeyPair::generate());
    let policy = "version: 1\nsigners: { a: { key: a.pub }, b: { key: b.pub } }\nrules:\n  - images: [\"lab.example/**\"]\n    \
                  require: [ { signed-by: { threshold: 2, of: [a, b] } } ]\n";
    let setup = Setup::new().lab(&registry.url()).policy(policy);
    let gate = setup.file("a.pub", &a.public_pem()).file("b.pub", &b.public_pem()).start();
    let index = Index::small();
    registry.push_index("team/app", "1", &index);
    sign(&registry, &a, Layout::Bundle, index.digest());
    sign(&registry, &b, Layout::Bundle, index.images[0].digest());
    let _ = wire::get(gate.address(), &Gate::target("team/app", "manifests/1")).expect(403);
    let _ = wire::get(gate.address(), &Gate::target("team/app", &format!("manifests/{}", index.images[0].digest()))).expect(403);

    let both = Index::small();
    registry.push_index("team/app", "2", &both);
    sign(&registry, &a, Layout::Bundle, both.digest());
    sign(&registry, &b, Layout::Bundle, both.digest());
    let _ = wire::get(gate.address(), &Gate::target("team/app", "manifests/2")).expect(200);
}
