//! Mutants of JSON documents: the same in every run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// xorshift64*: the same mutants in every run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// Every place of a value in the document, as JSON pointers.
fn leaves(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, inner)| leaves(inner, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found))
        }
        Value::Array(list) => list.iter().enumerate().for_each(|(index, inner)| leaves(inner, format!("{at}/{index}"), found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(at),
    }
}

pub fn flip(bytes: &mut [u8], random: &mut Random) {
    let (at, bit) = (random.below(bytes.len()), random.below(8));
    bytes[at] ^= 1 << bit;
}

/// One bit of the document, or one bit of what a value encodes.
pub fn mutate(bundle: &[u8], random: &mut Random) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(bundle).expect("JSON");
    let mut places = Vec::new();
    leaves(&document, String::new(), &mut places);
    let place = document.pointer_mut(&places[random.below(places.len())]).expect("a value");
    match (random.below(3), place) {
        (0, Value::String(text)) if STANDARD.decode(&*text).is_ok_and(|bytes| !bytes.is_empty()) => {
            let mut bytes = STANDARD.decode(&*text).expect("base64");
            flip(&mut bytes, random);
            *text = STANDARD.encode(bytes);
        }
        (1, Value::String(text)) if text.parse::<i64>().is_ok() => {
            *text = (text.parse::<i64>().expect("a number") ^ (1 << random.below(40))).to_string()
        }
        _ => {
            let mut bytes = bundle.to_vec();
            flip(&mut bytes, random);
            return bytes;
        }
    }
    serde_json::to_vec(&document).expect("JSON")
}
