//! Rust source, read well enough to keep the house rules: tokens without comments, text and test modules; paths; and the
//! lengths of functions. Knows no rule.

/// A word or a sign, and the line on which it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The word or sign; literals are empty.
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// A function and how many lines of code its body has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// Lines between its braces that hold code.
    pub(crate) lines: usize,
}

/// The tokens of a file without comments, the insides of literals, and whatever stands under `#[cfg(test)]`.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    without_tests(&lex(source))
}

/// How many lines of the file remain when its `#[cfg(test)]` items are taken away.
pub(crate) fn lines_without_tests(source: &str) -> usize {
    let all = lex(source);
    let mut gone = 0;
    let mut at = 0;
    while at < all.len() {
        if is_cfg_test(&all[at..]) {
            let end = end_of_item(&all, at);
            gone += all[end - 1].line - all[at].line + 1;
            at = end;
        } else {
            at += 1;
        }
    }
    source.lines().count() - gone
}

fn lex(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let (length, text) = next(&chars[at..]);
        if let Some(text) = text {
            found.push(Token { text, line });
        }
        line += chars[at..at + length].iter().filter(|c| **c == '\n').count();
        at += length;
    }
    found
}

/// Length of what begins here, and the token if it is one.
fn next(rest: &[char]) -> (usize, Option<String>) {
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
    match rest {
        ['/', '/', ..] => (rest.iter().take_while(|c| **c != '\n').count(), None),
        ['/', '*', ..] => (block_comment(rest), None),
        ['"', ..] => (1 + text(&rest[1..]), Some(String::new())),
        ['b' | 'c', '"', ..] => (2 + text(&rest[2..]), Some(String::new())),
        ['r', '"' | '#', ..] if raw(&rest[1..]).is_some() => (1 + raw(&rest[1..]).unwrap(), Some(String::new())),
        ['b' | 'c', 'r', '"' | '#', ..] if raw(&rest[2..]).is_some() => {
            (2 + raw(&rest[2..]).unwrap(), Some(String::new()))
        }
        ['\'', '\\', ..] => (3 + rest[3..].iter().take_while(|c| **c != '\'').count() + 1, Some(String::new())),
        ['\'', _, '\'', ..] => (3, Some(String::new())),
        [':', ':', ..] => (2, Some("::".into())),
        [c, ..] if is_word(c) => {
            let word: String = rest.iter().take_while(|c| is_word(c)).collect();
            (word.chars().count(), Some(word))
        }
        [c, ..] if c.is_whitespace() => (1, None),
        [c, ..] => (1, Some(c.to_string())),
        [] => (0, None),
    }
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Length of the rest of a string, with its closing mark.
fn text(rest: &[char]) -> usize {
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Length of a raw string after its `r`; none when this is no raw string (but for example `r#type`).
fn raw(rest: &[char]) -> Option<usize> {
    let hashes = rest.iter().take_while(|c| **c == '#').count();
    if rest.get(hashes) != Some(&'"') {
        return None;
    }
    let closes =
        |at: &usize| rest[*at] == '"' && rest[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    (hashes + 1..rest.len()).find(closes).map(|at| at + 1 + hashes)
}

fn is_cfg_test(rest: &[Token]) -> bool {
    let words = ["#", "[", "cfg", "(", "test", ")", "]"];
    rest.len() >= words.len() && words.iter().zip(rest).all(|(word, token)| *word == token.text)
}

/// The place after the item that begins at `start`, attributes and all.
fn end_of_item(all: &[Token], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_i32);
    while at < all.len() {
        match all[at].text.as_str() {
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    all.len()
}

fn without_tests(all: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < all.len() {
        if is_cfg_test(&all[at..]) {
            at = end_of_item(all, at);
        } else {
            kept.push(all[at].clone());
            at += 1;
        }
    }
    kept
}

/// Every path in the tokens, groups taken apart: `use a::{b, c::d}` is `a::b` and `a::c::d`.
pub(crate) fn paths(tokens: &[Token]) -> Vec<(Vec<String>, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = is_name(&tokens[at].text) && tokens.get(at + 1).is_some_and(|t| t.text == "::");
        if starts {
            at = tree(tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

fn is_name(text: &str) -> bool {
    text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
}

/// Reads one path or group of paths that begins at `at`, under `base`; returns the place after it.
fn tree(tokens: &[Token], mut at: usize, base: &[String], found: &mut Vec<(Vec<String>, usize)>) -> usize {
    let mut path = base.to_vec();
    let line = tokens[at].line;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|t| t.text != "}") {
                    // A comma is no path, and neither is the new name of `old as new`.
                    at = match tokens[at].text.as_str() {
                        "as" => at + 2,
                        "," => at + 1,
                        _ => tree(tokens, at, &path, found).max(at + 1),
                    };
                }
                return at + 1;
            }
            name if is_name(name) || name == "*" => {
                path.push(name.to_owned());
                at += 1;
            }
            _ => break,
        }
        if tokens.get(at).is_none_or(|t| t.text != "::") {
            break;
        }
        at += 1;
    }
    if path.len() > base.len() {
        found.push((path, line));
    }
    at
}

/// Every function with a body, and the lines of code in it.
pub(crate) fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some(name) = tokens.get(at + 1).filter(|name| token.text == "fn" && is_name(&name.text)) else { continue };
        let Some(open) = body(tokens, at) else { continue };
        let close = end_of_item(tokens, open) - 1;
        let (first, last) = (tokens[open].line, tokens[close].line);
        let mut lines: Vec<usize> = tokens[open..close].iter().map(|t| t.line).collect();
        lines.retain(|line| first < *line && *line < last);
        lines.dedup();
        found.push(Function { name: name.text.clone(), lines: lines.len() });
    }
    found
}

/// The brace that opens the body of the function at `at`; none when it is only declared.
fn body(tokens: &[Token], at: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (here, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "{" if depth == 0 => return Some(here),
            ";" if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{functions, lines_without_tests, paths, tokens};

    fn found(source: &str) -> Vec<String> {
        paths(&tokens(source)).into_iter().map(|(path, _)| path.join("::")).collect()
    }

    #[test]
    fn groups_over_many_lines_are_taken_apart() {
        let source = "use crate::{\n    api::{Moment, status::{Color, Phase}},\n    metrics::Question as Q,\n};\nfn f() { crate::act::go(); }";
        let expected = [
            "crate::api::Moment",
            "crate::api::status::Color",
            "crate::api::status::Phase",
            "crate::metrics::Question",
            "crate::act::go",
        ];
        assert_eq!(found(source), expected);
    }

    #[test]
    fn comments_and_text_hold_no_paths() {
        let source = "// crate::a::b\n/* crate::c /* crate::d */ crate::e */ let s = \"crate::f\"; let r = r#\"crate::g \"h\"\"#; let c = '\"'; x::y; let l: &'a str = '\\'';";
        assert_eq!(found(source), ["x::y"]);
    }

    #[test]
    fn tests_are_taken_away() {
        let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n    use crate::act::b;\n}\n#[cfg(test)]\nuse crate::c;\nfn d() { e::f(); }\n";
        assert_eq!(found(source), ["e::f"]);
        assert_eq!(lines_without_tests(source), 2);
    }

    #[test]
    fn only_lines_of_code_are_counted() {
        let source = "fn short() -> [u8; 2] { [1, 2] }\nfn long() {\n    // why\n\n    let a = 1;\n    let b = {\n        a\n    };\n}\ntrait T { fn none(&self); }\n";
        let counted: Vec<_> = functions(&tokens(source)).into_iter().map(|f| (f.name, f.lines)).collect();
        assert_eq!(counted, [("short".to_owned(), 0), ("long".to_owned(), 4)]);
    }
}
