//! `phi license list` and `phi license show`.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use phi_issuer::State;
use phi_verify::LicenseId;

use super::{LicenseAnswer, LicenseListAnswer, LicenseRow, LicenseShowAnswer, TokenRow};
use crate::failure::Failure;
use crate::output::print_bytes;
use crate::session::Session;

/// List the licenses in the order of issue
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    phi license list --customer globex\n  \
    phi license list --state grace")]
pub(crate) struct List {
    /// Those of a customer
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Those for a product
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// Those in a state
    #[arg(
        long,
        value_name = "STATE",
        value_parser = PossibleValuesParser::new(State::ALL.map(State::name))
            .map(|name| State::from_name(&name).expect("the parser knows the states' names"))
    )]
    state: Option<State>,
}

impl List {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (customer, product) = (self.customer.as_deref(), self.product.as_deref());
        let now = session.now();
        let mut licenses = LicenseRow::all(&mut session.issuer()?, customer, product, now)?;
        licenses.retain(|license| self.state.is_none_or(|state| license.is(state)));
        session.output().print(&LicenseListAnswer { licenses })
    }
}

/// Show a license, what it grants and the tokens minted of it
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    phi license show 6c6963656e736531\n  \
    phi license show 6c6963656e736531 --tokens")]
pub(crate) struct Show {
    /// The license's id
    license: LicenseId,
    /// Print the tokens themselves, one a line
    #[arg(long)]
    tokens: bool,
}

impl Show {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let license = issuer.license(self.license)?;
        let tokens = issuer.tokens_of(license.id)?;
        if self.tokens && !session.output().is_json() {
            let lines = lines(tokens.iter().map(|token| token.token.as_str()));
            return print_bytes(lines.as_bytes());
        }
        session.output().print(&LicenseShowAnswer {
            license: LicenseAnswer::of_record(&license, session.now(), &mut issuer)?,
            tokens: TokenRow::all(&mut issuer, &license.customer, &tokens)?,
        })
    }
}

/// These texts, one a line.
pub(crate) fn lines<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.flat_map(|text| [text, "\n"]).collect()
}
