//! The store from outside its module: the ledger is kept, the tables follow.
