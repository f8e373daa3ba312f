//! Makes the issuer of a folder of `tests/fixtures`, once: a ledger in which everything happened,
//! and beside it what its tables are and its root.
//!
//! `cargo run -p phi-tests --bin ledger-fixture FOLDER` writes into a folder that does not exist
//! yet. A fixture is never made again: a newer format gets one of its own.

use std::{env, error::Error, fs, path::Path};

use phi_tests::{eventful, workshop};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("usage: ledger-fixture FOLDER")?;
    let folder = Path::new(&folder);
    let mut issuer = eventful::make(folder)?;
    let root = issuer.verify_ledger(None, |_| {})?.root;
    drop(issuer);
    let mut tables = workshop::tables(folder).join("\n");
    tables.push('\n');
    fs::write(folder.join("tables.txt"), tables)?;
    fs::write(folder.join("root.txt"), format!("{root}\n"))?;
    for empty in ["phi.lock", "phi.in-use"] {
        fs::remove_file(folder.join(empty))?;
    }
    Ok(())
}
