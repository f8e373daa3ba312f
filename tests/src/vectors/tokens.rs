//! The shape of a token: everything that is refused before a key is looked up.

use phi_verify::{Claims, Extension};

use super::{
    Vectors,
    base::{self, RawToken, base64url},
};
use crate::snakeoil::{self, Seed};

pub(super) fn add(vectors: &mut Vectors) {
    lengths(vectors);
    segments(vectors);
    encodings(vectors);
    footers(vectors);
    order(vectors);
}

/// The snakeoil license with an extension claim of this many bytes.
fn padded(bytes: usize) -> Claims {
    let mut claims = snakeoil::claims();
    claims
        .extensions
        .insert(-1, Extension::Bytes(vec![0; bytes]));
    claims
}

/// A token whose footer has this many bytes.
fn of_footer_length(length: usize) -> (Claims, RawToken) {
    let sizes = (0..length).rev();
    let tokens = sizes.map(|bytes| (padded(bytes), RawToken::of_claims(&padded(bytes))));
    let mut fitting = tokens.filter(|(_, token)| token.footer.len() == length);
    fitting
        .next()
        .expect("a byte string can have any length but few")
}

/// A token whose last base64url character has bits to spare.
fn slack() -> RawToken {
    let mut tokens = (1..4).map(|bytes| RawToken::of_claims(&padded(bytes)));
    tokens
        .find(|token| token.footer.len() % 3 == 1)
        .expect("one of three lengths")
}

fn lengths(vectors: &mut Vectors) {
    let claims = snakeoil::claims();
    let good = RawToken::of_claims(&claims).sealed();
    vectors.accept(
        "token/valid",
        "a token of plan pro for a year, with flags, quotas, a limit and grace",
        base::token(&good),
        base::license(&claims),
    );
    let (claims, longest) = of_footer_length(2997);
    vectors.accept(
        "token/valid-longest",
        "4095 characters, the longest that base64url allows within the limit of 4096",
        base::token(&longest.sealed()),
        base::license(&claims),
    );
    let refuse = |vectors: &mut Vectors, name: &str, shows: &str, token: &str, code: &str| {
        vectors.refuse(format!("token/{name}"), shows, base::token(token), code);
    };
    let (_, long) = of_footer_length(2998);
    refuse(
        vectors,
        "too-long",
        "4097 characters",
        &long.sealed(),
        "token-too-long",
    );
    let huge = "v4.public.".to_owned() + &"A".repeat(100_000);
    refuse(
        vectors,
        "huge",
        "a hundred thousand characters",
        &huge,
        "token-too-long",
    );
    refuse(vectors, "empty", "no characters at all", "", "token-empty");
    for (name, length) in [
        ("cut-in-prefix", 9),
        ("cut-in-signature", 60),
        ("cut-at-footer", 98),
    ] {
        let code = if length < 10 {
            "token-prefix"
        } else {
            "token-shape"
        };
        refuse(
            vectors,
            name,
            "a token that is cut short",
            &good[..length],
            code,
        );
    }
    let cut = &good[..good.len() - 8];
    refuse(
        vectors,
        "cut-in-footer",
        "a footer that is cut short",
        cut,
        "signature-invalid",
    );
}

fn segments(vectors: &mut Vectors) {
    let good = RawToken::of_claims(&snakeoil::claims());
    let token = good.sealed();
    let (signed, footer) = token["v4.public.".len()..]
        .split_once('.')
        .expect("two segments");
    for (name, prefix) in [
        ("version-2", "v2.public."),
        ("version-3", "v3.public."),
        ("version-5", "v5.public."),
        ("purpose-local", "v4.local."),
        ("encoding-suffix", "v4c.public."),
        ("prefix-uppercase", "V4.public."),
        ("prefix-missing", ""),
    ] {
        let shows = "another version or purpose of PASETO, well signed";
        let other = RawToken {
            prefix,
            ..good.clone()
        };
        vectors.refuse(
            format!("token/{name}"),
            shows,
            base::token(&other.sealed()),
            "token-prefix",
        );
    }
    for (name, shows, token) in [
        ("no-footer", "no footer", format!("v4.public.{signed}")),
        (
            "footer-empty",
            "a dot and an empty footer",
            format!("v4.public.{signed}."),
        ),
        ("extra-segment", "a third segment", format!("{token}.AAAA")),
        ("extra-dot", "a dot at the end", format!("{token}.")),
        (
            "dot-doubled",
            "two dots before the footer",
            format!("v4.public.{signed}..{footer}"),
        ),
        ("signature-short", "a signature of 63 bytes", {
            format!("v4.public.{}.{footer}", &signed[..87])
        }),
        (
            "signature-long",
            "a signature of 67 bytes",
            format!("v4.public.{signed}AAAA.{footer}"),
        ),
        ("payload-json", "a PASETO with claims in its payload", {
            let payload = br#"{"exp":"2039-01-01T00:00:00+00:00"}"#.to_vec();
            RawToken {
                payload,
                ..good.clone()
            }
            .sealed()
        }),
        ("payload-empty", "a PASETO with an empty payload", {
            RawToken {
                payload: Vec::new(),
                ..good.clone()
            }
            .sealed()
        }),
    ] {
        vectors.refuse(
            format!("token/{name}"),
            shows,
            base::token(&token),
            "token-shape",
        );
    }
    for (name, payload) in [("payload-array", b"[]"), ("payload-zero", b"\0\0")] {
        let token = RawToken {
            payload: payload.to_vec(),
            ..good.clone()
        }
        .sealed();
        let shows = "a payload of two bytes that are not {}, well signed";
        vectors.refuse(
            format!("token/{name}"),
            shows,
            base::token(&token),
            "token-payload",
        );
    }
}

