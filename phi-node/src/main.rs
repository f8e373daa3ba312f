//! The `phi-node` command.

fn main() {}
