//! Counts heap allocations of a scenario, and under callgrind its instructions. See `docs/performance.md`.
//!
//! `antiphon-bench CASE ROUNDS` runs a scenario and prints how many units (calls, messages) it did and how often it
//! allocated while it did them. `antiphon-bench list [FILTER]` names the cases, `antiphon-bench heap` prints what
//! connections and streams hold.

mod case;
mod footprint;
mod heads;
mod heap;
mod hpack;
mod parts;
mod replay;
mod service;
mod sides;
mod wire;

use case::Case;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["list"] => list(""),
        ["list", filter] => list(filter),
        ["heap"] => footprint::print(),
        [name, rounds] => run(name, rounds.parse().expect("ROUNDS is a number")),
        _ => {
            eprintln!("usage: antiphon-bench CASE ROUNDS | list [FILTER] | heap");
            std::process::exit(2);
        }
    }
}

fn list(filter: &str) {
    for case in Case::all().filter(|case| case.name.contains(filter)) {
        println!("{}", case.name);
    }
}

fn run(name: &str, rounds: u64) {
    let Some(case) = Case::all().find(|case| case.name == name) else {
        eprintln!("no case is named {name}; see `antiphon-bench list`");
        std::process::exit(2);
    };
    let mut work = (case.prepare)();
    let before = heap::calls();
    let units: u64 = (0..rounds).map(|_| work()).sum();
    println!("{units} {}", heap::calls() - before);
}
