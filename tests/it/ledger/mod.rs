//! The ledger: what it says of every license at every time, to whom, and for how long.

mod bulk;
mod copies;
mod fixtures;
mod forge;
mod interleaved;
mod intruder;
mod model;
mod operators;
mod rules;
mod sequences;
mod waiting;
