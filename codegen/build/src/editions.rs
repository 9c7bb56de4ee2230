//! Files in editions syntax are refused before anything that cannot read them sees them: protox fails to parse them,
//! prost-build and prost-reflect panic.

use crate::Error;

/// An `edition = "…";` statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Edition {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) name: String,
}

/// Finds the edition of a .proto file, if it has one: a statement `edition = "…"` outside of all braces. Comments,
/// strings, options and fields of that name are none.
pub(crate) fn find(text: &[u8]) -> Option<Edition> {
    let mut lexer = Lexer { text, at: 0, line: 1 };
    let mut depth = 0_usize;
    let mut starts = true;
    while let Some(token) = lexer.token() {
        let line = lexer.line;
        match token {
            Token::Word(b"edition") if starts && depth == 0 => {
                if let Some(name) = lexer.assigned() {
                    return Some(Edition { line, name });
                }
                starts = false;
            }
            Token::Mark(b'{') => {
                depth += 1;
                starts = true;
            }
            Token::Mark(b'}') => {
                depth = depth.saturating_sub(1);
                starts = true;
            }
            Token::Mark(b';') => starts = true,
            _ => starts = false,
        }
    }
    None
}

/// The error for a file in editions syntax.
pub(crate) fn refuse(
    file: impl Into<std::path::PathBuf>,
    line: Option<usize>,
    edition: Option<&str>,
) -> Error {
    let message = match edition {
        Some(name) => format!("the file is written in edition {name}, which this generator cannot read"),
        None => "the file is written in editions syntax, which this generator cannot read".to_owned(),
    };
    Error::new(message).at(file, line).advise(
        "write `syntax = \"proto3\";` (or \"proto2\") in place of the edition, and remove the options `features.…`",
    )
}

#[derive(Clone, Copy)]
enum Token<'a> {
    Word(&'a [u8]),
    Text(&'a [u8]),
    Mark(u8),
}

/// Just enough of the language to tell words, strings and punctuation from comments and space.
#[derive(Clone, Copy)]
struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn bump(&mut self) {
        if self.peek(0) == Some(b'\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    fn take_while(&mut self, takes: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while self.peek(0).is_some_and(&takes) {
            self.bump();
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn skip_comment(&mut self) {
        let block = self.peek(1) == Some(b'*');
        if !block {
            self.take_while(|byte| byte != b'\n');
            return;
        }
        self.at += 2;
        while let Some(byte) = self.peek(0) {
            if byte == b'*' && self.peek(1) == Some(b'/') {
                self.at += 2;
                return;
            }
            self.bump();
        }
    }

    /// The next token. Bytes that are no part of the language count as space: a byte order mark, for example.
    fn token(&mut self) -> Option<Token<'a>> {
        loop {
            let byte = self.peek(0)?;
            match byte {
                b'/' if matches!(self.peek(1), Some(b'/' | b'*')) => self.skip_comment(),
                b'"' | b'\'' => return Some(Token::Text(self.string(byte))),
                _ if is_word(byte) => return Some(Token::Word(self.take_while(is_word))),
                _ if byte.is_ascii_punctuation() => {
                    self.bump();
                    return Some(Token::Mark(byte));
                }
                _ => self.bump(),
            }
        }
    }

    /// A string without its quotes. One that is not closed ends with its line, as it does for a compiler.
    fn string(&mut self, quote: u8) -> &'a [u8] {
        self.bump();
        let start = self.at;
        while let Some(byte) = self.peek(0) {
            if byte == quote || byte == b'\n' {
                break;
            }
            if byte == b'\\' {
                self.bump();
            }
            self.bump();
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        self.bump();
        text
    }

    /// What follows as `= "…"`: strings that stand side by side are one.
    fn assigned(&mut self) -> Option<String> {
        let mut ahead = *self;
        let Some(Token::Mark(b'=')) = ahead.token() else { return None };
        let Some(Token::Text(text)) = ahead.token() else { return None };
        let mut name = String::from_utf8_lossy(text).into_owned();
        *self = ahead;
        while let Some(Token::Text(text)) = ahead.token() {
            name.push_str(&String::from_utf8_lossy(text));
            *self = ahead;
        }
        Some(name)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edition(text: &str) -> Option<(usize, String)> {
        find(text.as_bytes()).map(|edition| (edition.line, edition.name))
    }

    #[test]
    fn editions_are_found_whatever_stands_before_them() {
        for (text, line, name) in [
            ("edition = \"2023\";", 1, "2023"),
            ("\u{feff}edition='2024';", 1, "2024"),
            ("// a comment\n/* and\n another */ edition // here\n = /* there */ \"2023\" ;", 3, "2023"),
            ("// edition = \"no\";\r\n\r\nedition = \"2023\";\r\n", 3, "2023"),
            ("edition = \"20\" '23';", 1, "2023"),
            (";;\nedition = \"2023\"", 2, "2023"),
            // Out of its place a compiler refuses it for that; here it is refused for what it is.
            ("package a;\nmessage M {}\nedition = \"2023\";", 3, "2023"),
        ] {
            assert_eq!(edition(text), Some((line, name.to_owned())), "{text}");
        }
    }

    #[test]
    fn nothing_else_is_taken_for_an_edition() {
        for text in [
            "",
            "edition",
            "edition =",
            "edition = 2023;",
            "syntax = \"proto3\"; // edition = \"2023\";",
            "syntax = \"proto3\"; /* edition = \"2023\"; */",
            "option (text) = \"; edition = 'x'\"; option x = '\\'; edition = \"2023\";';",
            "message M { string edition = 1; }",
            "message M { option edition = \"2023\"; edition = \"2023\"; }",
            "option edition = \"2023\";",
            "option (a).edition = \"2023\";",
            "enum E { edition = 0; }",
            "my_edition = \"2023\";",
            "/* edition = \"2023\";",
            "\"edition = ",
        ] {
            assert_eq!(edition(text), None, "{text}");
        }
    }

    /// Any bytes: no panic, no endless loop, and what is found is on a line that exists.
    #[test]
    fn any_bytes_are_read_to_their_end() {
        let seeds: [&[u8]; 3] = [
            b"// c\n/* d */ edition = \"2023\"; message M { string s = 1 [default = \"}\\\"\"]; }",
            b"edition='2023' \"x\";\n\\\"'{}//*/",
            b"\xff\xfe\"\\\n'\\",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..20_000 {
            let mut bytes = seeds[round % seeds.len()].to_vec();
            for _ in 0..round % 7 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (state >> 33) as usize % bytes.len();
                match state >> 62 {
                    0 => bytes.truncate(at + 1),
                    1 => bytes.insert(at, (state >> 20) as u8),
                    2 => bytes[at] = b"\"'/*\\\n;{}= e"[(state >> 20) as usize % 12],
                    _ => bytes[at] = (state >> 20) as u8,
                }
            }
            let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
            if let Some(edition) = find(&bytes) {
                assert!(edition.line <= lines, "{bytes:?}");
            }
        }
    }
}
