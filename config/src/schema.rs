//! The published JSON Schemas (2020-12), made from the very tables that the reader follows.
//!
//! A schema knows shapes only: what depends on other files, on the environment or on several places at once (a signer that no one
//! defines, two rules for one pattern) the reader alone finds.

use serde_json::{Map, Value, json};

use crate::policy::fields::POLICY;
use crate::server::fields::SERVER;
use crate::shape::{Object, Shape};

/// The schema of `trust-policy.yaml`.
#[must_use]
pub fn policy_schema() -> Value {
    document("Sealgate trust policy", &POLICY)
}

/// The schema of `sealgate.yaml`.
#[must_use]
pub fn server_schema() -> Value {
    document("Sealgate server configuration", &SERVER)
}

fn document(title: &str, object: &Object) -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(title));
    schema.extend(mapping(object));
    Value::Object(schema)
}

fn mapping(object: &Object) -> Map<String, Value> {
    let mut properties = Map::new();
    for field in object.fields {
        let mut property = of(&field.shape);
        if let Value::Object(map) = &mut property {
            map.insert("description".to_owned(), json!(field.about));
        }
        properties.insert(field.key.to_owned(), property);
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    schema.insert("additionalProperties".to_owned(), json!(false));
    let required: Vec<&str> = object.fields.iter().filter(|field| field.required).map(|field| field.key).collect();
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    if !object.forms.is_empty() {
        let forms: Vec<Value> = object.forms.iter().map(|form| form_of(object, form)).collect();
        schema.insert("oneOf".to_owned(), Value::Array(forms));
    }
    schema
}

/// The keys of `form` are there, and none of another form's.
fn form_of(object: &Object, form: &[&str]) -> Value {
    let others = object.forms.iter().copied().flatten().filter(|key| !form.contains(key));
    let absent: Map<String, Value> = others.map(|key| ((*key).to_owned(), json!(false))).collect();
    json!({ "required": form, "properties": absent })
}

fn of(shape: &Shape) -> Value {
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    match shape {
        Shape::Text | Shape::Path | Shape::Key | Shape::Secret => json!({ "type": "string", "minLength": 1 }),
        Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Listen => text("^(localhost|[0-9.]+|\\[[0-9a-fA-F:.]+\\]):[0-9]{1,5}$"),
        Shape::Duration => text("^[0-9]+[smhd]$"),
        Shape::Size => text("^[0-9]+(B|[kMGT]B|[KMGT]iB)$"),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Count(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::Pattern => text("^(\\*\\*|[^*\\s]+(/\\*|/\\*\\*)?)$"),
        Shape::Digest => text("^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$"),
        Shape::Time => text("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"),
        Shape::Date => text("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
        Shape::Platform => text("^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?$"),
        Shape::List(inner) => json!({ "type": "array", "items": of(inner) }),
        Shape::OneOrMore(inner) => json!({ "anyOf": [of(inner), { "type": "array", "items": of(inner), "minItems": 1 }] }),
        Shape::Object(object) => Value::Object(mapping(object)),
        // `ghcr.io:` with nothing behind it counts as `{}` where no key is required.
        Shape::Named(inner) => json!({ "type": "object", "additionalProperties": nullable(of(inner), inner) }),
        Shape::Either(one, other) => json!({ "anyOf": [of(one), of(other)] }),
    }
}

fn nullable(mut schema: Value, shape: &Shape) -> Value {
    if let (Shape::Object(object), Value::Object(map)) = (shape, &mut schema)
        && object.forms.is_empty()
        && object.fields.iter().all(|field| !field.required)
    {
        map.insert("type".to_owned(), json!(["object", "null"]));
    }
    schema
}
