//! Counts heap allocations of a scenario; under callgrind, its instructions.
mod heap;

fn main() {
    let before = heap::calls();
    let block = std::hint::black_box(vec![0u8; 16]);
    println!("{} {}", block.len(), heap::calls() - before);
}
