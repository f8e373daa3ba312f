//! The PostgreSQL server that tests share: started before them, stopped after them.
//!
//! What it is made of is left to the `postgres-server` program of phi-tests, which also ends when this
//! program does, however it ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use crate::failure::Failure;
use crate::process::{cargo, command, run, target_dir};

/// Where tests look for the server's URL.
pub(crate) const URL: &str = "PHI_TEST_POSTGRES";

/// A running server.
pub(crate) struct Server {
    program: Child,
    url: String,
}

impl Server {
    /// Starts a server.
    pub(crate) fn start() -> Result<Self, Failure> {
        // The whole workspace, as the suite before built it: a part would have other features.
        run(&mut cargo("build --workspace --exclude phi-bench --locked"))?;
        let mut program = command(target_dir().join("debug/postgres-server"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::new(format!("cannot start PostgreSQL: {error}")))?;
        let mut url = String::new();
        let output = program.stdout.take().expect("a pipe was asked for");
        // The program says nothing more, and without a word ends when it cannot start.
        let _ = BufReader::new(output).read_line(&mut url);
        if url.is_empty() {
            let _ = program.wait();
            return Err(Failure::new("PostgreSQL does not start; why stands above")
                .hint("on Debian: apt-get install postgresql"));
        }
        Ok(Self {
            program,
            url: url.trim().into(),
        })
    }

    /// Its URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.program.stdin.take());
        let _ = self.program.wait();
    }
}
