//! Verify Phi license tokens offline.
