//! Text forms: armor, and documents as one word.

use phi_verify::armor;

use super::{Check, Outcome, Vectors, base::base64url};
use crate::{
    hex,
    snakeoil::{self, Seed},
};

pub(super) fn add(vectors: &mut Vectors) {
    good(vectors);
    bad(vectors);
    documents(vectors);
}

fn good(vectors: &mut Vectors) {
    let token = Seed::License.mint(&snakeoil::claims());
    let armored = armor::wrap("LICENSE", &token);
    let mail = armored.replace('\n', "  \r\n");
    let one_line = format!("-----BEGIN PHI LICENSE-----\n{token}\n-----END PHI LICENSE-----");
    for (name, shows, text) in [
        ("valid", "a token between its markers", armored.clone()),
        ("valid-bare", "a token alone", token.clone()),
        (
            "valid-bare-blanks",
            "a token with blanks around it",
            format!("\n  {token}\r\n"),
        ),
        (
            "valid-crlf",
            "line ends and blanks as mail programs leave them",
            mail,
        ),
        (
            "valid-blanks-around",
            "blanks around the markers",
            format!("\n\n {armored}\n"),
        ),
        (
            "valid-one-line",
            "a line longer than 64 characters",
            one_line,
        ),
        (
            "valid-empty-lines",
            "empty lines between",
            armored.replace('\n', "\n\n"),
        ),
    ] {
        let check = Check::Armor(text);
        vectors.accept(
            format!("armor/{name}"),
            shows,
            check,
            Outcome::Text(token.clone()),
        );
    }
}

fn bad(vectors: &mut Vectors) {
    let token = Seed::License.mint(&snakeoil::claims());
    let armored = armor::wrap("LICENSE", &token);
    for (name, shows, text) in [
        (
            "two-words",
            "two words without markers",
            format!("{token}\n{token}"),
        ),
        (
            "end-missing",
            "no END line",
            armored.replace("-----END PHI LICENSE-----", ""),
        ),
        ("end-of-other-label", "an END line of another label", {
            armored.replace("END PHI LICENSE", "END PHI KEYSET")
        }),
        (
            "end-cut",
            "an END line that is cut short",
            armored[..armored.len() - 4].into(),
        ),
        (
            "begin-alone",
            "a BEGIN line that does not end",
            "-----BEGIN PHI LICENSE".into(),
        ),
        (
            "text-after",
            "text after the END line",
            format!("{armored}Regards\n"),
        ),
        (
            "text-before",
            "text before the BEGIN line",
            format!("Your license:\n{armored}"),
        ),
        ("two-objects", "two objects in one text", armored.repeat(2)),
        (
            "blank-in-line",
            "a blank within a line",
            armored.replacen("v4.", "v4. ", 1),
        ),
        ("header-line", "a header line as in PEM", {
            armored.replacen("-----\n", "-----\nComment: mine\n", 1)
        }),
    ] {
        vectors.refuse(
            format!("armor/{name}"),
            shows,
            Check::Armor(text),
            "armor-invalid",
        );
    }
}

fn documents(vectors: &mut Vectors) {
    let keyset = super::base::keyset();
    let word = |kind: &str| format!("phi.{kind}.{}", base64url(&keyset));
    let check = Check::DocumentText(word("keyset"));
    let shows = "a keyset as one word";
    vectors.accept(
        "armor/valid-document",
        shows,
        check,
        Outcome::Bytes(hex(&keyset)),
    );
    for (name, shows, text, code) in [
        (
            "document-kind-other",
            "a keyset under another kind's word",
            word("status"),
            "document-kind",
        ),
        (
            "document-kind-unknown",
            "a kind that does not exist",
            word("delta"),
            "armor-invalid",
        ),
        (
            "document-prefix",
            "no kind",
            base64url(&keyset),
            "armor-invalid",
        ),
        (
            "document-padding",
            "base64 padding",
            word("keyset") + "=",
            "armor-invalid",
        ),
        (
            "document-cut",
            "a word that is cut short",
            {
                let word = word("keyset");
                word[..word.len() - 4].into()
            },
            "document-envelope",
        ),
        (
            "document-empty",
            "no bytes",
            "phi.keyset.".into(),
            "document-envelope",
        ),
    ] {
        vectors.refuse(
            format!("armor/{name}"),
            shows,
            Check::DocumentText(text),
            code,
        );
    }
}
