//! The command line of an example service.

use lexopt::{Arg, Parser, ValueExt};

use crate::tour::{Adapter, UsageError};

/// What was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Args {
    /// The adapter of server and client.
    pub adapter: Adapter,
    /// Which of them runs.
    pub mode: Mode,
}

/// Which ends run in this process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mode {
    /// A server on a free port and a client of it.
    Both,
    /// Only the server, at this address.
    Serve(String),
    /// Only the client of a server at this address.
    Connect(String),
    /// None: the help.
    Help,
}

/// What a program says to `--help`.
pub(super) fn help(name: &str, about: &str) -> String {
    format!(
        "\
{about}

usage: {name} [--adapter NAME]                     server and client in this process
       {name} [--adapter NAME] --serve [ADDRESS]   the server alone, until interrupted
       {name} [--adapter NAME] --connect ADDRESS   the client alone

    --adapter NAME   what moves the bytes: smol (the default), tokio or blocking
    ADDRESS          a host and a port, or a port alone; --serve without one takes 127.0.0.1:8080, port 0 any free one
"
    )
}

impl Args {
    /// Reads the command line of this process.
    ///
    /// # Errors
    /// What is wrong with it, in words for the user.
    pub fn from_env() -> Result<Self, UsageError> {
        Self::read(Parser::from_env())
    }

    fn read(mut parser: Parser) -> Result<Self, UsageError> {
        let mut args = Self { adapter: Adapter::Smol, mode: Mode::Both };
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("adapter") => args.adapter = Adapter::named(&parser.value()?.string()?)?,
                Arg::Long("serve") => args.mode = Mode::Serve(crate::tour::optional_address(&mut parser)?),
                Arg::Long("connect") => {
                    args.mode = Mode::Connect(crate::tour::full_address(parser.value()?.string()?));
                }
                Arg::Short('h') | Arg::Long("help") => args.mode = Mode::Help,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Args, String> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Args::read(Parser::from_args(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_is_understood() {
        assert_eq!(read(""), Ok(Args { adapter: Adapter::Smol, mode: Mode::Both }));
        let served = read("--adapter tokio --serve").unwrap();
        assert_eq!(served, Args { adapter: Adapter::Tokio, mode: Mode::Serve("127.0.0.1:8080".into()) });
        assert_eq!(read("--connect 9000").unwrap().mode, Mode::Connect("127.0.0.1:9000".into()));
        assert_eq!(read("--connect [::1]:9").unwrap().mode, Mode::Connect("[::1]:9".into()));
        assert!(read("--adapter mio").unwrap_err().contains("choose smol, tokio or blocking"));
        assert!(read("--connect").is_err() && read("more").is_err());
        assert!(help("feed", "Feeds.").starts_with("Feeds.\n\nusage: feed "));
    }
}
