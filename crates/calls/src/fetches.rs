//! What a request to a language model's API tells the provider to fetch: URLs of images and documents, MCP servers, tools that go to the web.
//!
//! By the names of keys rather than by provider: the APIs copy each other, gateways translate between them, and a key that is not in the list
//! of one is in that of the next. What a *model* has written (arguments of tool calls) and what describes arguments (schemas) is no request to
//! fetch anything.

use crate::json::{Lexer, Raw, Token};
use crate::key::Key;
use crate::{Unreadable, url};

/// More than this in one request nobody means.
const MAX_WANTED: usize = 4096;

/// One thing that the provider would do on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Fetch a URL, or speak to a server there.
    Url {
        /// Whether by TLS.
        tls: bool,
        /// Host and port, as written.
        authority: String,
        /// The path, as written, without the query.
        path: String,
    },
    /// Fetch what it likes from a domain.
    Domain(String),
    /// Fetch what it likes from wherever it likes.
    Anywhere,
}

/// Reads a body as it comes.
#[derive(Debug)]
pub struct Fetches {
    form: Form,
    reader: Reader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nothing but blanks and a byte order mark yet; `json`: it must be JSON.
    Start { json: bool },
    /// One document or several.
    Json,
    /// Something else, in which lines may be documents (JSON lines in a form with files: batches).
    Lines { begins: bool },
    /// A document in a line.
    Line,
}

impl Fetches {
    /// For a body of which the head says whether it is JSON.
    pub fn new(json: bool) -> Fetches {
        Fetches { form: Form::Start { json }, reader: Reader::default() }
    }

    /// Takes the next bytes; returns what they ask for.
    ///
    /// # Errors
    /// It should be JSON, or began as JSON, and is not.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Wanted>, Unreadable> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            match self.form {
                // EF BB BF is the byte order mark of UTF-8.
                Form::Start { .. } if matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0xef | 0xbb | 0xbf) => rest = after,
                Form::Start { json } => {
                    self.form = if json || matches!(byte, b'{' | b'[') { Form::Json } else { Form::Lines { begins: true } }
                }
                Form::Json => {
                    self.reader.push(rest)?;
                    rest = &[];
                }
                Form::Lines { begins: true } if byte == b'{' => {
                    self.reader.restart();
                    self.form = Form::Line;
                }
                Form::Lines { .. } => {
                    let end = memchr::memchr(b'\n', rest);
                    self.form = Form::Lines { begins: end.is_some() };
                    rest = end.and_then(|at| rest.get(at + 1..)).unwrap_or_default();
                }
                Form::Line => {
                    let end = memchr::memchr(b'\n', rest);
                    let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
                    // What follows is the line's end, or the next bytes of a line that is no document.
                    if self.reader.push(line).is_err() || end.is_some() {
                        self.form = Form::Lines { begins: false };
                    }
                    rest = after;
                }
            }
        }
        if self.reader.wanted.len() >= MAX_WANTED { Err(Unreadable) } else { Ok(std::mem::take(&mut self.reader.wanted)) }
    }

    /// The body is over.
    ///
    /// # Errors
    /// It is JSON and not complete.
    pub fn finish(&self) -> Result<(), Unreadable> {
        if self.form == Form::Json && !self.reader.lexer.complete() { Err(Unreadable) } else { Ok(()) }
    }
}

#[derive(Debug, Default)]
struct Reader {
    lexer: Lexer,
    walk: Walk,
    wanted: Vec<Wanted>,
}

impl Reader {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        let Reader { lexer, walk, wanted } = self;
        lexer.push(bytes, |token| walk.take(token, wanted))
    }

    fn restart(&mut self) {
        self.lexer = Lexer::default();
        self.walk = Walk::default();
    }
}

/// Where in the document it is.
#[derive(Debug, Default)]
struct Walk {
    frames: Vec<Frame>,
}

