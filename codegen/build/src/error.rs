//! What can go wrong, said with its place and with what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, SourceCode};

/// Why no code was generated. It reads `file:line:column: what is wrong`, and on the next line what to do.
///
/// [`Debug`](fmt::Debug) reads the same, so that a build script may `unwrap` it or return it from `main`.
pub struct Error(Box<Inner>);

#[derive(Default)]
struct Inner {
    file: Option<PathBuf>,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    advice: Option<String>,
    also: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Inner { message: message.into(), ..Inner::default() }))
    }

    /// The file that is at fault, if one is: its path on disk where that is known, else the name by which others
    /// import it.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// The line of that file, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.0.line
    }

    /// What is wrong, without the place and the advice.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it.
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }

    pub(crate) fn at(mut self, file: impl Into<PathBuf>, line: Option<usize>) -> Self {
        self.0.file = Some(file.into());
        self.0.line = line;
        self
    }

    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The path on disk in place of the name by which others import the file.
    pub(crate) fn located(mut self, find: impl FnOnce(&str) -> Option<PathBuf>) -> Self {
        if let Some(path) = self.0.file.as_deref().and_then(Path::to_str).and_then(find) {
            self.0.file = Some(path);
        }
        self
    }

    /// What protox found, with the place and all that it found beside it.
    pub(crate) fn from_protox(error: protox::Error) -> Self {
        let mut inner = Inner {
            file: error.file().map(PathBuf::from),
            message: error.to_string(),
            advice: error.help().map(|help| help.to_string()),
            ..Inner::default()
        };
        if let Some((line, column)) = place(&error, error.source_code()) {
            (inner.line, inner.column) = (Some(line), Some(column));
        }
        for related in error.related().into_iter().flatten() {
            // These say where, but leave the text of the file to the error that they belong to.
            let place = place(related, related.source_code().or(error.source_code()));
            inner.also.push(match place {
                Some((line, column)) => format!("{line}:{column}: {related}"),
                None => related.to_string(),
            });
        }
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            inner.message = format!("{}: {cause}", inner.message);
            source = cause.source();
        }
        inner.source = Some(Box::new(error));
        Self(Box::new(inner))
    }
}

/// Line and column of what an error points at, both counted from 1.
fn place(error: &dyn Diagnostic, text: Option<&dyn SourceCode>) -> Option<(usize, usize)> {
    let label = error.labels()?.next()?;
    let contents = text?.read_span(label.inner(), 0, 0).ok()?;
    Some((contents.line() + 1, contents.column() + 1))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(file) = &inner.file {
            write!(f, "{}:", file.display())?;
            for part in [inner.line, inner.column].into_iter().flatten() {
                write!(f, "{part}:")?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&inner.message)?;
        for also in &inner.also {
            write!(f, "\n  also {also}")?;
        }
        match &inner.advice {
            Some(advice) => write!(f, "\n  help: {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
