//! Comments of .proto files, made into docs that rustdoc takes as they were meant: what looks like code is no doctest,
//! and what looks like a link, a tag or a bare address is none.

/// The lines of a doc comment, without `///`.
pub(crate) fn lines(comment: &str) -> Vec<String> {
    let lines: Vec<String> = comment.lines().map(clean).collect();
    // Comments begin with the space after `//`: what all lines have in common is no indentation.
    let common = lines.iter().filter(|line| !line.is_empty()).map(|line| indent(line)).min().unwrap_or(0);
    let mut out = Writer::default();
    for line in &lines {
        out.line(line.get(common..).unwrap_or_default());
    }
    out.finish()
}

/// One line without what must not stand in a Rust comment: control characters, and those that change the direction
/// of text, which the compiler refuses. Tabs become four spaces.
fn clean(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for char in line.chars() {
        match char {
            '\t' => out.push_str("    "),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            char if char.is_control() => out.push(' '),
            char => out.push(char),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[derive(Default)]
struct Writer {
    out: Vec<String>,
    /// The marks that opened a fenced block: as many and of the same kind close it.
    fence: Option<String>,
    /// In a block of indented lines, which is written as a fenced one: where its first line is.
    block: Option<usize>,
    /// The columns at which the texts of the list items begin that the line may belong to, the innermost last.
    items: Vec<usize>,
    /// The line before is the mark of an item, and nothing else.
    bare_item: bool,
}

impl Writer {
    fn line(&mut self, line: &str) {
        let text = line.trim_start_matches(' ');
        if let Some(fence) = &self.fence {
            // A fence that stood in a quote or a list is written outside of it.
            let text = text.trim_start_matches(['>', ' ']);
            let closes = text.starts_with(fence.as_str()) && text.trim_start_matches(first(fence)).is_empty();
            // Less than a code block's indentation: a deeper mark would not close it.
            self.out.push(if closes { fence.clone() } else { line.to_owned() });
            if closes {
                self.fence = None;
            }
            return;
        }
        let after_blank = self.out.last().is_none_or(String::is_empty);
        if self.block.is_some() {
            if text.is_empty() || indent(line) >= 4 {
                self.out.push(line.get(4..).unwrap_or_default().to_owned());
                return;
            }
            self.end_block();
        }
        if text.is_empty() {
            // An item can begin with a blank line, but not with two.
            if core::mem::take(&mut self.bare_item) {
                self.items.pop();
            }
            self.out.push(String::new());
            return;
        }
        if let Some(fence) = opens_fence(content(text)) {
            self.out.push(format!("{fence}text"));
            self.fence = Some(fence);
            self.items.clear();
            return;
        }
        // Where a line may belong to an item further in as well, fewer columns are never too many.
        let inside = self.items.len();
        while self.items.last().is_some_and(|column| indent(line) < *column) {
            self.items.pop();
        }
        if indent(line) >= 4 && after_blank && self.items.is_empty() {
            self.block = Some(self.out.len());
            self.out.push(line.get(4..).unwrap_or_default().to_owned());
            return;
        }
        self.text(indent(line), text, !after_blank && self.items.len() == inside);
    }

    /// A line that is no code; `goes_on`: with the paragraph before it.
    fn text(&mut self, indent: usize, text: &str, goes_on: bool) {
        // From four columns beyond the text of its item on, a line would be code.
        let indent = indent.min(self.items.last().unwrap_or(&0) + 3);
        let mut written = " ".repeat(indent);
        let mut rest = text;
        self.bare_item = false;
        if let Some(mark) = item(text).filter(|mark| goes_on && !interrupts(mark, text)) {
            let (front, last) = mark.split_at(mark.len() - 1);
            written.extend([front, "\\", last]);
            rest = text.get(mark.len()..).unwrap_or_default();
        } else if let Some(mark) = item(text) {
            self.items.push(indent + mark.len() + 1);
            written.push_str(mark);
            written.push(' ');
            rest = text.get(mark.len()..).unwrap_or_default().trim_start_matches(' ');
            self.bare_item = rest.is_empty();
        }
        while let Some((mark, behind)) = container(rest) {
            written.push_str(mark);
            written.push(' ');
            rest = behind;
        }
        written.push_str(&inline(rest));
        written.truncate(written.trim_end().len());
        self.out.push(written);
    }

    fn end_block(&mut self) {
        let Some(start) = self.block.take() else { return };
        let blank = self.out.iter().rev().take_while(|line| line.is_empty()).count();
        let marks =
            |line: &String| line.trim_start_matches(' ').bytes().take_while(|byte| *byte == b'`').count();
        let longest = self.out.iter().skip(start).map(marks).max().unwrap_or(0);
        let fence = "`".repeat(3.max(longest + 1));
        self.out.insert(self.out.len() - blank, fence.clone());
        self.out.insert(start, fence + "text");
    }

    fn finish(mut self) -> Vec<String> {
        self.end_block();
        if let Some(fence) = self.fence.take() {
            self.out.push(fence);
        }
        while self.out.last().is_some_and(String::is_empty) {
            self.out.pop();
        }
        let blank = self.out.iter().take_while(|line| line.is_empty()).count();
        self.out.drain(..blank);
        self.out
    }
}

fn first(text: &str) -> char {
    text.chars().next().unwrap_or('`')
}

/// The marks of a line that opens a fenced block.
fn opens_fence(text: &str) -> Option<String> {
    let mark = first(text);
    let count = text.chars().take_while(|char| *char == mark).count();
    let info = text.get(count..).unwrap_or_default();
    let opens = match mark {
        '`' => !info.contains('`'),
        mark => mark == '~',
    };
    (opens && count >= 3).then(|| mark.to_string().repeat(count))
}

/// The mark of a quote or an item that a text begins with, and what is behind it.
fn container(text: &str) -> Option<(&str, &str)> {
    let mark = if text.starts_with('>') { text.get(..1)? } else { item(text)? };
    Some((mark, text.get(mark.len()..)?.trim_start_matches(' ')))
}

/// What is behind all marks of quotes and items.
fn content(mut text: &str) -> &str {
    while let Some((_, behind)) = container(text) {
        text = behind;
    }
    text
}

/// The mark of a line that is an item of a list.
fn item(text: &str) -> Option<&str> {
    let rule = first(text);
    let is_rule = matches!(rule, '-' | '*') && text.chars().all(|char| char == rule || char == ' ');
    if is_rule && text.matches(rule).count() >= 3 {
        return None;
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let mark = match text.as_bytes().get(digits)? {
        b'-' | b'*' | b'+' if digits == 0 => text.get(..1)?,
        b'.' | b')' if (1..=9).contains(&digits) => text.get(..=digits)?,
        _ => return None,
    };
    let rest = text.get(mark.len()..)?;
    (rest.is_empty() || rest.starts_with(' ')).then_some(mark)
}

/// Whether an item with this mark can come in the middle of a paragraph.
fn interrupts(mark: &str, text: &str) -> bool {
    text.len() > mark.len()
        && !mark.starts_with(|first: char| first.is_ascii_digit() && mark.get(..mark.len() - 1) != Some("1"))
}

/// The text of a line with what would be links, tags and bare addresses made plain. Code between backticks stays.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let ahead = match char {
            '`' => {
                let (marks, length) = code_span(rest);
                match length {
                    // The next line might have what closes it, and what is code there be none.
                    0 => out.push_str(&"\\`".repeat(marks)),
                    length => out.push_str(rest.get(..length).unwrap_or_default()),
                }
                length.max(marks)
            }
            '\\' => {
                let length = 1 + rest.get(1..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
                out.push_str(rest.get(..length).unwrap_or_default());
                length
            }
            '[' => {
                let length = link(rest);
                if length == 0 {
                    out.push_str("\\[");
                    1
                } else {
                    out.push_str(rest.get(..length).unwrap_or_default());
                    length
                }
            }
            ']' => {
                out.push_str("\\]");
                1
            }
            '<' if address(rest.get(1..).unwrap_or_default()) > 0 => 1,
            '<' => {
                out.push_str("\\<");
                1
            }
            'h' if address(rest) > 0 => {
                let length = address(rest);
                let url = rest.get(..length).unwrap_or_default();
                out.push_str(&format!("<{url}>"));
                length + usize::from(rest.get(length..).is_some_and(|rest| rest.starts_with('>')))
            }
            char => {
                out.push(char);
                char.len_utf8()
            }
        };
        rest = rest.get(ahead..).unwrap_or_default();
    }
    out
}

/// How many marks open a code span, and its length: 0 if it is not closed on this line.
fn code_span(text: &str) -> (usize, usize) {
    let marks = text.bytes().take_while(|byte| *byte == b'`').count();
    let mut at = marks;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('`')) {
        let start = at + found;
        let run = text.get(start..).map_or(0, |rest| rest.bytes().take_while(|byte| *byte == b'`').count());
        at = start + run;
        if run == marks {
            return (marks, at);
        }
    }
    (marks, 0)
}

/// The length of an inline link with an address of the web, `[text](https://…)`, or 0.
fn link(text: &str) -> usize {
    let Some(close) = text.find(']') else { return 0 };
    let target = text.get(close + 1..).unwrap_or_default();
    let Some(target) = target.strip_prefix('(') else { return 0 };
    let length = address(target);
    let closed = target.get(length..).is_some_and(|rest| rest.starts_with(')'));
    let plain = text.get(1..close).is_some_and(|text| !text.contains(['[', '<', '`', '\\']));
    if length > 0 && closed && plain { close + 1 + 1 + length + 1 } else { 0 }
}

/// The length of the address that a text begins with, or 0. Punctuation at its end belongs to the sentence.
fn address(text: &str) -> usize {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return 0;
    }
    let end =
        text.find(|char: char| char.is_whitespace() || "<>()[]\"`".contains(char)).unwrap_or(text.len());
    let url =
        text.get(..end).unwrap_or_default().trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_']);
    if url.ends_with("//") { 0 } else { url.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn docs(comment: &str) -> String {
        lines(comment).join("\n")
    }

    #[test]
    fn plain_text_stays() {
        assert_eq!(docs(" One line.\n"), "One line.");
        assert_eq!(docs(" Two\n lines.\n\n And a paragraph.\n"), "Two\nlines.\n\nAnd a paragraph.");
        assert_eq!(docs("\n*\n"), "*");
        assert_eq!(docs(""), "");
        assert_eq!(docs("/// more slashes"), "/// more slashes");
    }

    #[test]
    fn code_is_no_doctest() {
        assert_eq!(
            docs(" See:\n\n     let x = 1;\n\n       y\n\n Done."),
            "See:\n\n```text\nlet x = 1;\n\n  y\n```\n\nDone."
        );
        assert_eq!(docs(" a\n ```\n x\n ```\n b"), "a\n```text\nx\n```\nb");
        assert_eq!(docs(" ```rust\n x[1]"), "```text\nx[1]\n```");
        assert_eq!(docs(" ~~~~ go\n ~~~\n ~~~~\n"), "~~~~text\n~~~\n~~~~");
        assert_eq!(docs(" x\n\n     only"), "x\n\n```text\nonly\n```");
        // An indented line goes on with a paragraph.
        assert_eq!(docs(" x\n      y"), "x\n   y");
        assert_eq!(docs(" >      code"), "> code");
    }

    #[test]
    fn lists_stay_lists_and_hold_no_code() {
        let list = " - one\n   more\n     - inner\n\n         deep\n 2. two\n\n After.";
        assert_eq!(docs(list), "- one\n  more\n    - inner\n\n        deep\n2. two\n\nAfter.");
        assert_eq!(docs(" -      code"), "- code");
        assert_eq!(docs(" - one\n\n           code"), "- one\n\n     code");
    }

    // CommonMark 0.31 §5: what stands in quotes and items is blocks as well.
    #[test]
    fn code_in_quotes_and_lists_is_no_doctest() {
        assert_eq!(docs("> ```\n> x\n> ```\ny"), "```text\n> x\n```\ny");
        assert_eq!(docs("- ```rust\n  x\n  ```\n- y"), "```text\n  x\n```\n- y");
        assert_eq!(docs("- > 1. ~~~ `\nx"), "~~~text\nx\n~~~");
        assert_eq!(docs("-\n\n    x"), "-\n\n```text\nx\n```");
        assert_eq!(docs("a\n-\n\n    x"), "a\n\\-\n\n```text\nx\n```");
        assert_eq!(docs("a\n2. b\n\n     x"), "a\n2\\. b\n\n```text\n x\n```");
        assert_eq!(docs("- ----\n    x"), "- ----\n   x");
        assert_eq!(docs("a\n\n    x\n    ```"), "a\n\n````text\nx\n```\n````");
        assert_eq!(docs("- a\n    - b\n\n  c\n\n      d"), "- a\n    - b\n\n  c\n\n     d");
    }

    #[test]
    fn links_tags_and_addresses_are_plain() {
        assert_eq!(docs("[Foo] and [a][b], a[0]"), "\\[Foo\\] and \\[a\\]\\[b\\], a\\[0\\]");
        assert_eq!(docs("see [docs](https://x.dev/a) (new)"), "see [docs](https://x.dev/a) (new)");
        assert_eq!(docs("[Foo](crate::Foo)"), "\\[Foo\\](crate::Foo)");
        assert_eq!(
            docs("map<string, T> and `Vec<T>` and ``a`<b>``"),
            "map\\<string, T> and `Vec<T>` and ``a`<b>``"
        );
        assert_eq!(docs("At https://x.dev/a?b=1."), "At <https://x.dev/a?b=1>.");
        assert_eq!(docs("At <https://x.dev>, http://"), "At <https://x.dev>, http://");
        assert_eq!(docs("a \\[b\\] \\"), "a \\[b\\] \\");
        assert_eq!(docs("an `unclosed <T>"), "an \\`unclosed \\<T>");
        assert_eq!(docs("a ` b\n`Vec<T>` c"), "a \\` b\n`Vec<T>` c");
    }

    #[test]
    fn what_the_compiler_refuses_in_comments_is_gone() {
        assert_eq!(docs("a\u{202e}b\u{2066}c\rd\u{7}e"), "abc d e");
        assert_eq!(docs("\tx"), "x");
    }
}
