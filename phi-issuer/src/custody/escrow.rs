//! Keys in escrow: given out under age, for a safe, and taken back from there.
//!
//! Inside is the key itself, as PASERK `k4.secret`: whoever opens the safe in ten years shall not
//! need the passphrase of today. Any age and any PASETO library can read both.

use std::io::{Read as _, Write as _};

use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Encryptor, Identity, Recipient, scrypt, x25519};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use phi_verify::KeyId;
use zeroize::Zeroizing;

use crate::{
    Context, Issuer,
    error::Error,
    event::Event,
    keyfile::SigningKey,
    keys::{self, Role},
    passphrase::{Passphrase, Unlock},
    signers,
};

/// Who can open a key in escrow.
#[derive(Debug)]
pub enum Escrow {
    /// The holders of the secret keys to these age recipients, `age1...`, each alone.
    Recipients(Vec<String>),
    /// Whoever knows a passphrase, which is not the one of the issuer's keys.
    Passphrase(Passphrase),
}

/// What opens a key in escrow.
#[derive(Debug)]
pub enum EscrowKey {
    /// The lines of an age identity file, `AGE-SECRET-KEY-1...`.
    Identities(Zeroizing<String>),
    /// The passphrase.
    Passphrase(Passphrase),
}

/// The largest file that is taken back: a key in escrow has some hundred bytes for each recipient.
pub const MAX_ESCROW_LEN: u64 = 64 << 10;
/// Each recipient opens the key alone: more is a mistake.
const MAX_RECIPIENTS: usize = 20;
const SECRET: &str = "k4.secret.";
/// `k4.secret.` and 64 bytes in base64url, with a line end of any system.
const MAX_SECRET_LEN: u64 = 10 + 86 + 2;

