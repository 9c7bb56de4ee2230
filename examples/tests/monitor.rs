//! The monitor as a user runs it.

#![cfg(target_os = "linux")]

mod common;

fn monitor(adapter: &str) {
    let lines = [
        "every second, 3 readings",
        "gRPC-Web, HTTP/2    cpu ",
        "30 watch; all close; ",
        "later a new one is the only one",
        "invalid_argument: an interval of 0 s: it may be 1 to 3,600",
        "failed_precondition: this server's machine does not tell how busy it is: /no/proc/here/stat: ",
    ];
    let printed = common::plays(env!("CARGO_BIN_EXE_monitor"), adapter, &lines);
    assert_eq!(printed.matches(" s  cpu ").count(), 3, "{printed}");
}

// At the same time: they mostly wait.
#[test]
fn on_every_adapter() {
    std::thread::scope(|scope| {
        for adapter in ["smol", "tokio", "blocking"] {
            scope.spawn(move || monitor(adapter));
        }
    });
}
