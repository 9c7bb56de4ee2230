//! `cargo run --bin tour`: see `tour --help`.

use std::error::Error;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use antiphon_examples::tour::{Args, HELP, Show, resolve, serve};
use antiphon_examples::transcript::Paint;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            // Whoever reads has read enough (`tour | head`).
            let broken =
                error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe);
            if !broken {
                let _ = writeln!(io::stderr(), "tour: {error}");
            }
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::from_env()?;
    let mut out = io::stdout().lock();
    if args.help {
        out.write_all(HELP.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(address) = &args.serve {
        serve(args.adapter, resolve(address)?, &mut out, Paint::detect())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut show = Show::new(&mut out, Paint::detect(), args.quiet);
    args.adapter.tour(&mut show)?;
    show.table()?;
    Ok(if show.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
