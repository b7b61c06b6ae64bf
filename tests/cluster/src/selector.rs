//! Label selectors.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::objects::Labels;

/// Which labels are meant. An empty one means all.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Selector {
    #[serde(default)]
    match_labels: BTreeMap<String, String>,
    #[serde(default)]
    match_expressions: Vec<Expression>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expression {
    key: String,
    operator: Operator,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Whether it means these labels.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let expression = |wanted: &Expression| {
            let value = labels.get(&wanted.key);
            let listed = value.is_some_and(|value| wanted.values.contains(value));
            match wanted.operator {
                Operator::In => listed,
                // A label that is not there is not in the list either.
                Operator::NotIn => !listed,
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        };
        includes(labels, &self.match_labels) && self.match_expressions.iter().all(expression)
    }
}

/// Whether all of `wanted` are among the labels.
#[must_use]
pub(crate) fn includes(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_mean_what_kubernetes_says() {
        let labels = Labels::from([("app".to_owned(), "a".to_owned()), ("tier".to_owned(), "x".to_owned())]);
        let matches = |yaml: &str| serde_saphyr::from_str::<Selector>(yaml).unwrap().matches(&labels);
        for yes in [
            "{}",
            "{matchLabels: {app: a}}",
            "{matchLabels: {app: a, tier: x}}",
            "{matchExpressions: [{key: app, operator: In, values: [b, a]}]}",
            "{matchExpressions: [{key: none, operator: NotIn, values: [a]}]}",
            "{matchExpressions: [{key: app, operator: Exists}, {key: none, operator: DoesNotExist}]}",
        ] {
            assert!(matches(yes), "{yes}");
        }
        for no in [
            "{matchLabels: {app: b}}",
            "{matchLabels: {app: a, none: x}}",
            "{matchExpressions: [{key: none, operator: In, values: [a]}]}",
            "{matchExpressions: [{key: app, operator: NotIn, values: [a]}]}",
            "{matchLabels: {app: a}, matchExpressions: [{key: tier, operator: DoesNotExist}]}",
        ] {
            assert!(!matches(no), "{no}");
        }
        assert!(serde_saphyr::from_str::<Selector>("{matchLabel: {app: a}}").is_err());
    }
}
