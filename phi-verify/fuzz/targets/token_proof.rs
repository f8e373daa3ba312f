//! A token's proof: as it comes, and its head before a checkpoint of the only tree in which the
//! hashes lead from the token to the root.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phi_verify::log::{Hash, Leaf, Proof};
use phi_verify_fuzz::{checkpoint, snakeoil};

const TOKEN: &str = "v4.public.fuzz";

fuzz_target!(|text: &str| {
    let trusted = snakeoil::root();
    if let Ok(proof) = Proof::parse(text) {
        assert_eq!(proof.to_text(), text, "a proof has one form");
        let _ = proof.verify_token(TOKEN, &trusted);
    }
    let Some((head, _)) = text.split_once("\n\n") else {
        return;
    };
    let leaf = Leaf::of_token(TOKEN, Hash::EMPTY);
    let text = format!("{head}\n\n{}", checkpoint(1, leaf.hash()));
    let Ok(proof) = Proof::parse(&text) else {
        return;
    };
    assert_eq!(proof.to_text(), text, "a proof has one form");
    let _ = proof.verify_token(TOKEN, &trusted);
    if let Ok(inclusion) = proof.verify_leaf(&leaf, &trusted) {
        assert_eq!((inclusion.index(), inclusion.checkpoint().size()), (0, 1));
    }
});
