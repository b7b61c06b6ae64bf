//! From Go's RE2 syntax (<https://github.com/google/re2/wiki/Syntax>) to that of the `regex` crate.

use regex_syntax::ast::{self, Ast, GroupKind, HexLiteralKind, LiteralKind};

const MAX_BYTES: usize = 64 << 10;
/// Names of classes and counts are no longer.
const NEAR: usize = 16;

/// A pattern that has no secret of its own.
///
/// # Errors
/// What is not supported, or wrong with it.
pub(super) fn plain(regex: &str) -> Result<String, String> {
    if regex.len() > MAX_BYTES {
        return Err(format!("the regex is longer than {MAX_BYTES} bytes"));
    }
    let pattern = spelled(regex);
    let ast = ast::parse::Parser::new().parse(&pattern).map_err(|e| format!("the regex: {}", e.kind()))?;
    ast::visit(&ast, Refuse)?;
    super::literals::parse(&pattern)?;
    Ok(pattern)
}

/// A pattern whose group of that number (0: the first that takes part) is named `secret`.
pub(super) fn translate(regex: &str, group: u32, notes: &mut Vec<String>) -> Result<String, String> {
    let pattern = plain(regex)?;
    let ast = ast::parse::Parser::new().parse(&pattern).map_err(|e| format!("the regex: {}", e.kind()))?;
    let groups = ast::visit(&ast, Groups::default())?;
    let wanted = group.max(1);
    let Some((at, end)) = groups.iter().find(|g| g.0 == wanted).map(|g| (g.1, g.2)) else {
        return if group == 0 { Ok(pattern) } else { Err(format!("secretGroup: there is no group {group}")) };
    };
    if group == 0 && groups.len() > 1 {
        notes.push(
            "of several groups the first is the secret; the other tool takes the first that is not empty (set secretGroup)".to_owned(),
        );
    }
    let (before, after) = (pattern.get(..at).unwrap_or_default(), pattern.get(end..).unwrap_or_default());
    Ok(format!("{before}(?P<secret>{after}"))
}

/// What Go reads as itself and the crate does not, escaped.
fn spelled(regex: &str) -> String {
    let mut out = String::with_capacity(regex.len() + 16);
    let mut rest = regex;
    let mut class = false;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        if c == '\\' {
            if let Some(quoted) = after.strip_prefix('Q') {
                let (text, next) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                out.push_str(&regex_syntax::escape(text));
                rest = next;
                continue;
            }
            let Some(escaped) = after.chars().next() else {
                out.push(c);
                break;
            };
            if !matches!(escaped, '<' | '>') {
                out.push(c);
            }
            out.push(escaped);
            rest = after.get(escaped.len_utf8()..).unwrap_or_default();
            continue;
        }
        rest = after;
        match (class, c) {
            (false, '[') => {
                class = true;
                out.push(c);
                // A bracket that comes first stands for itself.
                for first in ['^', ']'] {
                    if let Some(next) = rest.strip_prefix(first) {
                        out.push_str(if first == ']' { "\\]" } else { "^" });
                        rest = next;
                    }
                }
            }
            (true, ']') => {
                class = false;
                out.push(c);
            }
            (true, '[') => match rest.strip_prefix(':').and_then(|r| near(r, ":]")) {
                Some((name, next)) if name.bytes().all(|b| b.is_ascii_lowercase() || b == b'^') => {
                    out.push_str(&format!("[:{name}:]"));
                    rest = next;
                }
                _ => out.push_str("\\["),
            },
            (true, '&' | '~') => {
                out.push('\\');
                out.push(c);
            }
            (false, '{') if !counts(rest) => out.push_str("\\{"),
            _ => out.push(c),
        }
    }
    out
}

/// What stands before and after the next `mark`, which is near or no mark of a class's name or a count: looking far for each would take the square
/// of the regex's length.
fn near<'t>(text: &'t str, mark: &str) -> Option<(&'t str, &'t str)> {
    let at = (0..=NEAR).find(|at| text.as_bytes().get(*at..).is_some_and(|t| t.starts_with(mark.as_bytes())))?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// Whether a brace opens a count, by what follows it.
fn counts(rest: &str) -> bool {
    let Some((inside, _)) = near(rest, "}") else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

/// Refuses what means something else in the two.
struct Refuse;

impl ast::Visitor for Refuse {
    type Output = ();
    type Err = String;

    fn finish(self) -> Result<(), String> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), String> {
        match ast {
            Ast::Literal(literal) => number(literal),
            _ => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), String> {
        match item {
            ast::ClassSetItem::Literal(literal) => number(literal),
            ast::ClassSetItem::Range(range) => number(&range.start).and_then(|()| number(&range.end)),
            _ => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ast::ClassSetBinaryOp) -> Result<(), String> {
        Err("the regex: `--` in a class is another thing here".to_owned())
    }
}

/// A number above ASCII is a character in one and a byte in the other.
fn number(literal: &ast::Literal) -> Result<(), String> {
    let number = matches!(literal.kind, LiteralKind::HexFixed(HexLiteralKind::X) | LiteralKind::HexBrace(_));
    if number && !literal.c.is_ascii() { Err("the regex: a number beyond ASCII is another thing here".to_owned()) } else { Ok(()) }
}

/// The capturing groups: number, where they begin, where their inside begins.
#[derive(Default)]
struct Groups(Vec<(u32, usize, usize)>);

impl ast::Visitor for Groups {
    type Output = Vec<(u32, usize, usize)>;
    type Err = String;

    fn finish(self) -> Result<Self::Output, String> {
        Ok(self.0)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), String> {
        if let Ast::Group(group) = ast {
            match &group.kind {
                GroupKind::CaptureIndex(index) => self.0.push((*index, group.span.start.offset, group.span.start.offset + 1)),
                // The name's end, and the bracket after it.
                GroupKind::CaptureName { name, .. } => self.0.push((name.index, group.span.start.offset, name.span.end.offset + 1)),
                GroupKind::NonCapturing(_) => {}
            }
        }
        Ok(())
    }
}
