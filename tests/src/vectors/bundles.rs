//! Bundles: what a reader takes apart, and what a trust state takes of them.

use phi_verify::{Root, Status, armor};

use super::{Check, Outcome, Trust, Vectors, base, view::BundleView};
use crate::{
    demo, hex,
    item::{Fields, Item},
    log::Log,
    snakeoil::{self, DAY, PRODUCT, START, Seed, key, role, sign_all},
};

pub(super) fn add(vectors: &mut Vectors) {
    good(vectors);
    bad(vectors);
    texts(vectors);
    imports(vectors);
    parts_refused(vectors);
}

/// `[version, document]`.
fn part(version: u64, document: &[u8]) -> Item {
    Item::Array(vec![Item::Uint(version), Item::bytes(document)])
}

/// A bundle without anything.
fn bare() -> Fields {
    Fields(vec![(Item::Uint(0), Item::Uint(9))])
}

fn texts_of(texts: &[&str]) -> Item {
    Item::Array(texts.iter().map(|text| Item::text(text)).collect())
}

fn list(items: impl IntoIterator<Item = Item>) -> Item {
    Item::Array(items.into_iter().collect())
}

/// The second root, of the keys of the first.
fn second() -> Vec<u8> {
    let root = Root {
        version: 2,
        ..snakeoil::root()
    };
    Seed::Root.sign(&root.unsigned())
}

/// A part of every kind, and a token with and one without a proof.
pub(super) fn full() -> Fields {
    let catalogs = vec![(Item::text(PRODUCT), part(1, &catalog()))];
    let token = demo::token();
    let tokens = [
        texts_of(&[&token, &Log::sample().proof(3, 5)]),
        texts_of(&[&token]),
    ];
    bare()
        .with(1, list([part(1, &snakeoil::anchor()), part(2, &second())]))
        .with(2, part(1, &base::keyset()))
        .with(3, part(1, &status()))
        .with(4, Item::Map(catalogs))
        .with(5, list(tokens))
        .with(6, Item::text(&Log::sample().consistency(3, 5)))
}

fn catalog() -> Vec<u8> {
    Seed::Keyset.sign(&snakeoil::catalog().unsigned())
}

fn status() -> Vec<u8> {
    Seed::Status.sign(&snakeoil::status().unsigned())
}

fn view(parts: &[&str], tokens: &[(&str, Option<&str>)], growth: Option<&str>) -> BundleView {
    let token = |(token, proof): &(&str, Option<&str>)| {
        (String::from(*token), proof.map(ToOwned::to_owned))
    };
    BundleView {
        parts: parts.iter().map(ToString::to_string).collect(),
        tokens: tokens.iter().map(token).collect(),
        growth: growth.map(ToOwned::to_owned),
    }
}

fn good(vectors: &mut Vectors) {
    let (token, proof) = (demo::token(), Log::sample().proof(3, 5));
    let growth = Log::sample().consistency(3, 5);
    let parts = [
        "root version 1",
        "root version 2",
        "keyset version 1",
        "status version 1",
        "catalog of \"demo-app\" version 1",
    ];
    let tokens = [(&*token, Some(&*proof)), (&*token, None)];
    for (name, shows, fields, view) in [
        (
            "valid",
            "a part of every kind",
            full(),
            view(&parts, &tokens, Some(&growth)),
        ),
        ("valid-empty", "nothing", bare(), view(&[], &[], None)),
        (
            "valid-extension",
            "an extension field, which may be ignored",
            bare().ending(Item::negative(-1), Item::text("ignored")),
            view(&[], &[], None),
        ),
        (
            "valid-any-content",
            "documents, tokens and proofs are not read when a bundle is split",
            bare()
                .with(1, list([part(3, &[]), part(9, b"root")]))
                .with(5, list([texts_of(&["", ""])]))
                .with(6, Item::text("")),
            view(
                &["root version 3", "root version 9"],
                &[("", Some(""))],
                Some(""),
            ),
        ),
    ] {
        let check = Check::Bundle(hex(&fields.encode()));
        vectors.accept(
            format!("bundle/{name}"),
            shows,
            check,
            Outcome::Bundle(view),
        );
    }
}

