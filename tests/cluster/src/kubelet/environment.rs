//! The environment of a container, and `$(NAME)` in its command.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use data_encoding::BASE64;

use crate::node::NODE;
use crate::objects::{Container, EnvSource, Object, PodSpec};
use crate::state::{PodId, State};

/// Name and value, in order.
pub(crate) type Environment = Vec<(String, String)>;

/// What a container finds in its environment.
///
/// # Errors
/// Something it is taken from is missing.
pub(crate) fn environment(state: &State, id: &PodId, spec: &PodSpec, container: &Container) -> Result<Environment> {
    let mut all: Environment = vec![
        ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("HOSTNAME".to_owned(), id.1.clone()),
        ("HOME".to_owned(), "/".to_owned()),
        // Every container is told where the API server is, whether it may reach it or not.
        ("KUBERNETES_SERVICE_HOST".to_owned(), crate::system::API.to_string()),
        ("KUBERNETES_SERVICE_PORT".to_owned(), "443".to_owned()),
    ];
    for from in &container.env_from {
        for (kind, reference) in [("ConfigMap", &from.config_map_ref), ("Secret", &from.secret_ref)] {
            let Some(reference) = reference else { continue };
            match state.object(kind, &id.0, &reference.name) {
                Some(object) => all.extend(texts(object)?.into_iter().map(|(key, value)| (format!("{}{key}", from.prefix), value))),
                None if reference.optional => {}
                None => bail!("{kind} {} is missing", reference.name),
            }
        }
    }
    for variable in &container.env {
        let value = match (&variable.value, &variable.value_from) {
            (value, None) => expand(value.as_deref().unwrap_or_default(), &all),
            (_, Some(source)) => match from(state, id, spec, container, source)? {
                Some(value) => value,
                None => continue,
            },
        };
        all.push((variable.name.clone(), value));
    }
    Ok(all)
}

/// Puts values in the place of `$(NAME)`; `$$(NAME)` stays as `$(NAME)`, and so does a name that is unknown.
pub(super) fn expand(text: &str, environment: &[(String, String)]) -> String {
    let (mut expanded, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$$") {
            expanded.push('$');
            rest = after;
            continue;
        }
        let named = rest.strip_prefix("$(").and_then(|after| after.split_once(')'));
        let value = named.and_then(|(name, after)| Some((environment.iter().rev().find(|(given, _)| given == name)?, after)));
        if let Some(((_, value), after)) = value {
            expanded.push_str(value);
            rest = after;
        } else {
            expanded.push('$');
            rest = &rest[1..];
        }
    }
    expanded.push_str(rest);
    expanded
}

fn from(state: &State, id: &PodId, spec: &PodSpec, container: &Container, source: &EnvSource) -> Result<Option<String>> {
    let key = |kind: &str, reference: &crate::objects::KeyRef| -> Result<Option<String>> {
        let value = state.object(kind, &id.0, &reference.name).map(texts).transpose()?.and_then(|mut all| all.remove(&reference.key));
        if value.is_none() && !reference.optional {
            bail!("{kind} {} has no {}", reference.name, reference.key);
        }
        Ok(value)
    };
    match source {
        EnvSource::ConfigMapKeyRef(reference) => key("ConfigMap", reference),
        EnvSource::SecretKeyRef(reference) => key("Secret", reference),
        EnvSource::FieldRef { field_path, .. } => field(state, id, spec, field_path).map(Some),
        EnvSource::ResourceFieldRef { resource, container_name, divisor } => {
            if container_name.as_ref().is_some_and(|name| *name != container.name) || divisor.is_some() {
                bail!("resourceFieldRef of another container, or divided");
            }
            let (list, name) = resource.split_once('.').context("a resource without a list")?;
            let list = if list == "limits" { &container.resources.limits } else { &container.resources.requests };
            let amount = list.get(name).and_then(crate::objects::Quantity::whole).with_context(|| format!("no {resource}"))?;
            Ok(Some(amount.to_string()))
        }
    }
}

fn field(state: &State, id: &PodId, spec: &PodSpec, path: &str) -> Result<String> {
    let pod = state.pods.get(id).context("no such pod")?;
    let label = path.strip_prefix("metadata.labels['").and_then(|rest| rest.strip_suffix("']"));
    Ok(match (path, label) {
        (_, Some(label)) => pod.labels.get(label).cloned().unwrap_or_default(),
        ("metadata.name", _) => id.1.clone(),
        ("metadata.namespace", _) => id.0.clone(),
        ("status.podIP", _) => pod.wire.as_ref().context("no address yet")?.v4.to_string(),
        ("status.hostIP", _) => NODE.to_string(),
        ("spec.nodeName", _) => "node".to_owned(),
        ("spec.serviceAccountName", _) => spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned()),
        _ => bail!("{path} is not known here"),
    })
}

/// The keys of a ConfigMap or a Secret as texts.
fn texts(object: &Object) -> Result<BTreeMap<String, String>> {
    let keys = bytes(object)?.into_iter();
    keys.map(|(key, value)| Ok((key, String::from_utf8(value).with_context(|| format!("{object} is no text"))?))).collect()
}

/// The keys of a ConfigMap or a Secret.
///
/// # Errors
/// A value is not in base64 that should be.
pub(super) fn bytes(object: &Object) -> Result<BTreeMap<String, Vec<u8>>> {
    let is_secret = object.kind() == "Secret";
    let (plain, coded) = if is_secret { ("stringData", "data") } else { ("data", "binaryData") };
    let mut all: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (key, value) in object.strings(coded) {
        let value = BASE64.decode(value.as_bytes()).ok().with_context(|| format!("{key} of {object} is not base64"))?;
        all.insert(key, value);
    }
    all.extend(object.strings(plain).into_iter().map(|(key, value)| (key, value.into_bytes())));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn names_in_parentheses_are_replaced_as_kubernetes_does() {
        let environment = [("A".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned()), ("B".to_owned(), "$(A)".to_owned())];
        for (text, expected) in [
            ("x$(A)y", "x2y"),
            ("$(B)", "$(A)"),
            ("$$(A)", "$(A)"),
            ("$(NONE)", "$(NONE)"),
            ("$(A", "$(A"),
            ("5$", "5$"),
            ("$A", "$A"),
            ("$$$(A)", "$2"),
        ] {
            assert_eq!(expand(text, &environment), expected, "{text}");
        }
    }
}
