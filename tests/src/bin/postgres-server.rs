//! A PostgreSQL server in a scratch folder, for as long as the input is open.
//!
//! `cargo xtask test` starts it; by hand, `export PHI_TEST_POSTGRES=...` what it says in another
//! terminal and run `cargo test`.

fn main() -> std::io::Result<()> {
    phi_tests::postgres::serve()
}
