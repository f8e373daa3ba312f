//! `phi man`: the manual, one page a command.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man as Page;
use phi_issuer::durable::{self, Mode};

use crate::app::App;
use crate::failure::Failure;
use crate::output::say;

/// Write the manual pages to a folder
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi man /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// The folder, made if it is not there; pages in it are replaced
    folder: PathBuf,
}

impl Man {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let name = self.folder.display();
        fs::create_dir_all(&self.folder)
            .map_err(|error| Failure::new("file-failed", format!("cannot make {name}: {error}")))?;
        // Global options stand on the first page alone: repeated, they would drown the rest.
        let mut pages = Vec::new();
        collect(&App::command(), "phi", &mut pages);
        for (name, command) in &pages {
            let mut text = Vec::new();
            Page::new(command.clone())
                .render(&mut text)
                .map_err(|error| Failure::new("output-failed", error.to_string()))?;
            durable::write(&self.folder.join(format!("{name}.1")), &text, Mode::Public)?;
        }
        say(&format!("phi: {} pages in {name}", pages.len()));
        Ok(())
    }
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Command)>) {
    // Names are leaked by clap's own generator as well: a page needs its full name for good.
    let full: &'static str = name.to_owned().leak();
    let page = command
        .clone()
        .name(full)
        .bin_name(full.replace('-', " "))
        .display_name(full);
    pages.push((name.to_owned(), page));
    for inner in command.get_subcommands() {
        collect(inner, &format!("{name}-{}", inner.get_name()), pages);
    }
}
