//! Canonical JSON as TUF's signatures cover it (TUF specification, section 4.1, "Canonical JSON" of OLPC as securesystemslib writes
//! it): sorted keys, no space, only `"` and `\` escaped, integers only.

use serde_json::Value;

/// The bytes, or none where a number is no integer.
pub(super) fn bytes(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    write(value, &mut out)?;
    Some(out)
}

/// Values come from documents that [`crate::json`] has checked: at most [`crate::limits::JSON_DEPTH`] deep.
fn write(value: &Value, out: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) if number.is_i64() || number.is_u64() => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Number(_) => return None,
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            // The order of UTF-8 bytes is that of code points.
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(key, out);
                out.push(b':');
                write(value, out)?;
            }
            out.push(b'}');
        }
    }
    Some(())
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::bytes;

    #[test]
    fn what_is_signed_is_what_securesystemslib_signs() {
        // securesystemslib.formats.encode_canonical of the same value.
        let value = json!({ "b": [true, false, null, -1, 18_446_744_073_709_551_615_u64], "a": "\"\\\n\u{e9}", "B": {}, "": [] });
        let expected = "{\"\":[],\"B\":{},\"a\":\"\\\"\\\\\n\u{e9}\",\"b\":[true,false,null,-1,18446744073709551615]}";
        assert_eq!(bytes(&value).as_deref(), Some(expected.as_bytes()));
        assert_eq!(bytes(&json!([1.5])), None);
        assert_eq!(bytes(&json!([1.0])), None);
    }
}
