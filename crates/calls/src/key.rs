//! Keys of JSON objects that matter, in every spelling that servers take: `image_url`, `imageUrl`, `ImageURL`.

/// What a key says of the value under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// Nothing.
    Other,
    /// A string (or the strings of an array) under it is fetched; so is a `url` in an object under it.
    Fetched,
    /// A `url` in an object (or the objects of an array) under it is fetched.
    Holder,
    /// `url` or `uri`.
    Url,
    /// Objects that describe tools.
    Tools,
    /// Names the kind of a tool.
    Kind,
    /// A tool that goes to the web, by its presence.
    Web,
    /// A list of domains that a tool is limited to.
    Domains,
    /// A connector of the provider's own: where it goes is not said.
    Connector,
    /// Blocks of a message.
    Content,
    /// Nobody fetches what stands there: schemas, free data.
    Data,
    /// The same below tools and in calls.
    Arguments,
    /// A call that a model has made, or its answer.
    Call,
    /// The arguments of a tool call, in a block of a message.
    Input,
}

/// Lower case, without what divides words. `None`: no key that matters is so long.
fn plain(key: &str) -> Option<String> {
    let mut out = String::with_capacity(24);
    for c in key.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' ')) {
        if out.len() >= 32 {
            return None;
        }
        out.push(c.to_ascii_lowercase());
    }
    Some(out)
}

impl Key {
    /// What a key says. The sources are the types of the providers' own SDKs (anthropic 2.12, openai 3.54) and the references of the Gemini,
    /// Mistral and xAI APIs.
    pub(crate) fn of(key: &str) -> Key {
        let Some(plain) = plain(key) else { return Key::Other };
        match plain.as_str() {
            "imageurl" | "imageurls" | "fileurl" | "fileurls" | "fileuri" | "fileuris" | "serverurl" | "mcpserverurl" | "documenturl"
            | "documenturls" | "videourl" | "videourls" | "audiourl" | "audiourls" | "repositoryurl" | "discoveryurl" | "webhookurl"
            | "callbackurl" | "image" | "images" | "inputimage" | "inputimages" | "video" | "inputvideo" | "mask" => Key::Fetched,
            "source" | "mcpservers" | "mcpserver" | "resources" | "filedata" | "file" | "document" | "inputaudio" | "audio" | "webhook" => {
                Key::Holder
            }
            "url" | "uri" => Key::Url,
            "tools" | "plugins" | "connectors" => Key::Tools,
            "type" | "id" => Key::Kind,
            "googlesearch" | "googlesearchretrieval" | "urlcontext" | "enterprisewebsearch" | "websearchoptions" | "searchparameters" => {
                Key::Web
            }
            "alloweddomains" | "allowedhosts" => Key::Domains,
            "connectorid" => Key::Connector,
            "content" => Key::Content,
            "inputschema" | "responseformat" | "responseschema" | "responsejsonschema" | "jsonschema" | "metadata" | "schema" | "json" => {
                Key::Data
            }
            "parameters" | "args" | "response" | "arguments" => Key::Arguments,
            "functioncall" | "functionresponse" | "toolcall" | "tooluse" | "function" => Key::Call,
            "input" => Key::Input,
            _ => Key::Other,
        }
    }

    /// Whether a tool of this kind goes to the web on its own: Anthropic's `web_search_20250305` and `web_fetch_20250910`, OpenAI's
    /// `web_search_preview`, Mistral's `web_search_premium`, xAI's `x_search`, OpenRouter's and Cohere's `web`, …
    pub(crate) fn is_web_tool(kind: &str) -> bool {
        let Some(plain) = plain(kind) else { return false };
        let parts = ["websearch", "webfetch", "xsearch", "livesearch", "googlesearch", "urlcontext", "deepresearch"];
        plain == "web" || parts.iter().any(|part| plain.contains(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_one_key() {
        for spelling in ["image_url", "imageUrl", "ImageURL", "image-url", "IMAGE_URL"] {
            assert_eq!(Key::of(spelling), Key::Fetched, "{spelling}");
        }
        assert_eq!(Key::of("image_url_of_nothing_that_anybody_knows"), Key::Other);
        for kind in ["web_search_20250305", "web_fetch_20260318", "web_search_preview", "x_search", "openrouter:web_search", "web"] {
            assert!(Key::is_web_tool(kind), "{kind}");
        }
        for kind in ["function", "mcp", "custom", "bash_20250124", "code_interpreter", "website"] {
            assert!(!Key::is_web_tool(kind), "{kind}");
        }
    }
}
