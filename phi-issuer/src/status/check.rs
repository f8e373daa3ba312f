//! One token, as the ledger and the newest published lists have it.

use phi_verify::{
    Error as VerifyError, Freshness, LicenseId, Reason, RevocationPolicy, RuleClass, StatusLists,
    TokenId, UnixTime, Verdict, Verifier, dangerous_inspect,
};

use super::{Settled, gate, list};
use crate::{
    Issuer,
    error::Error,
    event::Subject,
    issuer::trust_state,
    license, mint,
    revoked::Revoked,
    store::{Query, TokenRow},
};

/// What the ledger and the newest list say of a token.
#[derive(Clone, Debug)]
pub struct TokenCheck {
    /// The token.
    pub token: TokenId,
    /// Its license.
    pub license: LicenseId,
    /// Its license's customer.
    pub customer: String,
    /// When it was minted.
    pub issued_at: UnixTime,
    /// When nothing accepts it any more; `None` is never.
    pub ends: Option<UnixTime>,
    /// Lists of a later epoch know it.
    pub mint_epoch: u64,
    /// What the ledger says.
    pub ledger: ByLedger,
    /// What the newest published list says; `None` if none was published.
    pub list: Option<ByList>,
    /// Whether an application that has everything published accepts it, by its policy; and if
    /// not, why.
    pub policies: Vec<PolicyAnswer>,
}

/// What the ledger says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByLedger {
    /// It is not taken back.
    Good,
    /// It is taken back.
    Revoked {
        /// With what.
        rule: RuleClass,
        /// Why.
        reason: Reason,
        /// Since when.
        since: UnixTime,
    },
}

/// What a published list says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByList {
    /// The list's epoch.
    pub epoch: u64,
    /// When it was made.
    pub this_update: UnixTime,
    /// How old it is.
    pub freshness: Freshness,
    /// What it says.
    pub verdict: Verdict,
}

/// Every policy, the strictest first.
const POLICIES: [RevocationPolicy; 3] = [
    RevocationPolicy::Strict,
    RevocationPolicy::Balanced,
    RevocationPolicy::Lenient,
];

impl Issuer {
    /// Asks the ledger and the newest published list about a token.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a token that the ledger does not have.
    pub fn check_token(&mut self, id: TokenId, now: UnixTime) -> Result<TokenCheck, Error> {
        self.store.read(|query| check(query, id, now))
    }

    /// The id of a token whose text somebody handed in, if it is the very token that was minted:
    /// who changes a character of it keeps the id.
    ///
    /// # Errors
    /// [`Error::NotGenuine`] if it is not this issuer's or was changed, [`Error::NotFound`] if it
    /// is signed and not in the ledger, [`Error::Invalid`] if the ledger has another of its id.
    pub fn genuine_token(&mut self, text: &str, now: UnixTime) -> Result<TokenId, Error> {
        self.store.read(|query| genuine(query, text, now))
    }
}

fn genuine(query: &Query<'_>, text: &str, now: UnixTime) -> Result<TokenId, Error> {
    let not_genuine = |known, cause| Error::NotGenuine { known, cause };
    let (_, claims) = dangerous_inspect::token(text).map_err(|cause| not_genuine(None, cause))?;
    let id = claims.token_id;
    let minted = query.token(id)?;
    if minted.as_ref().is_some_and(|minted| minted.token == text) {
        return Ok(id);
    }
    let known = minted.as_ref().map(|minted| minted.token_id);
    // What is asked first of a token is who signed it; of one that passes there, the rest counts
    // for nothing here.
    let verifier = Verifier::new(
        &trust_state(query)?,
        &claims.product,
        RevocationPolicy::Lenient,
    )
    .verify(text, now)
    .map(drop);
    match verifier {
        Err(
            cause @ (VerifyError::SignatureInvalid
            | VerifyError::UnknownKey(_)
            | VerifyError::KeyNotActive(_)
            | VerifyError::KeyRevoked(_)
            | VerifyError::KeysetMissing
            | VerifyError::IssuerMismatch { .. }),
        ) => Err(not_genuine(known, cause)),
        _ if known.is_some() => Err(Error::Invalid {
            what: "the token",
            problem: format!("is signed, and the ledger has another of its id {id}"),
        }),
        _ => Err(Error::NotFound {
            what: "token",
            name: id.to_string(),
            hint: "it is signed and the ledger did not mint it: unless the store is an older copy, \
                   somebody else has its key (docs/guides/rotation.md)",
        }),
    }
}

