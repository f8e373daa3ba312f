//! What a text is looked for in: everything of an entry that people wrote or would recognize.
//!
//! Tokens, signed notes and documents are left out: a few letters are found in nearly any of
//! them, and mean nothing there.

use std::collections::BTreeMap;

use phi_verify::Allowance;

use crate::{
    Amendment, Change, Customer, Event, Issuance, LicenseChange, MintedToken, Revocation,
    Unrevocation, entry::Entry,
};

/// The texts of an entry.
pub(super) fn of(entry: &Entry) -> Vec<String> {
    let mut words = vec![entry.actor.clone(), entry.event.name().into()];
    words.extend(entry.reason.clone());
    words.extend(entry.idempotency_key.clone());
    of_event(&entry.event, &mut words);
    words
}

fn of_event(event: &Event, words: &mut Vec<String>) {
    match event {
        Event::IssuerCreated { issuer } => words.push(issuer.clone()),
        Event::KeyAdded {
            role,
            public,
            holder,
            ..
        } => {
            words.extend([role.name().into(), public.id().to_string()]);
            words.push(public.to_paserk());
            words.extend(holder.clone());
        }
        Event::KeyActivated { key_id, .. }
        | Event::KeyRetired { key_id, .. }
        | Event::KeyProlonged { key_id, .. }
        | Event::KeyDropped { key_id } => words.push(key_id.to_string()),
        Event::KeyExported { key_id, to } => {
            words.push(key_id.to_string());
            words.extend(to.iter().cloned());
        }
        Event::CatalogRecorded { revision, source } => {
            words.extend([revision.product().to_string(), source.clone()]);
        }
        Event::CustomerAdded { customer } | Event::CustomerChanged { customer } => {
            let Customer { id, kind, name } = customer;
            words.extend([id.clone(), kind.name().into(), name.clone()]);
        }
        Event::LicenseDrafted { license }
        | Event::LicenseIssued { license }
        | Event::TrialStarted { license } => of_issuance(license, words),
        Event::LicenseChanged(change) => of_change(change, words),
        Event::TokenMinted(MintedToken {
            token_id,
            license,
            key_id,
            ..
        }) => words.extend([
            token_id.to_string(),
            license.to_string(),
            key_id.to_string(),
        ]),
        Event::Revoked(Revocation {
            subject, reason, ..
        }) => {
            words.extend([subject.class().name().into(), subject.id()]);
            words.push(reason.name().into());
        }
        Event::Unrevoked(Unrevocation { subject, .. }) => {
            words.extend([subject.class().name().into(), subject.id()]);
        }
        Event::DocumentPublished(publication) => {
            words.extend([publication.kind.name().into(), publication.product.clone()]);
        }
        Event::ClockResetIssued(reset) => words.push(reset.installation.to_string()),
        // Its word says it all.
        Event::CheckpointSigned(_) | Event::ClockCorrected { .. } => {}
    }
}

fn of_issuance(license: &Issuance, words: &mut Vec<String>) {
    let order = &license.order;
    words.push(license.id.to_string());
    words.extend(license.supersedes.map(|id| id.to_string()));
    words.extend([
        order.customer.clone(),
        order.product.clone(),
        order.plan.clone(),
    ]);
    words.extend(order.addons.iter().cloned());
    let overrides = &order.overrides;
    words.extend(overrides.flags.iter().chain(&overrides.without).cloned());
    of_amounts([&overrides.quotas, &overrides.limits], words);
    words.extend(order.extensions.values().cloned());
}

fn of_change(change: &LicenseChange, words: &mut Vec<String>) {
    words.push(change.license.to_string());
    match &change.change {
        Change::Amend { amendment, .. } | Change::ConvertTrial { amendment, .. } => {
            of_amendment(amendment, words);
        }
        Change::Transfer { successor } => words.push(successor.to_string()),
        Change::Issue { .. }
        | Change::Renew { .. }
        | Change::Suspend { .. }
        | Change::Reinstate
        | Change::Rebind { .. }
        | Change::Withdraw { .. } => {}
    }
}

fn of_amendment(amendment: &Amendment, words: &mut Vec<String>) {
    words.extend(amendment.plan.clone());
    let names = amendment.add.iter().chain(&amendment.remove);
    let names = names.chain(&amendment.flags).chain(&amendment.without);
    words.extend(names.chain(&amendment.reset).cloned());
    of_amounts([&amendment.quotas, &amendment.limits], words);
}

fn of_amounts(amounts: [&BTreeMap<String, Allowance>; 2], words: &mut Vec<String>) {
    words.extend(amounts.into_iter().flat_map(BTreeMap::keys).cloned());
}
