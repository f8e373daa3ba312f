//! The ledger: what it says of every license at every time, to whom, and for how long.

mod bulk;
mod fixtures;
mod interleaved;
mod model;
mod operators;
mod sequences;
mod waiting;
