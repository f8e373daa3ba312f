//! `phi key new`: a key that waits, made here, in a token, or elsewhere.

use std::collections::BTreeSet;
use std::path::{self, Path, PathBuf};

use clap::Args;
use phi_issuer::custody::{self, NewKey, Program, TokenKey};
use phi_issuer::when::Length;
use phi_issuer::{Issuer, KeyScope, Role};

use super::{PUBLISH, find, role};
use crate::failure::Failure;
use crate::input::read_text;
use crate::output::say;
use crate::revoke::flag;
use crate::session::Session;

/// Make a key that waits for the next rotation of its role
#[derive(Debug, Args)]
#[command(
    long_about = "Make a key that waits for the next rotation of its role.\n\n\
        A license key is announced in the next keyset. A key of another role waits until a root \
        names it. The key is in an encrypted file, in a PKCS#11 token that keeps it to itself, or \
        behind a program, which gets what is to be signed on its standard input and writes a \
        signature of 64 bytes.\n\n\
        A license key may be bound to products, to features of one product and to a longest \
        validity; every application holds it to that. Several may be in use at once: a license is \
        signed by the narrowest that may sign it.",
    after_help = "Examples:\n  \
        phi key new && phi keyset publish\n  \
        phi key new --role status\n  \
        phi key new --product atlas --feature sso --longest 400d\n  \
        phi key new --pkcs11 /usr/lib/softhsm/libsofthsm2.so --token issuer\n  \
        phi key new --public key.pem --exec openssl pkeyutl -sign -rawin -inkey key.secret.pem \
        -in /dev/stdin"
)]
pub(crate) struct New {
    /// The role: license, keyset, status, ledger or root
    #[arg(long, default_value = "license", value_parser = role)]
    role: Role,
    /// A product that a license key may sign for; again for others [default: every product]
    #[arg(long, value_name = "NAME")]
    product: Vec<String>,
    /// A feature that it may grant of its one product; again for others [default: every feature]
    #[arg(long, value_name = "NAME")]
    feature: Vec<String>,
    /// How long a license that it signs may last, with its grace
    #[arg(long, value_name = "LENGTH")]
    longest: Option<Length>,
    /// Make the key in a token of this PKCS#11 module
    #[arg(
        long,
        value_name = "MODULE",
        requires = "token",
        conflicts_with = "exec"
    )]
    pkcs11: Option<PathBuf>,
    /// The token's label
    #[arg(long, value_name = "LABEL", requires = "pkcs11")]
    token: Option<String>,
    /// The token's serial number, where several have the label
    #[arg(long, value_name = "NUMBER", requires = "pkcs11")]
    serial: Option<String>,
    /// Take the key that the token has under this `CKA_ID`, in hexadecimal, instead of making one
    #[arg(long, value_name = "HEX", requires = "pkcs11", value_parser = cka_id)]
    id: Option<CkaId>,
    /// The public half of the key behind a program: a file with its PEM or k4.public
    #[arg(long, value_name = "FILE", requires = "exec")]
    public: Option<PathBuf>,
    /// The program that signs, with its arguments: all that follows
    #[arg(
        long,
        value_name = "PROGRAM",
        num_args = 1..,
        allow_hyphen_values = true,
        requires = "public"
    )]
    exec: Vec<String>,
}

/// A `CKA_ID`; a type of its own, so that the parser takes it for one value.
#[derive(Clone, Debug)]
struct CkaId(Vec<u8>);

/// A public half is a few lines.
const MAX_PUBLIC_LEN: u64 = 64 << 10;

impl New {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let role = self.role;
        let mut issuer = session.issuer()?;
        let scope = self.scope(&mut issuer)?;
        let context = session.context();
        let (like, elsewhere) = (scope.is_some(), self.elsewhere()?);
        let key = match elsewhere {
            None => issuer.new_scoped_key(role, scope, session, &context)?,
            Some(key) => issuer
                .add_key(role, scope, &key, session, &context)
                .map_err(|error| of_program(error.into(), &key))?,
        };
        session.output().print(&find(&mut issuer, key, session)?)?;
        match role {
            Role::License if like => say(&format!("{PUBLISH}, then phi key rotate --like {key}")),
            Role::License => say(PUBLISH),
            role => say(&format!("phi: next: phi key rotate --role {role}")),
        }
        Ok(())
    }

    /// What the key may sign, if not everything.
    fn scope(&self, issuer: &mut Issuer) -> Result<Option<KeyScope>, Failure> {
        let invalid = |message: &str| Err(Failure::new("input-invalid", message));
        let longest = self.longest.map(|Length(seconds)| seconds);
        let mut products = self.product.clone();
        if products.is_empty() && !self.feature.is_empty() {
            products.push(issuer.catalog(None)?.product().to_string());
        }
        if products.is_empty() && longest.is_none() {
            return Ok(None);
        }
        if products.len() > 1 && !self.feature.is_empty() {
            return invalid("features are those of one product: make a key for each product");
        }
        let mut scope = KeyScope {
            longest,
            ..KeyScope::default()
        };
        for product in products {
            // A product without a catalog has no licenses: its name is a slip.
            issuer.catalog(Some(&product))?;
            let mut codes = BTreeSet::new();
            for name in &self.feature {
                codes.insert(flag(issuer, Some(&product), name)?.1.get());
            }
            let codes = Some(codes).filter(|codes| !codes.is_empty());
            scope.products.insert(product, codes);
        }
        Ok(Some(scope))
    }

    /// The key, if it is not to be in an encrypted file.
    fn elsewhere(self) -> Result<Option<NewKey>, Failure> {
        if let (Some(module), Some(token)) = (self.pkcs11, self.token) {
            let (module, serial) = (absolute(&module)?, self.serial);
            return Ok(Some(match self.id {
                None => NewKey::InToken {
                    module,
                    token,
                    serial,
                },
                Some(CkaId(id)) => NewKey::OfToken {
                    module,
                    token,
                    serial,
                    id,
                },
            }));
        }
        let Some(public) = self.public else {
            return Ok(None);
        };
        Ok(Some(NewKey::Behind {
            public: custody::public_half(&read_text(&public, MAX_PUBLIC_LEN)?)?,
            program: Program { argv: self.exec },
        }))
    }
}

/// What is most likely wrong with a program that was just named.
fn of_program(failure: Failure, key: &NewKey) -> Failure {
    let NewKey::Behind { program, .. } = key else {
        return failure;
    };
    let in_one_word = matches!(&*program.argv, [only] if only.contains(char::is_whitespace));
    match failure.code {
        "signer-program" if in_one_word => failure.hint(
            "write the program and each argument as a word of its own, without quotes around \
             them all; no shell reads them",
        ),
        "sign-failed" => failure.hint(
            "the program signs with another key than the one in --public: hand in the public half \
             of the key that it has",
        ),
        _ => failure,
    }
}

/// A module by its full path: it is the same one from every folder.
pub(super) fn absolute(module: &Path) -> Result<PathBuf, Failure> {
    path::absolute(module).map_err(|error| {
        let message = format!("there is no path {}: {error}", module.display());
        Failure::new("file-failed", message)
    })
}

fn cka_id(text: &str) -> Result<CkaId, String> {
    let id = TokenKey::parse_id(text);
    id.map(CkaId)
        .ok_or_else(|| "hexadecimal digits in pairs".into())
}
