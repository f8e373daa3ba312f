//! The test vectors: what a verifier is given, and what it must say. One file, one case.
//!
//! They are made from the snakeoil issuer by this program alone, so that they can be made again
//! byte for byte; `tests/it/vectors.rs` holds phi-verify to them.
#![expect(
    clippy::too_many_lines,
    reason = "many functions here are a table of cases"
)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub mod view;

mod base;
mod bundles;
mod cbor;
mod checkpoints;
mod claims;
mod clocks;
mod decisions;
mod deltas;
mod documents;
mod edge;
mod envelopes;
mod filters;
mod fingerprint;
mod keys;
mod lists;
mod merkle;
mod missing;
mod proofs;
mod roots;
mod scopes;
mod signatures;
mod text;
mod tokens;
mod trust;
mod verdicts;

pub use edge::malleated;
pub use view::{BundleView, CheckpointView, ClockView, DocumentView, LeafView, LicenseView};

/// One case: what is done with which input, and what must come of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// What the case shows, in a sentence.
    pub shows: String,
    /// What is done.
    pub check: Check,
    /// What must come of it.
    pub expected: Expected,
}

/// What is done with which input. Bytes are hexadecimal, times are seconds of the Unix epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Check {
    /// A license token is verified.
    Token(TokenCheck),
    /// A document is imported into a trust state.
    Import {
        /// The state before.
        trust: Trust,
        /// The document.
        document: String,
    },
    /// A machine's clock is followed.
    Clock(ClockCheck),
    /// A trust state is begun with an anchor.
    Anchor(String),
    /// A key is loaded.
    Key(String),
    /// A key is read in its PASERK form.
    Paserk(String),
    /// A key id is read.
    KeyId(String),
    /// A signature is checked.
    Signature {
        /// The key.
        key: String,
        /// The message.
        message: String,
        /// The signature.
        signature: String,
    },
    /// The word in an armored text is read.
    Armor(String),
    /// A document is read from its word.
    DocumentText(String),
    /// A bundle is split.
    Bundle(String),
    /// As many zeros are split as a bundle.
    BundleOfZeros(usize),
    /// A bundle is read from its word.
    BundleText(String),
    /// A bundle is imported into a trust state.
    ImportBundle {
        /// The state before.
        trust: Trust,
        /// The bundle.
        bundle: String,
    },
    /// A fingerprint request is made.
    Fingerprint(Machine),
    /// A fingerprint request is read.
    FingerprintRequest(String),
    /// The body of a filter is read, and asked.
    Filter {
        /// The kind.
        kind: u64,
        /// The body.
        body: String,
        /// Salted ids about which it is asked.
        ids: Vec<String>,
    },
    /// The data of a leaf of the log is read.
    Leaf(String),
    /// A leaf is looked for in a tree. Hashes are base64.
    Inclusion {
        /// The hash of the leaf.
        leaf: String,
        /// Its place.
        index: u64,
        /// The hashes from its sibling upward.
        path: Vec<String>,
        /// The number of leaves.
        size: u64,
        /// The root.
        root: String,
    },
    /// A tree is looked for at the beginning of a larger one. Hashes are base64.
    Consistency {
        /// The number of leaves and the root of the older tree.
        old: (u64, String),
        /// The number of leaves and the root of the newer tree.
        new: (u64, String),
        /// The hashes of the proof.
        path: Vec<String>,
    },
    /// A checkpoint is verified under the root of a trust state.
    Checkpoint {
        /// What the application trusts.
        trust: Trust,
        /// The checkpoint.
        checkpoint: String,
    },
    /// A token's proof is verified under the root of a trust state.
    TokenProof {
        /// What the application trusts.
        trust: Trust,
        /// The token.
        token: String,
        /// The proof.
        proof: String,
    },
    /// What an application remembers of a log is brought forward.
    Advance {
        /// What the application trusts.
        trust: Trust,
        /// The checkpoint that it remembers.
        state: String,
        /// The consistency proof, with the checkpoint that is offered.
        proof: String,
    },
}

/// A machine's clock over time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClockCheck {
    /// What the application trusts.
    pub trust: Trust,
    /// When the application was built, if it says so.
    pub built: Option<u64>,
    /// The installation's id, if it has one.
    pub installation: Option<String>,
    /// What happens, one after the other; all but the last are accepted.
    pub steps: Vec<ClockStep>,
}

/// What happens to a machine's clock, and to the state that takes notice of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClockStep {
    /// The clock shows this time.
    Observe(u64),
    /// A document is imported.
    Import(String),
    /// A clock-reset document is applied.
    Reset {
        /// The document.
        document: String,
        /// The time.
        now: u64,
    },
}

