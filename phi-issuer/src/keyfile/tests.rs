//! Signing keys against the vectors of the PASETO project, against pasetors, and against misuse.

use std::error::Error as _;
use std::fs;

use super::*;

const SECRET_PW: &str = include_str!("../../tests/data/k4.secret-pw.json");

fn passphrase(text: &str) -> Passphrase {
    Passphrase::from_bytes(text.as_bytes()).unwrap()
}

fn snakeoil(byte: u8) -> SigningKey {
    SigningKey::new(Box::new(ed25519_dalek::SigningKey::from_bytes(&[byte; 32]))).unwrap()
}

fn cases(json: &str) -> Vec<serde_json::Value> {
    let file: serde_json::Value = serde_json::from_str(json).unwrap();
    file["tests"].as_array().unwrap().clone()
}

fn text<'a>(case: &'a serde_json::Value, field: &str) -> &'a str {
    case[field].as_str().unwrap()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn keys_sealed_elsewhere_open() {
    let cases = cases(SECRET_PW);
    assert_eq!(cases.len(), 5);
    for case in cases {
        let key = SigningKey::open(text(&case, "paserk"), &passphrase(text(&case, "password")));
        let key = key.unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
        let keypair = key.secret.to_keypair_bytes();
        assert_eq!(
            keypair.as_slice(),
            unhex(text(&case, "unwrapped")),
            "{}",
            case["name"]
        );
    }
}

#[test]
fn pasetors_agrees_about_public_halves() {
    use pasetors::keys::AsymmetricPublicKey;
    use pasetors::paserk::{FormatAsPaserk as _, Id};
    use pasetors::version4::V4;

    for byte in 0..8 {
        let key = snakeoil(byte);
        let paserk = key.public().to_paserk();
        let theirs = AsymmetricPublicKey::<V4>::try_from(paserk.as_str()).unwrap();
        assert_eq!(theirs.as_bytes(), key.public().as_bytes());
        let mut id = String::new();
        Id::from(&theirs).fmt(&mut id).unwrap();
        assert_eq!(id["k4.pid.".len()..][..12], key.key_id().to_string());
    }
}

#[test]
fn sealed_keys_open_again() {
    let right = passphrase("correct horse");
    let key = SigningKey::generate().unwrap();
    let sealed = key.seal(&right, KdfStrength::Fast).unwrap();
    assert_eq!(sealed.len(), 216);
    assert_eq!(
        SigningKey::open(&sealed, &right).unwrap().public(),
        key.public()
    );
    let again = key.seal(&right, KdfStrength::Fast).unwrap();
    assert_ne!(sealed, again, "salt and nonce are new each time");
    for wrong in ["correct horse ", "correct hors", "Correct horse"] {
        let error = SigningKey::open(&sealed, &passphrase(wrong)).unwrap_err();
        assert!(matches!(error, KeyError::WrongPassphrase));
        assert_eq!(error.to_string(), "wrong passphrase, or a damaged key file");
    }
}

#[test]
fn generated_keys_differ() {
    let keys: Vec<_> = (0..16)
        .map(|_| *SigningKey::generate().unwrap().public().as_bytes())
        .collect();
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key));
    }
}

#[test]
fn a_foreign_public_half_is_refused() {
    let mut keypair = snakeoil(1).secret.to_keypair_bytes();
    keypair[32..].copy_from_slice(snakeoil(2).public().as_bytes());
    let pass = passphrase("correct horse");
    let sealed = pbkw::wrap(&keypair, &pass, KdfStrength::Fast).unwrap();
    let error = SigningKey::open(&sealed, &pass).unwrap_err();
    assert!(matches!(error, KeyError::PublicHalf));
}

#[test]
fn signatures_hold_and_are_deterministic() {
    let key = snakeoil(3);
    for message in [&b""[..], b"message", &[0; 10_000]] {
        let signature = key.sign(message).unwrap();
        assert_eq!(key.sign(message).unwrap(), signature);
        assert!(key.public_key().verify(message, &signature));
    }
}

