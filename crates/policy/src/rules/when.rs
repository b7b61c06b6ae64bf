//! Conditions in CEL, the Common Expression Language (<https://github.com/google/cel-spec>): what tables cannot say.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Env, Program, Value};

use super::Request;

/// The longest expression, in bytes.
const MAX_SOURCE: usize = 2048;
/// The most parts (literals, names, calls) of an expression.
const MAX_PARTS: usize = 200;
/// How deep an expression may be.
const MAX_DEPTH: usize = 24;
/// The most entries of `headers` and `query` that an expression sees.
const MAX_ENTRIES: usize = 256;

/// What an expression may name, and what that is.
pub(crate) const VARIABLES: [(&str, &str); 12] = [
    ("host", "string: the host in normal form"),
    ("port", "int"),
    ("tls", "bool: whether the upstream is reached over TLS"),
    ("method", "string, upper case"),
    ("path", "string: the path in normal form, without the query"),
    ("query", "map of strings: the first value of each key, as sent"),
    ("headers", "map of strings: by name in lower case; several values are joined by `, `"),
    ("sandbox", "string"),
    ("groups", "list of strings: the groups the sandbox is in"),
    ("content_type", "string: type and subtype in lower case; empty if there is none"),
    ("content_length", "int: 0 without a body, -1 if it is not said"),
    ("has_body", "bool"),
];

/// Functions and operators that are bounded by the size of what they are given.
pub(crate) const FUNCTIONS: [&str; 5] = ["size", "startsWith", "endsWith", "contains", "int"];
const OPERATORS: [&str; 17] =
    ["_&&_", "_||_", "!_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_+_", "_-_", "_*_", "_/_", "_%_", "-_", "_[_]"];

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled condition.
#[derive(Clone)]
pub(crate) struct When {
    program: Arc<Program>,
    source: String,
    /// The variables it names.
    names: Vec<&'static str>,
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("When").field(&self.source).finish()
    }
}

impl When {
    /// Compiles an expression and tries it on a request.
    ///
    /// # Errors
    /// What is wrong with it, for the one who wrote it.
    pub(crate) fn compile(source: &str) -> Result<When, String> {
        if source.len() > MAX_SOURCE {
            return Err(format!("longer than {MAX_SOURCE} bytes"));
        }
        let program = Program::compile(source).map_err(|all| {
            let Some(first) = all.errors.first() else { return "is no CEL expression".to_owned() };
            // What the parser says when it stops is its own inside.
            let why = first.msg.split("OtherError(").next().unwrap_or_default().trim().trim_end_matches(':');
            format!("is no CEL expression, at character {}: {why}", first.pos.1)
        })?;
        let mut parts = 0;
        let mut names = Vec::new();
        check(program.expression(), 0, &mut parts, &mut names)?;
        let when = When { program: Arc::new(program), source: source.to_owned(), names };
        match when.run(&Request::sample()) {
            Ok(Value::Bool(_)) | Err(cel::ExecutionError::NoSuchKey(_)) => Ok(when),
            Ok(_) => Err("is neither true nor false".to_owned()),
            // The sample holds nothing of anybody's.
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether it holds; `None`: it could not be evaluated.
    pub(crate) fn holds(&self, request: &Request<'_>) -> Option<bool> {
        match self.run(request) {
            Ok(Value::Bool(holds)) => Some(holds),
            _ => None,
        }
    }

    fn run(&self, request: &Request<'_>) -> Result<Value, cel::ExecutionError> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        for name in &self.names {
            context.add_variable_from_value(*name, value(name, request));
        }
        self.program.execute(&context)
    }
}

fn value(name: &str, request: &Request<'_>) -> Value {
    let subject = request.subject;
    match name {
        "host" => subject.destination.host.to_string().into(),
        "port" => i64::from(subject.destination.port).into(),
        "tls" => subject.destination.tls.into(),
        "method" => subject.method.clone().into(),
        "path" => request.readings().text().into(),
        "query" => {
            let mut map: HashMap<String, String> = HashMap::new();
            for pair in request.details.query.split('&').filter(|p| !p.is_empty()).take(MAX_ENTRIES) {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                map.entry(key.to_owned()).or_insert_with(|| value.to_owned());
            }
            map.into()
        }
        "headers" => {
            let mut map: HashMap<String, String> = HashMap::new();
            for (name, value) in (request.details.headers)().into_iter().take(MAX_ENTRIES) {
                let all = map.entry(name.to_ascii_lowercase()).or_default();
                if !all.is_empty() {
                    all.push_str(", ");
                }
                all.push_str(&value);
            }
            map.into()
        }
        "sandbox" => subject.sandbox.clone().into(),
        "groups" => request.groups().into(),
        "content_type" => subject.content_type.clone().into(),
        "content_length" => subject.content_length.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1).into(),
        "has_body" => subject.has_body.into(),
        _ => Value::Null,
    }
}