fn encodings(vectors: &mut Vectors) {
    let good = slack();
    let token = good.sealed();
    let (head, last) = token.split_at(token.len() - 1);
    // The four spare bits of the last character are zero in the one good encoding.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).expect("base64url") + 1;
    let slack = &alphabet[place..=place];
    let signed_at = "v4.public.".len();
    let replaced = |at: usize, with: &str| format!("{}{with}{}", &token[..at], &token[at + 1..]);
    for (name, shows, token) in [
        (
            "padding",
            "a footer with base64 padding",
            format!("{token}=="),
        ),
        (
            "slack-bits",
            "a footer whose last character has spare bits set",
            format!("{head}{slack}"),
        ),
        (
            "newline-at-end",
            "a newline at the end",
            format!("{token}\n"),
        ),
        (
            "newline-inside",
            "a newline in the footer",
            replaced(120, "\n"),
        ),
        ("space-inside", "a space in the footer", replaced(120, " ")),
        (
            "alphabet-plus",
            "a + of base64 in the footer",
            replaced(120, "+"),
        ),
        (
            "alphabet-slash",
            "a / of base64 in the footer",
            replaced(120, "/"),
        ),
        (
            "alphabet-in-signature",
            "a + of base64 in the signature",
            replaced(signed_at + 40, "+"),
        ),
        (
            "not-ascii",
            "a letter outside ASCII in the footer",
            replaced(120, "é"),
        ),
        ("one-character-footer", "a footer of one character", {
            format!("{}A", &token[..signed_at + 89])
        }),
    ] {
        vectors.refuse(
            format!("token/{name}"),
            shows,
            base::token(&token),
            "token-encoding",
        );
    }
    let leading = format!(" {token}");
    let shows = "a space before the token: trimming is for whoever reads the file";
    vectors.refuse(
        "token/space-before",
        shows,
        base::token(&leading),
        "token-prefix",
    );
}

fn footers(vectors: &mut Vectors) {
    let good = RawToken::of_claims(&snakeoil::claims());
    let (id, body) = good.footer[2..].split_at(9);
    let json = format!(r#"{{"kid":"k4.pid.{}"}}"#, base64url(id)).into_bytes();
    for (name, shows, footer) in [
        (
            "footer-json",
            "a JSON footer, as PASETO libraries make them",
            json,
        ),
        (
            "footer-head-only",
            "a key id and no body",
            good.footer[..11].to_vec(),
        ),
        (
            "footer-short",
            "a footer shorter than a key id",
            good.footer[..7].to_vec(),
        ),
        ("footer-array-of-three", "an array of three", {
            [&[0x83, 0x49], id, body, &[0]].concat()
        }),
        (
            "footer-array-long-head",
            "an array head in a longer form",
            { [&[0x98, 2, 0x49], id, body].concat() },
        ),
        (
            "footer-array-indefinite",
            "an array of indefinite length",
            { [&[0x9f, 0x49], id, body, &[0xff]].concat() },
        ),
        ("footer-key-id-long-head", "a key id with a longer head", {
            [&[0x82, 0x58, 9], id, body].concat()
        }),
        ("footer-key-id-of-eight", "a key id of eight bytes", {
            [&[0x82, 0x48], &id[..8], body].concat()
        }),
        (
            "footer-key-id-as-text",
            "a key id as text",
            [&[0x82, 0x69], id, body].concat(),
        ),
    ] {
        let token = RawToken {
            footer,
            ..good.clone()
        }
        .sealed();
        vectors.refuse(
            format!("token/{name}"),
            shows,
            base::token(&token),
            "token-footer",
        );
    }
}

/// Where two things are wrong, the check that comes first speaks.
fn order(vectors: &mut Vectors) {
    let good = RawToken::of_claims(&snakeoil::claims());
    let bad_payload = RawToken {
        payload: b"[]".to_vec(),
        footer: vec![0],
        ..good.clone()
    };
    let shows = "a bad payload and a bad footer: the payload is judged first";
    let check = base::token(&bad_payload.sealed());
    vectors.refuse(
        "token/order-payload-before-footer",
        shows,
        check,
        "token-payload",
    );
    let stranger = [&[0x82, 0x49], &Seed::Foreign.id().as_bytes()[..], &[0xff]].concat();
    let stranger = RawToken {
        footer: stranger,
        ..good
    };
    let check = base::token(&stranger.with_signature(&[0; 64]));
    let shows = "an unknown key, a signature of zeros and no CBOR: the key is judged first";
    vectors.refuse(
        "token/order-key-before-signature",
        shows,
        check,
        "unknown-key",
    );
}
