//! A consistency proof: as it comes, and its head before a signed checkpoint, offered to a log
//! of three leaves.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use phi_verify::log::{ConsistencyProof, LogState};
use phi_verify_fuzz::{checkpoint, snakeoil, tree_root};

static HELD: LazyLock<LogState> =
    LazyLock::new(|| LogState::restore(&checkpoint(3, tree_root(3))).expect("a checkpoint"));

fuzz_target!(|text: &str| {
    advance(text);
    if let Some((head, _)) = text.split_once("\n\n") {
        for size in [2, 3, 5] {
            advance(&format!("{head}\n\n{}", checkpoint(size, tree_root(size))));
        }
    }
});

fn advance(text: &str) {
    if let Ok(proof) = ConsistencyProof::parse(text) {
        assert_eq!(proof.to_text(), text, "a proof has one form");
    }
    let trusted = snakeoil::root();
    if let Ok(state) = HELD.advance(text, &trusted) {
        assert!(state.size() >= HELD.size());
        assert_eq!(
            state.root(),
            tree_root(state.size()),
            "a log that was never signed"
        );
        assert_eq!(
            state.advance(text, &trusted),
            Ok(state.clone()),
            "the second time"
        );
    }
}
