//! Root ceremonies: a next root is proposed here, signed by holders who are elsewhere, and
//! assembled here.
//!
//! Proposals and signatures are files that holders carry, in any order. What a proposal is made
//! of is `change`'s, and what counts as signed is `tally`'s.

mod change;
mod file;
mod holder;
mod proposal;
mod signature;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use phi_verify::{KeyId, Root, UnixTime};

pub use self::{
    change::RootChange,
    file::MAX_CEREMONY_FILE,
    holder::{Holder, HolderFiles, PRACTICE, is_practice},
    proposal::{Proposal, spoken},
    signature::RootSignature,
    tally::{Need, Tally},
};
use crate::{
    Context, Issuer,
    error::Error,
    event::{Event, Publication},
    keys::{KnownKeys, Role},
    passphrase::Unlock,
    root,
    store::Query,
};

/// A root that was put together of a proposal and its signatures.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// The root document.
    pub root: Publication,
    /// Who signed it.
    pub tally: Tally,
}

impl Issuer {
    /// Proposes the next root, with these changes in their order. Nothing is recorded.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] or [`Error::NotAllowed`] if they make no root.
    pub fn propose_root(
        &mut self,
        changes: &[RootChange],
        now: UnixTime,
    ) -> Result<Proposal, Error> {
        let (issuer, known) = (self.settings.issuer.clone(), self.known_keys());
        self.store
            .read(|query| propose(query, &issuer, changes, &known, now))
    }

    /// Whether a proposal is one that this issuer's own root keys may sign: it is this issuer's,
    /// follows the newest root of the ledger, was made by now, and names no key of the other roles
    /// that nobody here knows.
    ///
    /// # Errors
    /// [`Error::ProposalInvalid`], [`Error::ProposalBehind`], [`Error::ProposalAhead`] or
    /// [`Error::KeyNotKnown`].
    pub fn check_proposal(&mut self, proposal: &Proposal, now: UnixTime) -> Result<(), Error> {
        proposal.check_issuer(&self.settings.issuer)?;
        proposal.check_made(now)?;
        let known = self.known_keys();
        self.store.read(|query| {
            check_newest(query, proposal)?;
            check_known(query, proposal.current(), proposal.root(), &known)
        })
    }

    /// Puts a proposal and its signatures together, records the root and publishes it.
    ///
    /// # Errors
    /// [`Error::ProposalInvalid`] for another issuer's, [`Error::ProposalBehind`] if the newest
    /// root is not the one that it follows, [`Error::ProposalAhead`] if it was made tomorrow or
    /// later, [`Error::RootSignature`] for a signature that does not count, and
    /// [`Error::RootUnsigned`] if too few do.
    pub fn assemble_root(
        &mut self,
        proposal: &Proposal,
        signatures: &[RootSignature],
        context: &Context,
    ) -> Result<Assembled, Error> {
        proposal.check_issuer(&self.settings.issuer)?;
        let known = self.known_keys();
        let assembled = self.store.write(context, |writer| {
            check_newest(&writer.query(), proposal)?;
            proposal.check_made(writer.now())?;
            let tally = Tally::of(proposal, signatures)?;
            let document = tally.document(proposal)?;
            let root = root::record(
                writer,
                proposal.root(),
                document,
                Some(proposal.holders()),
                &known,
            )?;
            Ok(Assembled { root, tally })
        })?;
        self.write_published()?;
        Ok(assembled)
    }

    /// Signs a proposal with every root key at hand whose signature counts for it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; as [`Issuer::check_proposal`].
    pub fn sign_proposal(
        &mut self,
        proposal: &Proposal,
        unlock: &dyn Unlock,
        now: UnixTime,
    ) -> Result<Vec<RootSignature>, Error> {
        self.check_proposal(proposal, now)?;
        let here = proposal.keys();
        let here = here.filter(|key| self.is_at_hand(Role::Root, key.id()));
        let sign = |key| proposal.sign(&*self.open_signer(Role::Root, key, unlock)?);
        let signatures = here.map(sign).collect::<Result<Vec<_>, _>>()?;
        if signatures.is_empty() {
            return Err(Error::NotFound {
                what: "root key at hand of",
                name: format!("root {} or the one before", proposal.root().version),
                hint: "name a holder's key file with --key",
            });
        }
        Ok(signatures)
    }

    /// The names of the root's holders that the ledger knows, by their keys.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn root_holders(&mut self) -> Result<BTreeMap<KeyId, String>, Error> {
        self.store.read(holders)
    }
}

/// Proposes the root after the newest one, or the first.
pub(crate) fn propose(
    query: &Query<'_>,
    issuer: &str,
    changes: &[RootChange],
    known: &KnownKeys,
    now: UnixTime,
) -> Result<Proposal, Error> {
    let mut names = holders(query)?;
    let current = root::newest_document(query)?;
    let next = change::next(query, issuer, &mut names, changes, now)?;
    let before = current.as_ref().map(|(root, _)| root);
    check_room(before, &next)?;
    check_known(query, before, &next, known)?;
    Proposal::new(&next, current, names)
}

/// Whoever proposes answers for holders, and each holder for what is signed; the keys of the
/// other roles are known here.
fn check_known(
    query: &Query<'_>,
    before: Option<&Root>,
    next: &Root,
    known: &KnownKeys,
) -> Result<(), Error> {
    let keys = root::all_named(next).into_iter();
    known.check(
        query,
        keys.filter(|(role, _)| *role != Role::Root),
        &before.map(root::all_named).unwrap_or_default(),
    )
}

fn holders(query: &Query<'_>) -> Result<BTreeMap<KeyId, String>, Error> {
    let added = query.keys_added(Role::Root)?.into_iter();
    Ok(added
        .filter_map(|event| match event {
            Event::KeyAdded { public, holder, .. } => Some((public.id(), holder?)),
            _ => None,
        })
        .collect())
}

/// A proposal is made on top of a root, which must still be the newest.
fn check_newest(query: &Query<'_>, proposal: &Proposal) -> Result<(), Error> {
    let newest = root::newest_document(query)?;
    let newest = newest
        .as_ref()
        .map(|(root, document)| (root.version, document.as_slice()));
    proposal.check_newest(newest)
}

/// A document has room for sixteen signatures: those that the old root and the new one need must
/// fit.
fn check_room(current: Option<&Root>, next: &Root) -> Result<(), Error> {
    let Some(current) = current else {
        return Ok(());
    };
    let both = current.root.keys().iter();
    let both = both.filter(|key| next.root.contains(key)).count();
    let (old, new) = (current.root.threshold(), next.root.threshold());
    // Whoever holds a key of both signs for both.
    let needed = old + new - both.min(old).min(new);
    if needed <= phi_verify::MAX_SIGNERS {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "the next root",
        problem: format!(
            "needs {needed} signatures of old and new holders, and a root has room for {}: \
             replace the holders in two steps",
            phi_verify::MAX_SIGNERS
        ),
    })
}
