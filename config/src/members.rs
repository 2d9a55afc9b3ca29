//! Reads a mapping by its table: unknown, doubled, missing and later keys become problems.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::node::{Key, Node, Value};
use crate::problems::Problems;
use crate::shape::Object;

/// The known members of a mapping.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    object: &'static Object,
    known: BTreeMap<&'static str, &'a Node>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Members<'a> {
    /// The value of `key`, when it is there.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        let field = self.object.field(key);
        debug_assert!(field.is_some(), "{key} is not in the table");
        let field = field?;
        self.asked.borrow_mut().push(field.key);
        self.known.get(field.key).copied()
    }
}

impl Drop for Members<'_> {
    /// A key that the table accepts and nothing reads would be ignored silently; the tests of a debug build find it here.
    fn drop(&mut self) {
        if cfg!(debug_assertions) && !std::thread::panicking() {
            for field in self.object.fields {
                debug_assert!(self.asked.borrow().contains(&field.key), "nothing reads `{}`", field.key);
            }
        }
    }
}

impl Problems<'_> {
    /// The members of `node`, which should be a mapping like `object`. An empty value counts as `{}`.
    pub fn members<'n>(&mut self, node: &'n Node, object: &'static Object) -> Option<Members<'n>> {
        let entries: &'n [(Key, Node)] = match &node.value {
            Value::Map(entries) => entries,
            Value::Empty => &[],
            Value::Text(_) | Value::List(_) => {
                let keys = list(object);
                self.node(node, format!("expected a mapping, found {}", node.kind()), format!("write `key: value` with the keys {keys}"));
                return None;
            }
        };
        let mut known = BTreeMap::new();
        let mut seen: BTreeMap<&str, &Key> = BTreeMap::new();
        for (key, value) in entries {
            if let Some(first) = seen.insert(&key.text, key) {
                let problem = match object.field(&key.text) {
                    Some(field) => format!("the key `{}` stands here twice", field.key),
                    None => "the same key stands here twice".to_owned(),
                };
                self.place(key.place, problem, format!("remove one; the first is in line {}", first.place.line));
                continue;
            }
            match object.field(&key.text) {
                Some(field) if matches!(value.value, Value::Empty) => {
                    self.place(key.place, format!("`{}` has no value", field.key), "write one, or remove the key");
                }
                Some(field) => {
                    known.insert(field.key, value);
                }
                None => self.unknown(key, object),
            }
        }
        self.missing(node, object, &seen);
        self.forms(node, object, &seen);
        Some(Members { object, known, asked: RefCell::default() })
    }

    fn unknown(&mut self, key: &Key, object: &'static Object) {
        if let Some(later) = object.later.iter().find(|later| later.key == key.text) {
            self.place(key.place, format!("`{}` is not supported in this version", later.key), later.mend);
            return;
        }
        let keys = list(object);
        let problem =
            if object.quotes_unknown(&key.text) { format!("unknown key {}", self.quote(&key.text)) } else { "unknown key".to_owned() };
        let mend = match object.nearest(&key.text) {
            Some(near) => format!("did you mean `{near}`? Valid keys here: {keys}"),
            None => format!("valid keys here: {keys}"),
        };
        self.place(key.place, problem, mend);
    }

    fn missing(&mut self, node: &Node, object: &'static Object, seen: &BTreeMap<&str, &Key>) {
        // A key that was mistyped has been reported with the right one.
        let mistyped: Vec<&str> = seen.keys().filter(|key| object.field(key).is_none()).filter_map(|key| object.nearest(key)).collect();
        let absent = |key: &str| !seen.contains_key(key) && !mistyped.contains(&key);
        for field in object.fields.iter().filter(|field| field.required && absent(field.key)) {
            self.node(node, format!("`{}` is missing", field.key), format!("add `{}:` ({})", field.key, field.about));
        }
    }

    fn forms(&mut self, node: &Node, object: &'static Object, seen: &BTreeMap<&str, &Key>) {
        // A key of a later version, or one mistyped, has been reported already, and may be the one that is missed here.
        if object.forms.is_empty() || seen.keys().any(|key| object.field(key).is_none()) {
            return;
        }
        let in_forms = |key: &str| object.forms.iter().any(|form| form.contains(&key));
        let present: Vec<&str> = seen.keys().copied().filter(|key| in_forms(key)).collect();
        let fits = |form: &&&[&str]| form.len() == present.len() && present.iter().all(|key| form.contains(key));
        if !object.forms.iter().any(|form| fits(&form)) {
            let forms: Vec<String> =
                object.forms.iter().map(|form| form.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" with ")).collect();
            let forms = forms.join(", or ");
            let found = if present.is_empty() { "none of them".to_owned() } else { format!("`{}`", present.join("` and `")) };
            self.node(node, format!("expected either {forms}; found {found}"), "write exactly one of these");
        }
    }
}

fn list(object: &Object) -> String {
    object.fields.iter().map(|field| format!("`{}`", field.key)).collect::<Vec<_>>().join(", ")
}