impl Issuer {
    /// Gives a key out, encrypted. That it was given out is in the ledger before this returns.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] for a key that is in a token or behind a program;
    /// [`Error::KeyFileMissing`], [`Error::Key`]; [`Error::Invalid`] for a recipient.
    pub fn export_key(
        &mut self,
        key_id: KeyId,
        escrow: &Escrow,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<Vec<u8>, Error> {
        let row = self.store.read(|query| keys::find(query, key_id))?;
        let path = self.key_path(row.role, key_id);
        if self.place_path(row.role, key_id).exists() {
            return Err(Error::NotAllowed {
                what: format!("key {key_id}"),
                problem: "cannot be given out: it is in a token or behind a program, which keep it",
                hint: "use the means of the token or of the key service to back it up",
            });
        }
        if !path.exists() {
            let role = row.role;
            return Err(Error::KeyFileMissing { role, key_id, path });
        }
        let recipients = parse(escrow)?;
        let key = signers::load(&path, &row.public, unlock.passphrase()?)?;
        let sealed = seal(&key, &recipients)?;
        let to = match escrow {
            Escrow::Recipients(to) => to.clone(),
            Escrow::Passphrase(_) => Vec::new(),
        };
        self.store.write(context, |writer| {
            writer.append(&Event::KeyExported { key_id, to })
        })?;
        Ok(sealed)
    }

    /// Takes a key back that was given out: its file is in the folder again, under the issuer's
    /// passphrase.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it does not open; [`Error::NotFound`] if the ledger does not know the
    /// key; [`Error::AlreadyExists`] if it is here.
    pub fn import_key(
        &mut self,
        sealed: &[u8],
        with: &EscrowKey,
        unlock: &dyn Unlock,
    ) -> Result<(KeyId, Role), Error> {
        let key = open(sealed, with)?;
        let key_id = key.key_id();
        let row = self.store.read(|query| keys::find(query, key_id))?;
        if self.is_at_hand(row.role, key_id) {
            return Err(Error::AlreadyExists {
                what: "the key",
                name: key_id.to_string(),
            });
        }
        self.write_key(row.role, &key, unlock.passphrase()?)?;
        Ok((key_id, row.role))
    }
}

fn invalid(problem: impl Into<String>) -> Error {
    Error::Invalid {
        what: "the key in escrow",
        problem: problem.into(),
    }
}

fn parse(escrow: &Escrow) -> Result<Vec<Box<dyn Recipient>>, Error> {
    let recipients = match escrow {
        Escrow::Passphrase(passphrase) => {
            return Ok(vec![Box::new(scrypt::Recipient::new(secret(passphrase)?))]);
        }
        Escrow::Recipients(recipients) => recipients,
    };
    let refused = |problem: String| Error::Invalid {
        what: "a recipient",
        problem,
    };
    if recipients.is_empty() || recipients.len() > MAX_RECIPIENTS {
        return Err(refused(format!("list has 1 to {MAX_RECIPIENTS} of them")));
    }
    let recipient = |text: &String| match text.parse::<x25519::Recipient>() {
        Ok(recipient) => Ok(Box::new(recipient) as Box<dyn Recipient>),
        Err(problem) => Err(refused(format!(
            "is not an age1 recipient: {text}: {problem}"
        ))),
    };
    recipients.iter().map(recipient).collect()
}

fn secret(passphrase: &Passphrase) -> Result<SecretString, Error> {
    let text = str::from_utf8(passphrase.as_bytes());
    let text = text.map_err(|_| invalid("needs a passphrase that is text"))?;
    Ok(SecretString::from(text.to_owned()))
}

fn seal(key: &SigningKey, recipients: &[Box<dyn Recipient>]) -> Result<Vec<u8>, Error> {
    let failed = |error: String| invalid(format!("cannot be encrypted: {error}"));
    let recipients = recipients.iter().map(AsRef::as_ref);
    let encryptor = Encryptor::with_recipients(recipients).map_err(|e| failed(e.to_string()))?;
    let mut sealed = Vec::new();
    let keypair = key.keypair();
    let line = Zeroizing::new(format!(
        "{SECRET}{}\n",
        *Zeroizing::new(URL_SAFE_NO_PAD.encode(keypair.as_slice()))
    ));
    let written = (|| {
        let mut writer = encryptor.wrap_output(&mut sealed)?;
        writer.write_all(line.as_bytes())?;
        writer.finish().map(drop)
    })();
    written.map_err(|error: std::io::Error| failed(error.to_string()))?;
    Ok(sealed)
}

fn open(sealed: &[u8], with: &EscrowKey) -> Result<SigningKey, Error> {
    let refused = |error: DecryptError| match error {
        DecryptError::NoMatchingKeys
        | DecryptError::DecryptionFailed
        | DecryptError::KeyDecryptionFailed => {
            invalid("does not open: it was encrypted for another identity or passphrase")
        }
        error => invalid(format!("is no age file that can be read: {error}").replace('\n', " ")),
    };
    let decryptor = Decryptor::new(sealed).map_err(refused)?;
    let identities = identities(with)?;
    let reader = decryptor
        .decrypt(identities.iter().map(AsRef::as_ref))
        .map_err(refused)?;
    let mut line = Zeroizing::new(Vec::with_capacity(128));
    // One byte more than fits, and no more than there is room for: no copy is left behind.
    reader
        .take(MAX_SECRET_LEN + 1)
        .read_to_end(&mut line)
        .map_err(|error| invalid(format!("is damaged: {error}")))?;
    let text = str::from_utf8(&line)
        .ok()
        .and_then(|text| text.trim_end().strip_prefix(SECRET));
    let text = text.ok_or_else(|| invalid("holds no PASERK k4.secret"))?;
    let bytes = Zeroizing::new(
        URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| invalid("holds no PASERK k4.secret"))?,
    );
    let keypair = <&[u8; 64]>::try_from(bytes.as_slice());
    let keypair = keypair.map_err(|_| invalid("holds no PASERK k4.secret"))?;
    Ok(SigningKey::from_keypair(keypair)?)
}

