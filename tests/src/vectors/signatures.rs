//! Signatures: the one definition of valid, alone and in tokens.

use super::{
    Check, Outcome, Vectors,
    base::{self, RawToken},
    edge::{self, Signer},
};
use crate::{
    hex,
    snakeoil::{self, Seed},
};

pub(super) fn add(vectors: &mut Vectors) {
    primitive(vectors);
    small_order_keys(vectors);
    mixed_order_keys(vectors);
    tokens(vectors);
    domains(vectors);
}

fn check(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Check {
    Check::Signature {
        key: hex(key),
        message: hex(message),
        signature: hex(signature),
    }
}

/// Key, message and signature of RFC 8032 section 7.1, test 2.
const RFC_8032: [&str; 3] = [
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
     085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
];

fn primitive(vectors: &mut Vectors) {
    let [key, message, signature] = RFC_8032.map(String::from);
    let rfc = Check::Signature {
        key,
        message,
        signature,
    };
    vectors.accept(
        "signature/valid-rfc-8032",
        "RFC 8032, test 2",
        rfc,
        Outcome::Holds,
    );
    let (signer, message) = (Signer::of_seed(Seed::License as u8), b"message");
    let good = signer.sign_plainly(message);
    vectors.accept(
        "signature/valid",
        "a signature made as those beside it, with nothing wrong in it",
        check(&signer.key, message, &good),
        Outcome::Holds,
    );
    let commitment = edge::of_order(8);
    let not_a_point = [&[2], &[0; 31][..], &good[32..]].concat();
    for (name, shows, signature) in [
        (
            "s-plus-l",
            "S + L: the same signature in a second form",
            edge::malleated(&good),
        ),
        (
            "r-plus-t8",
            "R + T8 by the key's holder: holds only where the cofactor is multiplied in",
            signer.sign_with_torsion(message),
        ),
        (
            "r-identity",
            "R is the identity: the equation holds, and R has small order",
            signer.sign_without_nonce(edge::IDENTITY, message),
        ),
        (
            "r-identity-non-canonical",
            "R is the identity written as y = p + 1",
            signer.sign_without_nonce(edge::beyond_field(1), message),
        ),
        (
            "r-order-8",
            "R has order 8: holds only where the cofactor is multiplied in",
            signer.sign_without_nonce(commitment, message),
        ),
        (
            "r-not-a-point",
            "R is no point of the curve",
            not_a_point.try_into().expect("64 bytes"),
        ),
        ("zeros", "sixty-four zeros", [0; 64]),
    ] {
        let check = check(&signer.key, message, &signature);
        vectors.refuse(
            format!("signature/{name}"),
            shows,
            check,
            "signature-invalid",
        );
    }
    let other = check(&signer.key, b"messagf", &good);
    let shows = "a good signature of another message";
    vectors.refuse("signature/other-message", shows, other, "signature-invalid");
}

/// Keys under which one signature holds for many messages are refused before any is checked.
fn small_order_keys(vectors: &mut Vectors) {
    for (name, shows, key, code) in [
        (
            "key-identity",
            "A is the identity: S = 0 holds for every message",
            edge::IDENTITY,
            "key-weak",
        ),
        (
            "key-order-2",
            "A has order 2",
            edge::of_order(2),
            "key-weak",
        ),
        (
            "key-order-4",
            "A has order 4",
            edge::of_order(4),
            "key-weak",
        ),
        (
            "key-order-8",
            "A has order 8",
            edge::of_order(8),
            "key-weak",
        ),
        (
            "key-identity-non-canonical",
            "A is the identity written as y = p + 1",
            edge::beyond_field(1),
            "key-not-canonical",
        ),
    ] {
        let signer = Signer::of_small_order(key);
        let messages = (0_u8..).map(|number| [number]);
        // With a challenge that is a multiple of eight, A disappears from the equation.
        let mut messages = messages.filter(|message| {
            signer.challenge(&edge::IDENTITY, message).to_bytes()[0].is_multiple_of(8)
        });
        let message = messages
            .next()
            .expect("one challenge in eight is a multiple of eight");
        let signature = signer.sign_without_nonce(edge::IDENTITY, &message);
        let check = check(&key, &message, &signature);
        vectors.refuse(format!("signature/{name}"), shows, check, code);
    }
}

fn mixed_order_keys(vectors: &mut Vectors) {
    let signer = Signer::of_seed(Seed::License as u8).mixed();
    for (name, shows, multiple) in [
        (
            "key-mixed-order-k-multiple-of-8",
            "A + T8, k = 0 mod 8: verify_strict would accept",
            true,
        ),
        ("key-mixed-order-k-other", "A + T8, k != 0 mod 8", false),
    ] {
        let signature = signer.sign_with_challenge(multiple, b"message");
        let check = check(&signer.key, b"message", &signature);
        vectors.refuse(format!("signature/{name}"), shows, check, "key-mixed-order");
    }
}

/// The same signatures in tokens, under a key that is loaded.
fn tokens(vectors: &mut Vectors) {
    let token = RawToken::of_claims(&snakeoil::claims());
    let (signer, message) = (Signer::of_seed(Seed::License as u8), token.message());
    let good = signer.sign_plainly(&message);
    let plain = base::token(&token.with_signature(&good));
    let outcome = base::license(&snakeoil::claims());
    let shows = "a token signed with a nonce of its own, as those beside it are";
    vectors.accept("signature/token-valid", shows, plain, outcome);
    for (name, shows, signature) in [
        ("s-plus-l", "S + L", edge::malleated(&good)),
        (
            "r-plus-t8",
            "R + T8 by the key's holder",
            signer.sign_with_torsion(&message),
        ),
        (
            "r-identity",
            "R is the identity",
            signer.sign_without_nonce(edge::IDENTITY, &message),
        ),
        (
            "r-identity-non-canonical",
            "R is the identity written as y = p + 1",
            signer.sign_without_nonce(edge::beyond_field(1), &message),
        ),
    ] {
        let check = base::token(&token.with_signature(&signature));
        vectors.refuse(
            format!("signature/token-{name}"),
            shows,
            check,
            "signature-invalid",
        );
    }
}

/// What is signed for one purpose holds for no other.
fn domains(vectors: &mut Vectors) {
    let good = RawToken::of_claims(&snakeoil::claims());
    let refuse = |vectors: &mut Vectors, name: &str, shows: &str, token: &str, code: &str| {
        vectors.refuse(format!("signature/{name}"), shows, base::token(token), code);
    };
    for (name, shows, assertion) in [
        (
            "assertion-usage",
            "signed as a usage report",
            &b"phi.usage.v1"[..],
        ),
        (
            "assertion-version-2",
            "signed for a version of the format to come",
            b"phi.license.v2",
        ),
        (
            "assertion-empty",
            "signed without an implicit assertion, as PASETO by default",
            b"",
        ),
        ("assertion-document", "signed as a keyset", b"phi.keyset.v1"),
    ] {
        let token = RawToken {
            assertion,
            ..good.clone()
        }
        .sealed();
        refuse(vectors, name, shows, &token, "signature-invalid");
    }
    let local = RawToken {
        prefix: "v4.local.",
        ..good.clone()
    };
    let token = good.with_signature(&signature(&local.message()));
    refuse(
        vectors,
        "header-other",
        "signed under another header",
        &token,
        "signature-invalid",
    );
    let footer = signature(&base::pae(&[b"v4.public.", b"{}", &good.footer]));
    let shows = "signed over three pieces instead of four";
    refuse(
        vectors,
        "pieces-three",
        shows,
        &good.with_signature(&footer),
        "signature-invalid",
    );
    let bare = signature(&good.footer);
    let shows = "signed over the footer alone";
    refuse(
        vectors,
        "footer-alone",
        shows,
        &good.with_signature(&bare),
        "signature-invalid",
    );
    let pretender = RawToken {
        signer: Seed::Foreign,
        ..good
    };
    let shows = "a stranger's signature under the id of a trusted key";
    refuse(
        vectors,
        "key-id-borrowed",
        shows,
        &pretender.sealed(),
        "signature-invalid",
    );
    for (name, seed) in [
        ("role-root", Seed::Root),
        ("role-keyset", Seed::Keyset),
        ("role-status", Seed::Status),
        ("role-ledger", Seed::Ledger),
        ("key-foreign", Seed::Foreign),
    ] {
        let token = seed.mint(&snakeoil::claims());
        let shows = "signed by a key that the keyset does not name, whatever else it may sign";
        refuse(vectors, name, shows, &token, "unknown-key");
    }
}

fn signature(message: &[u8]) -> [u8; 64] {
    Signer::of_seed(Seed::License as u8).sign_plainly(message)
}
