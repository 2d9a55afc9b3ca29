//! The public conformance suite of Sigstore: each case as path and as digest.
#![allow(clippy::disallowed_methods, missing_docs, reason = "tests read fixtures and their environment")]

mod conformance;

use conformance::cases;

#[test]
fn every_conformance_case_ends_as_its_name_says() {
    // V1, V2, V4, V13, V15, V22, C4, C6
    let mut wrong = Vec::new();
    let cases = cases();
    for case in &cases {
        let root = case.root();
        for (form, artifact) in [("path", case.as_bytes()), ("digest", case.as_digest())] {
            let outcome = root
                .as_ref()
                .map_err(|error| format!("{error:?}"))
                .and_then(|root| case.verify(&case.bundle, artifact, root).map_err(|error| format!("{error:?}")));
            println!("{} ({form}): {outcome:?}", case.name);
            if outcome.is_err() != case.must_fail() {
                wrong.push(format!("{} ({form}): {outcome:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(cases.is_empty() || cases.iter().any(|case| !case.must_fail()));
}