fn check(query: &Query<'_>, id: TokenId, now: UnixTime) -> Result<TokenCheck, Error> {
    let minted = query.token(id)?.ok_or_else(|| mint::not_found(id))?;
    let mut rows = Vec::new();
    query.each_token_of(&Subject::Token(id), UnixTime::EPOCH, |row| {
        rows.push(row.clone());
        Ok(())
    })?;
    let row = rows.pop().ok_or_else(|| mint::not_found(id))?;
    let held = query.newest(phi_verify::DocumentKind::Status, "")?;
    let held = held.as_ref().map(list::settled).transpose()?;
    let list = held.map(|held| by_list(&held, &row, now)).transpose()?;
    Ok(TokenCheck {
        token: row.id,
        license: row.license,
        ledger: by_ledger(query, &row, now)?,
        list,
        policies: policies(query, &minted.token, &row, now)?,
        customer: row.customer,
        issued_at: row.issued_at,
        ends: row.ends,
        mint_epoch: row.epoch,
    })
}

fn by_ledger(query: &Query<'_>, row: &TokenRow, now: UnixTime) -> Result<ByLedger, Error> {
    let Some((rule, taken)) = Revoked::load(query, now)?.reaches(row) else {
        return Ok(ByLedger::Good);
    };
    let reason = taken.reason;
    let id = match rule {
        RuleClass::Token => row.id.to_string(),
        RuleClass::License => row.license.to_string(),
        RuleClass::Customer => row.customer.clone(),
        RuleClass::Key | RuleClass::Feature => row.key_id.to_string(),
    };
    let since = match reason {
        Reason::Suspended => license::find(query, row.license)?.since(now),
        _ => query
            .revocation(rule, &id)?
            .map_or(now, |found| found.since),
    };
    Ok(ByLedger::Revoked {
        rule,
        reason,
        since,
    })
}

fn by_list(held: &Settled, row: &TokenRow, now: UnixTime) -> Result<ByList, Error> {
    let lists = StatusLists::new(&held.status, None).map_err(Error::NotVerified)?;
    Ok(ByList {
        epoch: held.status.epoch,
        this_update: held.status.this_update,
        freshness: lists.freshness(now),
        verdict: gate::verdict(&lists, row),
    })
}

/// A policy, and what an application that has it answers.
pub type PolicyAnswer = (RevocationPolicy, Result<(), VerifyError>);

/// What applications answer that have all that is published, each by its policy. On which machine
/// a token is bound to they are is not asked, as far as the ledger knows the machine.
fn policies(
    query: &Query<'_>,
    token: &str,
    row: &TokenRow,
    now: UnixTime,
) -> Result<Vec<PolicyAnswer>, Error> {
    let trust = trust_state(query)?;
    let license = license::find(query, row.license)?;
    let machine = license.machine.as_ref();
    let machine = machine.map(|machine| machine.fingerprint()).transpose()?;
    let (_, claims) = dangerous_inspect::token(token).map_err(Error::NotVerified)?;
    Ok(POLICIES
        .into_iter()
        .map(|policy| {
            let verifier = Verifier::new(&trust, &claims.product, policy);
            let verifier = match &machine {
                Some((machine, _)) => verifier.on_machine(machine),
                None => verifier,
            };
            (policy, verifier.verify(token, now).map(drop))
        })
        .collect())
}