/// Whether an expression keeps to what is bounded; collects the variables.
fn check(expr: &IdedExpr, depth: usize, parts: &mut usize, names: &mut Vec<&'static str>) -> Result<(), String> {
    *parts += 1;
    if *parts > MAX_PARTS || depth > MAX_DEPTH {
        return Err(format!("is too large (at most {MAX_PARTS} parts, {MAX_DEPTH} deep)"));
    }
    let mut inner = |expr: &IdedExpr| check(expr, depth + 1, parts, names);
    match &expr.expr {
        Expr::Literal(_) => Ok(()),
        Expr::Ident(name) => match VARIABLES.iter().find(|(known, _)| known == name) {
            Some((known, _)) => {
                if !names.contains(known) {
                    names.push(known);
                }
                Ok(())
            }
            None => {
                let all: Vec<&str> = VARIABLES.iter().map(|(name, _)| *name).collect();
                Err(format!("names {name:?}, which there is not{}; there are {}", crate::parse::meant(name, &all), all.join(", ")))
            }
        },
        Expr::Select(select) => inner(&select.operand),
        Expr::List(list) => list.elements.iter().try_for_each(inner),
        Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => inner(&entry.key).and_then(|()| inner(&entry.value)),
            EntryExpr::StructField(field) => inner(&field.value),
        }),
        Expr::Call(call) => {
            let name = call.func_name.as_str();
            if name != "@in" && !FUNCTIONS.contains(&name) && !OPERATORS.contains(&name) {
                return Err(format!(
                    "calls {name:?}, which there is not{}; there are the operators, `in`, `has` and {}",
                    crate::parse::meant(name, &FUNCTIONS),
                    FUNCTIONS.join(", ")
                ));
            }
            call.target.iter().map(AsRef::as_ref).chain(&call.args).try_for_each(inner)
        }
        Expr::Comprehension(_) => Err("uses all, exists, map or filter, which are not bounded; use `in`".to_owned()),
        Expr::Struct(_) | Expr::Unspecified => Err("makes a message, which there is none of here".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(source: &str) -> String {
        When::compile(source).map(|_| ()).unwrap_err()
    }

    #[test]
    fn what_is_not_bounded_or_not_there_is_refused_at_load() {
        for (source, words) in [
            ("headers.all(h, h != '')", "not bounded"),
            ("[1, 2].map(x, x * 2) == [2]", "not bounded"),
            ("hots == 'a'", "did you mean \"host\""),
            ("host.startWith('a')", "did you mean \"startsWith\""),
            ("host.matches('a+')", "matches"),
            ("port", "neither true nor false"),
            ("host > 3", "overload"),
            ("host ==", "no CEL expression"),
            ("", "no CEL expression"),
        ] {
            assert!(refused(source).contains(words), "{source}: {}", refused(source));
        }
        assert!(refused(&format!("port == 1{}", " || port == 2".repeat(80))).contains("too large"));
        assert!(refused(&format!("{}tls{}", "!(".repeat(60), ")".repeat(60))).contains(" "));
        assert!(refused(&format!("host == '{}'", "a".repeat(3000))).contains("longer"));
    }

    #[test]
    fn what_is_said_of_a_request_can_be_asked() {
        let sample = Request::sample();
        for source in [
            "host == 'example.com' && port == 443 && tls && method == 'GET'",
            "path == '/a' && query['k'] == 'v' && 'k' in query && !('x' in query)",
            "'accept' in headers && headers.accept == '*/*' && has(headers.accept) && !has(headers.other)",
            "sandbox == 'box' && size(groups) == 0 && content_type == '' && content_length == -1 && !has_body",
            "host.endsWith('.com') && host.startsWith('ex') && path.contains('a') && size(path) < 10 && int(query.k == 'v' ? '1' : '2') == 1",
        ] {
            assert_eq!(When::compile(source).unwrap().holds(&sample), Some(true), "{source}");
        }
        assert_eq!(When::compile("headers['x-none'] == 'a'").unwrap().holds(&sample), None, "cannot be evaluated");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_compiler_panic(text in "\\PC{0,60}", near in "[a-z().&|!='\"\\[\\]{}?:, 0-9\\\\-]{0,60}") {
            let _compiled = (When::compile(&text), When::compile(&near));
        }

        /// What a request says is hostile: an answer or none, never a panic.
        #[test]
        fn no_request_makes_a_condition_panic(path in "\\PC{0,20}", query in "[a-c=&%\\PC]{0,30}", value in "\\PC{0,20}", length in proptest::option::of(0_u64..=u64::MAX)) {
            let subject = crate::Subject { path: format!("/{path}"), content_length: length, sandbox: value.clone(), ..crate::Subject::default() };
            let headers = || vec![("a".to_owned(), value.clone()), (value.clone(), path.clone())];
            for source in [
                "content_length * content_length > 0 || content_length - 9223372036854775807 < 0 || -content_length == 1",
                "100 / content_length > 1 && 100 % (content_length + 1) == 0",
                "int(headers.a) + 1 > int(sandbox) && size(path) > 3",
                "query.a == headers['a'] || path.contains(query['b']) || sandbox + path == 'x'",
                "[path, sandbox][content_length] == 'x' || {'a': 1}[sandbox] == 1 || path[content_length] == 'a'",
            ] {
                let terms = match When::compile(source) {
                    Ok(when) => when.holds(&Request::new(&subject, crate::Details { query: &query, headers: &headers })),
                    Err(_) => None,
                };
                let _answer = terms;
            }
        }
    }
}
