//! What makes pods: Deployment and Job; and the lower bound that an autoscaler sets.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{IntOrString, PodSpec};
use crate::selector::Selector;

/// `apps/v1` Deployment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DeploymentSpec {
    /// How many pods; one where it is not written.
    pub replicas: Option<usize>,
    /// The pods that belong to it.
    pub selector: Selector,
    /// How its pods are made.
    pub template: Value,
    /// How its pods are exchanged.
    #[serde(default)]
    pub strategy: Strategy,
    /// How long a pod must have been ready before it counts.
    #[serde(default)]
    pub min_ready_seconds: u64,
    #[serde(default)]
    _revision_history_limit: Option<IgnoredAny>,
    #[serde(default)]
    _progress_deadline_seconds: Option<IgnoredAny>,
}

/// How the pods of a Deployment are exchanged.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Strategy {
    /// `RollingUpdate` where it is not written, or `Recreate`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The bounds of a rolling update.
    #[serde(default)]
    pub rolling_update: RollingUpdate,
}

/// The bounds of a rolling update: numbers, or percentages of the replicas. A quarter where they are not written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RollingUpdate {
    /// How many pods may be there beyond the replicas.
    pub max_surge: Option<IntOrString>,
    /// How many replicas may be missing.
    pub max_unavailable: Option<IntOrString>,
}

impl Strategy {
    /// The most pods there may be, and the fewest that must be available, for so many replicas.
    #[must_use]
    pub fn bounds(&self, replicas: usize) -> (usize, usize) {
        if self.kind.as_deref() == Some("Recreate") {
            return (replicas, 0);
        }
        let quarter = IntOrString::String("25%".to_owned());
        let share = |given: &Option<IntOrString>, round_up: bool| match given.as_ref().unwrap_or(&quarter) {
            IntOrString::Int(number) => usize::from(*number),
            IntOrString::String(text) => {
                let percent: usize = text.trim_end_matches('%').parse().unwrap_or(0);
                if round_up { (replicas * percent).div_ceil(100) } else { replicas * percent / 100 }
            }
        };
        let (surge, mut missing) = (share(&self.rolling_update.max_surge, true), share(&self.rolling_update.max_unavailable, false));
        // Neither can be nothing, or nothing would ever move.
        if surge == 0 && missing == 0 {
            missing = 1;
        }
        (replicas + surge, replicas.saturating_sub(missing))
    }
}

/// `batch/v1` Job.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct JobSpec {
    /// How its pod is made.
    pub template: Value,
    /// How often it is tried again; six times where it is not written.
    pub backoff_limit: Option<u32>,
    #[serde(default)]
    _active_deadline_seconds: Option<IgnoredAny>,
    #[serde(default)]
    _ttl_seconds_after_finished: Option<IgnoredAny>,
    #[serde(default)]
    _completions: Option<IgnoredAny>,
    #[serde(default)]
    _parallelism: Option<IgnoredAny>,
}

/// The template of a pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodTemplate {
    /// Its labels and annotations.
    #[serde(default)]
    pub metadata: Value,
    /// The pod.
    pub spec: PodSpec,
}

/// `autoscaling/v2` HorizontalPodAutoscaler, of which only the lower bound is kept to.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HpaSpec {
    /// What is scaled: `kind` and `name`.
    pub scale_target_ref: Value,
    /// The fewest pods.
    #[serde(default = "one")]
    pub min_replicas: usize,
}

fn one() -> usize {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_of_a_rolling_update_are_rounded_as_kubernetes_does() {
        let strategy = |yaml: &str| -> Strategy { serde_saphyr::from_str(yaml).unwrap() };
        assert_eq!(strategy("{}").bounds(3), (4, 3));
        assert_eq!(strategy("{}").bounds(8), (10, 6));
        assert_eq!(strategy("{rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}").bounds(2), (3, 2));
        assert_eq!(strategy("{rollingUpdate: {maxSurge: 0, maxUnavailable: 10%}}").bounds(2), (2, 1));
        assert_eq!(strategy("{type: Recreate}").bounds(2), (2, 0));
    }
}
