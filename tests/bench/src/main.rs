//! Phi beside other license formats, measured in one run.

fn main() {}
