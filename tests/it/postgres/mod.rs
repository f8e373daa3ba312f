//! Stores on a PostgreSQL server: how they begin, how they are reached, and what a server can do
//! to them.

mod begin;
mod faults;
mod reach;
mod rights;
mod tamper;

use std::path::Path;

use phi_issuer::{Error, Issuer, StoreOptions, keyfile::KdfStrength};
use phi_tests::workshop;

/// Makes an issuer whose store is at the URL.
fn init(folder: &Path, url: &str) -> Result<Issuer, Error> {
    workshop::init_in(folder, store(url))
}

/// Makes another folder of the issuer whose store is at the URL.
fn join(folder: &Path, url: &str) -> Result<Issuer, Error> {
    Issuer::join(folder, store(url), KdfStrength::Fast)
}

fn store(url: &str) -> StoreOptions {
    StoreOptions {
        url: Some(url.into()),
        authority: None,
    }
}

/// What is in the folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}
