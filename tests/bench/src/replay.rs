//! One side of a connection at work alone, on recorded bytes of the other.

use crate::case::Work;

/// One side of a connection.
pub trait Side {
    /// Takes bytes, works on what they bring, begins what is to be begun, and gives its output, to nobody if there is
    /// no `out`.
    fn turn(&mut self, input: &[u8], out: Option<&mut Vec<u8>>);

    /// How many units have been done.
    fn done(&self) -> u64;
}

/// Turns of each side in a recording.
const TURNS: usize = 128;

/// Runs sides that `make` makes over `inputs`, one for each round.
pub fn work(inputs: Vec<Vec<u8>>, make: impl Fn() -> Box<dyn Side> + 'static) -> Work {
    Box::new(move || {
        let mut side = make();
        for input in &inputs {
            side.turn(input, None);
        }
        side.done()
    })
}

/// Records what the far side says to the near one, and runs the near one alone.
pub fn between(
    near: impl Fn() -> Box<dyn Side> + 'static,
    far: impl Fn() -> Box<dyn Side> + 'static,
) -> Work {
    let mut inputs = Vec::with_capacity(TURNS);
    let (mut one, mut other) = (near(), far());
    let mut input = Vec::new();
    for _ in 0..TURNS {
        let mut back = Vec::new();
        one.turn(&input, Some(&mut back));
        inputs.push(std::mem::take(&mut input));
        other.turn(&back, Some(&mut input));
    }
    let expected = one.done();
    assert!(expected > 0, "nothing was done");
    Box::new(move || {
        let mut side = near();
        for input in &inputs {
            side.turn(input, None);
        }
        assert_eq!(side.done(), expected, "the replay differs from the recording");
        expected
    })
}
