//! GitHub and GitLab: whose repository a path is about.

use super::tenants::{Asked, Tenant, Told};

/// GitHub's API, its web and git paths, uploads, raw files, archives, gists and packages (docs.github.com, REST API and its hosts).
pub(super) fn github(asked: &Asked<'_>) -> Told {
    let segments = asked.segments;
    if asked.custom {
        // GitHub Enterprise Server has the API below paths of the same host.
        return match segments {
            ["api", "v3", rest @ ..] | ["api", "uploads", rest @ ..] => rest_api(asked, rest),
            ["api", ..] => Told::Unclear,
            ["raw", rest @ ..] => repository(rest),
            _ => web(asked, segments),
        };
    }
    match asked.host {
        "api.github.com" | "uploads.github.com" => rest_api(asked, segments),
        "github.com" | "www.github.com" => web(asked, segments),
        "raw.githubusercontent.com" | "codeload.github.com" | "maven.pkg.github.com" => repository(segments),
        "gist.github.com" => match segments {
            [] => Told::if_read(asked),
            [owner, _, ..] => Told::one(owner, Tenant::Owner),
            _ => Told::Unclear,
        },
        "ghcr.io" => match segments {
            ["v2"] => Told::Nobody,
            ["v2", owner, ..] => Told::one(owner, Tenant::Owner),
            _ => Told::Unclear,
        },
        _ => Told::Unclear,
    }
}

fn rest_api(asked: &Asked<'_>, segments: &[&str]) -> Told {
    match segments {
        // A body says where these lead.
        ["repos", _, _, "forks" | "transfer" | "generate"] if !asked.read => Told::Unclear,
        ["repos" | "networks", rest @ ..] => repository(rest),
        ["repositories", id, ..] => id_of(id, Tenant::Repository),
        ["organizations", id, ..] => id_of(id, Tenant::Owner),
        ["orgs" | "users", owner, ..] => Told::one(owner, Tenant::Owner),
        []
        | [
            "zen" | "meta" | "rate_limit" | "emojis" | "octocat" | "versions" | "licenses" | "gitignore" | "search" | "codes_of_conduct",
            ..,
        ] => Told::if_read(asked),
        ["user" | "notifications" | "issues" | "events" | "feeds" | "advisories", ..] => Told::if_read(asked),
        // GraphQL, gists, repositories made for `/user`, apps: a body or the credential says whose.
        _ => Told::Unclear,
    }
}

fn web(asked: &Asked<'_>, segments: &[&str]) -> Told {
    match segments {
        [] => Told::if_read(asked),
        ["orgs" | "users", owner, ..] | [owner] => Told::one(owner, Tenant::Owner),
        ["login" | "session" | "settings", ..] => Told::Unclear,
        _ => repository(segments),
    }
}

/// `owner/name` at the beginning.
fn repository(segments: &[&str]) -> Told {
    let [owner, name, ..] = segments else { return Told::Unclear };
    let name = name.strip_suffix(".git").unwrap_or(name);
    if owner.contains('/') || name.contains('/') {
        return Told::Odd;
    }
    Told::path(&format!("{owner}/{name}"), Tenant::Repository)
}

fn id_of(id: &str, tenant: impl Fn(String) -> Tenant) -> Told {
    let digits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    if digits { Told::one(&format!("id:{id}"), tenant) } else { Told::Unclear }
}

/// GitLab's API, and its web and git paths (docs.gitlab.com, REST API: ids and namespaced paths, which are URL-encoded).
pub(super) fn gitlab(asked: &Asked<'_>) -> Told {
    if !asked.custom && asked.host != "gitlab.com" {
        return Told::Unclear;
    }
    let named = |name: &str, tenant: fn(String) -> Tenant| {
        if name.bytes().all(|b| b.is_ascii_digit()) { id_of(name, tenant) } else { Told::path(name, tenant) }
    };
    match asked.segments {
        // A body says where these lead.
        ["api", "v4", "projects" | "groups", _, "fork" | "transfer" | "share" | "export" | "import", ..] if !asked.read => Told::Unclear,
        ["api", "v4", "projects", project, ..] => named(project, Tenant::Repository),
        ["api", "v4", "groups" | "namespaces" | "users", owner, ..] => named(owner, Tenant::Owner),
        ["api", "v4", "projects" | "groups" | "namespaces" | "users" | "version" | "metadata" | "user" | "events" | "todos", ..] => {
            Told::if_read(asked)
        }
        ["api" | "oauth" | "users" | "-" | "jwt", ..] => Told::Unclear,
        [] => Told::if_read(asked),
        [owner] => Told::one(owner, Tenant::Owner),
        ["groups", ..] => Told::Unclear,
        all => project_path(all),
    }
}

/// The path of a project on the web or for git, before `/-/` and what git asks of it.
fn project_path(segments: &[&str]) -> Told {
    let ends = |s: &&str| *s == "-" || s.ends_with(".git");
    let until = match segments.iter().position(ends) {
        Some(at) if segments.get(at) == Some(&"-") => at,
        Some(at) => at + 1,
        None => segments.len(),
    };
    let own = segments.get(..until).unwrap_or_default();
    if own.iter().any(|s| s.contains('/')) {
        return Told::Odd;
    }
    let path = own.join("/");
    Told::path(path.strip_suffix(".git").unwrap_or(&path), Tenant::Repository)
}
