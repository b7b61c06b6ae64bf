//! npm, OpenAI and Slack: whose package, organisation or workspace a request is about.

use super::tenants::{Asked, Tenant, Told};

/// Packages in the paths of npm's registry (npm/registry, REGISTRY-API.md; scopes are written `@scope/name` or `@scope%2fname`).
pub(super) fn npm(asked: &Asked<'_>) -> Told {
    match asked.segments {
        [] | ["-", "ping" | "whoami"] => Told::if_read(asked),
        ["-", "v1", "search"] => Told::if_read(asked),
        // What `npm install` and `npm audit` ask: it changes nothing.
        ["-", "npm", "v1", "security", ..] => Told::Nobody,
        ["-", "package", rest @ ..] => package(rest),
        // Logins, tokens, organisations, hooks.
        ["-", ..] => Told::Unclear,
        all => package(all),
    }
}

fn package(segments: &[&str]) -> Told {
    match segments {
        [one, ..] if one.starts_with('@') && one.contains('/') => {
            if one.matches('/').count() == 1 {
                Told::path(one, Tenant::Package)
            } else {
                Told::Unclear
            }
        }
        [scope, name, ..] if scope.starts_with('@') => {
            if name.contains('/') {
                Told::Odd
            } else {
                Told::path(&format!("{scope}/{name}"), Tenant::Package)
            }
        }
        [name, ..] => Told::one(name, Tenant::Package),
        [] => Told::Unclear,
    }
}

/// Headers that choose an organisation and a project (OpenAI API reference, Authentication). Without them the key's own count.
pub(super) fn openai(asked: &Asked<'_>) -> Told {
    let header = |name: &str, tenant: fn(String) -> Tenant| match asked.carried.one(name) {
        Ok(None) => Told::Nobody,
        Ok(Some(value)) => Told::one(&value, tenant),
        Err(()) => Told::Unclear,
    };
    header("openai-organization", Tenant::Organization).and(header("openai-project", Tenant::Project))
}

/// Workspaces in the addresses of webhooks; elsewhere the credential says whose workspace it is.
pub(super) fn slack(asked: &Asked<'_>) -> Told {
    match (asked.host, asked.segments) {
        ("hooks.slack.com", ["services" | "workflows" | "triggers", workspace, ..]) => Told::one(workspace, Tenant::Organization),
        ("hooks.slack.com", _) => Told::Unclear,
        _ => Told::Nobody,
    }
}
