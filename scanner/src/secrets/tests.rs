//! A labelled set, and what the detectors make of it.

use base64::Engine as _;

use super::encoding::crc32_base62;
use super::*;

/// Texts that one line of the set stands for.
const SEEDS: u64 = 20;
/// Measured on the set; `scanner/SECRETS.md` says the same. What is missed are passwords that are words.
const RECALL: f64 = 0.96;
const PRECISION: f64 = 0.999;

/// xorshift64 (Marsaglia, 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn text(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet = alphabet.as_bytes();
        (0..length).map(|_| char::from(alphabet[(self.next() >> 20) as usize % alphabet.len()])).collect()
    }
}

const DIGITS: &str = "0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";

/// What may stand in braces.
const KINDS: [&str; 15] =
    ["b62", "b64", "url", "hex", "hexup", "digits", "alpha", "up", "lines", "github", "aws", "pypi", "azure", "dockerauth", "jwt"];

fn fill(random: &mut Random, kind: &str, argument: &str) -> String {
    let length = || argument.parse().unwrap_or(0);
    let b62 = format!("{DIGITS}{UPPER}{LOWER}");
    let engine = base64::engine::general_purpose::STANDARD;
    match kind {
        "b62" => random.text(&b62, length()),
        "b64" => random.text(&format!("{b62}+/"), length()),
        "url" => random.text(&format!("{b62}-_"), length() - 1) + "x",
        "hex" => random.text("0123456789abcdef", length()),
        "hexup" => random.text("0123456789ABCDEF", length()),
        "digits" => random.text(DIGITS, length()),
        "alpha" => random.text(&format!("{UPPER}{LOWER}"), length()),
        "up" => random.text(&format!("{UPPER}{DIGITS}"), length()),
        "lines" => (0..length()).map(|_| random.text(&b62, 64) + "\n").collect(),
        "github" => {
            let entropy = random.text(&b62, 30);
            let checksum = crc32_base62(entropy.as_bytes());
            format!("{argument}{entropy}{}", std::str::from_utf8(&checksum).expect("base62"))
        }
        // The first four characters hold the account's highest bits: Q and below stay under 999,999,999,999.
        "aws" => format!("{argument}{}{}", random.text("QTUVWXY", 1), random.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 15)),
        "pypi" => {
            let mut macaroon = b"\x02\x01\x08pypi.org\x02\x24".to_vec();
            macaroon.extend_from_slice(random.text(&b62, 100).as_bytes());
            format!("pypi-{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(macaroon))
        }
        "azure" => engine.encode(random.text(&b62, 64)),
        "dockerauth" => engine.encode(format!("me:{}", random.text(&b62, 20))),
        "jwt" => {
            let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
            let claims = format!("{{\"sub\":\"{}\"}}", random.text(&b62, 8));
            format!("{}.{}.{}", part("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"), part(&claims), random.text(&b62, 43))
        }
        other => panic!("{other:?} in labelled.tsv"),
    }
}

fn expand(template: &str, seed: u64) -> String {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    (0..8).for_each(|_| _ = random.next());
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let known = after.split_once('}').and_then(|(inside, rest)| {
            let (kind, argument) = inside.split_once(':').unwrap_or((inside, ""));
            KINDS.contains(&kind).then_some((kind, argument, rest))
        });
        match known {
            Some((kind, argument, after)) => {
                text.push_str(&fill(&mut random, kind, argument));
                rest = after;
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    (text + rest).replace("\\\\n", "\u{1}").replace("\\n", "\n").replace('\u{1}', "\\n")
}

fn found(path: &str, text: &str, piece: usize) -> Vec<(u64, Hit)> {
    let mut search = Search::new(is_configuration(path), is_password_file(path));
    text.as_bytes().chunks(piece).for_each(|piece| search.feed(piece));
    search.finish()
}

fn labelled() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let lines = include_str!("labelled.tsv").lines().skip(1);
    lines.map(|line| {
        let mut fields = line.splitn(3, '\t');
        let mut next = || fields.next().unwrap_or_else(|| panic!("{line:?}"));
        (next(), next(), next())
    })
}

#[test]
fn precision_and_recall_on_the_labelled_set_are_those_of_the_documentation() {
    let (mut true_positives, mut false_positives, mut false_negatives) = (0u32, 0u32, 0u32);
    let (mut missed, mut wrong) = (vec![], vec![]);
    for (kind, path, template) in labelled() {
        for seed in 1..=SEEDS {
            let text = expand(template, seed);
            let kinds: Vec<_> = found(path, &text, text.len()).into_iter().map(|(_, hit)| hit.kind).collect();
            let right = kinds.contains(&kind);
            true_positives += u32::from(right);
            false_negatives += u32::from(!right && kind != "-");
            // Two kinds may rightly see one text, as a token inside of a URL.
            let extra = kind == "-" && !kinds.is_empty();
            false_positives += u32::from(extra);
            if !right && kind != "-" {
                missed.push(template);
            }
            if extra {
                wrong.push(format!("{kinds:?} {text}"));
            }
        }
    }
    let recall = f64::from(true_positives) / f64::from(true_positives + false_negatives);
    let precision = f64::from(true_positives) / f64::from(true_positives + false_positives);
    println!("recall {recall:.4}, precision {precision:.4}: {true_positives} right, {false_negatives} missed, {false_positives} wrong");
    missed.dedup();
    wrong.dedup();
    assert!(recall >= RECALL && precision >= PRECISION, "recall {recall}, precision {precision}; missed {missed:#?}; wrong {wrong:#?}");
}

#[test]
fn every_kind_is_in_the_labelled_set() {
    let labelled: Vec<_> = labelled().map(|(kind, ..)| kind).collect();
    for (kind, _) in kinds() {
        assert!(labelled.contains(&kind) || kind == "age-key", "{kind}");
    }
}

#[test]
fn no_finding_shows_the_secret() {
    // D8
    for (kind, path, template) in labelled().filter(|(kind, ..)| *kind != "-" && *kind != "password-hash") {
        let text = expand(template, 7);
        for (_, hit) in found(path, &text, text.len()) {
            let whole = &text.as_bytes()[hit.start..hit.end.min(text.len())];
            // A credential ends where the finding ends.
            let tail = &whole[whole.len() - 6..];
            assert!(memchr::memmem::find(hit.excerpt.as_bytes(), tail).is_none(), "{kind}: {}", hit.excerpt);
        }
        let hits = in_text(&text);
        assert!(hits.is_empty() || !redacted(&text, &hits).contains(&text), "{kind}: {template}");
    }
}

#[test]
fn pieces_may_end_anywhere() {
    let token = fill(&mut Random(99), "github", "ghp_");
    let key = format!("-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n", fill(&mut Random(98), "lines", "50"));
    let text = format!("{}\nfirst {token} second\n{}{key}\nlast {token}", "x\n".repeat(30_000), "y".repeat(9_000));
    let expected = [(30_002, "github-token"), (30_003, "private-key"), (30_056, "github-token")];
    for piece in [1_000, 4_096, 65_536, 65_537, text.len()] {
        let found: Vec<_> = found("x", &text, piece).into_iter().map(|(line, hit)| (line, hit.kind)).collect();
        assert_eq!(found, expected, "{piece}");
    }
}

#[test]
fn findings_in_one_file_are_bounded() {
    let many: String = (1..500).map(|seed| fill(&mut Random(seed), "github", "ghp_") + "\n").collect();
    assert_eq!(found("x", &many, 4_096).len(), FILE_FINDINGS);
}
