//! How old a trust root may be.

use super::*;

/// What is attached to an image, as seen for good.
fn collected(signatures: &[&Signature]) -> Collected<Attachment> {
    let attachment = |signature: &&Signature| Attachment {
        location: Location::Referrers,
        digest: signature.manifest.digest.parse().expect("a digest"),
        manifest: signature.manifest.bytes.clone(),
        layers: vec![signature.bundle.bytes.clone()],
    };
    let items = signatures.iter().map(attachment).collect();
    Collected { items, gaps: Vec::new(), collected_at: Timestamp(0), stale_at: Timestamp(i64::MAX) }
}

fn decide(image: &Image, signatures: &[&Signature], policy: &Policy, now: Timestamp) -> Verdict {
    let repository: Name = format!("{LAB}/team/app").parse().expect("a name");
    let digest = image.digest().parse().expect("a digest");
    let subject = Subject { repository, tag: None, digest, manifest: image.manifest.bytes.clone() };
    let image = ImageFacts::not_collected(now);
    let evidence = Evidence { subject, attachments: collected(signatures), parents: Vec::new(), image, children: Vec::new() };
    evaluate(&evidence, policy, now)
}

#[test]
fn an_admission_ends_to_the_second_when_its_root_is_too_old() {
    let (sigstore, image, key) = (Sigstore::new(), Image::small(), Key::generate());
    let bytes = &image.manifest.bytes;
    let keyless = Signature::of(sigstore.sign(&identity(), bytes, sigstore.making()).bundle(bytes).to_string(), &image.manifest);
    let logged = Signature::of(sigstore.sign_with(&key, bytes, sigstore.making()).bundle(bytes).to_string(), &image.manifest);
    let folder = tempfile::tempdir().expect("a folder");
    let load = |text: &str| {
        std::fs::write(folder.path().join("key.pub"), key.public_pem()).expect("a file");
        std::fs::write(folder.path().join("policy.yaml"), text).expect("a file");
        sealgate_config::load_policy(&folder.path().join("policy.yaml")).map_err(|errors| errors.to_string()).expect(text).policy
    };
    let as_of = Timestamp(1_795_000_000);
    let root = TrustRoot::from_json(sigstore.trusted_root().to_string().as_bytes()).expect("a trust root");
    let roots = |max_age| {
        let current = CurrentRoot { root: root.clone(), as_of };
        Arc::new(CurrentRoots { roots: [("lab".to_owned(), current)].into(), max_age, lost: Vec::new() })
    };
    let by_key = policy("lab", "tuf");
    let signer = by_key.find("  app:").expect("the signer")..by_key.find("rules:").expect("the rules");
    let by_key = format!("{}  app: {{ key: key.pub, log: required, trust-root: lab }}\n{}", &by_key[..signer.start], &by_key[signer.end..]);
    for (text, signature) in [(policy("lab", "tuf"), &keyless), (by_key, &logged)] {
        let (bare, end) = (load(&text), as_of.plus(3600));
        let limited = bare.clone().with_current_roots(roots(Some(3600)));
        let verdict = decide(&image, &[signature], &limited, end.plus(-1));
        assert!(matches!(&verdict, Verdict::Admit(_)), "{}", verdict.line());
        assert_eq!(verdict.valid_until(), Some(end));
        let Verdict::Deny(denial) = decide(&image, &[signature], &limited, end) else { panic!("admitted by an old root") };
        let [Reason::EvidenceMissing { gaps, .. }] = &denial.reasons[..] else { panic!("{:?}", denial.reasons) };
        assert_eq!(
            (gaps[0].source, gaps[0].failure, gaps[0].place.as_str()),
            (EvidenceSource::TrustRoot, Failure::Stale, "trust root lab")
        );
        assert!(denial.line(None).contains("sealgate trust-root update"), "{}", denial.line(None));
        // An image that nobody vouches for is unsigned, whatever the root's age.
        let Verdict::Deny(denial) = decide(&image, &[], &limited, end) else { panic!("admitted unsigned") };
        assert!(matches!(&denial.reasons[..], [Reason::Unsigned { .. }]), "{:?}", denial.reasons);
        // Without a limit any age will do; without a root, none.
        let unlimited = bare.clone().with_current_roots(roots(None));
        assert!(matches!(decide(&image, &[signature], &unlimited, as_of.plus(1 << 30)), Verdict::Admit(_)));
        let Verdict::Deny(denial) = decide(&image, &[signature], &bare, as_of) else { panic!("admitted without a root") };
        let [Reason::EvidenceMissing { gaps, .. }] = &denial.reasons[..] else { panic!("{:?}", denial.reasons) };
        assert_eq!((gaps[0].source, gaps[0].failure), (EvidenceSource::TrustRoot, Failure::Unavailable));
    }
}

#[test]
fn what_is_built_in_counts_from_its_date_and_a_refreshed_root_of_an_earlier_day_does_not_replace_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sigstore, image) = (Sigstore::new(), Image::small());
    let bytes = &image.manifest.bytes;
    let signature = Signature::of(sigstore.sign(&identity(), bytes, sigstore.making()).bundle(bytes).to_string(), &image.manifest);
    let text = policy("lab", "tuf").replace("trust-root: lab", "trust-root: public");
    std::fs::write(folder.path().join("policy.yaml"), text).expect("a file");
    let bare = sealgate_config::load_policy(&folder.path().join("policy.yaml")).map_err(|errors| errors.to_string()).expect("loads").policy;
    let root = TrustRoot::from_json(sigstore.trusted_root().to_string().as_bytes()).expect("a trust root");
    let built_in = sealgate_verifier::policy::built_in_as_of("public").expect("built in");
    let under = |as_of: Timestamp, max_age, lost: &[&str]| {
        let current = CurrentRoot { root: root.clone(), as_of };
        let lost = lost.iter().map(|name| (*name).to_owned()).collect();
        bare.clone().with_current_roots(Arc::new(CurrentRoots { roots: [("public".to_owned(), current)].into(), max_age, lost }))
    };
    let admits = |policy: &Policy, now| matches!(decide(&image, &[&signature], policy, now), Verdict::Admit(_));
    assert!(admits(&under(built_in.plus(1), None, &[]), built_in.plus(2)), "the refreshed root is the newer one");
    assert!(!admits(&under(built_in.plus(-1), None, &[]), built_in.plus(2)), "the built-in root is the newer one");
    assert!(admits(&under(built_in.plus(-1), None, &["public"]), built_in.plus(2)), "what was lost is not fallen back to");
    assert!(!admits(&under(built_in.plus(1), Some(60), &[]), built_in.plus(61)));
}
