//! S3 and Cloud Storage: whose bucket host and path are about.

use super::path::{decoded, has_key, is_plain, values};
use super::tenants::{Asked, Tenant, Told};

/// Parts of a bucket's settings whose body names another bucket or lets others in (S3 API reference, Put…).
const OPENING: [&str; 8] = ["replication", "logging", "inventory", "analytics", "policy", "acl", "notification", "publicAccessBlock"];

/// Whether a host is one of S3's.
pub(super) fn is_s3(host: &str) -> bool {
    let labels = aws(host);
    labels.is_some_and(|labels| labels.split('.').any(|l| l == "s3" || l.starts_with("s3-") || l.starts_with("s3express-") || l == "mrap"))
}

fn aws(host: &str) -> Option<&str> {
    [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].into_iter().find_map(|end| host.strip_suffix(end))
}

/// The bucket before the endpoint in a virtual host's labels, as one text (empty: path style), and the endpoint's first label.
fn endpoint(labels: &str) -> Option<(String, &str)> {
    let all: Vec<&str> = labels.split('.').collect();
    let region = |l: &str| l.split('-').count() >= 3 && l.ends_with(|c: char| c.is_ascii_digit());
    let first = |n: usize| all.len().checked_sub(n).map(|at| all.split_at(at));
    let is = |end: &[&str]| match end {
        ["s3" | "s3-fips" | "s3-accesspoint" | "s3-accesspoint-fips" | "s3-control" | "s3-control-fips", "dualstack", r] => region(r),
        ["s3-accelerate", "dualstack"] => true,
        ["s3" | "s3-fips" | "s3-website" | "s3-accesspoint" | "s3-accesspoint-fips" | "s3-control" | "s3-control-fips", r] => region(r),
        [one, r] if one.starts_with("s3express-") => region(r),
        ["s3" | "s3-accelerate" | "s3-external-1"] => true,
        [one] => one.strip_prefix("s3-website-").or_else(|| one.strip_prefix("s3-")).is_some_and(region),
        _ => false,
    };
    [3, 2, 1].into_iter().filter_map(first).find(|(_, end)| is(end)).and_then(|(before, end)| Some((before.join("."), *end.first()?)))
}

/// Virtual hosts, path style, access points, copies (S3 user guide, Virtual hosting of buckets; access points; dual-stack endpoints).
pub(super) fn s3(asked: &Asked<'_>) -> Told {
    let (bucket, service) = match aws(asked.host).and_then(endpoint) {
        Some(found) => found,
        None if asked.custom => (String::new(), "s3"),
        None => return Told::Unclear,
    };
    if !asked.read && has_key(asked.carried.query, &OPENING) {
        return Told::Unclear;
    }
    let here = match service {
        "s3-accesspoint" | "s3-accesspoint-fips" => account(bucket.rsplit('-').next().unwrap_or_default()),
        "s3-control" | "s3-control-fips" => account(&bucket),
        _ if !bucket.is_empty() => Told::one(&bucket, Tenant::Bucket),
        // An accelerated endpoint has virtual hosts only.
        "s3-accelerate" => Told::Unclear,
        _ => match asked.segments {
            [] => Told::if_read(asked),
            [bucket, ..] => Told::one(bucket, Tenant::Bucket),
        },
    };
    here.and(source(asked, "x-amz-copy-source"))
}

fn account(id: &str) -> Told {
    if id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit()) { Told::one(id, Tenant::Account) } else { Told::Unclear }
}

/// `bucket/key` that is copied from.
fn source(asked: &Asked<'_>, name: &str) -> Told {
    match asked.carried.one(name) {
        Ok(None) => Told::Nobody,
        Ok(Some(text)) => match decoded(&text) {
            Some(text) => Told::one(text.trim_start_matches('/').split('/').next().unwrap_or_default(), Tenant::Bucket),
            None => Told::Unclear,
        },
        Err(()) => Told::Unclear,
    }
}

const GCS: [&str; 8] = [
    "storage.googleapis.com",
    "commondatastorage.googleapis.com",
    "storage-upload.googleapis.com",
    "storage-download.googleapis.com",
    "storage.mtls.googleapis.com",
    "storage.cloud.google.com",
    "www.googleapis.com",
    "storage.l.googleusercontent.com",
];

/// Whether a host is one of Cloud Storage's.
pub(super) fn is_gcs(host: &str) -> bool {
    let regional = host.starts_with("storage.") && host.ends_with(".rep.googleapis.com");
    regional || GCS.iter().any(|name| host == *name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')))
}

/// The JSON and XML APIs, uploads and downloads (Cloud Storage documentation, Request endpoints).
pub(super) fn gcs(asked: &Asked<'_>) -> Told {
    let virtual_host = GCS.iter().find_map(|name| asked.host.strip_suffix(name)?.strip_suffix('.')).filter(|_| !asked.custom);
    let here = if let Some(bucket) = virtual_host {
        Told::one(bucket, Tenant::Bucket)
    } else {
        match asked.segments {
            ["storage", "v1", rest @ ..]
            | ["upload" | "download", "storage", "v1", rest @ ..]
            | ["resumable", "upload", "storage", "v1", rest @ ..] => json(asked, rest),
            // The other APIs there are none of storage's.
            [first, ..] if asked.host == "www.googleapis.com" => {
                if *first == "batch" {
                    Told::Unclear
                } else {
                    Told::Nobody
                }
            }
            ["batch" | "storage" | "upload" | "download" | "resumable", ..] => Told::Unclear,
            [] => Told::if_read(asked),
            [bucket, ..] => Told::one(bucket, Tenant::Bucket),
        }
    };
    let opening = !asked.read && (has_key(asked.carried.query, &OPENING) || has_key(asked.carried.query, &["cors", "predefinedAcl"]));
    let here = if opening { Told::Unclear } else { here };
    here.and(source(asked, "x-goog-copy-source")).and(projects(asked))
}

/// What follows the version in the JSON API.
fn json(asked: &Asked<'_>, segments: &[&str]) -> Told {
    match segments {
        // A body grants access.
        ["b", _, "iam" | "acl" | "defaultObjectAcl" | "notificationConfigs", ..] if !asked.read => Told::Unclear,
        ["b", _, "o", _, "acl", ..] if !asked.read => Told::Unclear,
        ["b", from, "o", _, "rewriteTo" | "copyTo", "b", to, ..] => Told::one(from, Tenant::Bucket).and(Told::one(to, Tenant::Bucket)),
        ["b", bucket, ..] => Told::one(bucket, Tenant::Bucket),
        // A list of buckets is of the project in the query; the name of a new one is in the body.
        ["b"] => Told::if_read(asked),
        ["projects", project, ..] => Told::one(project, Tenant::Project),
        _ => Told::Unclear,
    }
}

/// Projects in query and headers: whose buckets, and who pays.
fn projects(asked: &Asked<'_>) -> Told {
    let mut told = Told::Nobody;
    for key in ["project", "userProject"] {
        for value in values(asked.carried.query, key) {
            told = told.and(value.map_or(Told::Unclear, |name| Told::one(&name, Tenant::Project)));
        }
    }
    for name in ["x-goog-user-project", "x-goog-project-id"] {
        told = told.and(match asked.carried.one(name) {
            Ok(None) => Told::Nobody,
            Ok(Some(name)) if is_plain(&name, false) => Told::one(&name, Tenant::Project),
            _ => Told::Unclear,
        });
    }
    told
}
