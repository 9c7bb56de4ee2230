//! Bytes of tests, written as people write them.

/// The bytes that hexadecimal digits stand for; white space between them is skipped.
///
/// # Panics
/// When there is an odd number of digits, or something else.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).unwrap_or_else(|| panic!("not a digit: {c:?}")))
        .collect();
    assert!(digits.len() % 2 == 0, "an odd number of digits");
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}
