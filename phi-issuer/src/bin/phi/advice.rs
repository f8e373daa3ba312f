//! What to do about each error: its class and its next step, by the error's stable code.

use crate::exit_code::ExitCode;

/// The class of an error and the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    /// The exit code.
    pub(crate) exit: ExitCode,
    /// The next step, as an imperative phrase.
    pub(crate) hint: &'static str,
}

/// The advice for this code, if it is a known one.
pub(crate) fn advice(code: &str) -> Option<Advice> {
    let entry = TABLE.iter().find(|(known, ..)| *known == code)?;
    let (_, exit, hint) = *entry;
    Some(Advice { exit, hint })
}

const NOT_A_TOKEN: &str = "copy the whole token, from v4.public. to its last character";
const DAMAGED_OR_NEWER: &str = "the object is damaged or of a newer format: fetch it again, \
                                or use a newer phi";
const NOT_A_LOG_TEXT: &str = "fetch the file again, whole, and do not change its line ends";
const FETCH_BUNDLE: &str = "fetch the issuer's newest published documents";

/// Every code of `phi-verify`, of the library and of this command.
const TABLE: &[(&str, ExitCode, &str)] = &[
    // A license that was read and is not valid now.
    (
        "expired",
        ExitCode::NOT_VALID_NOW,
        "ask the vendor for a renewal, a token of a later date",
    ),
    (
        "not-yet-valid",
        ExitCode::NOT_VALID_NOW,
        "wait until the license begins; if it should have begun, set the clock",
    ),
    (
        "clock-rolled-back",
        ExitCode::NOT_VALID_NOW,
        "set the clock; if it was ahead before, ask the issuer for a clock reset",
    ),
    (
        "clock-reset-expired",
        ExitCode::NOT_VALID_NOW,
        "ask the issuer for a new clock reset",
    ),
    (
        "clock-reset-outlived",
        ExitCode::NOT_VALID_NOW,
        "ask the issuer for a new clock reset, with the steady floor of today's report",
    ),
    (
        "clock-reset-used",
        ExitCode::NOT_VALID_NOW,
        "a clock reset works once: ask the issuer for a new one",
    ),
    (
        "clock-resets-too-many",
        ExitCode::NOT_VALID_NOW,
        "import the issuer's newest status list, which resets the clock as well",
    ),
    (
        "catalogs-too-many",
        ExitCode::BAD_INPUT,
        "give the application the catalogs of its own products alone",
    ),
    (
        "installation-mismatch",
        ExitCode::NOT_FOR_HERE,
        "send the issuer the installation id of this application's report",
    ),
    (
        "revoked",
        ExitCode::REVOKED,
        "the issuer took it back: ask the vendor",
    ),
    (
        "probably-revoked",
        ExitCode::REVOKED,
        "fetch a status document whose filter does not err, or use --policy lenient",
    ),
    // Good elsewhere.
    (
        "product-mismatch",
        ExitCode::NOT_FOR_HERE,
        "use the license of this product, or name the other with --product",
    ),
    (
        "machine-unknown",
        ExitCode::NOT_FOR_HERE,
        "pass --this-machine on the machine itself, or its request with --fingerprint",
    ),
    (
        "machine-mismatch",
        ExitCode::NOT_FOR_HERE,
        "send the vendor a new request of this machine: phi fingerprint",
    ),
    // A token that does not read.
    ("token-empty", ExitCode::NOT_TRUSTED, NOT_A_TOKEN),
    ("token-encoding", ExitCode::NOT_TRUSTED, NOT_A_TOKEN),
    ("token-footer", ExitCode::NOT_TRUSTED, NOT_A_TOKEN),
    (
        "token-payload",
        ExitCode::NOT_TRUSTED,
        "this PASETO token was not made by Phi: ask the vendor for the license",
    ),
    ("token-prefix", ExitCode::NOT_TRUSTED, NOT_A_TOKEN),
    ("token-shape", ExitCode::NOT_TRUSTED, NOT_A_TOKEN),
    ("token-too-long", ExitCode::NOT_TRUSTED, NOT_A_TOKEN),
    (
        "armor-invalid",
        ExitCode::NOT_TRUSTED,
        "copy the whole text, from its BEGIN line to its END line",
    ),
    // Keys and signatures.
    (
        "signature-invalid",
        ExitCode::NOT_TRUSTED,
        "a character was changed, or it is a forgery: fetch it again from the vendor",
    ),
    (
        "signature-duplicate",
        ExitCode::NOT_TRUSTED,
        "the document was not made by Phi: fetch it again from the issuer",
    ),
    (
        "signatures-missing",
        ExitCode::NOT_TRUSTED,
        "bring the newest root-N.phi and the documents published after it: other keys sign now",
    ),
    (
        "unknown-key",
        ExitCode::NOT_TRUSTED,
        "fetch the issuer's newest keyset; if it lacks the key too, the token is foreign",
    ),
    (
        "key-not-active",
        ExitCode::NOT_TRUSTED,
        "fetch the issuer's newest keyset",
    ),
    (
        "key-outside-window",
        ExitCode::NOT_TRUSTED,
        "fetch the issuer's newest keyset; if it says the same, the token is not to be trusted",
    ),
    (
        "key-revoked",
        ExitCode::NOT_TRUSTED,
        "the signing key was lost: ask the vendor for a new token",
    ),
    (
        "no-key-fits",
        ExitCode::BAD_INPUT,
        "make a key for it with phi key new, and bring it in with phi key rotate --like KEY",
    ),
    (
        "would-orphan",
        ExitCode::STORE,
        "add --force if that is what is wanted",
    ),
    (
        "attention-needed",
        ExitCode::ATTENTION,
        "take the next steps that are listed, the most urgent first",
    ),
    (
        "key-scope",
        ExitCode::NOT_TRUSTED,
        "fetch the issuer's newest keyset; if it says the same, the token is not to be trusted",
    ),
    (
        "key-duplicate",
        ExitCode::NOT_TRUSTED,
        "the document was not made by Phi: fetch it again from the issuer",
    ),
    (
        "key-in-two-roles",
        ExitCode::NOT_TRUSTED,
        "make one key for each role: phi key new",
    ),
    (
        "key-id-invalid",
        ExitCode::BAD_INPUT,
        "list the keys and their ids: phi key list",
    ),
    (
        "key-mixed-order",
        ExitCode::NOT_TRUSTED,
        "do not use this key: make one with phi key new",
    ),
    (
        "key-not-a-point",
        ExitCode::NOT_TRUSTED,
        "do not use this key: make one with phi key new",
    ),
    (
        "key-not-canonical",
        ExitCode::NOT_TRUSTED,
        "do not use this key: make one with phi key new",
    ),
    (
        "key-weak",
        ExitCode::NOT_TRUSTED,
        "do not use this key: make one with phi key new",
    ),
    (
        "key-not-paserk",
        ExitCode::BAD_INPUT,
        "copy the whole key, from k4.public. to its last character",
    ),
    (
        "key-threshold",
        ExitCode::NOT_TRUSTED,
        "the document was not made by Phi: fetch it again from the issuer",
    ),
    // Signed bytes that do not decode.
    (
        "cbor-forbidden-type",
        ExitCode::NOT_TRUSTED,
        DAMAGED_OR_NEWER,
    ),
    ("cbor-key-order", ExitCode::NOT_TRUSTED, DAMAGED_OR_NEWER),
    (
        "cbor-not-deterministic",
        ExitCode::NOT_TRUSTED,
        DAMAGED_OR_NEWER,
    ),
    ("cbor-syntax", ExitCode::NOT_TRUSTED, DAMAGED_OR_NEWER),
    ("field-invalid", ExitCode::NOT_TRUSTED, DAMAGED_OR_NEWER),
    ("field-missing", ExitCode::NOT_TRUSTED, DAMAGED_OR_NEWER),
    ("field-unknown", ExitCode::NOT_TRUSTED, DAMAGED_OR_NEWER),
    ("kind-mismatch", ExitCode::NOT_TRUSTED, DAMAGED_OR_NEWER),
    ("document-envelope", ExitCode::NOT_TRUSTED, DAMAGED_OR_NEWER),
    (
        "document-kind",
        ExitCode::NOT_TRUSTED,
        "hand in a document of the kind that is asked for: phi inspect says what one is",
    ),
    (
        "document-too-large",
        ExitCode::NOT_TRUSTED,
        DAMAGED_OR_NEWER,
    ),
    ("bundle-invalid", ExitCode::NOT_TRUSTED, DAMAGED_OR_NEWER),
    (
        "bundle-too-large",
        ExitCode::BAD_INPUT,
        "check that this is the right file: no bundle is that large",
    ),
    (
        "index-mismatch",
        ExitCode::NOT_TRUSTED,
        "fetch the bundle again, or import the issuer's documents one by one",
    ),
    // The ledger's log.
    ("note-invalid", ExitCode::NOT_TRUSTED, NOT_A_LOG_TEXT),
    ("checkpoint-invalid", ExitCode::NOT_TRUSTED, NOT_A_LOG_TEXT),
    ("proof-invalid", ExitCode::NOT_TRUSTED, NOT_A_LOG_TEXT),
    ("leaf-invalid", ExitCode::NOT_TRUSTED, DAMAGED_OR_NEWER),
    (
        "not-included",
        ExitCode::NOT_TRUSTED,
        "use the proof that came with this token; if it is, the token is not in the ledger",
    ),
    (
        "proof-needed",
        ExitCode::NOT_TRUSTED,
        "ask the vendor: for its proof if it was minted before that event, for a new token if after",
    ),
    (
        "proof-after-cut",
        ExitCode::NOT_TRUSTED,
        "the signing key was stolen when this was minted: ask the vendor for a new token",
    ),
    (
        "not-consistent",
        ExitCode::NOT_TRUSTED,
        "keep both checkpoints and ask the issuer for a proof between their sizes",
    ),
    (
        "origin-mismatch",
        ExitCode::NOT_TRUSTED,
        "use the checkpoints and proofs of the license's own issuer",
    ),
    (
        "proof-base",
        ExitCode::NOT_TRUSTED,
        "ask the issuer for a consistency proof from the size at hand",
    ),
    (
        "split-view",
        ExitCode::NOT_TRUSTED,
        "keep both checkpoints, ask the issuer for the newest with a proof, and show both to others",
    ),
    // The trust state.
    (
        "equivocation",
        ExitCode::NOT_TRUSTED,
        "the issuer's signer said two things: keep both documents and ask the issuer",
    ),
    (
        "issuer-mismatch",
        ExitCode::NOT_TRUSTED,
        "use the trust documents of the license's own issuer: --trust DIR",
    ),
    ("keyset-missing", ExitCode::NOT_TRUSTED, FETCH_BUNDLE),
    ("mix-and-match", ExitCode::NOT_TRUSTED, FETCH_BUNDLE),
    ("rollback", ExitCode::NOT_TRUSTED, FETCH_BUNDLE),
    (
        "root-gap",
        ExitCode::NOT_TRUSTED,
        "import every root document in order, from the trust anchor's on",
    ),
    (
        "root-too-old",
        ExitCode::NOT_TRUSTED,
        "import every root document in order, from the trust anchor's on",
    ),
    ("stale-trust", ExitCode::NOT_TRUSTED, FETCH_BUNDLE),
    (
        "delta-base",
        ExitCode::NOT_TRUSTED,
        "import the full list that the message names, or the newest full list",
    ),
    (
        "delta-in-bundle",
        ExitCode::NOT_TRUSTED,
        "use the full list in a bundle; a delta travels alone, to who has its base",
    ),
    (
        "revocation-missing",
        ExitCode::NOT_TRUSTED,
        "keep the list at hand and ask the issuer: a list says what it takes back",
    ),
    (
        "status-missing",
        ExitCode::NOT_TRUSTED,
        "fetch the issuer's status document, or do without: --policy lenient",
    ),
    (
        "status-too-old",
        ExitCode::NOT_TRUSTED,
        "fetch the issuer's newest status document",
    ),
    (
        "not-covered",
        ExitCode::NOT_TRUSTED,
        "fetch a status document made after the license, or use --policy balanced",
    ),
    (
        "bundle-without-token",
        ExitCode::BAD_INPUT,
        "mint one with phi mint, or leave out --license and --customer for documents alone",
    ),
    (
        "bundle-choice",
        ExitCode::BAD_INPUT,
        "choose with --license ID, --token ID or --product NAME, or verify each with --all",
    ),
    (
        "bundle-foreign",
        ExitCode::NOT_TRUSTED,
        "name the root that came with the bundle's product with --anchor, or ask for a bundle with all roots",
    ),
    (
        "trust-missing",
        ExitCode::BAD_INPUT,
        "name the folder of the issuer's published documents with --trust DIR",
    ),
    (
        "product-unknown",
        ExitCode::BAD_INPUT,
        "name the product with --product",
    ),
    // Inputs.
    (
        "file-missing",
        ExitCode::BAD_INPUT,
        "check the path; an object may be given as text, as a file, or as - for standard input",
    ),
    (
        "file-exists",
        ExitCode::BAD_INPUT,
        "choose another name, or move the old file away",
    ),
    (
        "file-too-large",
        ExitCode::BAD_INPUT,
        "check that this is the right file",
    ),
    (
        "file-not-regular",
        ExitCode::BAD_INPUT,
        "name a regular file",
    ),
    (
        "file-permissions",
        ExitCode::KEY,
        "take the rights of others away: chmod 600",
    ),
    (
        "file-system-permissions",
        ExitCode::KEY,
        "mount it for you alone (-o umask=077,uid=YOU), or copy the file to a folder of yours",
    ),
    (
        "file-owner",
        ExitCode::KEY,
        "look at what is in it, and make it yours: chown",
    ),
    (
        "tokens-several",
        ExitCode::BAD_INPUT,
        "hand in one of them: alone in a file, or as text",
    ),
    (
        "not-carried",
        ExitCode::PUBLICATION,
        "the document is published: do not publish it again for that",
    ),
    (
        "state-not-kept",
        ExitCode::BAD_INPUT,
        "check the folder and its permissions, and import again",
    ),
    (
        "file-failed",
        ExitCode::BAD_INPUT,
        "check the path and its permissions",
    ),
    (
        "disk-full",
        ExitCode::UNEXPECTED,
        "make room and run the command again: nothing was left half written",
    ),
    (
        "input-too-large",
        ExitCode::BAD_INPUT,
        "check that this is the right file: no Phi object is that large",
    ),
    (
        "input-not-text",
        ExitCode::BAD_INPUT,
        "check that this is the right file: a token, a document, a key or a request",
    ),
    (
        "wrong-kind",
        ExitCode::BAD_INPUT,
        "phi inspect explains any Phi object",
    ),
    (
        "fingerprint-invalid",
        ExitCode::BAD_INPUT,
        "have the customer run phi fingerprint again and send the whole line",
    ),
    (
        "component-malformed",
        ExitCode::BAD_INPUT,
        "write --component kind=value, as in --component machine-id=4c4c4544",
    ),
    (
        "batch-file",
        ExitCode::BAD_INPUT,
        "a batch is a .csv file with a header line, or a .jsonl file with an object a line",
    ),
    (
        "batch-rows",
        ExitCode::BAD_INPUT,
        "the refused rows say why: mend them and run the file again into a new --out, nothing is minted twice",
    ),
    (
        "import-file",
        ExitCode::BAD_INPUT,
        "an import is CSV with a header line or JSON lines; phi import FILE --write-map MAP.toml begins a map of it",
    ),
    (
        "import-map-invalid",
        ExitCode::BAD_INPUT,
        "edit the lines named above; docs/guides/migration.md has every key of a map",
    ),
    (
        "import-rows",
        ExitCode::BAD_INPUT,
        "mend the refused rows or the map and run the import again: nothing is made twice",
    ),
    (
        "file-form",
        ExitCode::BAD_INPUT,
        "name a file that ends in .csv or .jsonl, for a report also .json; for rows --format says it too",
    ),
    ("not-found", ExitCode::BAD_INPUT, "check the name"),
    (
        "input-invalid",
        ExitCode::BAD_INPUT,
        "mend what the message names; the command's --help shows the forms",
    ),
    (
        "components-missing",
        ExitCode::BAD_INPUT,
        "name what identifies this machine: --component kind=value",
    ),
    (
        "time-invalid",
        ExitCode::BAD_INPUT,
        "write a date (2031-01-04), a time (2031-01-04T12:00:00Z) or a span ahead (+1y, +30d)",
    ),
    (
        "catalog-invalid",
        ExitCode::BAD_INPUT,
        "edit the lines named above and run phi catalog check",
    ),
    (
        "qr-too-long",
        ExitCode::BAD_INPUT,
        "use a text form: --format token or --format armor",
    ),
    (
        "output-failed",
        ExitCode::UNEXPECTED,
        "check where the output goes",
    ),
    // The issuer.
    ("already-exists", ExitCode::BAD_INPUT, "choose another name"),
    (
        "batch-conflict",
        ExitCode::BAD_INPUT,
        "give the row a new ref, or restore the row as it was",
    ),
    (
        "entitlement-invalid",
        ExitCode::BAD_INPUT,
        "phi catalog show lists plans, add-ons, flags, quotas and limits",
    ),
    (
        "event-damaged",
        ExitCode::STORE,
        "restore phi.db from a backup",
    ),
    (
        "folder-in-use",
        ExitCode::BAD_INPUT,
        "choose another folder with --dir, or move what is there away",
    ),
    (
        "folder-missing",
        ExitCode::BAD_INPUT,
        "run phi init here, or name the issuer's folder with --dir",
    ),
    (
        "key-file-missing",
        ExitCode::KEY,
        "bring the key file back into keys/",
    ),
    (
        "ceremony-file",
        ExitCode::BAD_INPUT,
        "fetch the file again, whole, from its BEGIN line to its END line",
    ),
    (
        "not-confirmed",
        ExitCode::BAD_INPUT,
        "look at it with phi root show, and type yes or pass --yes",
    ),
    (
        "proposal-ahead",
        ExitCode::BAD_INPUT,
        "set the clock that is wrong; propose again if it was that of whoever proposed",
    ),
    (
        "proposal-behind",
        ExitCode::BAD_INPUT,
        "propose again with phi root propose, and have that signed",
    ),
    (
        "proposal-invalid",
        ExitCode::BAD_INPUT,
        "do not sign it: ask whoever proposed, by a way that you trust",
    ),
    (
        "root-signature-refused",
        ExitCode::BAD_INPUT,
        "leave this signature out, and have its holder sign this proposal with phi root sign",
    ),
    (
        "root-signatures-missing",
        ExitCode::KEY,
        "have the missing holders sign, and assemble again with all signatures",
    ),
    (
        "signers-missing",
        ExitCode::KEY,
        "bring as many of the missing keys' files into keys/ as must sign",
    ),
    (
        "key-not-known",
        ExitCode::PUBLICATION,
        "ask whoever added the key, and compare its id; then pass --accept-key KEY",
    ),
    (
        "copy-invalid",
        ExitCode::BAD_INPUT,
        "hand in the file or folder as phi ledger wrote it",
    ),
    (
        "filter-not-built",
        ExitCode::PUBLICATION,
        "publish again: the next list has other hashes",
    ),
    (
        "list-wrong",
        ExitCode::PUBLICATION,
        "nothing was signed: run phi ledger verify, and report this if it finds nothing",
    ),
    (
        "revocations-lost",
        ExitCode::STORE,
        "run phi ledger verify, and restore a newer backup if the store is an older copy",
    ),
    (
        "older-than-published",
        ExitCode::STORE,
        "restore a newer backup, or pass --older-than-published",
    ),
    (
        "store-in-use",
        ExitCode::BAD_INPUT,
        "pass --replace to move a file aside; join what is in a database with phi init --join",
    ),
    (
        "ledger-diverged",
        ExitCode::STORE,
        "keep the store as it is for the inquiry; phi ledger restore brings a backup back",
    ),
    (
        "checkpoint-foreign",
        ExitCode::BAD_INPUT,
        "hand in a checkpoint of this issuer's ledger",
    ),
    (
        "checkpoint-behind",
        ExitCode::BAD_INPUT,
        "sign a new checkpoint: phi ledger checkpoint",
    ),
    (
        "ledger-clock-behind",
        ExitCode::STORE,
        "set this machine's clock; if it is right: phi ledger correct-clock",
    ),
    (
        "ledger-clock-right",
        ExitCode::STORE,
        "nothing is to be done",
    ),
    (
        "revision-conflict",
        ExitCode::STORE,
        "look at the license again with phi license show, then decide anew",
    ),
    (
        "transition-refused",
        ExitCode::STORE,
        "phi license show says what state it is in",
    ),
    (
        "entry-newer",
        ExitCode::STORE,
        "use the newer phi that wrote it",
    ),
    (
        "idempotency-conflict",
        ExitCode::BAD_INPUT,
        "repeat the request as it was, or give the new one a key of its own",
    ),
    (
        "no-such-revision",
        ExitCode::BAD_INPUT,
        "phi license history lists the revisions",
    ),
    (
        "not-there-then",
        ExitCode::BAD_INPUT,
        "phi license history says since when it is there",
    ),
    (
        "waiting-misfit",
        ExitCode::BAD_INPUT,
        "call the waiting change off with phi license withdraw",
    ),
    (
        "not-allowed",
        ExitCode::STORE,
        "phi license show, phi key list and phi status show say how things stand",
    ),
    (
        "not-verified",
        ExitCode::PUBLICATION,
        "nothing was given out: publish the keyset and try again",
    ),
    (
        "publication-behind",
        ExitCode::PUBLICATION,
        "run phi keyset publish, then phi status publish",
    ),
    (
        "sign-failed",
        ExitCode::KEY,
        "nothing was given out: try again, and look at the machine if it stays",
    ),
    (
        "store-busy",
        ExitCode::STORE,
        "another phi is at work here: try again when it is done",
    ),
    (
        "store-damaged",
        ExitCode::STORE,
        "restore phi.db from a backup",
    ),
    (
        "store-lost",
        ExitCode::STORE,
        "nothing was changed: run the command again",
    ),
    (
        "store-missing",
        ExitCode::STORE,
        "bring phi.db back from a backup",
    ),
    (
        "store-no-access",
        ExitCode::STORE,
        "check the permissions of the folder and of phi.db",
    ),
    (
        "store-foreign",
        ExitCode::STORE,
        "name the issuer's folder with --dir",
    ),
    (
        "store-newer",
        ExitCode::STORE,
        "use the newer phi that wrote it",
    ),
    (
        "store-outcome-unknown",
        ExitCode::STORE,
        "look with phi audit query, or repeat it with the same idempotency key",
    ),
    (
        "store-unfit",
        ExitCode::STORE,
        "set up the server as docs/guides/postgresql.md says",
    ),
    (
        "store-unreachable",
        ExitCode::STORE,
        "see that the server is up and that phi.toml names it",
    ),
    (
        "store-unusable",
        ExitCode::STORE,
        "nothing was changed; if this stays, restore phi.db from a backup",
    ),
    (
        "system",
        ExitCode::UNEXPECTED,
        "check the folder, its permissions and the room on the disk",
    ),
    // Keys at rest and passphrases.
    (
        "key-missing",
        ExitCode::KEY,
        "bring the key file back into keys/: phi key list says which there are",
    ),
    (
        "key-exists",
        ExitCode::KEY,
        "the key is there already: phi key list",
    ),
    (
        "key-permissions",
        ExitCode::KEY,
        "take the rights of others away: chmod 600",
    ),
    (
        "key-malformed",
        ExitCode::KEY,
        "bring the key file back from a backup",
    ),
    (
        "key-kdf-limit",
        ExitCode::KEY,
        "the key was not made by phi: seal it again with a common strength",
    ),
    (
        "key-memory",
        ExitCode::KEY,
        "free some memory, or use a machine with more",
    ),
    (
        "key-public-half",
        ExitCode::KEY,
        "bring the key file back from a backup",
    ),
    (
        "key-role",
        ExitCode::BAD_INPUT,
        "roles are root, keyset, status, ledger and license",
    ),
    (
        "randomness",
        ExitCode::UNEXPECTED,
        "the system gives no random bytes: try again later",
    ),
    (
        "passphrase-empty",
        ExitCode::KEY,
        "give a passphrase of one character or more",
    ),
    (
        "passphrase-not-text",
        ExitCode::KEY,
        "check that this is the passphrase's file",
    ),
    (
        "passphrase-too-long",
        ExitCode::KEY,
        "check that this is the passphrase's file",
    ),
    ("passphrase-mismatch", ExitCode::KEY, "type the same twice"),
    (
        "passphrase-shown",
        ExitCode::KEY,
        "leave the option out and be asked, or redirect the descriptor",
    ),
    (
        "passphrase-unreadable",
        ExitCode::KEY,
        "check the path and its permissions",
    ),
    (
        "passphrase-no-terminal",
        ExitCode::KEY,
        "pass --passphrase-file FILE or --passphrase-fd N",
    ),
    (
        "pin-missing",
        ExitCode::KEY,
        "pass --pin-file FILE or --pin-fd N",
    ),
    (
        "pin-wrong",
        ExitCode::KEY,
        "check which token this is, and its PIN, before you try again",
    ),
    (
        "pin-locked",
        ExitCode::KEY,
        "have the token's security officer set a new PIN",
    ),
    (
        "pin-unset",
        ExitCode::KEY,
        "have the token's security officer set a PIN",
    ),
    // Signers elsewhere.
    (
        "signer-place",
        ExitCode::KEY,
        "mend the file; docs/guides/signers.md shows what is in it",
    ),
    (
        "signer-twice",
        ExitCode::KEY,
        "move the one of the two that is not to sign out of keys/",
    ),
    (
        "signer-not-built-in",
        ExitCode::KEY,
        "use a phi that was built with its feature pkcs11",
    ),
    (
        "signer-program",
        ExitCode::KEY,
        "check the program's name and path in the key's signer file",
    ),
    (
        "signer-program-failed",
        ExitCode::KEY,
        "run the program by hand with any text on its standard input, and see what it needs",
    ),
    (
        "signer-program-timeout",
        ExitCode::KEY,
        "see what the program waits for: it cannot ask for anything on its standard input",
    ),
    (
        "signer-program-output",
        ExitCode::KEY,
        "have the program write the 64 bytes of the signature as they are, and nothing else",
    ),
    (
        "token-module",
        ExitCode::KEY,
        "install the library of the token's maker, and name it with its full path",
    ),
    (
        "token-missing",
        ExitCode::KEY,
        "plug it in, or look with phi key tokens --pkcs11 MODULE",
    ),
    (
        "token-ambiguous",
        ExitCode::KEY,
        "say which one with its serial number",
    ),
    (
        "token-removed",
        ExitCode::KEY,
        "nothing was given out: plug the token in again and run the command again",
    ),
    (
        "token-mechanism",
        ExitCode::KEY,
        "use a token that does Ed25519, which PKCS#11 has as EDDSA",
    ),
    (
        "token-key-missing",
        ExitCode::KEY,
        "look with phi key tokens --pkcs11 MODULE --token LABEL",
    ),
    (
        "token-key-ambiguous",
        ExitCode::KEY,
        "give the keys in the token different values of CKA_ID",
    ),
    (
        "token-key-malformed",
        ExitCode::KEY,
        "make a new key in the token: phi key new --pkcs11 MODULE --token LABEL",
    ),
    (
        "token-key-mismatch",
        ExitCode::KEY,
        "use the token that the key was made in, or mend its id in the key's signer file",
    ),
    (
        "token-key-exposed",
        ExitCode::KEY,
        "use a token that keeps its keys to itself",
    ),
    (
        "token-refused",
        ExitCode::KEY,
        "see what the token's own program says of it",
    ),
    (
        "passphrase-wrong",
        ExitCode::KEY,
        "try again; if the passphrase is right, bring the key file back from a backup",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The codes that the functions named `code` in a source file can return: the words in
    /// quotes that stand alone in a match arm.
    fn codes(source: &'static str) -> BTreeSet<&'static str> {
        let before_tests = source.split("#[cfg(test)]").next().unwrap_or(source);
        let kebab = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        };
        before_tests
            .split("fn code(")
            .skip(1)
            .flat_map(|body| {
                body.split("\n    }\n")
                    .next()
                    .unwrap_or(body)
                    .split('"')
                    .skip(1)
            })
            .step_by(2)
            .filter(|word| kebab(word))
            .collect()
    }

    #[test]
    fn every_code_of_the_verifier_has_advice() {
        let codes = codes(include_str!("../../../../phi-verify/src/error.rs"));
        assert!(codes.len() > 40, "{codes:?}");
        for code in codes {
            assert!(advice(code).is_some(), "no advice for {code}");
        }
    }

    #[test]
    fn every_code_of_the_library_has_advice() {
        for (source, at_least) in [
            (include_str!("../../error.rs"), 19),
            (include_str!("../../store/fault.rs"), 8),
            (include_str!("../../durable.rs"), 6),
            (include_str!("../../keyfile/error.rs"), 8),
            (include_str!("../../passphrase.rs"), 8),
            (include_str!("../../custody/error.rs"), 20),
            (include_str!("../../machine.rs"), 1),
            (include_str!("../../qr.rs"), 1),
        ] {
            let codes = codes(source);
            assert!(codes.len() >= at_least, "{codes:?}");
            for code in codes {
                assert!(advice(code).is_some(), "no advice for {code}");
            }
        }
    }

    #[test]
    fn each_code_stands_once_with_a_phrase() {
        let mut seen = BTreeSet::new();
        for (code, _, hint) in TABLE {
            assert!(seen.insert(code), "{code} stands twice");
            assert!(!hint.ends_with('.') && !hint.is_empty(), "{code}: {hint}");
        }
    }
}
