//! Customers: the users and organizations that hold licenses.

use serde::{Deserialize, Serialize};

use crate::{
    Context, Issuer,
    error::Error,
    event::Event,
    line,
    store::{Query, Writer},
};

/// A customer. Its id goes into every token; its name stays in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// The issuer's id for the customer: 1 to 64 bytes without control characters or blanks.
    pub id: String,
    /// A user or an organization.
    pub kind: CustomerKind,
    /// What people call it.
    pub name: String,
}

/// Users and organizations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CustomerKind {
    /// A person.
    User,
    /// A company, a school, an office.
    Organization,
}

impl CustomerKind {
    /// The kind's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Organization => "organization",
        }
    }

    /// The kind with this word.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::User, Self::Organization]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// An id is a claim of every token (docs/spec.md, "License", claim 2).
const MAX_ID_BYTES: usize = 64;
/// A name is one line of a screen.
const MAX_NAME_BYTES: usize = 200;

impl Customer {
    /// Whether it may be written into the ledger now.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.check_form()?;
        for (what, text) in [("a customer id", &self.id), ("a customer name", &self.name)] {
            if !line::shows_itself(text) {
                return invalid(what, &format!("is {}: {text:?}", line::RULE));
            }
        }
        Ok(())
    }

    /// Whether it can be in a ledger: names that hide something were taken once.
    fn check_form(&self) -> Result<(), Error> {
        let blank = |c: char| c.is_control() || c.is_whitespace();
        if self.id.is_empty() || self.id.len() > MAX_ID_BYTES || self.id.chars().any(blank) {
            return invalid("a customer id", "is 1 to 64 bytes without blanks");
        }
        if self.name.len() > MAX_NAME_BYTES || self.name.chars().any(char::is_control) {
            return invalid("a customer name", "is one line of at most 200 bytes");
        }
        Ok(())
    }
}

fn invalid(what: &'static str, problem: &str) -> Result<(), Error> {
    Err(Error::Invalid {
        what,
        problem: problem.into(),
    })
}

impl Issuer {
    /// Adds a customer.
    ///
    /// # Errors
    /// [`Error::Invalid`], or [`Error::AlreadyExists`] if the id is taken.
    pub fn add_customer(&mut self, customer: Customer, context: &Context) -> Result<(), Error> {
        self.store.write(context, |writer| add(writer, customer))
    }

    /// Changes what a customer is called, or what kind of customer it is; its id stays.
    ///
    /// # Errors
    /// [`Error::Invalid`], or [`Error::NotFound`].
    pub fn change_customer(&mut self, customer: Customer, context: &Context) -> Result<(), Error> {
        self.store.write(context, |writer| {
            customer.check()?;
            let known = writer.query().customer(&customer.id)?;
            if known.ok_or_else(|| not_found(&customer.id))? == customer {
                return Ok(());
            }
            writer.append(&Event::CustomerChanged { customer })
        })
    }

    /// The customer with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn customer(&mut self, id: &str) -> Result<Customer, Error> {
        self.store
            .read(|query| query.customer(id)?.ok_or_else(|| not_found(id)))
    }

    /// The customers by id.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn customers(&mut self) -> Result<Vec<Customer>, Error> {
        self.store.read(|query| query.customers())
    }
}

/// Adds a customer as part of a larger change.
pub(crate) fn add(writer: &mut Writer<'_>, customer: Customer) -> Result<(), Error> {
    customer.check()?;
    writer.append(&Event::CustomerAdded { customer })
}

/// Whether a customer can be added to those that are there.
pub(crate) fn check_new(query: &Query<'_>, customer: &Customer) -> Result<(), Error> {
    customer.check_form()?;
    if query.customer(&customer.id)?.is_some() {
        return Err(Error::AlreadyExists {
            what: "customer",
            name: customer.id.clone(),
        });
    }
    Ok(())
}

/// Whether what is known of a customer can become this.
pub(crate) fn check_change(query: &Query<'_>, customer: &Customer) -> Result<(), Error> {
    customer.check_form()?;
    let known = query.customer(&customer.id)?;
    if known.ok_or_else(|| not_found(&customer.id))? == *customer {
        return invalid("a change of a customer", "changes nothing");
    }
    Ok(())
}

pub(crate) fn not_found(id: &str) -> Error {
    Error::NotFound {
        what: "customer",
        name: id.into(),
        hint: "run `phi customer list`, or add it with `phi customer add`",
    }
}
