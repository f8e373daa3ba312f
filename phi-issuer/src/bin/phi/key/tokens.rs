//! `phi key tokens`: what a PKCS#11 module has.

use std::path::PathBuf;

use clap::Args;
use phi_issuer::custody;
use schemars::JsonSchema;
use serde::Serialize;

use super::new::absolute;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::session::Session;

/// Show the tokens of a PKCS#11 module, or the Ed25519 keys in one of them
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
        phi key tokens --pkcs11 /usr/lib/softhsm/libsofthsm2.so\n  \
        phi key tokens --pkcs11 /usr/lib/softhsm/libsofthsm2.so --token issuer")]
pub(crate) struct Tokens {
    /// The PKCS#11 module
    #[arg(long, value_name = "MODULE")]
    pkcs11: PathBuf,
    /// Show the keys in the token with this label, which needs no PIN
    #[arg(long, value_name = "LABEL")]
    token: Option<String>,
    /// The token's serial number, where several have the label
    #[arg(long, value_name = "NUMBER", requires = "token")]
    serial: Option<String>,
}

impl Tokens {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let module = absolute(&self.pkcs11)?;
        let refused = |error| phi_issuer::Error::Signer(error);
        let answer = match &self.token {
            None => TokensAnswer {
                tokens: custody::find_tokens(&module)
                    .map_err(refused)?
                    .into_iter()
                    .map(TokenAnswer::from)
                    .collect(),
                keys: None,
            },
            Some(token) => {
                let keys = custody::find_keys(&module, token, self.serial.as_deref());
                let keys = keys.map_err(refused)?.into_iter();
                TokensAnswer {
                    tokens: Vec::new(),
                    keys: Some(keys.map(TokenKeyAnswer::from).collect()),
                }
            }
        };
        session.output().print(&answer)
    }
}

/// Tokens, or the keys of one.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi key tokens")]
pub(crate) struct TokensAnswer {
    /// The tokens of the module; empty if one of them was asked for.
    tokens: Vec<TokenAnswer>,
    /// The Ed25519 keys of the token that was asked for.
    keys: Option<Vec<TokenKeyAnswer>>,
}

/// A token.
#[derive(Debug, Serialize, JsonSchema)]
struct TokenAnswer {
    /// Its label.
    label: String,
    /// Its serial number.
    serial: String,
    /// Its maker and model.
    model: String,
    /// Whether it makes Ed25519 keys and signs with them.
    ed25519: bool,
}

/// A key in a token.
#[derive(Debug, Serialize, JsonSchema)]
struct TokenKeyAnswer {
    /// Its `CKA_ID`, in hexadecimal.
    id: String,
    /// Its label.
    label: String,
    /// The key's id in Phi.
    key: String,
    /// Its public half, as PASERK `k4.public`.
    public: String,
}

impl From<custody::FoundToken> for TokenAnswer {
    fn from(token: custody::FoundToken) -> Self {
        Self {
            label: token.label,
            serial: token.serial,
            model: token.model,
            ed25519: token.ed25519,
        }
    }
}

impl From<custody::FoundKey> for TokenKeyAnswer {
    fn from(key: custody::FoundKey) -> Self {
        Self {
            id: key.id,
            label: key.label,
            key: key.public.id().to_string(),
            public: key.public.to_paserk(),
        }
    }
}

impl Answer for TokensAnswer {
    fn show(&self, page: &mut Page) {
        if let Some(keys) = &self.keys {
            let row = |key: &TokenKeyAnswer| [key.key.clone(), key.id.clone(), key.label.clone()];
            let rows: Vec<_> = keys.iter().map(row).collect();
            page.table(["KEY", "CKA_ID", "LABEL"], &rows);
            return;
        }
        let row = |token: &TokenAnswer| {
            [
                token.label.clone(),
                token.serial.clone(),
                if token.ed25519 { "yes" } else { "no" }.to_owned(),
                token.model.clone(),
            ]
        };
        let rows: Vec<_> = self.tokens.iter().map(row).collect();
        page.table(["TOKEN", "SERIAL", "ED25519", "MODEL"], &rows);
    }
}
