//! What every section of a report is made of: times, ids, tables, words that people wrote.

use maud::{Markup, html};
use phi_issuer::LicenseAt;
use phi_verify::UnixTime;

/// A time in UTC, as the head of the report says.
pub(super) fn time(time: UnixTime) -> Markup {
    let stamp = time.to_string();
    let shown = stamp.trim_end_matches('Z').replacen('T', " ", 1);
    html! { time datetime=(stamp) { (shown) } }
}

/// A time, or what there is instead.
pub(super) fn time_or(moment: Option<UnixTime>, without: &str) -> Markup {
    html! {
        @if let Some(moment) = moment { (time(moment)) } @else { (without) }
    }
}

/// What somebody wrote: whichever way its script runs, its neighbors stay where they are.
pub(super) fn said(text: &str) -> Markup {
    html! { bdi { (text) } }
}

/// An id or a hash.
pub(super) fn id(text: &str) -> Markup {
    html! { span.mono { (text) } }
}

/// An id that is short enough to stay in one piece.
pub(super) fn short(text: &str) -> Markup {
    html! { span.short { (text) } }
}

/// The number of an event, which leads to its line in the appendix.
pub(super) fn event(seq: u64) -> Markup {
    html! { a href={ "#event-" (seq) } { (seq) } }
}

/// A table with its caption and heads; `rows` are lines of it.
pub(super) fn table(caption: &str, heads: &[&str], rows: &[Markup]) -> Markup {
    html! {
        div.scroll {
            table {
                caption { (caption) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { @for row in rows { (row) } }
            }
        }
    }
}

/// The state of a license, as a word in a frame.
pub(super) fn state(at: &LicenseAt) -> Markup {
    let class = if at.entitled() {
        "state good"
    } else {
        "state bad"
    };
    html! { span class=(class) { (at.state.name()) } }
}

/// Why a license grants nothing, if that is so.
pub(super) fn nothing_because(at: &LicenseAt) -> Option<&'static str> {
    if at.entitled() {
        None
    } else if !at.state.entitles() {
        Some("in this state a license grants nothing")
    } else if at.customer_revoked.is_some() {
        Some("the customer was revoked")
    } else {
        Some("the license had not begun")
    }
}
