//! Runs the interop tests with the peers they talk to installed below the build folder.

use crate::failure::Failure;
use crate::process::{cargo, run as run_command};
use crate::tools;

pub(crate) fn run() -> Result<(), Failure> {
    let python = tools::interop_python()?;
    let node_modules = tools::interop_node_modules()?;
    let mut test = cargo("test --package phi-tests --features interop --test interop --locked");
    test.env("PHI_INTEROP_PYTHON", python);
    test.env("PHI_INTEROP_NODE_MODULES", node_modules);
    run_command(&mut test)
}