fn bad(vectors: &mut Vectors) {
    let bytes = full().encode();
    let keyset = base::keyset();
    let roots = |versions: &[u64]| {
        let roots = versions.iter().map(|version| part(*version, &[]));
        bare().with(1, list(roots)).encode()
    };
    let catalogs = |names: &[&str]| {
        let entries = names.iter().map(|name| (Item::text(name), part(1, &[])));
        bare().with(4, Item::Map(entries.collect())).encode()
    };
    let tokens = |entries: Vec<Item>| bare().with(5, list(entries)).encode();
    let chain: Vec<u64> = (1..=65).collect();
    for (name, shows, bytes) in [
        ("empty", "no bytes", Vec::new()),
        ("keyset", "a keyset in the place of a bundle", keyset),
        (
            "cut",
            "without its last byte",
            bytes[..bytes.len() - 1].into(),
        ),
        (
            "trailing",
            "a byte after the end",
            [&bytes[..], &[0]].concat(),
        ),
        (
            "kind-of-keyset",
            "an object of another kind",
            bare().with(0, Item::Uint(4)).encode(),
        ),
        (
            "field-unknown",
            "a field that this version does not know",
            bare().with(7, Item::Uint(0)).encode(),
        ),
        ("fields-swapped", "fields out of order", {
            let mut fields = full();
            fields.0.swap(1, 2);
            fields.encode()
        }),
        ("roots-none", "an empty chain", roots(&[])),
        ("roots-descend", "roots that descend", roots(&[2, 1])),
        ("roots-twice", "a root twice", roots(&[2, 2])),
        ("roots-65", "a chain of 65 roots", roots(&chain)),
        ("version-zero", "a root of version 0", roots(&[0])),
        (
            "part-without-version",
            "a keyset without a version",
            bare().with(2, list([Item::bytes(&[])])).encode(),
        ),
        (
            "part-as-text",
            "a keyset as text",
            bare()
                .with(2, list([Item::Uint(1), Item::text("")]))
                .encode(),
        ),
        ("catalogs-none", "an empty map of catalogs", catalogs(&[])),
        (
            "catalogs-out-of-order",
            "catalogs out of order",
            catalogs(&["b", "a"]),
        ),
        (
            "catalog-twice",
            "two catalogs of a product",
            catalogs(&["a", "a"]),
        ),
        (
            "catalog-unnamed",
            "a product without a name",
            catalogs(&[""]),
        ),
        ("catalogs-257", "catalogs of 257 products", {
            let names: Vec<_> = (0..257).map(|number| format!("{number:03}")).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            catalogs(&names)
        }),
        ("tokens-none", "an empty list of tokens", tokens(Vec::new())),
        (
            "token-missing",
            "an entry without a token",
            tokens(vec![texts_of(&[])]),
        ),
        (
            "token-and-two-proofs",
            "a token with two proofs",
            tokens(vec![texts_of(&["a", "b", "c"])]),
        ),
        (
            "token-as-bytes",
            "a token as bytes",
            tokens(vec![list([Item::bytes(b"a")])]),
        ),
        (
            "growth-as-bytes",
            "a checkpoint as bytes",
            bare().with(6, Item::bytes(b"old 0")).encode(),
        ),
    ] {
        let check = Check::Bundle(hex(&bytes));
        vectors.refuse(format!("bundle/{name}"), shows, check, "bundle-invalid");
    }
}

