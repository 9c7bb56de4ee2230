//! Runs an example program as a user does.

use std::process::{Command, Output};

/// Runs it on this adapter. It ends well and prints every one of these.
pub(crate) fn plays(program: &str, adapter: &str, lines: &[&str]) -> String {
    let Output { status, stdout, stderr } =
        Command::new(program).args(["--adapter", adapter]).output().unwrap();
    let (printed, error) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success() && error.is_empty(), "{adapter}, {status}: {error}\n{printed}");
    for line in lines {
        assert!(printed.contains(line), "{adapter}: no {line:?} in\n{printed}");
    }
    printed
}
