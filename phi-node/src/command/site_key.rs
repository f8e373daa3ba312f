//! `phi-node site-key`: the key with which a site lends seats.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use phi_enforce::SiteKey;
use serde::Serialize;

use super::{failure::Failure, output};

/// Make or show the key with which seats are lent to machines without a network
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    New(New),
    Show(Show),
}

/// Make a key in a new file, for its owner alone, and print its public half
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi-node site-key new site.key")]
pub(super) struct New {
    /// The file; nodes that share a store are given copies of it
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Print the public half of a key, which applications pin
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi-node site-key show site.key")]
pub(super) struct Show {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
struct Shown {
    key_id: String,
    public_key: String,
}

impl Command {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let key = match self {
            Self::New(New { file }) => SiteKey::create(file)?,
            Self::Show(Show { file }) => SiteKey::open(file)?,
        };
        let shown = Shown {
            key_id: key.public().id().to_string(),
            public_key: key.public().to_paserk(),
        };
        if json {
            return output::print_json(&shown);
        }
        output::print(&format!("{}\n", shown.public_key))?;
        if let Self::New(New { file }) = self {
            output::say(&format!(
                "phi-node: {} is secret: keep it as it is, and hand out what was printed",
                file.display()
            ));
        }
        Ok(())
    }
}
