//! The smallest of templates: text with names in it that are replaced.

/// Values by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Vec<(&'static str, String)>);

impl Values {
    /// Adds a value, or replaces it.
    pub(crate) fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value.into()));
        self
    }

    /// The template with the value of each `$name` in its place. A value is not looked into again.
    pub(crate) fn fill(&self, template: &str) -> String {
        let mut out = String::with_capacity(template.len() * 2);
        let mut parts = template.split('$');
        out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let end =
                part.find(|char: char| char != '_' && !char.is_ascii_alphanumeric()).unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            match self.0.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => out.push_str(value),
                // It is no Rust, so that the mistake shows at the first test.
                None => out.extend(["$", name]),
            }
            out.push_str(rest);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_once() {
        let values = Values::default().set("a", "1").set("ab", "$a").set("a", "2");
        assert_eq!(values.fill("$a-$ab$a{$a} $b"), "2-$a2{2} $b");
        assert_eq!(values.fill(""), "");
    }
}
