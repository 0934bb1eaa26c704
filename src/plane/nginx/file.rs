//! The file of one upstream: which servers it has, and the same file with other weights. PURE.
//!
//! It reads just enough of nginx's language: words, quotes, comments, braces. What it does not write it does not touch.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What is ours of a `server` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    /// The number behind `weight=`, where there is one.
    pub(super) weight: Option<u32>,
    /// Whether it is `down`.
    pub(super) down: bool,
}

impl Entry {
    /// The number it has, down or not: 1 unless something else is said.
    pub(super) fn number(&self) -> u32 {
        self.weight.unwrap_or(1)
    }

    /// The number that requests follow.
    pub(super) fn in_force(&self) -> u64 {
        if self.down { 0 } else { u64::from(self.number()) }
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) text: String,
    pub(super) servers: BTreeMap<String, Entry>,
    /// What the map says.
    pub(super) map: String,
    lines: BTreeMap<String, Line>,
    map_at: Range<usize>,
}

/// Where a `server` line is: its words from the address on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    address: Range<usize>,
    words: Vec<Range<usize>>,
}

/// A word or a mark, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    text: String,
    at: Range<usize>,
    is_mark: bool,
}

impl Token {
    fn is(&self, mark: &str) -> bool {
        self.is_mark && self.text == mark
    }
}

/// The name of the variable that says the weights of an upstream.
pub(super) fn variable(upstream: &str) -> String {
    let name: String = upstream.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("$crossfade_{name}")
}

