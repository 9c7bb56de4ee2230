//! The docs of generated items.
//!
//! prost-build writes comments its own way, and leaves out what has none. So it gets a descriptor whose comments are
//! numbers; when all is generated and laid out, each number is replaced by the docs that it stands for.

use std::collections::HashMap;

use prost_types::source_code_info::Location;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, SourceCodeInfo};

use crate::markdown;

/// What stands before a number, in the text and in its place: `/// antiphon-docs 17`.
const PREFIX: &str = "antiphon-docs ";

/// The docs of all items, by number.
#[derive(Debug, Default)]
pub(crate) struct Docs {
    texts: Vec<Text>,
    deprecate: bool,
}

#[derive(Debug)]
struct Text {
    lines: Vec<String>,
    /// The attribute goes behind the docs.
    deprecated: bool,
}

/// What is done about an item that is deprecated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// It is not.
    None,
    /// `#[deprecated]`.
    Attribute,
    /// A word in the docs: prost's derives would name an item with the attribute, and the compiler warn of that.
    Word,
    /// prost-build writes the attribute.
    ByProst,
}

impl Mark {
    fn when(self, deprecated: Option<bool>) -> Self {
        if deprecated == Some(true) { self } else { Self::None }
    }
}

impl Docs {
    /// Takes the comments out of a file and puts numbers in their place; an item without a comment gets a line that
    /// says what it is. Detached comments are left out.
    pub(crate) fn take(&mut self, file: &mut FileDescriptorProto) {
        let old = file.source_code_info.take().unwrap_or_default().location;
        let old = old.into_iter().map(|mut old| (core::mem::take(&mut old.path), old)).collect();
        let mut taker = Taker { docs: self, old, new: Vec::new(), path: Vec::new() };
        let package = file.package.clone().unwrap_or_default();
        taker.each(4, &file.message_type, |taker, message| taker.message(&package, message));
        taker.each(5, &file.enum_type, |taker, it| taker.enumeration(&package, it));
        taker.each(6, &file.service, |taker, service| {
            let name = full_name(&package, service.name());
            let mark = Mark::Attribute.when(service.options.as_ref().map(|options| options.deprecated()));
            taker.item(&format!("The service `{name}`."), mark);
            taker.each(2, &service.method, |taker, method| {
                let mark = Mark::Attribute.when(method.options.as_ref().map(|options| options.deprecated()));
                taker.item(&format!("The method `{name}.{}`.", method.name()), mark);
            });
        });
        file.source_code_info = Some(SourceCodeInfo { location: taker.new });
    }

    /// Puts the docs in the place of their numbers.
    pub(crate) fn give(&self, code: &str) -> String {
        let mut out = String::with_capacity(code.len() * 2);
        for line in code.lines() {
            let trimmed = line.trim_start();
            let number = trimmed.strip_prefix("/// ").and_then(|doc| doc.strip_prefix(PREFIX));
            let text =
                number.and_then(|number| number.parse::<usize>().ok()).and_then(|at| self.texts.get(at));
            let Some(text) = text else {
                out.push_str(line);
                out.push('\n');
                continue;
            };
            let indent = &line[..line.len() - trimmed.len()];
            for doc in &text.lines {
                let space = if doc.is_empty() { "" } else { " " };
                out.push_str(&format!("{indent}///{space}{doc}\n"));
            }
            if text.deprecated {
                out.push_str(&format!("{indent}#[deprecated]\n"));
            }
        }
        out
    }

    /// Whether any item is deprecated: those that name it need a word for the compiler then.
    pub(crate) fn deprecate(&self) -> bool {
        self.deprecate
    }
}

pub(crate) fn full_name(package: &str, name: &str) -> String {
    if package.is_empty() { name.to_owned() } else { format!("{package}.{name}") }
}

struct Taker<'a> {
    docs: &'a mut Docs,
    old: HashMap<Vec<i32>, Location>,
    new: Vec<Location>,
    path: Vec<i32>,
}

impl Taker<'_> {
    fn each<T>(&mut self, field: i32, items: &[T], mut take: impl FnMut(&mut Self, &T)) {
        self.path.push(field);
        for (at, item) in (0_i32..).zip(items) {
            self.path.push(at);
            take(self, item);
            self.path.pop();
        }
        self.path.pop();
    }

    /// The item at the path.
    fn item(&mut self, otherwise: &str, mark: Mark) {
        let comments = self
            .old
            .get(&self.path)
            .into_iter()
            .flat_map(|old| [&old.leading_comments, &old.trailing_comments]);
        let mut lines = Vec::new();
        for part in comments.flatten().map(|comment| markdown::lines(comment)).filter(|part| !part.is_empty())
        {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.extend(part);
        }
        if lines.is_empty() {
            lines.push(otherwise.to_owned());
        }
        if mark == Mark::Word {
            lines.extend([String::new(), "**Deprecated.**".to_owned()]);
        }
        let number = format!("{PREFIX}{}", self.docs.texts.len());
        self.docs.texts.push(Text { lines, deprecated: mark == Mark::Attribute });
        self.docs.deprecate |= matches!(mark, Mark::Attribute | Mark::ByProst);
        self.new.push(Location {
            path: self.path.clone(),
            leading_comments: Some(number),
            ..Location::default()
        });
    }

    fn message(&mut self, outer: &str, message: &DescriptorProto) {
        let name = full_name(outer, message.name());
        let mark = Mark::Word.when(message.options.as_ref().map(|options| options.deprecated()));
        self.item(&format!("The message `{name}`."), mark);
        self.each(2, &message.field, |taker, field| {
            let mark = Mark::ByProst.when(field.options.as_ref().map(|options| options.deprecated()));
            taker.item(&format!("Field {}, `{}`.", field.number(), field.name()), mark);
        });
        self.each(8, &message.oneof_decl, |taker, oneof| {
            taker.item(&format!("One of the fields of `{}`.", oneof.name()), Mark::None);
        });
        self.each(3, &message.nested_type, |taker, nested| taker.message(&name, nested));
        self.each(4, &message.enum_type, |taker, nested| taker.enumeration(&name, nested));
    }

    fn enumeration(&mut self, outer: &str, it: &EnumDescriptorProto) {
        let mark = Mark::Word.when(it.options.as_ref().map(|options| options.deprecated()));
        self.item(&format!("The enum `{}`.", full_name(outer, it.name())), mark);
        self.each(2, &it.value, |taker, value| {
            let mark = Mark::ByProst.when(value.options.as_ref().map(|options| options.deprecated()));
            taker.item(&format!("Value {}, `{}`.", value.number(), value.name()), mark);
        });
    }
}