/// A token and all that its verification depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenCheck {
    /// What the application trusts.
    pub trust: Trust,
    /// The application's product.
    pub product: String,
    /// The time.
    pub now: u64,
    /// The revocation policy: `strict`, `balanced` or `lenient`.
    pub policy: String,
    /// The clock policy: `deny`, `warn`, or `grace` and its seconds.
    pub clock: String,
    /// The times that the machine's clock has shown before, which the state took notice of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<u64>,
    /// The machine, if the application knows it.
    pub machine: Option<Machine>,
    /// The token.
    pub token: String,
    /// The proof policy, if it is not `where-cut`: `required`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proofs: Option<String>,
    /// The proof that came with the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// The documents of a trust state: an anchor, and what was imported after it, in this order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// The first root.
    pub anchor: String,
    /// What was imported, each without an error.
    pub imports: Vec<String>,
}

/// A machine's components, each a kind and a value, under a product.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The product.
    pub product: String,
    /// The components.
    pub components: Vec<(String, String)>,
}

/// What must come of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// The input is good, and this is what it says.
    Accepted(Box<Outcome>),
    /// The input is refused with this error code.
    Refused(String),
}

/// What an accepted input says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "a vector has one, in a box")]
pub enum Outcome {
    /// A license.
    License(LicenseView),
    /// A document that the state took.
    Updated(DocumentView),
    /// What the clock is worth after each step.
    Clock(Vec<ClockView>),
    /// A document that the state has already.
    Unchanged,
    /// A bundle, split.
    Bundle(BundleView),
    /// A bundle that was imported.
    Imported {
        /// Each part, and `updated`, `unchanged`, `passed` or the code of its refusal.
        parts: Vec<(String, String)>,
        /// The versions of root, keyset and status list after it, 0 where there is none.
        versions: (u64, u64, u64),
    },
    /// A key, by its id.
    KeyId(String),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(String),
    /// A fingerprint: each component's kind and digest.
    Components(Vec<(String, String)>),
    /// What a filter says of each id: `no`, `yes` or `probably`.
    Answers(Vec<String>),
    /// A signature or a proof that holds.
    Holds,
    /// A leaf of the log.
    Leaf(LeafView),
    /// A checkpoint.
    Checkpoint(CheckpointView),
    /// A leaf that is in the log.
    Included {
        /// Its place.
        index: u64,
        /// The checkpoint.
        checkpoint: CheckpointView,
    },
}

impl Expected {
    fn accepted(outcome: Outcome) -> Self {
        Self::Accepted(Box::new(outcome))
    }
}

/// Vectors by area and name; each is the file `<area>/<name>.json`.
#[derive(Debug, Default)]
pub struct Vectors(BTreeMap<String, Vector>);

impl Vectors {
    fn add(&mut self, path: impl Into<String>, shows: &str, check: Check, expected: Expected) {
        let path = path.into();
        let vector = Vector {
            shows: shows.into(),
            check,
            expected,
        };
        let old = self.0.insert(path.clone(), vector);
        assert!(old.is_none(), "two vectors are called {path}");
    }

    fn accept(&mut self, path: impl Into<String>, shows: &str, check: Check, outcome: Outcome) {
        self.add(path, shows, check, Expected::accepted(outcome));
    }

    fn refuse(&mut self, path: impl Into<String>, shows: &str, check: Check, code: &str) {
        self.add(path, shows, check, Expected::Refused(code.into()));
    }

    /// What is done in each, without what must come of it.
    pub fn checks(self) -> impl Iterator<Item = Check> {
        self.0.into_values().map(|vector| vector.check)
    }

    /// The files: their paths under `tests/vectors/` and their texts.
    ///
    /// # Panics
    /// Never: every vector can be written.
    pub fn files(&self) -> BTreeMap<String, String> {
        let file = |(path, vector): (&String, &Vector)| {
            let text = serde_json::to_string_pretty(vector).expect("a vector has a text");
            (format!("{path}.json"), text + "\n")
        };
        self.0.iter().map(file).collect()
    }
}

/// Every vector.
pub fn all() -> Vectors {
    let mut vectors = Vectors::default();
    for area in [
        tokens::add,
        signatures::add,
        cbor::add,
        claims::add,
        decisions::add,
        keys::add,
        documents::add,
        envelopes::add,
        roots::add,
        scopes::add,
        lists::add,
        deltas::add,
        filters::add,
        missing::add,
        verdicts::add,
        trust::add,
        bundles::add,
        clocks::add,
        text::add,
        fingerprint::add,
        merkle::add,
        checkpoints::add,
        proofs::add,
    ] {
        area(&mut vectors);
    }
    vectors
}