/// One object or array.
#[derive(Debug)]
struct Frame {
    array: bool,
    /// The key that it stands under; of an element, the array's.
    under: Key,
    /// The last key in it.
    key: Key,
    /// Nothing in it is fetched.
    data: bool,
    /// It belongs to a tool.
    tools: bool,
    /// It describes a tool.
    tool: Option<Tool>,
}

#[derive(Debug, Default)]
struct Tool {
    web: bool,
    /// Lists of domains, and domains in them.
    lists: u32,
    domains: u32,
}

impl Walk {
    fn take(&mut self, token: Token<'_>, wanted: &mut Vec<Wanted>) -> Result<(), Unreadable> {
        if wanted.len() >= MAX_WANTED {
            return Err(Unreadable);
        }
        match token {
            Token::Object | Token::Array => self.begin(token == Token::Array),
            Token::End => self.end(wanted),
            Token::Key(raw) => self.key(raw, wanted),
            Token::Text(raw) => return self.text(raw, wanted),
            Token::Scalar => {}
        }
        Ok(())
    }

    fn begin(&mut self, array: bool) {
        let frame = match self.frames.last() {
            None => Frame { array, under: Key::Other, key: Key::Other, data: false, tools: false, tool: None },
            Some(outer) => {
                let under = if outer.array { outer.under } else { outer.key };
                let tools = outer.tools || under == Key::Tools;
                // `input` of a block in `content` is what the model has written; at the top it is the conversation.
                let block = matches!(outer.under, Key::Content | Key::Call) && !outer.array;
                let data = match under {
                    Key::Data => true,
                    Key::Arguments => tools || outer.under == Key::Call,
                    Key::Input => block,
                    _ => false,
                };
                let tool = (under == Key::Tools && !array).then(Tool::default);
                Frame { array, under, key: Key::Other, data: outer.data || data, tools, tool }
            }
        };
        self.frames.push(frame);
    }

    fn end(&mut self, wanted: &mut Vec<Wanted>) {
        let Some(tool) = self.frames.pop().and_then(|frame| frame.tool) else { return };
        // Said twice, one list counts, and nobody knows which.
        if tool.web && (tool.lists != 1 || tool.domains == 0) {
            wanted.push(Wanted::Anywhere);
        }
    }

    fn key(&mut self, raw: Raw<'_>, wanted: &mut Vec<Wanted>) {
        let key = raw.text().map_or(Key::Other, |text| Key::of(&text));
        let top = self.frames.len() == 1;
        let Some(frame) = self.frames.last_mut() else { return };
        frame.key = key;
        if frame.data {
            return;
        }
        match (key, &mut frame.tool) {
            (Key::Web, Some(tool)) => tool.web = true,
            // Options of a search at the top of a request.
            (Key::Web, None) if top => wanted.push(Wanted::Anywhere),
            (Key::Connector, Some(_)) => wanted.push(Wanted::Anywhere),
            (Key::Domains, _) => {
                if let Some(tool) = self.tool() {
                    tool.lists += 1;
                }
            }
            _ => {}
        }
    }

    /// The tool that is being described.
    fn tool(&mut self) -> Option<&mut Tool> {
        self.frames.iter_mut().rev().find_map(|frame| frame.tool.as_mut())
    }

    fn text(&mut self, raw: Raw<'_>, wanted: &mut Vec<Wanted>) -> Result<(), Unreadable> {
        let Some(frame) = self.frames.last() else { return Ok(()) };
        if frame.data {
            return Ok(());
        }
        let key = if frame.array { frame.under } else { frame.key };
        let fetched = key == Key::Fetched || (key == Key::Url && matches!(frame.under, Key::Fetched | Key::Holder));
        if fetched {
            if is_data(raw.bytes) {
                return Ok(());
            }
            let text = raw.text().ok_or(Unreadable)?;
            wanted.extend(url::wanted(&text));
        } else if key == Key::Domains && frame.array {
            let text = raw.text().ok_or(Unreadable)?;
            if let Some(tool) = self.tool() {
                tool.domains += 1;
            }
            wanted.push(Wanted::Domain(text));
        } else if key == Key::Kind && frame.tool.is_some() {
            let web = raw.text().is_some_and(|text| Key::is_web_tool(&text));
            if let Some(tool) = self.frames.last_mut().and_then(|frame| frame.tool.as_mut()) {
                tool.web |= web;
            }
        }
        Ok(())
    }
}

