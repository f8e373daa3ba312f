//! The page of a report: its head, what happened, and the order of its sections.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use phi_issuer::{Dossier, DossierRequest, Occurrence};
use phi_verify::LicenseId;
use phi_verify::log::Hash;

use super::license::range;
use super::parts::{event, id, said, short, table, time};
use super::{evidence, license};
use crate::license::happening;
use crate::view::{counted, summary};

/// Who makes the report, and of what.
pub(super) struct Frame<'f> {
    pub(super) issuer: &'f str,
    pub(super) author: &'f str,
    pub(super) request: &'f DossierRequest,
}

const STYLE: &str = include_str!("style.css");

/// The sections with their anchors.
const CONTENTS: [(&str, &str); 9] = [
    ("licenses", "Licenses"),
    ("timeline", "What happened"),
    ("entitlements", "Entitlements over time"),
    ("tokens", "Tokens"),
    ("revocations", "Revocations"),
    ("checkpoint", "The newest checkpoint"),
    ("meaning", "What this shows, and how to check it"),
    ("events", "Appendix A: events in the log"),
    ("proofs", "Appendix B: proofs of the tokens"),
];

/// The whole page.
pub(super) fn html(dossier: &Dossier, frame: &Frame<'_>) -> Markup {
    // Nothing but the style above may have an effect, whatever a browser finds in the page.
    let policy = format!("default-src 'none'; style-src 'sha256-{}'", Hash::of(STYLE));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                title { "License report: " (name(dossier)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head(dossier, frame))
                main {
                    (section(0, &html! {
                        @if dossier.licenses.is_empty() { p.none { "The customer has none." } }
                        @for one in &dossier.licenses { (license::present(one)) }
                    }))
                    (section(1, &timeline(dossier)))
                    (section(2, &html! {
                        @if dossier.licenses.is_empty() { p.none { "There is no license." } }
                        @for one in &dossier.licenses { (license::over_time(one)) }
                    }))
                    (section(3, &evidence::tokens(dossier)))
                    (section(4, &evidence::revocations(dossier)))
                    (section(5, &evidence::checkpoint(dossier, frame.issuer)))
                    (section(6, &evidence::meaning(frame.issuer)))
                    (appendix(7, &evidence::events(dossier)))
                    (appendix(8, &evidence::proofs(dossier)))
                }
                footer {
                    "Made by phi " (env!("CARGO_PKG_VERSION")) " from the ledger of "
                    (said(frame.issuer)) ". This page is not signed: the ledger, its checkpoints "
                    "and the proofs are."
                }
            }
        }
    }
}

fn section(at: usize, content: &Markup) -> Markup {
    let (anchor, title) = CONTENTS[at];
    html! {
        section aria-labelledby=(anchor) {
            h2 id=(anchor) { (title) }
            (content)
        }
    }
}

fn appendix(at: usize, content: &Markup) -> Markup {
    html! { div.appendix { (section(at, content)) } }
}

/// What people call the customer.
fn name(dossier: &Dossier) -> &str {
    let customer = &dossier.customer;
    if customer.name.is_empty() {
        &customer.id
    } else {
        &customer.name
    }
}

fn head(dossier: &Dossier, frame: &Frame<'_>) -> Markup {
    let (customer, request) = (&dossier.customer, frame.request);
    html! {
        header {
            p.kicker { "License report" }
            h1 { (said(name(dossier))) }
            dl {
                dt { "Customer" }
                dd { (id(&customer.id)) ", " (customer.kind.name()) }
                dt { "Issuer" } dd { (said(frame.issuer)) }
                dt { "Range" } dd { (range(request.from, request.to)) }
                @if let Some(product) = &request.product {
                    dt { "Product" } dd { (said(product)) " only" }
                }
                dt { "Made at" } dd { (time(dossier.now)) }
                dt { "Made by" }
                dd { (said(frame.author)) ", with phi " (env!("CARGO_PKG_VERSION")) }
                dt { "Ledger" }
                dd { (counted_events(dossier.events)) ", " (covered(dossier)) }
                dt { "Times" } dd { "are in UTC, by the clock of the issuer" }
            }
            (warning(dossier))
            nav aria-label="Contents" {
                ol.contents { @for (anchor, title) in CONTENTS {
                    li { a href={ "#" (anchor) } { (title) } }
                } }
            }
        }
    }
}

fn covered(dossier: &Dossier) -> String {
    match &dossier.checkpoint {
        Some(checkpoint) => format!("of which a checkpoint covers the first {}", checkpoint.size),
        None => "of which no checkpoint was signed yet".into(),
    }
}

fn counted_events(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "event")
}

/// What the reader must know before anything else.
fn warning(dossier: &Dossier) -> Markup {
    let uncovered = dossier.uncovered();
    if uncovered == 0 {
        return html! {};
    }
    let all = dossier.recorded().count();
    html! {
        div.warning role="note" aria-labelledby="warning" {
            h2 #warning { "Not all of this is proven yet" }
            p {
                (uncovered) " of the " (counted(all, "event")) " in this report "
                @if dossier.checkpoint.is_some() {
                    @if uncovered == 1 { "is" } @else { "are" }
                    " younger than the newest checkpoint. Appendix A marks them. "
                } @else {
                    "have no checkpoint to cover them. "
                }
                "Until one is signed (" code { "phi ledger checkpoint" } "), nothing but the issuer's "
                "store speaks for them: ask for a report that was made after it."
            }
        }
    }
}

fn timeline(dossier: &Dossier) -> Markup {
    let rows: Vec<_> = dossier.timeline.iter().map(occurrence).collect();
    html! {
        p {
            "Everything that was recorded about the customer and its licenses, in order. What time "
            "alone brought, such as an expiry, stands between in italics: nobody recorded it, it "
            "follows from what was recorded before."
        }
        @if rows.is_empty() {
            p.none { "Nothing happened in this range." }
        } @else {
            (table(
                "In the order of the ledger; the number leads to the event in Appendix A",
                &["When", "Who", "What happened", "License", "Event"],
                &rows,
            ))
        }
    }
}

fn occurrence(occurrence: &Occurrence) -> Markup {
    match occurrence {
        Occurrence::Recorded(row) => html! {
            tr {
                td {
                    (time(row.recorded))
                    @if row.recorded != row.entry.time {
                        br; span.small.soft { "the clock said " (time(row.entry.time)) }
                    }
                }
                td.word { (said(&row.entry.actor)) }
                td {
                    (said(&summary(&row.entry.event)))
                    @if let Some(reason) = &row.entry.reason { span.why { (said(reason)) } }
                }
                td { (of_license(row.license)) }
                td.number { (event(row.entry.seq)) }
            }
        },
        Occurrence::ByTime { license, moment } => html! {
            tr.by-time {
                td { (time(moment.time)) }
                td.word { "time" }
                td { (said(&happening(&moment.happening))) }
                td { (of_license(Some(*license))) }
                td.number { "–" }
            }
        },
    }
}

fn of_license(license: Option<LicenseId>) -> Markup {
    html! { @if let Some(license) = license { (short(&license.to_string())) } }
}
