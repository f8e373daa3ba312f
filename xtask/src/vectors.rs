//! The test vectors: written by a program, and checked to be what it writes.

use crate::failure::Failure;
use crate::process::{cargo, run as run_command};

pub(crate) fn run(check: bool) -> Result<(), Failure> {
    let mut program = cargo("run --quiet --package phi-tests --bin vectors --locked --");
    if check {
        program.arg("--check");
    }
    run_command(&mut program)
}
