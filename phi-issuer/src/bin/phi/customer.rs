//! `phi customer`: the users and organizations that hold licenses.

use clap::{Args, Subcommand};
use phi_issuer::{Context, Customer, CustomerKind};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::license::LicenseRow;
use crate::output::{Answer, Page};
use crate::session::Session;

/// Add, change, list and show customers: users and organizations
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Add(Add),
    Change(Change),
    List(List),
    Show(Show),
}

/// Add a customer
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    phi customer add globex --name \"Globex Corporation\"\n  \
    phi customer add jo@example.com --kind user --name \"Jo Doe\"")]
pub(crate) struct Add {
    /// Your id for the customer; it stands in every token
    id: String,
    /// What people call the customer; it stays in the store
    #[arg(long, default_value = "")]
    name: String,
    /// user or organization
    #[arg(long, default_value = "organization", value_parser = kind)]
    kind: CustomerKind,
}

/// Change what a customer is called, or what kind it is
#[derive(Debug, Args)]
#[command(
    long_about = "Change what a customer is called, or what kind it is. Its id stands in tokens \
        and stays.",
    after_help = "Example:\n  \
        phi customer change globex --name \"Globex Holding\" --reason \"renamed in the register\""
)]
pub(crate) struct Change {
    /// The customer's id
    id: String,
    /// What people call the customer from now on
    #[arg(long, required_unless_present = "kind")]
    name: Option<String>,
    /// user or organization
    #[arg(long, value_parser = kind)]
    kind: Option<CustomerKind>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// List the customers
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi customer list")]
pub(crate) struct List {}

/// Show a customer with the licenses it holds
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi customer show globex")]
pub(crate) struct Show {
    /// The customer's id
    id: String,
}

impl Command {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        match self {
            Self::Add(Add { id, name, kind }) => {
                let customer = Customer { id, kind, name };
                issuer.add_customer(customer.clone(), &session.context())?;
                session.output().print(&CustomerAnswer::new(customer))
            }
            Self::Change(change) => {
                let known = issuer.customer(&change.id)?;
                let customer = Customer {
                    id: known.id,
                    kind: change.kind.unwrap_or(known.kind),
                    name: change.name.unwrap_or(known.name),
                };
                let context = Context {
                    reason: change.reason,
                    ..session.context()
                };
                issuer.change_customer(customer.clone(), &context)?;
                session.output().print(&CustomerAnswer::new(customer))
            }
            Self::List(_) => {
                let customers = issuer.customers()?.into_iter();
                session.output().print(&CustomerListAnswer {
                    customers: customers.map(CustomerAnswer::new).collect(),
                })
            }
            Self::Show(Show { id }) => {
                let customer = CustomerAnswer::new(issuer.customer(&id)?);
                let licenses = LicenseRow::all(&mut issuer, Some(&id), None, session.now())?;
                session
                    .output()
                    .print(&CustomerShowAnswer { customer, licenses })
            }
        }
    }
}

fn kind(word: &str) -> Result<CustomerKind, &'static str> {
    CustomerKind::from_name(word).ok_or("a customer is a user or an organization")
}

/// A customer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi customer add")]
pub(crate) struct CustomerAnswer {
    /// The id, which stands in every token.
    id: String,
    /// `user` or `organization`.
    kind: String,
    /// What people call it; may be empty.
    name: String,
}

impl CustomerAnswer {
    fn new(customer: Customer) -> Self {
        Self {
            id: customer.id,
            kind: customer.kind.name().to_owned(),
            name: customer.name,
        }
    }
}

impl Answer for CustomerAnswer {
    fn show(&self, page: &mut Page) {
        page.field("customer", &self.id);
        page.field("kind", &self.kind);
        page.field("name", &self.name);
    }
}

/// The customers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi customer list")]
pub(crate) struct CustomerListAnswer {
    /// By id.
    customers: Vec<CustomerAnswer>,
}

impl Answer for CustomerListAnswer {
    fn show(&self, page: &mut Page) {
        let row = |customer: &CustomerAnswer| {
            [
                customer.id.clone(),
                customer.kind.clone(),
                customer.name.clone(),
            ]
        };
        let rows: Vec<_> = self.customers.iter().map(row).collect();
        page.table(["CUSTOMER", "KIND", "NAME"], &rows);
    }
}

/// A customer with its licenses.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi customer show")]
pub(crate) struct CustomerShowAnswer {
    #[serde(flatten)]
    customer: CustomerAnswer,
    /// In the order of issue.
    licenses: Vec<LicenseRow>,
}

impl Answer for CustomerShowAnswer {
    fn show(&self, page: &mut Page) {
        self.customer.show(page);
        page.gap();
        LicenseRow::show(&self.licenses, page);
    }
}
