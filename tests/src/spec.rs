//! The worked examples of docs/spec.md, made from the demo files, and the table of docs/ledger.md,
//! made from the code, so that they cannot drift.
//!
//! An example stands between `<!-- generated: NAME -->` and `<!-- end -->`.

use std::{fmt::Write as _, iter};

use phi_issuer::{State, TRANSITIONS};
use phi_verify::{DocumentKind, Fingerprint, TokenId};
use sha2::{Digest as _, Sha256};

use crate::{
    demo, hex,
    log::{self, Log},
    snakeoil::{self, PRODUCT, Seed},
};

mod annotate;

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->\n";

/// The text with its examples made anew.
///
/// # Errors
/// A sentence on a marker that does not fit.
pub fn with_examples(text: &str) -> Result<String, String> {
    let mut parts = text.split(BEGIN);
    let mut made = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(" -->\n").ok_or("a marker does not end")?;
        let (_, rest) = rest
            .split_once(END)
            .ok_or_else(|| format!("{name} has no end"))?;
        let example = example(name).ok_or_else(|| format!("{name} is no example"))?;
        write!(
            made,
            "{BEGIN}{name} -->\n```text\n{example}```\n{END}{rest}"
        )
        .map_err(|error| error.to_string())?;
    }
    Ok(made)
}

fn example(name: &str) -> Option<String> {
    Some(match name {
        "token" => folded(&demo::token()),
        "keys" => keys(),
        "token-parts" => token_parts(),
        "token-footer" => annotate::footer(&demo_footer()),
        "token-message" => token_message(),
        "keyset" => annotate::document(&small_keyset()),
        "keyset-message" => keyset_message(),
        "bundle" => bundle(),
        "fingerprint" => fingerprint(),
        "exact-list" => exact_list(),
        "token-proof" => Log::sample().proof(3, 5),
        "leaf" => leaf(),
        "note-key" => note_key(),
        "consistency-proof" => Log::sample().consistency(3, 5),
        "transitions" => transitions(),
        _ => return None,
    })
}

/// The life of a license, a line for each state that something can happen in.
fn transitions() -> String {
    let states = iter::once(None).chain(State::ALL.into_iter().map(Some));
    let line = |from: Option<State>| {
        let here = TRANSITIONS.iter().filter(move |rule| rule.from == from);
        let ways = here.map(|rule| format!("{} -> {}", rule.act, rule.to));
        let from = from.map_or("(nothing)", State::name).to_owned();
        (from, ways.collect::<Vec<_>>())
    };
    let mut text = String::new();
    for (from, ways) in states.map(line) {
        let mut from = from.as_str();
        for way in &ways {
            let _ = writeln!(text, "{from:<12}{way}");
            from = "";
        }
        if ways.is_empty() {
            let _ = writeln!(text, "{from:<12}(nothing more)");
        }
    }
    text
}

