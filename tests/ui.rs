//! Compile errors are part of the product: each case in `tests/ui/` fails to compile, and the
//! message beside it is what the user reads.
//!
//! The messages are those of the toolchain that `rust-version` in Cargo.toml names; another one may
//! word them differently. After a change on purpose, `TRYBUILD=overwrite cargo test --test ui`
//! writes them anew; read the difference before you commit it. How a message names a path also
//! depends on which modules there are, so the cases are for the default features.
#![cfg(feature = "cli")]

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
