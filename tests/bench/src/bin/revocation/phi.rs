//! Phi's own forms.

use std::error::Error;

use phi_issuer::filter::{self, Built};
use phi_verify::filter::{Answer, Filter, TokenHash};

use crate::{
    form::Form,
    tokens::{SALT, Tokens},
};

pub(crate) fn cascade(tokens: &Tokens) -> Result<Form, Box<dyn Error>> {
    let (revoked, good) = tokens.salted();
    form("**Phi**, Bloom cascade", filter::cascade(revoked, good)?)
}

pub(crate) fn ribbon(tokens: &Tokens) -> Result<Form, Box<dyn Error>> {
    let (revoked, good) = tokens.salted();
    form("**Phi**, ribbon pair", filter::ribbon(revoked, good)?)
}

fn form(name: &'static str, built: Option<Built>) -> Result<Form, Box<dyn Error>> {
    let built = built.ok_or("nothing to list")?;
    let filter = Filter::parse(built.kind.number(), &built.body)?;
    let checked = filter.clone();
    let hash = TokenHash::new(&SALT);
    Ok(Form {
        name,
        bytes: built.body.len(),
        ask: Box::new(move |_, id| filter.contains(hash.of(id)) == Answer::Yes),
        check: Some(Box::new(move |tokens| {
            let (revoked, good) = tokens.salted();
            filter::wrong_answers(&checked, revoked, good)
        })),
    })
}
