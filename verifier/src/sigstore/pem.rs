//! Certificates as PEM (RFC 7468, section 5).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::limits;

#[cfg(test)]
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates in `text`, in order, in DER. `None` where a block is malformed or of another kind, or there are too many.
pub(super) fn certificates(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, block)) = rest.split_once("-----BEGIN ") {
        let block = block.strip_prefix("CERTIFICATE-----")?;
        let (body, after) = block.split_once(END)?;
        let base64: Vec<u8> = body.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        found.push(STANDARD.decode(base64).ok()?);
        if found.len() > limits::CERTIFICATES {
            return None;
        }
        rest = after;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_another_kind_are_refused() {
        // V3
        let one = format!("{BEGIN}\nAQID\n{END}\n");
        assert_eq!(certificates(&one), Some(vec![vec![1, 2, 3]]));
        assert_eq!(certificates(&format!("{one}{one}")).map(|found| found.len()), Some(2));
        assert_eq!(certificates(""), Some(Vec::new()));
        for bad in [one.replace("CERTIFICATE", "PUBLIC KEY"), one.replace("AQID", "AQI"), one.replace(END, ""), one.repeat(17)] {
            assert_eq!(certificates(&bad), None, "{bad}");
        }
    }
}
