//! The licenses of a report: what each is now, and what it granted over time.

use std::collections::BTreeMap;

use maud::{Markup, html};
use phi_issuer::catalog::{Kind, Meaning, Offer, Revision, Term};
use phi_issuer::when::Length;
use phi_issuer::{Interval, LicenseAt, LicenseDossier, Machine};
use phi_verify::{Allowance, UnixTime};

use super::parts::{id, nothing_because, said, state, table, time, time_or};
use crate::license::{MachineView, detail};

/// A license as it is now, with what it grants.
pub(super) fn present(dossier: &LicenseDossier) -> Markup {
    let LicenseDossier {
        present, catalog, ..
    } = dossier;
    let license = &present.license;
    html! {
        section.card aria-labelledby={ "license-" (license.id) } {
            h3 id={ "license-" (license.id) } {
                "License " (id(&license.id.to_string())) " " (state(present))
            }
            dl {
                dt { "Product" } dd { (called(&license.product, catalog.title())) }
                dt { "Plan" } dd { (called(&license.plan, title(catalog.plan(&license.plan)))) }
                @if !license.addons.is_empty() {
                    dt { "Add-ons" }
                    dd {
                        ul { @for name in &license.addons {
                            li { (called(name, title(catalog.addon(name)))) }
                        } }
                    }
                }
                @if license.trial { dt { "Trial" } dd { "yes" } }
                dt { "Issued" } dd { (time(license.issued_at)) }
                @if let Some(begins) = license.not_before { dt { "Begins" } dd { (time(begins)) } }
                dt { "Expires" } dd { (time_or(license.expires, "never")) }
                @if license.grace > 0 {
                    dt { "Grace" } dd { (Length(license.grace)) " after its expiry" }
                }
                @if let Some(age) = license.max_status_age {
                    dt { "Status list" } dd { "at most " (Length(age)) " old" }
                }
                @if let Some(machine) = &license.machine { dt { "Machine" } dd { (bound(machine)) } }
                @if let Some(earlier) = license.supersedes {
                    dt { "Takes the place of" } dd { (id(&earlier.to_string())) }
                }
                @if let Some(later) = license.successor {
                    dt { "Replaced by" } dd { (id(&later.to_string())) }
                }
                dt { "Revision" }
                dd { (license.revision) ", read in catalog revision " (license.catalog_revision) }
                @for (number, text) in &license.extensions {
                    dt { "Extension " (number) } dd { (said(text)) }
                }
            }
            @if !license.waiting.is_empty() { (waiting(present)) }
            h4 { "Entitlements now" }
            (granted(present, catalog))
        }
    }
}

/// The machine to which it is bound, by the kinds of its components.
fn bound(machine: &Machine) -> String {
    let machine = MachineView::of(machine);
    machine.map_or_else(
        |_| "bound to one that does not read".into(),
        |machine| machine.line(),
    )
}

/// What is recorded and waits for its time.
fn waiting(at: &LicenseAt) -> Markup {
    html! {
        h4 { "Planned" }
        ul {
            @for change in &at.license.waiting {
                li {
                    (time(change.effective)) ": " (change.change.act().name())
                    @let detail = detail(&change.change);
                    @if !detail.is_empty() { ", " (said(&detail)) }
                }
            }
        }
    }
}

fn granted(at: &LicenseAt, catalog: &Revision) -> Markup {
    if let Some(because) = nothing_because(at) {
        return html! { p.none { "None: " (because) "." } };
    }
    let rows: Vec<_> = rights(at, catalog).iter().map(Right::row).collect();
    if rows.is_empty() {
        return html! { p.none { "The plan grants nothing by itself." } };
    }
    let caption = "What the license grants, by the names and titles of its catalog revision";
    table(caption, &["Kind", "Name", "Title", "Granted"], &rows)
}

/// What a license granted over time.
pub(super) fn over_time(dossier: &LicenseDossier) -> Markup {
    let license = dossier.present.license.id.to_string();
    let rows: Vec<_> = dossier.intervals.iter().map(interval).collect();
    html! {
        h3 { "License " (id(&license)) }
        @if rows.is_empty() {
            p.none { "It was not there in this range." }
        } @else {
            (table(
                "Each line is a time in which the license granted the same",
                &["From", "Until", "State", "Plan", "Granted"],
                &rows,
            ))
        }
    }
}

