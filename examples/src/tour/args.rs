//! The command line.

use std::fmt;

use lexopt::{Arg, Parser, ValueExt};

use super::Adapter;

/// What the program says to `--help`.
pub const HELP: &str = "\
Takes you through all shapes of calls over all protocols, with a real server and a real client in this process.

usage: tour [--adapter NAME] [--quiet]
       tour [--adapter NAME] --serve [ADDRESS]

    --adapter NAME     what moves the bytes: smol (the default), tokio or blocking
    --quiet            print the table at the end, and no transcripts
    --serve [ADDRESS]  only serve, until interrupted, and print commands for curl and grpcurl that talk to the
                       server; ADDRESS is a host and a port, or a port alone (default: 127.0.0.1:8080; port 0
                       takes any free one)
    --help             print this

The exit status is 0 if every call ended as it should.
";

/// What was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Args {
    /// The adapter of server and client.
    pub adapter: Adapter,
    /// No transcripts.
    pub quiet: bool,
    /// Only serve, at this address.
    pub serve: Option<String>,
    /// Only print the help.
    pub help: bool,
}

/// A command line that makes no sense.
#[derive(Debug)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; try --help", self.0)
    }
}

impl std::error::Error for UsageError {}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

impl Args {
    /// Reads the command line of this process.
    ///
    /// # Errors
    /// What is wrong with it, in words for the user.
    pub fn from_env() -> Result<Self, UsageError> {
        Self::read(Parser::from_env())
    }

    /// Reads these arguments, without a program's name in front.
    ///
    /// # Errors
    /// What is wrong with them, in words for the user.
    pub fn from_args<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Self, UsageError> {
        Self::read(Parser::from_args(args.into_iter().map(str::to_owned).collect::<Vec<_>>()))
    }

    fn read(mut parser: Parser) -> Result<Self, UsageError> {
        let mut args = Self { adapter: Adapter::Smol, quiet: false, serve: None, help: false };
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("adapter") => args.adapter = Adapter::named(&parser.value()?.string()?)?,
                Arg::Short('q') | Arg::Long("quiet") => args.quiet = true,
                Arg::Long("serve") => args.serve = Some(optional_address(&mut parser)?),
                Arg::Short('h') | Arg::Long("help") => args.help = true,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(args)
    }
}

impl Adapter {
    /// The adapter of this name.
    ///
    /// # Errors
    /// When there is none, in words for the user.
    pub fn named(name: &str) -> Result<Self, UsageError> {
        let found = Self::ALL.into_iter().find(|adapter| adapter.name() == name);
        found.ok_or_else(|| {
            UsageError(format!("there is no adapter {name:?}: choose smol, tokio or blocking"))
        })
    }
}

/// The address after `--serve`, if one follows; otherwise `127.0.0.1:8080`.
pub(crate) fn optional_address(parser: &mut Parser) -> Result<String, UsageError> {
    let attached = parser.optional_value();
    let value = match attached {
        Some(value) => Some(value),
        None => {
            let mut rest = parser.raw_args()?;
            let is_value = rest.peek().is_some_and(|next| !next.to_string_lossy().starts_with('-'));
            if is_value { rest.next() } else { None }
        }
    };
    let Some(value) = value else { return Ok("127.0.0.1:8080".to_owned()) };
    Ok(full_address(value.string()?))
}

/// An address, or a port of the loopback interface.
pub(crate) fn full_address(value: String) -> String {
    if value.parse::<u16>().is_ok() { format!("127.0.0.1:{value}") } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Args, String> {
        Args::from_args(line.split_whitespace()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_is_understood() {
        let plain = Args { adapter: Adapter::Smol, quiet: false, serve: None, help: false };
        assert_eq!(read("").unwrap(), plain);
        assert_eq!(
            read("--adapter tokio -q").unwrap(),
            Args { adapter: Adapter::Tokio, quiet: true, ..plain.clone() }
        );
        for (line, address) in [
            ("--serve", "127.0.0.1:8080"),
            ("--serve --quiet", "127.0.0.1:8080"),
            ("--serve 0", "127.0.0.1:0"),
            ("--serve=[::1]:9", "[::1]:9"),
            ("--adapter=blocking --serve localhost:99", "localhost:99"),
        ] {
            assert_eq!(read(line).unwrap().serve.as_deref(), Some(address), "{line}");
        }
    }

    #[test]
    fn mistakes_are_explained() {
        for (line, words) in [
            ("--adapter async-std", "choose smol, tokio or blocking"),
            ("--adapter", "missing argument"),
            ("--quite", "--quite"),
            ("here", "here"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(words) && error.ends_with("try --help"), "{error}");
        }
    }
}
