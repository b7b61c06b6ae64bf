//! Objects as YAML, for `kubectl apply`.

use std::fmt::Write;

use data_encoding::BASE64;

use super::objects::{Object, is_public};

/// One document an object. Writing to a text cannot fail.
pub(super) fn yaml(objects: &[Object<'_>]) -> String {
    let mut out = String::new();
    for object in objects {
        out.push_str(&document(object));
    }
    out
}

fn document(object: &Object<'_>) -> String {
    let mut out = format!("---\napiVersion: v1\nkind: {}\n", object.kind());
    let _ = write!(out, "metadata:\n  name: {}\n  namespace: {}\n  labels:\n", object.item.object(), object.namespace);
    for (name, value) in Object::labels() {
        let _ = writeln!(out, "    {name}: {value}");
    }
    if let Some(secret_type) = object.secret_type() {
        let _ = writeln!(out, "type: {secret_type}");
    }
    out.push_str("data:\n");
    for (name, content) in object.planned.files.iter() {
        if is_public(object.item) {
            // Certificates in PEM: plain characters, no line begins with a blank, and the last one ends.
            let _ = writeln!(out, "  {name}: |");
            for line in String::from_utf8_lossy(content).lines() {
                let _ = writeln!(out, "    {line}");
            }
        } else {
            let _ = writeln!(out, "  {name}: {}", BASE64.encode(content));
        }
    }
    out
}
