//! Each mistake of `cases/` is refused with the words beside it; what these words lead to, in `fixed/`, compiles.
//! `TRYBUILD=overwrite cargo test` writes the words anew.

#[test]
fn mistakes_are_told_and_their_remedies_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("cases/*.rs");
    cases.pass("fixed/*.rs");
}