fn texts(vectors: &mut Vectors) {
    let bytes = full().encode();
    let word = format!("phi.bundle.{}", base::base64url(&bytes));
    let check = |text: &str| Check::BundleText(text.into());
    let bytes = Outcome::Bytes(hex(&bytes));
    vectors.accept("bundle/valid-text", "as a word", check(&word), bytes);
    let armored = Check::Armor(armor::wrap("BUNDLE", &word));
    let outcome = Outcome::Text(word.clone());
    vectors.accept("bundle/valid-armor", "armored", armored, outcome);
    let keyset = format!("phi.keyset.{}", base::base64url(&base::keyset()));
    for (name, shows, text, code) in [
        ("text-of-keyset", "a keyset's word", keyset, "armor-invalid"),
        (
            "text-padded",
            "padding",
            format!("{}==", &word[..word.len() - word.len() % 4]),
            "armor-invalid",
        ),
        (
            "text-empty",
            "a word without bytes",
            "phi.bundle.".into(),
            "bundle-invalid",
        ),
    ] {
        vectors.refuse(format!("bundle/{name}"), shows, check(&text), code);
    }
    let large = Check::BundleOfZeros(16 * 1024 * 1024 + 1);
    let shows = "a byte more than a bundle may have";
    vectors.refuse("bundle/too-large", shows, large, "bundle-too-large");
    let large = Check::BundleOfZeros(16 * 1024 * 1024);
    let shows = "as many bytes as a bundle may have, and none of a bundle";
    vectors.refuse("bundle/largest", shows, large, "bundle-invalid");
}

fn import(vectors: &mut Vectors, name: &str, shows: &str, case: Case<'_>) {
    let check = Check::ImportBundle {
        trust: case.trust,
        bundle: hex(&case.bundle.encode()),
    };
    let own = |(part, outcome): &(&str, &str)| ((*part).to_owned(), (*outcome).to_owned());
    let outcome = Outcome::Imported {
        parts: case.parts.iter().map(own).collect(),
        versions: case.versions,
    };
    vectors.accept(format!("bundle/{name}"), shows, check, outcome);
}

/// A bundle's import: the state before, what becomes of each part, and the versions of root,
/// keyset and status list after it.
struct Case<'a> {
    trust: Trust,
    bundle: Fields,
    parts: &'a [(&'a str, &'a str)],
    versions: (u64, u64, u64),
}

const KEYSET: &str = "keyset version 1";
const STATUS: &str = "status version 1";
const CATALOG: &str = "catalog of \"demo-app\" version 1";

fn imports(vectors: &mut Vectors) {
    let outcomes = |root: &'static str, root_2: &'static str, rest: &'static str| {
        [
            ("root version 1", root),
            ("root version 2", root_2),
            (KEYSET, rest),
            (STATUS, rest),
            (CATALOG, rest),
        ]
    };
    let fresh = outcomes("unchanged", "updated", "updated");
    let case = Case {
        trust: base::trust_with(&[]),
        bundle: full(),
        parts: &fresh,
        versions: (2, 1, 1),
    };
    import(vectors, "import", "into a state of the anchor alone", case);
    let again = outcomes("passed", "unchanged", "unchanged");
    let imports = [&second()[..], &base::keyset(), &status(), &catalog()];
    let case = Case {
        trust: base::trust_with(&imports),
        bundle: full(),
        parts: &again,
        versions: (2, 1, 1),
    };
    let shows = "into a state that has it all: a root before the one in force is passed over";
    import(vectors, "import-again", shows, case);
    let case = Case {
        trust: base::trust(),
        bundle: bare(),
        parts: &[],
        versions: (1, 1, 0),
    };
    import(vectors, "import-empty", "nothing", case);
    rotation(vectors);
}

/// A new keyset key: the keyset under it comes after the root that names it.
fn rotation(vectors: &mut Vectors) {
    let root = Root {
        version: 2,
        keyset: role(&[key(23)], 1),
        ..snakeoil::root()
    };
    let mut keyset = snakeoil::keyset();
    (keyset.version, keyset.root_version) = (2, 2);
    let status = Status {
        keyset: (2, keyset.unsigned().payload_hash()),
        ..snakeoil::status()
    };
    let bundle = bare()
        .with(1, list([part(2, &Seed::Root.sign(&root.unsigned()))]))
        .with(2, part(2, &sign_all(&keyset.unsigned(), &[key(23)])))
        .with(3, part(1, &Seed::Status.sign(&status.unsigned())));
    let case = Case {
        trust: base::trust(),
        bundle,
        parts: &[
            ("root version 2", "updated"),
            ("keyset version 2", "updated"),
            (STATUS, "updated"),
        ],
        versions: (2, 2, 1),
    };
    let shows = "a root with a new keyset key, a keyset under it, and a list that names that";
    import(vectors, "import-rotation", shows, case);
}