/// Whether a string is a `data:` URL (RFC 2397), which may be longer than what is kept of it.
fn is_data(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    bytes.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"data:"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(json: bool, parts: &[&[u8]]) -> Result<Vec<Wanted>, Unreadable> {
        let mut fetches = Fetches::new(json);
        let mut all = Vec::new();
        for part in parts {
            all.extend(fetches.push(part)?);
        }
        fetches.finish().map(|()| all)
    }

    /// Hosts, domains after a tilde, and `*`.
    fn asked(body: &Value) -> String {
        let name = |one: Wanted| match one {
            Wanted::Url { authority, .. } => authority,
            Wanted::Domain(name) => format!("~{name}"),
            Wanted::Anywhere => "*".to_owned(),
        };
        let all = read(true, &[body.to_string().as_bytes()]).expect("readable");
        all.into_iter().map(name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_providers_would_fetch_is_told() {
        for (body, wants) in [
            // Anthropic: https://docs.anthropic.com/en/api/messages
            (
                json!({"messages": [{"content": [{"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}}]}]}),
                "a.example",
            ),
            (
                json!({"messages": [{"content": [{"type": "tool_result", "content": [{"source": {"url": "https://b.example/"}}]}]}]}),
                "b.example",
            ),
            (json!({"requests": [{"params": {"mcp_servers": [{"type": "url", "url": "https://mcp.example/sse"}]}}]}), "mcp.example"),
            (json!({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}), "*"),
            (json!({"tools": [{"type": "web_fetch_20250910", "allowed_domains": []}]}), "*"),
            (
                json!({"tools": [{"type": "web_search_20250305", "allowed_domains": ["d.example", "e.example/docs"]}]}),
                "~d.example ~e.example/docs",
            ),
            (json!({"resources": [{"type": "github_repository", "url": "https://github.com/o/r"}]}), "github.com"),
            // OpenAI: https://platform.openai.com/docs/api-reference
            (json!({"messages": [{"content": [{"type": "image_url", "image_url": {"url": "http://a.example:81/x"}}]}]}), "a.example:81"),
            (
                json!({"input": [{"content": [{"image_url": "https://a.example"}, {"file_url": "https://b.example/f.pdf"}]}]}),
                "a.example b.example",
            ),
            (json!({"input": [{"type": "function_call_output", "output": [{"image_url": "https://a.example"}]}]}), "a.example"),
            (
                json!({"tools": [{"type": "mcp", "server_url": "https://mcp.example"}, {"type": "mcp", "connector_id": "connector_x"}]}),
                "mcp.example *",
            ),
            (json!({"tools": [{"type": "web_search", "filters": {"allowed_domains": ["d.example"]}}]}), "~d.example"),
            (
                json!({"tools": [{"type": "code_interpreter", "container": {"network_policy": {"allowed_domains": ["d.example"]}}}]}),
                "~d.example",
            ),
            (json!({"web_search_options": {}}), "*"),
            // Gemini: https://ai.google.dev/api/generate-content
            (
                json!({"contents": [{"parts": [{"fileData": {"fileUri": "https://a.example"}}, {"file_data": {"file_uri": "gs://b/o"}}]}]}),
                "a.example *",
            ),
            (json!({"tools": [{"googleSearch": {}}, {"url_context": {}}, {"functionDeclarations": []}]}), "* *"),
            // Mistral: https://docs.mistral.ai/api
            (json!({"document": {"type": "document_url", "document_url": "https://a.example/d"}}), "a.example"),
        ] {
            assert_eq!(asked(&body), wants, "{body}");
        }
    }

    #[test]
    fn what_nobody_fetches_is_not_told() {
        for body in [
            json!({"messages": [{"content": "see https://a.example/ and {\"image_url\": \"https://a.example\"}"}]}),
            json!({"messages": [{"content": [{"type": "tool_use", "input": {"url": "https://a.example", "image_url": "https://a.example"}}]}]}),
            json!({"messages": [{"content": [{"type": "web_search_tool_result", "content": [{"url": "https://a.example"}]}]}]}),
            json!({"messages": [{"content": [{"citations": [{"url": "https://a.example"}]}]}]}),
            json!({"tools": [{"name": "t", "input_schema": {"properties": {"image_url": {"default": "https://a.example"}}}}]}),
            json!({"tools": [{"function": {"parameters": {"source": {"url": "https://a.example"}}}}]}),
            json!({"contents": [{"parts": [{"functionCall": {"args": {"image_url": "https://a.example"}}}]}]}),
            json!({"messages": [{"content": [{"toolUse": {"input": {"image_url": "https://a.example"}}}]}]}),
            json!({"messages": [{"content": [{"image_url": {"url": format!("data:image/png;base64,{}", "A".repeat(20_000))}}]}]}),
            json!({"input": [{"content": [{"file_id": "file-abc", "image_url": null}]}], "tools": [{"type": "function", "name": "web_search"}]}),
            json!({"metadata": {"image_url": "https://a.example"}}),
        ] {
            assert_eq!(asked(&body), "", "{body}");
        }
    }

    #[test]
    fn tricks_do_not_hide_it() {
        for (body, wants) in [
            (r#"{"image_url":"https://a.example","image_url":"data:,"}"#, 1),
            (r#"{"imag\u0065_url":"https:\/\/a.example"}"#, 1),
            ("\u{feff}{\"image_url\":\"https://a.example\"}", 1),
            ("{}\n{\"image_url\":\"https://a.example\"}", 1),
            (r#"{"tools":[{"type":"web_fetch_20250910","allowed_domains":["a.example"],"allowed_domains":null}]}"#, 2),
            (r#"{"tools":[{"type":"function","type":"web_search"}]}"#, 1),
        ] {
            assert_eq!(read(true, &[body.as_bytes()]).expect("readable").len(), wants, "{body}");
        }
        let long = format!("{{\"image_url\":\"https://a.example/{}\"}}", "a".repeat(20_000));
        for bad in ["{\"a\":1", "// \n{}", "{\0\"\0", "x", long.as_str(), r#"{"image_url":"\ud800"}"#] {
            assert_eq!(read(true, &[bad.as_bytes()]), Err(Unreadable), "{bad:.40}");
        }
        let many = format!("[{}0]", "{\"image_url\":\"https://a.example\"},".repeat(MAX_WANTED + 1));
        assert_eq!(read(true, &[many.as_bytes()]), Err(Unreadable));
    }

    #[test]
    fn batches_in_forms_are_read_line_by_line() {
        let form = "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n{\"body\":{\"image_url\":\"https://a.example\"}}\r\n{not json\r\n\
                    {\"body\":{\"image_url\":\"https://b.example\"}}\r\n--x--\r\n";
        assert_eq!(read(false, &[form.as_bytes()]).expect("readable").len(), 2);
        assert_eq!(read(false, &[b"a=1&b={"]), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(at in any::<prop::sample::Index>(), json in any::<bool>()) {
            let text = "{\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"https://a.ex\\u0061mple/\"}}]}]}\n{\"tools\":[{\"type\":\"web_search\"}]}";
            let text = if json { text.to_owned() } else { format!("--x\n{text}\n--x") };
            let whole = read(json, &[text.as_bytes()]).expect("readable");
            prop_assert_eq!(whole.len(), 2);
            let (a, b) = text.as_bytes().split_at(at.index(text.len()));
            prop_assert_eq!(read(json, &[a, b]).expect("readable"), whole);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), json in any::<bool>()) {
            let _read = read(json, &[&bytes]);
        }
    }
}
