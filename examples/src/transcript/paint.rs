//! Colours, when they help.

use std::io::IsTerminal;

/// Colours text for a terminal, or leaves it plain.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    colours: bool,
}

impl Paint {
    /// Colours if standard output is a terminal and `NO_COLOR` is not set to anything.
    pub fn detect() -> Self {
        Self {
            colours: std::io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// No colours.
    pub const fn plain() -> Self {
        Self { colours: false }
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// For what the client sent.
    pub fn sent(self, text: &str) -> String {
        self.wrap("36", text)
    }

    /// For what the client received.
    pub fn received(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// For the kind of an event.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// For the names of fields.
    pub fn name(self, text: &str) -> String {
        self.wrap("34", text)
    }

    /// For turning points: half-closes and ends.
    pub fn mark(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// For what matters less.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// For errors.
    pub fn error(self, text: &str) -> String {
        self.wrap("31", text)
    }
}