fn interval(interval: &Interval) -> Markup {
    let at = &interval.at;
    html! {
        tr {
            td { (time(interval.from)) }
            td { (time_or(interval.to, "now")) }
            td { (state(at)) }
            td.word { (said(&at.license.plan)) }
            td {
                @if let Some(because) = nothing_because(at) {
                    span.none { "nothing: " (because) }
                } @else {
                    ul { @for right in rights(at, &interval.catalog) { li { (right.line()) } } }
                }
            }
        }
    }
}

/// A name with the title that the catalog has for it.
fn called(name: &str, title: Option<&str>) -> Markup {
    html! {
        @if let Some(title) = title { (said(title)) " " }
        code { (said(name)) }
    }
}

fn title(offer: Option<&Offer>) -> Option<&str> {
    offer.and_then(|offer| offer.title.as_deref())
}

/// One thing that a license grants.
struct Right {
    kind: Kind,
    name: String,
    title: String,
    amount: String,
}

fn rights(at: &LicenseAt, catalog: &Revision) -> Vec<Right> {
    let flags = at.terms.flags.iter();
    let flags = flags.map(|code| (Kind::Flag, code.get(), None));
    let quotas = at.terms.quotas.iter();
    let quotas = quotas.map(|(code, quota)| (Kind::Quota, code.get(), Some(quota.allowance)));
    let limits = at.terms.limits.iter();
    let limits = limits.map(|(code, limit)| (Kind::Limit, code.get(), Some(*limit)));
    let right = |(kind, code, allowance): (Kind, u16, Option<Allowance>)| {
        let known = [catalog.terms(), catalog.reserved()];
        let of = |terms: &'_ phi_issuer::catalog::Terms| -> Option<Term> {
            let terms: &BTreeMap<u16, Term> = terms.of(kind);
            terms.get(&code).cloned()
        };
        let term = known.into_iter().find_map(of);
        let name = term.as_ref().map(|term| term.name.to_string());
        Right {
            kind,
            name: name.unwrap_or_else(|| format!("code {code}")),
            title: term
                .as_ref()
                .map(|term| term.title.clone())
                .unwrap_or_default(),
            amount: amount(allowance, term.as_ref().map(|term| &term.meaning)),
        }
    };
    flags.chain(quotas).chain(limits).map(right).collect()
}

fn amount(allowance: Option<Allowance>, meaning: Option<&Meaning>) -> String {
    let Some(allowance) = allowance else {
        return "on".into();
    };
    let with = |unit: &Option<String>| match unit {
        Some(unit) => format!("{allowance} {unit}"),
        None => allowance.to_string(),
    };
    match meaning {
        Some(Meaning::Quota { period, unit }) => match period.name() {
            "lifetime" => format!("{} in all", with(unit)),
            period => format!("{} per {period}", with(unit)),
        },
        Some(Meaning::Limit { unit }) => format!("{} at once", with(unit)),
        _ => allowance.to_string(),
    }
}

impl Right {
    fn row(&self) -> Markup {
        html! {
            tr {
                td { (self.kind.word()) }
                th scope="row" { code { (said(&self.name)) } }
                td { (said(&self.title)) }
                td { (said(&self.amount)) }
            }
        }
    }

    fn line(&self) -> Markup {
        let title = Some(&self.title).filter(|title| !title.is_empty());
        html! {
            (said(title.unwrap_or(&self.name)))
            @if self.kind != Kind::Flag { ": " (said(&self.amount)) }
        }
    }
}

/// How the range of a report reads.
pub(super) fn range(from: Option<UnixTime>, to: Option<UnixTime>) -> Markup {
    match (from, to) {
        (None, None) => html! { "everything in the ledger" },
        (from, to) => html! {
            "from " (time_or(from, "the beginning")) " to before " (time_or(to, "now"))
        },
    }
}
