//! Items as objects of a cluster.

use std::collections::BTreeMap;
use std::fmt;

use certificates::pki::{Files, Held, Item, Planned};
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

/// Says that this program made an object: what has another value, or none, is never changed.
const MADE_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "portcullis-pki");
const LABELS: [(&str, &str); 4] = [
    ("app.kubernetes.io/name", "portcullis"),
    ("app.kubernetes.io/part-of", "portcullis"),
    ("app.kubernetes.io/component", "pki"),
    MADE_BY,
];

/// One object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'a> {
    pub(super) item: Item,
    pub(super) namespace: &'a str,
    pub(super) planned: &'a Planned,
}

/// All objects, in the order in which they are written.
pub(super) fn of<'a>(planned: &'a BTreeMap<Item, Planned>, namespace: &'a str, sandboxes: &'a [String]) -> Vec<Object<'a>> {
    let mut objects = Vec::new();
    for (item, planned) in planned {
        for namespace in namespaces(*item, namespace, sandboxes) {
            objects.push(Object { item: *item, namespace, planned });
        }
    }
    objects
}

/// Where an item belongs.
pub(super) fn namespaces<'a>(item: Item, namespace: &'a str, sandboxes: &'a [String]) -> Vec<&'a str> {
    match item {
        Item::Bundle => sandboxes.iter().map(String::as_str).collect(),
        _ => vec![namespace],
    }
}

/// Whether what it holds is public.
pub(super) fn is_public(item: Item) -> bool {
    item == Item::Bundle
}

impl Object<'_> {
    pub(super) fn kind(&self) -> &'static str {
        if is_public(self.item) { "ConfigMap" } else { "Secret" }
    }

    /// The type of a Secret, which cannot be changed later: that of cert-manager, so that either can take over from the other.
    pub(super) fn secret_type(&self) -> Option<&'static str> {
        match self.item {
            Item::Tls(_) | Item::InternalCa => Some("kubernetes.io/tls"),
            Item::Ca | Item::FingerprintKey => Some("Opaque"),
            Item::Bundle => None,
        }
    }

    pub(super) fn labels() -> impl Iterator<Item = (&'static str, &'static str)> {
        LABELS.into_iter()
    }

    /// The object as the API takes it, in place of one that is there or as a new one.
    pub(super) fn to_json(self, before: Option<&Value>) -> Value {
        let mut object = before.cloned().unwrap_or_else(
            || json!({"apiVersion": "v1", "kind": self.kind(), "metadata": {"name": self.item.object(), "namespace": self.namespace}}),
        );
        if let (None, Some(secret_type)) = (before, self.secret_type()) {
            object["type"] = json!(secret_type);
        }
        for (name, value) in Self::labels() {
            object["metadata"]["labels"][name] = json!(value);
        }
        let text = |content: &[u8]| match self.item {
            Item::Bundle => String::from_utf8_lossy(content).into_owned(),
            _ => BASE64.encode(content),
        };
        object["data"] =
            self.planned.files.iter().map(|(name, content)| (name.to_owned(), json!(text(content)))).collect::<Map<_, _>>().into();
        object
    }
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind(), self.namespace, self.item.object())
    }
}

/// What an object of the API holds. What is not base64 in a Secret the API would not have taken.
pub(super) fn held(item: Item, object: &Value) -> Held {
    let mut files = Files::default();
    for (name, content) in object["data"].as_object().into_iter().flatten() {
        let text = content.as_str().unwrap_or_default().as_bytes();
        let content = if is_public(item) { text.to_vec() } else { BASE64.decode(text).unwrap_or_default() };
        files.put(name, content);
    }
    Held { files, ours: object["metadata"]["labels"][MADE_BY.0] == MADE_BY.1 }
}