fn parts_refused(vectors: &mut Vectors) {
    let chain = |versions: &[(u64, u64)]| {
        let root = |(stated, version): &(u64, u64)| {
            let root = Root {
                version: *version,
                ..snakeoil::root()
            };
            part(*stated, &Seed::Root.sign(&root.unsigned()))
        };
        bare().with(1, list(versions.iter().map(root)))
    };
    let mut changed = second();
    *changed.last_mut().expect("a document has bytes") ^= 1;
    let mut keyset = snakeoil::keyset();
    (keyset.version, keyset.issued_at) = (1, START.plus(31 * DAY));
    let other_keyset = Seed::Keyset.sign(&keyset.unsigned());
    let catalogs = Item::Map(vec![(Item::text("other"), part(1, &catalog()))]);
    for (name, shows, bundle, parts, versions) in [
        (
            "part-version",
            "a keyset of another version than the bundle says",
            full().without(1).with(2, part(2, &base::keyset())),
            &[
                ("keyset version 2", "index-mismatch"),
                (STATUS, "keyset-missing"),
                (CATALOG, "updated"),
            ][..],
            (1, 0, 0),
        ),
        (
            "part-product",
            "a catalog of another product than the bundle says",
            bare().with(4, catalogs),
            &[("catalog of \"other\" version 1", "index-mismatch")],
            (1, 0, 0),
        ),
        (
            "part-kind",
            "a status list in the place of a keyset",
            bare().with(2, part(1, &status())),
            &[(KEYSET, "document-kind")],
            (1, 0, 0),
        ),
        (
            "part-root-stated-next",
            "version 3 in the place of version 2",
            chain(&[(2, 3), (4, 4)]),
            &[
                ("root version 2", "index-mismatch"),
                ("root version 4", "root-gap"),
            ],
            (1, 0, 0),
        ),
        (
            "part-chain-cut",
            "a chain that is cut in the middle: its beginning counts",
            chain(&[(1, 1), (2, 2), (4, 4)]),
            &[
                ("root version 1", "unchanged"),
                ("root version 2", "updated"),
                ("root version 4", "root-gap"),
            ],
            (2, 0, 0),
        ),
        (
            "part-signature",
            "a root whose signature does not hold keeps nobody else out",
            full().with(1, list([part(2, &changed)])),
            &[
                ("root version 2", "signatures-missing"),
                (KEYSET, "updated"),
                (STATUS, "updated"),
                (CATALOG, "updated"),
            ],
            (1, 1, 1),
        ),
        (
            "part-other-keyset",
            "a status list and another keyset than it names",
            full().without(1).with(2, part(1, &other_keyset)),
            &[
                (KEYSET, "updated"),
                (STATUS, "mix-and-match"),
                (CATALOG, "updated"),
            ],
            (1, 1, 0),
        ),
        (
            "part-no-document",
            "bytes that are no document",
            bare().with(2, part(1, b"keyset")),
            &[(KEYSET, "document-envelope")],
            (1, 0, 0),
        ),
    ] {
        let trust = base::trust_with(&[]);
        let case = Case {
            trust,
            bundle,
            parts,
            versions,
        };
        import(vectors, name, shows, case);
    }
}

#[cfg(test)]
mod tests {
    use phi_verify::{
        BundleBuilder,
        log::{ConsistencyProof, Proof},
    };

    use super::*;

    /// Two writers that share no code write the same bytes.
    #[test]
    fn the_bundle_is_that_of_phi_verify() {
        let mut builder = BundleBuilder::new();
        let documents = [catalog(), status(), second(), base::keyset()];
        for document in documents.iter().chain([&snakeoil::anchor()]) {
            builder.document(document).expect("a good document");
        }
        let (token, log) = (demo::token(), Log::sample());
        let proof = Proof::parse(&log.proof(3, 5)).expect("a proof");
        builder.token(&token, Some(&proof));
        builder.token(&token, None);
        builder.growth(&ConsistencyProof::parse(&log.consistency(3, 5)).expect("a proof"));
        assert_eq!(builder.build().as_ref(), Ok(&full().encode()));
    }
}
