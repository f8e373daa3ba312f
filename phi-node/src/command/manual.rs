//! `phi-node completions` and `phi-node man`: from the same definitions as the command itself.

use std::{fs, path::PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man as Page;

use super::{App, failure::Failure, output};

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi-node completions bash > /etc/bash_completion.d/phi-node")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut App::command(), "phi-node", &mut text);
        output::print(&String::from_utf8_lossy(&text))
    }
}

/// Write the manual pages to a folder
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi-node man /usr/local/share/man/man1")]
pub(super) struct Man {
    /// The folder, made if it is not there; pages in it are replaced
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            let message = format!("cannot write to {}: {error}", self.folder.display());
            Failure::input("file-failed", message).hint("name a folder that this user may write")
        };
        fs::create_dir_all(&self.folder).map_err(|error| failed(&error))?;
        let mut pages = Vec::new();
        collect(&App::command(), "phi-node", &mut pages);
        for (name, command) in &pages {
            let mut text = Vec::new();
            let page = Page::new(command.clone());
            page.render(&mut text).map_err(|error| failed(&error))?;
            let path = self.folder.join(format!("{name}.1"));
            fs::write(path, &text).map_err(|error| failed(&error))?;
        }
        let folder = self.folder.display();
        output::say(&format!("phi-node: {} pages in {folder}", pages.len()));
        Ok(())
    }
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Command)>) {
    // Names are leaked by clap's own generator as well: a page needs its full name for good.
    let full: &'static str = name.to_owned().leak();
    let page = command.clone().name(full).display_name(full);
    pages.push((name.to_owned(), page));
    for inner in command.get_subcommands() {
        collect(inner, &format!("{name}-{}", inner.get_name()), pages);
    }
}