/// Lines of 64 characters.
fn folded(word: &str) -> String {
    let lines = word.as_bytes().chunks(64).map(String::from_utf8_lossy);
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

fn rows(rows: &[(&str, String)]) -> String {
    let width = rows
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    rows.iter().fold(String::new(), |text, (name, value)| {
        text + &format!("{name:width$}  {value}\n")
    })
}

fn keys() -> String {
    let key = Seed::License.public();
    rows(&[
        ("seed", hex(&Seed::License.signing_key().to_bytes())),
        ("public key", hex(key.as_bytes())),
        ("PASERK", key.to_paserk()),
        ("key id", hex(key.id().as_bytes())),
        ("in print", key.id().to_string()),
    ])
}

fn demo_footer() -> Vec<u8> {
    let body = demo::claims().encode().expect("the demo claims are good");
    [&[0x82, 0x49], &Seed::License.id().as_bytes()[..], &body].concat()
}

fn token_parts() -> String {
    let token = demo::token();
    let parts: Vec<_> = token.splitn(4, '.').collect();
    rows(&[
        ("characters", token.len().to_string()),
        ("prefix", format!("{}.{}.", parts[0], parts[1])),
        (
            "segment 3",
            format!("{} ({} characters)", parts[2], parts[2].len()),
        ),
        (
            "segment 4",
            format!("{}... ({} characters)", &parts[3][..16], parts[3].len()),
        ),
        ("payload", format!("{} = {{}}", hex(b"{}"))),
        ("signature", hex(&demo_signature())),
    ])
}

fn demo_signature() -> [u8; 64] {
    let unsigned = phi_verify::UnsignedToken::license(Seed::License.id(), &demo::claims());
    let message = unsigned.expect("the demo claims are good").message();
    ed25519_dalek::Signer::sign(&Seed::License.signing_key(), &message).to_bytes()
}

fn token_message() -> String {
    annotate::pae(&[
        ("header", b"v4.public."),
        ("payload", b"{}"),
        ("footer", &demo_footer()),
        ("implicit assertion", b"phi.license.v1"),
    ])
}

/// A keyset of one key: the least document that says something.
fn small_keyset() -> Vec<u8> {
    let key = phi_verify::LicenseKey {
        key: Seed::License.public(),
        state: phi_verify::KeyState::Active {
            from: snakeoil::START,
        },
        scope: phi_verify::Scope::default(),
    };
    let issuer = snakeoil::ISSUER.into();
    let keyset = phi_verify::Keyset::new(issuer, 1, snakeoil::START, 1, vec![key]);
    Seed::Keyset.sign(&keyset.expect("one key").unsigned())
}

fn keyset_message() -> String {
    let document = small_keyset();
    let payload = annotate::payload(&document);
    annotate::pae(&[("domain", b"phi.keyset.v1"), ("payload", payload)])
        + &rows(&[("hash of the payload", hex(&Sha256::digest(payload)))])
}

/// The keyset and the token of the other examples.
fn bundle() -> String {
    let mut builder = phi_verify::BundleBuilder::new();
    builder.document(&small_keyset()).expect("a keyset");
    builder.token(&demo::token(), None);
    annotate::bundle(&builder.build().expect("two parts"))
}

fn fingerprint() -> String {
    let machine = Fingerprint::new(PRODUCT)
        .with("machine-id", "3f1c")
        .with("board-serial", "VM-0042");
    let components = machine.components();
    let mut rows_ = vec![("product", PRODUCT.to_owned())];
    rows_.extend(components.map(|(kind, digest)| ("digest", format!("{} {kind}", hex(&digest)))));
    let request = machine.to_request().expect("two components");
    rows(&rows_) + &request + "\n"
}

fn exact_list() -> String {
    let status = snakeoil::status();
    let token = TokenId::from_bytes(*b"demo app token 1");
    let input = [b"phi/rev/v1\0", &status.salt()[..], &[0], token.as_bytes()].concat();
    let hash = Sha256::digest(&input);
    rows(&[
        ("token id", token.to_string()),
        ("salt", hex(&status.salt())),
        ("class", "00 (token)".into()),
        ("hashed", hex(&input)),
        ("SHA-256", hex(&hash)),
        ("prefix", hex(&hash[..8])),
        ("customer", "globex".into()),
        ("customer's hash", hex(&status.customer_hash("globex"))),
    ])
}

fn leaf() -> String {
    let log = Log::sample();
    let data = &log.0[3];
    rows(&[
        ("token", demo::token()[..24].to_owned() + "..."),
        ("subject", hex(&Sha256::digest(demo::token()))),
        ("entry", hex(&log::entry(4))),
    ]) + &annotate::leaf(data)
        + &rows(&[
            ("leaf hash", hex(&log::sha256(&[&[0], data]))),
            ("in texts", log::base64(&log::sha256(&[&[0], data]))),
        ])
}

fn note_key() -> String {
    let key = Seed::Ledger.signing_key();
    let public = key.verifying_key();
    let hashed = [log::ORIGIN.as_bytes(), &[0x0a, 0x01], public.as_bytes()].concat();
    rows(&[
        ("key name", log::ORIGIN.into()),
        ("public key", hex(public.as_bytes())),
        ("hashed", hex(&hashed)),
        ("note key id", hex(&log::key_id(log::ORIGIN, &key))),
    ])
}

/// The kinds that have a payload example, for the annotator's field names.
pub(crate) const fn kind_name(kind: u64) -> &'static str {
    match kind {
        1 => "license",
        4 => DocumentKind::Keyset.name(),
        9 => "bundle",
        _ => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_replaces_what_stood_there() {
        let text = "a\n<!-- generated: keys -->\nold\n<!-- end -->\nb\n";
        let made = with_examples(text).expect("good markers");
        assert!(made.contains("k4.public.") && !made.contains("old"));
        assert_eq!(with_examples(&made).expect("good markers"), made);
        assert!(with_examples("<!-- generated: nothing -->\n<!-- end -->\n").is_err());
        assert!(with_examples("<!-- generated: keys -->\n").is_err());
    }
}
