//! The places of a request where credentials go.

use engine::{Finding, Location, Place};

/// Headers that exist to carry a credential. `Authorization` and `Proxy-Authorization`: RFC 9110 section 11; the others are what providers document.
pub(crate) const CREDENTIAL_HEADERS: [&str; 22] = [
    "authorization",
    "x-api-key",
    "api-key",
    "apikey",
    "x-auth-token",
    "x-auth-key",
    "x-access-token",
    "x-goog-api-key",
    "x-github-token",
    "x-gitlab-token",
    "private-token",
    "job-token",
    "deploy-token",
    "x-vault-token",
    "x-figma-token",
    "x-shopify-access-token",
    "x-postmark-server-token",
    "x-amz-security-token",
    "dd-api-key",
    "dd-application-key",
    "x-npm-token",
    "ocp-apim-subscription-key",
];

/// Whether a header exists to carry a credential.
pub(crate) fn is_credential_header(name: &str) -> bool {
    CREDENTIAL_HEADERS.contains(&name)
}

/// Whether a finding stands in a place. Headers count when the credential stands in them as it is or in `Basic` credentials, never deeper.
pub(crate) fn stands_in(place: &Place, location: &Location, finding: &Finding) -> bool {
    let field = |name: &str| finding.field.as_deref().is_some_and(|f| f == name);
    match (place, location) {
        (Place::CredentialHeader, Location::Header(name)) => is_credential_header(name),
        (Place::Header(wanted), Location::Header(name)) => **name == **wanted,
        (Place::Query(wanted), Location::Query) | (Place::Body(wanted), Location::Body) => field(wanted),
        (Place::Path, Location::Path) => true,
        _ => false,
    }
}
