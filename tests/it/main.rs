//! One test binary: each module is one subject.
