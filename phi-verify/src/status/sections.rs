//! Sections: the filters of a list, one for each class of what is revoked one by one.

use alloc::{vec, vec::Vec};

use super::wire::field;
use crate::{
    cbor::{self, Item, Value},
    claims::TokenId,
    error::Malformed,
    filter::{Answer, Filter, FilterError, FilterKind, PREFIX_BYTES, SaltedId},
};

/// The filters of what is revoked one by one. A filter that is not there has nothing in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections {
    /// Of tokens.
    pub tokens: Option<Filter>,
    /// Of licenses: whole, without a cut-off. A license stands here or in a rule, and here only
    /// where there would be too many rules.
    pub licenses: Option<Filter>,
}

impl Sections {
    /// An exact list of tokens under this salt.
    ///
    /// The builder makes sure, with this very code, that no token which is not revoked is in it.
    pub fn exact(salt: &[u8; 16], tokens: impl IntoIterator<Item = TokenId>) -> Self {
        let prefix = |id| SaltedId::of_token(salt, id).prefix();
        let mut list: Vec<_> = tokens.into_iter().map(prefix).collect();
        list.sort_unstable();
        list.dedup();
        Self {
            // An exact list is refused for nothing but having no ids, and then there is none.
            tokens: Filter::parse(FilterKind::Exact.number(), &list.concat()).ok(),
            licenses: None,
        }
    }

    /// How many tokens are revoked one by one, if their filter tells: an exact list does, and
    /// other kinds hide it.
    pub fn count_tokens(&self) -> Option<usize> {
        let Some(filter) = &self.tokens else {
            return Some(0);
        };
        let is_exact = filter.kind() == FilterKind::Exact;
        is_exact.then(|| filter.body().len() / PREFIX_BYTES)
    }

    /// Whether nothing is revoked one by one.
    pub const fn is_empty(&self) -> bool {
        self.tokens.is_none() && self.licenses.is_none()
    }

    /// `[class, kind, body]` of each section; `shift` is 0 for what is revoked and 2 for what is
    /// removed.
    pub(super) fn encode(&self, shift: u64) -> impl Iterator<Item = Value> {
        let section = move |class: u64, filter: &Filter| {
            let (kind, body) = (filter.kind().number(), filter.body());
            Value::Array(vec![(class + shift).into(), kind.into(), body.into()])
        };
        let sections = [(TOKENS, &self.tokens), (LICENSES, &self.licenses)];
        let sections = sections.into_iter();
        sections.filter_map(move |(class, filter)| Some(section(class, filter.as_ref()?)))
    }
}

const TOKENS: u64 = 0;
const LICENSES: u64 = 1;
/// The classes of what is removed come after those of what is revoked.
pub(super) const REMOVED: u64 = 2;

/// What the sections of a document are, those of class 0 and 1 first, then those of 2 and 3.
pub(super) fn decode(item: Item) -> Result<[Sections; 2], Malformed> {
    let key = field::SECTIONS;
    let mut decoded = [Sections::default(), Sections::default()];
    let mut last = None;
    for section in cbor::list(item, key)?.iter() {
        let [class, kind, body] = cbor::array(section, key)?;
        let class = cbor::uint(class, key)?;
        if last.is_some_and(|last| last >= class) {
            let problem = "has sections that do not strictly ascend";
            return Err(Malformed::Field { key, problem });
        }
        last = Some(class);
        let [revoked, removed] = &mut decoded;
        let place = match class {
            0 => &mut revoked.tokens,
            1 => &mut revoked.licenses,
            2 => &mut removed.tokens,
            3 => &mut removed.licenses,
            _ => {
                let problem = "has a section of unknown class";
                return Err(Malformed::Field { key, problem });
            }
        };
        let (kind, body) = (cbor::uint(kind, key)?, cbor::bytes(body, key)?);
        let filter = Filter::parse(kind, body).map_err(FilterError::problem);
        *place = Some(filter.map_err(|problem| Malformed::Field { key, problem })?);
    }
    Ok(decoded)
}

/// What a section says; one that is not there has nothing in it. The id is hashed if it must be.
pub(super) fn ask(filter: Option<&Filter>, id: impl FnOnce() -> SaltedId) -> Answer {
    filter.map_or(Answer::No, |filter| filter.contains(id()))
}
