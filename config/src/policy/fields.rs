//! What `trust-policy.yaml` may hold (DESIGN §4).

use crate::shape::{Field, Later, Object, Shape};

const MODES: Shape = Shape::Choice(&["enforce", "audit"]);
const NO_SCANS: &str = "remove it; scan results are not judged yet, so nothing may be admitted because of them";

/// The whole file.
pub(crate) static POLICY: Object = Object {
    later: &[
        Later { key: "trust-roots", mend: "remove it; signers have keys only" },
        Later { key: "scan-policies", mend: NO_SCANS },
        Later { key: "baseline", mend: "remove it, and write its requirements into each rule" },
        Later { key: "exceptions", mend: "remove it; to admit one image, write a rule for it with `digests`" },
        Later { key: "platforms", mend: "remove it; every platform of an image is judged by the same rule" },
    ],
    ..Object::new(&[
        Field::new("version", Shape::Count(1, 1), "version of this format: 1").required(),
        Field::new("mode", MODES, "enforce, or audit: what is denied is served and recorded as denied; default enforce"),
        Field::new("signers", Shape::Named(&Shape::Object(&SIGNER)), "whose signatures count, by a name that rules use"),
        Field::new("rules", Shape::List(&Shape::Object(&RULE)), "what is demanded of which images; no match denies").required(),
    ])
};

/// One entry of `signers:`
pub(crate) static SIGNER: Object = Object {
    later: &[
        Later { key: "issuer", mend: KEYLESS },
        Later { key: "issuer-regexp", mend: KEYLESS },
        Later { key: "identity", mend: KEYLESS },
        Later { key: "identity-regexp", mend: KEYLESS },
        Later { key: "claims", mend: KEYLESS },
        Later { key: "trust-root", mend: KEYLESS },
        Later { key: "notation", mend: "sign with a key, and name its public half under `key`" },
        Later { key: "log", mend: "remove it; signatures by keys are verified without a transparency log" },
    ],
    forms: &[&["key"], &["keys"]],
    ..Object::new(&[
        Field::new("key", Shape::Key, "a PEM public key, or the path of its file relative to this one"),
        Field::new("keys", Shape::List(&Shape::Object(&KEY)), "several keys, for rotation"),
        Field::new("images", Shape::List(&Shape::Pattern), "the images for which this signer counts; default all"),
    ])
};

const KEYLESS: &str = "sign with a key, and name its public half under `key`";

/// One entry of `keys:`
pub(crate) static KEY: Object = Object::new(&[
    Field::new("file", Shape::Key, "a PEM public key, or the path of its file relative to this one").required(),
    Field::new("until", Shape::Time, "from then on the key no longer counts, for example 2027-01-01T00:00:00Z"),
]);

/// One entry of `rules:`
pub(crate) static RULE: Object = Object {
    later: &[
        Later { key: "tags", mend: "remove it; every tag of an image is judged by the same rule" },
        Later { key: "signatures-from", mend: "remove it; signatures are looked for beside the image" },
    ],
    ..Object::new(&[
        Field::new("images", Shape::List(&Shape::Pattern), "image patterns; the longest match of all rules wins").required(),
        Field::new("mode", MODES, "as at the top, for this rule"),
        Field::new("signed-as", Shape::List(&Shape::Pattern), "names that a signature may carry for these images"),
        Field::new("require", Shape::List(&REQUIREMENT_SHAPE), "what must hold, all of it").required(),
    ])
};

const REQUIREMENT_SHAPE: Shape = Shape::Either(&Shape::Choice(&["allow", "deny"]), &Shape::Object(&REQUIREMENT));

/// One entry of `require:`, where it is no word.
pub(crate) static REQUIREMENT: Object = Object {
    later: &[
        Later { key: "scanned", mend: NO_SCANS },
        Later { key: "attested", mend: "remove it; attestations are not judged yet, so nothing may be admitted because of them" },
        Later { key: "contents", mend: "remove it; what is inside an image is not judged yet" },
        Later { key: "age", mend: "remove it; an image's age is not judged yet" },
        Later { key: "any-of", mend: "write one `signed-by` with `any` or `threshold`" },
    ],
    forms: &[&["digests"], &["signed-by"]],
    ..Object::new(&[
        Field::new("digests", Shape::List(&Shape::Digest), "the image, or an index that lists it, has one of these digests"),
        Field::new("signed-by", Shape::Object(&SIGNED_BY), "signatures by these signers"),
    ])
};

/// `signed-by:`
pub(crate) static SIGNED_BY: Object = Object {
    forms: &[&["any"], &["all"], &["threshold", "of"]],
    ..Object::new(&[
        Field::new("any", Shape::List(&Shape::Text), "at least one of these signers"),
        Field::new("all", Shape::List(&Shape::Text), "each of these signers"),
        Field::new("threshold", Shape::Count(1, 1_000), "at least this many of the signers in `of`"),
        Field::new("of", Shape::List(&Shape::Text), "the signers that `threshold` counts"),
    ])
};
