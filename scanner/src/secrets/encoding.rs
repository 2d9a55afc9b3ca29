//! Alphabets and checks that tell a credential from text that looks like one.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
/// The digits of base62 as GitHub and npm write them.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub fn base64(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

pub fn base64_url(text: &[u8]) -> Option<Vec<u8>> {
    URL.decode(text).ok()
}

/// Whether the last six characters are the CRC-32 of those before, in base62 ("Behind GitHub's new authentication token formats").
pub fn has_crc32_base62(body: &[u8]) -> bool {
    let Some((entropy, checksum)) = body.split_last_chunk::<6>() else { return false };
    crc32_base62(entropy) == *checksum
}

pub fn crc32_base62(entropy: &[u8]) -> [u8; 6] {
    let mut crc = flate2::Crc::new();
    crc.update(entropy);
    let mut rest = crc.sum();
    let mut text = [b'0'; 6];
    for digit in text.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    text
}

/// Shannon's entropy in bits for each character.
pub fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    text.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let length = text.len().max(1) as f64;
    counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length).map(|share| -share * share.log2()).sum()
}

/// Whether it may be random: placeholders such as `xxxx…`, `1234…` and words are not.
pub fn is_varied(body: &[u8]) -> bool {
    let rising = body.windows(2).filter(|pair| pair[1] == pair[0].wrapping_add(1) || pair[1] == pair[0]).count();
    // Random text of n characters has nearly log2(n) bits, hex at most 4; half of its steps rising is a sequence.
    entropy(body) >= (body.len() as f64).log2().min(5.0) * 0.6 && rising * 2 < body.len() && !is_placeholder(body)
}

/// Whether it says of itself that it is none.
pub fn is_placeholder(body: &[u8]) -> bool {
    let lower = body.to_ascii_lowercase();
    [
        "example",
        "placeholder",
        "changeme",
        "change_me",
        "change-me",
        "your-",
        "your_",
        "yourpass",
        "xxxx",
        "dummy",
        "redacted",
        "replace",
        "insert",
        "****",
        "....",
    ]
    .iter()
    .any(|word| memchr::memmem::find(&lower, word.as_bytes()).is_some())
}