impl File {
    /// Reads a file, or says what it lacks.
    pub(super) fn parse(text: String, upstream: &str) -> Result<Self, String> {
        let tokens = tokens(&text)?;
        let variable = variable(upstream);
        let (mut servers, mut lines, mut map) = (BTreeMap::new(), BTreeMap::new(), None);
        let mut found = 0;
        for (head, body) in blocks(&tokens)? {
            let words: Vec<&str> = head.iter().map(|token| token.text.as_str()).collect();
            match words[..] {
                ["upstream", name] if name == upstream => {
                    found += 1;
                    read_servers(body, &mut servers, &mut lines)?;
                }
                ["map", _, name] if name == variable => {
                    map = statements(body).find_map(|statement| match statement {
                        [default, value] if default.text == "default" => Some((value.text.clone(), value.at.clone())),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        if found != 1 {
            return Err(format!("it has {found} upstreams {upstream} instead of one"));
        }
        let (map, map_at) = map.ok_or_else(|| format!("it lacks: map \"\" {variable} {{ default \"\"; }}"))?;
        Ok(Self { text, servers, map, lines, map_at })
    }

    /// The text with other weights, and a map that says so.
    pub(super) fn with(&self, wanted: &BTreeMap<String, Entry>, map: &str) -> String {
        let mut edits = vec![(self.map_at.clone(), format!("\"{map}\""))];
        for (name, entry) in wanted {
            let (Some(line), Some(now)) = (self.lines.get(name), self.servers.get(name)) else { continue };
            edits.extend(self.edits(line, *now, *entry));
        }
        edits.sort_by_key(|(at, _)| (at.start, at.end));
        let mut text = self.text.clone();
        for (at, new) in edits.into_iter().rev() {
            text.replace_range(at, &new);
        }
        text
    }

    fn edits(&self, line: &Line, now: Entry, wanted: Entry) -> Vec<(Range<usize>, String)> {
        let word = |is: fn(&str) -> bool| line.words.iter().find(|at| is(&self.text[(*at).clone()])).cloned();
        let is_weight = |word: &str| word.starts_with("weight=");
        // With the space before it.
        let whole = |at: Range<usize>| at.start.saturating_sub(1)..at.end;
        let after_address = line.address.end..line.address.end;
        let mut edits = Vec::new();
        match (now.weight, wanted.weight, word(is_weight)) {
            (one, other, _) if one == other => {}
            (_, Some(weight), Some(at)) => edits.push((at, format!("weight={weight}"))),
            (_, None, Some(at)) => edits.push((whole(at), String::new())),
            (_, Some(weight), None) => edits.push((after_address.clone(), format!(" weight={weight}"))),
            (_, None, None) => {}
        }
        match (now.down, wanted.down, word(|word| word == "down")) {
            (true, false, Some(at)) => edits.push((whole(at), String::new())),
            (false, true, _) => {
                let end = line.words.last().map_or(line.address.end, |at| at.end);
                match edits.first_mut().filter(|(at, _)| at.end == end) {
                    Some((_, text)) => text.push_str(" down"),
                    None => edits.push((end..end, " down".to_owned())),
                }
            }
            _ => {}
        }
        edits
    }
}

fn read_servers(
    body: &[Token],
    servers: &mut BTreeMap<String, Entry>,
    lines: &mut BTreeMap<String, Line>,
) -> Result<(), String> {
    for statement in statements(body) {
        let [server, address, words @ ..] = statement else { continue };
        if server.text != "server" {
            continue;
        }
        let number = words.iter().find_map(|word| word.text.strip_prefix("weight="));
        let weight = match number.map(str::parse) {
            Some(Err(_)) => return Err(format!("the weight of {} is no number", address.text)),
            Some(Ok(weight)) => Some(weight),
            None => None,
        };
        let down = words.iter().any(|word| word.text == "down");
        let line = Line { address: address.at.clone(), words: words.iter().map(|word| word.at.clone()).collect() };
        if servers.insert(address.text.clone(), Entry { weight, down }).is_some() {
            return Err(format!("it has the server {} twice", address.text));
        }
        lines.insert(address.text.clone(), line);
    }
    Ok(())
}

/// What stands before a brace, and between the braces.
type Block<'t> = (&'t [Token], &'t [Token]);

/// The blocks at the top of a file.
fn blocks(tokens: &[Token]) -> Result<Vec<Block<'_>>, String> {
    let (mut blocks, mut depth, mut start, mut open) = (Vec::new(), 0_usize, 0, 0);
    for (index, token) in tokens.iter().enumerate() {
        match (token.is_mark, token.text.as_str(), depth) {
            (true, "{", 0) => (open, depth) = (index, 1),
            (true, "{", _) => depth += 1,
            (true, "}", 0) => return Err("it has a } too many".to_owned()),
            (true, "}", 1) => {
                blocks.push((&tokens[start..open], &tokens[open + 1..index]));
                (start, depth) = (index + 1, 0);
            }
            (true, "}", _) => depth -= 1,
            (true, ";", 0) => start = index + 1,
            _ => {}
        }
    }
    if depth == 0 { Ok(blocks) } else { Err("it ends within a block".to_owned()) }
}

/// The statements right within a block, without those of blocks inside.
fn statements(body: &[Token]) -> impl Iterator<Item = &[Token]> {
    body.split(|token| token.is(";") || token.is("}")).filter(|words| !words.iter().any(|word| word.is("{")))
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let (mut tokens, mut rest) = (Vec::new(), text.char_indices().peekable());
    while let Some((at, c)) = rest.next() {
        match c {
            _ if c.is_whitespace() => {}
            '#' => while rest.next_if(|(_, c)| *c != '\n').is_some() {},
            '{' | '}' | ';' => tokens.push(Token { text: c.to_string(), at: at..at + 1, is_mark: true }),
            '"' | '\'' => {
                let (mut word, mut end) = (String::new(), None);
                while let Some((at, next)) = rest.next() {
                    match next {
                        '\\' => word.extend(rest.next().map(|(_, escaped)| escaped)),
                        _ if next == c => {
                            end = Some(at + 1);
                            break;
                        }
                        _ => word.push(next),
                    }
                }
                let end = end.ok_or("it ends within quotes")?;
                tokens.push(Token { text: word, at: at..end, is_mark: false });
            }
            _ => {
                let (mut word, mut end) = (c.to_string(), at + c.len_utf8());
                while let Some((at, next)) = rest.next_if(|(_, c)| !c.is_whitespace() && !"{};".contains(*c)) {
                    word.push(next);
                    end = at + next.len_utf8();
                }
                tokens.push(Token { text: word, at: at..end, is_mark: false });
            }
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# ours; not { this }\nupstream other { server a:1 weight=9; }\nupstream web {\n    zone web 64k;\n    \
        server a:1 weight=100 max_fails=3; # why\n    server b:1;\n    server spare:1 down;\n    keepalive 8;\n}\n\
        map \"\" $crossfade_web { default \"\"; }\n";

    fn entry(weight: Option<u32>, down: bool) -> Entry {
        Entry { weight, down }
    }

    fn parsed(text: &str) -> File {
        File::parse(text.to_owned(), "web").unwrap()
    }

    #[test]
    fn reads_the_servers_of_its_upstream_and_no_others() {
        let file = parsed(TEXT);
        assert_eq!(file.servers["a:1"], entry(Some(100), false));
        assert_eq!(file.servers["b:1"], entry(None, false));
        assert_eq!(file.servers["spare:1"], entry(None, true));
        assert_eq!((file.servers.len(), file.map.as_str()), (3, ""));
    }

    #[test]
    fn writes_what_is_wanted_and_the_way_back_is_the_same_text() {
        let file = parsed(TEXT);
        let origin: BTreeMap<_, _> = ["a:1", "b:1"].map(|name| (name.to_owned(), file.servers[name])).into();
        for (a, b, expected) in [
            (
                entry(Some(3), false),
                entry(Some(1), false),
                ["server a:1 weight=3 max_fails=3; # why", "server b:1 weight=1;"],
            ),
            (
                entry(Some(100), true),
                entry(None, false),
                ["server a:1 weight=100 max_fails=3 down; # why", "server b:1;"],
            ),
            (
                entry(Some(7), false),
                entry(Some(2), true),
                ["server a:1 weight=7 max_fails=3; # why", "server b:1 weight=2 down;"],
            ),
        ] {
            let wanted = [("a:1".to_owned(), a), ("b:1".to_owned(), b)].into();
            let text = file.with(&wanted, "a:1=3 b:1=1");
            assert!(expected.iter().all(|line| text.contains(line)), "{text}");
            let written = parsed(&text);
            assert_eq!((written.servers["a:1"], written.servers["b:1"]), (a, b), "{text}");
            assert_eq!(written.map, "a:1=3 b:1=1");
            assert!(text.contains("upstream other { server a:1 weight=9; }"));
            assert_eq!(written.with(&origin, ""), TEXT);
        }
    }

    #[test]
    fn says_what_a_file_lacks() {
        for (text, why) in [
            ("", "0 upstreams"),
            ("upstream web { server a:1; ", "within a block"),
            ("upstream web { server \"a:1; }", "within quotes"),
            ("upstream web { server a:1; } }", "a } too many"),
            ("upstream web { server a:1; }", "it lacks: map"),
            ("upstream web { server a:1; server a:1; }", "twice"),
            ("upstream web { server a:1 weight=x; }", "no number"),
            ("<html>", "0 upstreams"),
        ] {
            let error = File::parse(text.to_owned(), "web").unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