fn identities(with: &EscrowKey) -> Result<Vec<Box<dyn Identity>>, Error> {
    let lines = match with {
        EscrowKey::Passphrase(passphrase) => {
            return Ok(vec![Box::new(scrypt::Identity::new(secret(passphrase)?))]);
        }
        EscrowKey::Identities(lines) => lines,
    };
    let refused = |problem: &str| Error::Invalid {
        what: "the age identity",
        problem: problem.into(),
    };
    let wanted = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let identity = |line: &str| match line.parse::<x25519::Identity>() {
        Ok(identity) => Ok(Box::new(identity) as Box<dyn Identity>),
        // The line may be a secret after all, and is not shown.
        Err(_) => Err(refused("has a line that is no AGE-SECRET-KEY-1")),
    };
    let lines = lines.lines().map(str::trim).filter(wanted);
    let identities = lines.map(identity).collect::<Result<Vec<_>, _>>()?;
    if identities.is_empty() {
        return Err(refused("has no AGE-SECRET-KEY-1 line"));
    }
    Ok(identities)
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret as _;

    use super::*;

    fn pair() -> (String, EscrowKey) {
        let identity = x25519::Identity::generate();
        let lines = format!(
            "# made for a test\n{}\n",
            identity.to_string().expose_secret()
        );
        let public = identity.to_public().to_string();
        (public, EscrowKey::Identities(Zeroizing::new(lines)))
    }

    #[track_caller]
    fn refused(sealed: &[u8], with: &EscrowKey, problem: &str) {
        let error = open(sealed, with).unwrap_err();
        assert_eq!(error.code(), "input-invalid");
        assert!(error.to_string().contains(problem), "{error}");
    }

    #[test]
    fn each_recipient_opens_it_alone_and_nobody_else() {
        let key = SigningKey::generate().unwrap();
        let ((ann, anns), (bob, bobs), (_, others)) = (pair(), pair(), pair());
        let recipients = parse(&Escrow::Recipients(vec![ann, bob])).unwrap();
        let sealed = seal(&key, &recipients).unwrap();
        for with in [&anns, &bobs] {
            assert_eq!(open(&sealed, with).unwrap().public(), key.public());
        }
        refused(&sealed, &others, "does not open");
        let passphrase = Passphrase::from_bytes(b"correct horse").unwrap();
        refused(&sealed, &EscrowKey::Passphrase(passphrase), "does not open");
        for at in [0, sealed.len() / 2, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&changed, &anns).is_err(), "byte {at}");
        }
        for length in [0, 20, sealed.len() - 1] {
            assert!(open(&sealed[..length], &anns).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_passphrase_opens_it() {
        let key = SigningKey::generate().unwrap();
        let escrow = |text: &str| Passphrase::from_bytes(text.as_bytes()).unwrap();
        let recipients = parse(&Escrow::Passphrase(escrow("correct horse"))).unwrap();
        let sealed = seal(&key, &recipients).unwrap();
        let opened = open(&sealed, &EscrowKey::Passphrase(escrow("correct horse")));
        assert_eq!(opened.unwrap().public(), key.public());
        refused(
            &sealed,
            &EscrowKey::Passphrase(escrow("Correct horse")),
            "does not open",
        );
    }

    #[test]
    fn what_is_no_recipient_identity_or_key_is_refused() {
        let none = Vec::new();
        let many = vec![pair().0; MAX_RECIPIENTS + 1];
        let key = vec!["AGE-SECRET-KEY-1QQ".to_owned()];
        for recipients in [none, many, key, vec!["ssh-ed25519 AAAA".into()]] {
            let error = parse(&Escrow::Recipients(recipients)).err().unwrap();
            assert_eq!(error.code(), "input-invalid");
        }
        let (ann, anns) = pair();
        for lines in ["", "# nothing", "age1qq"] {
            let with = EscrowKey::Identities(Zeroizing::new(lines.into()));
            let error = identities(&with).err().unwrap();
            assert!(
                error.to_string().starts_with("the age identity has"),
                "{error}"
            );
        }
        for text in [
            "",
            "hello",
            "k4.secret.AA",
            "k4.local.AA",
            &"x".repeat(100_000),
        ] {
            let recipient: x25519::Recipient = ann.parse().unwrap();
            let sealed = age::encrypt(&recipient, text.as_bytes()).unwrap();
            refused(&sealed, &anns, "no PASERK k4.secret");
        }
    }
}