#[test]
fn a_signature_gone_wrong_is_not_given_out() {
    let key = snakeoil(3);
    let signature = key.sign(b"message").unwrap();
    let check = |bytes: [u8; 64]| checked(key.public(), b"message", bytes);
    assert_eq!(check(signature).unwrap(), signature);
    for bit in 0..512 {
        let mut flipped = signature;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = check(flipped).unwrap_err();
        assert_eq!(error.code(), "sign-failed", "bit {bit}");
    }
}

#[test]
fn nothing_shows_the_key() {
    assert_eq!(format!("{:?}", snakeoil(1)), "[signing key elided]");
}

#[test]
fn strengths_have_names() {
    for strength in [
        KdfStrength::Fast,
        KdfStrength::Standard,
        KdfStrength::Strong,
    ] {
        assert_eq!(strength.to_string().parse(), Ok(strength));
    }
    assert!("".parse::<KdfStrength>().is_err());
    assert!("Strong".parse::<KdfStrength>().is_err());
}

#[test]
fn stored_keys_load_again() {
    let folder = tempfile::tempdir().unwrap();
    let (key, pass) = (snakeoil(4), passphrase("correct horse"));
    let path = store(folder.path(), "license", &key, &pass, KdfStrength::Fast).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(name, format!("license-{}.key", key.key_id()));
    assert_eq!(load(&path, &pass).unwrap().public(), key.public());

    let before = fs::read(&path).unwrap();
    let error = store(folder.path(), "license", &key, &pass, KdfStrength::Fast).unwrap_err();
    assert_eq!(error.code(), "key-exists");
    assert_eq!(fs::read(&path).unwrap(), before);

    // An editor on another system may have changed the line end.
    fs::write(&path, [&before[..before.len() - 1], b"\r\n"].concat()).unwrap();
    load(&path, &pass).unwrap();
    assert_eq!(
        load(&path, &passphrase("wrong")).unwrap_err().code(),
        "passphrase-wrong"
    );
}

#[test]
fn unusable_key_files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let pass = passphrase("correct horse");
    let path = store(
        folder.path(),
        "root",
        &snakeoil(5),
        &pass,
        KdfStrength::Fast,
    )
    .unwrap();
    let good = fs::read(&path).unwrap();
    let missing = load(&folder.path().join("other"), &pass).unwrap_err();
    assert_eq!(missing.code(), "key-missing");
    assert!(
        missing
            .source()
            .unwrap()
            .to_string()
            .ends_with("other does not exist")
    );

    for (contents, code) in [
        (&b""[..], "key-malformed"),
        (b"\n", "key-malformed"),
        (b"k4.secret-pw.", "key-malformed"),
        (&good[1..], "key-malformed"),
        (&good[..good.len() - 2], "key-malformed"),
        (&[&good[..], b"\n"].concat(), "key-malformed"),
        (b"\xff\xfe", "key-malformed"),
        (&[b'A'; 2000], "key-malformed"),
        (
            &[&b"k4.local-pw"[..], &good[12..]].concat(),
            "key-malformed",
        ),
    ] {
        fs::write(&path, contents).unwrap();
        let error = load(&path, &pass).unwrap_err();
        assert_eq!(error.code(), code, "{}", String::from_utf8_lossy(contents));
    }
    assert_eq!(
        load(folder.path(), &pass).unwrap_err().code(),
        folder_code()
    );
}

/// A folder opens as a file on Unix, where its permissions and kind are then asked for.
fn folder_code() -> &'static str {
    if cfg!(unix) {
        "key-malformed"
    } else {
        "file-failed"
    }
}

#[cfg(unix)]
#[test]
fn a_key_file_open_to_others_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let pass = passphrase("correct horse");
    let path = store(
        folder.path(),
        "root",
        &snakeoil(6),
        &pass,
        KdfStrength::Fast,
    )
    .unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = load(&path, &pass).unwrap_err();
    assert_eq!(error.code(), "key-permissions");
    assert!(error.source().unwrap().to_string().contains("chmod 600"));
}

#[test]
fn a_role_cannot_leave_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (key, pass) = (snakeoil(7), passphrase("correct horse"));
    for role in [
        "",
        "../root",
        "a/b",
        "a.b",
        "Root",
        "root ",
        "r\0t",
        &"a".repeat(33),
    ] {
        let error = store(folder.path(), role, &key, &pass, KdfStrength::Fast).unwrap_err();
        assert_eq!(error.code(), "key-role", "{role:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
