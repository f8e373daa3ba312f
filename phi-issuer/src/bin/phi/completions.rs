//! `phi completions`: completions for a shell.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::app::App;
use crate::failure::Failure;
use crate::output::print_bytes;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi completions bash > /etc/bash_completion.d/phi")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut App::command(), "phi", &mut text);
        print_bytes(&text)
    }
}
