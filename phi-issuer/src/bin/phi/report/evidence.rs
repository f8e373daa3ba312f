//! The evidence in a report: tokens, revocations, the checkpoint, the proofs, and what they mean.

use maud::{Markup, html};
use phi_issuer::{AuditRow, Dossier, Event, TokenDossier, TokenStanding, Unrevocation};
use phi_verify::dangerous_inspect;
use phi_verify::log::{Hash, Origin};

use super::parts::{event, id, said, short, table, time, time_or};
use crate::view::{BindingView, hex};

/// The tokens that were minted.
pub(super) fn tokens(dossier: &Dossier) -> Markup {
    let rows: Vec<_> = dossier.tokens.iter().map(token).collect();
    html! {
        p {
            "A token is what an application verifies. It is listed by its id and by its SHA-256, as "
            code { "sha256sum" } " prints it for a file with the token alone and no line end; the "
            "token itself is not in this report."
        }
        @if rows.is_empty() {
            p.none { "None was minted in this range." }
        } @else {
            (table(
                "The tokens minted in this range, and what the ledger says of them now",
                &["Token, its SHA-256", "License, key, machine", "Minted, expires", "Now", "Event"],
                &rows,
            ))
        }
    }
}

fn token(dossier: &TokenDossier) -> Markup {
    let token = &dossier.token;
    let (good, standing) = standing(&dossier.standing);
    html! {
        tr {
            td {
                (short(&token.token_id.to_string())) br;
                span.small.soft { (id(&hex(Hash::of(&token.token).as_bytes()))) }
            }
            td {
                (short(&token.license.to_string())) br; (short(&token.key_id.to_string()))
                @if let Some(binding) = binding(&token.token) {
                    br; span.small.soft { (binding.line()) }
                }
            }
            td { (time(token.issued_at)) br; (time_or(token.expires, "never")) }
            td.word { span class=(if good { "good" } else { "bad" }) { (standing) } }
            td.number { (event(dossier.seq)) }
        }
    }
}

/// The machine to which a token is bound: its license may be bound to none.
fn binding(token: &str) -> Option<BindingView> {
    let (_, claims) = dangerous_inspect::token(token).ok()?;
    claims.binding.as_ref().map(BindingView::new)
}

fn standing(standing: &TokenStanding) -> (bool, String) {
    match standing {
        TokenStanding::Good => (true, "good".into()),
        TokenStanding::Grace => (true, "in its grace".into()),
        TokenStanding::Ended => (false, "expired".into()),
        TokenStanding::Suspended => (false, "suspended with its license".into()),
        TokenStanding::Revoked(class, reason) => {
            (false, format!("{class} revoked: {}", reason.name()))
        }
    }
}

/// What was taken back.
pub(super) fn revocations(dossier: &Dossier) -> Markup {
    let row = |row: &AuditRow| {
        let revocation = match &row.entry.event {
            Event::Revoked(revocation) => revocation,
            Event::Unrevoked(ended) => return Some(not_any_more(row, ended)),
            _ => return None,
        };
        let until = time_or(revocation.issued_before, "all of it");
        Some(html! {
            tr {
                td { (time(row.recorded)) }
                td { (revocation.subject.class().name()) " " (id(&revocation.subject.id())) }
                td.word { @if revocation.issued_before.is_some() { "issued before " } (until) }
                td.word { (revocation.reason.name()) }
                td.word {
                    (said(&row.entry.actor))
                    @if let Some(reason) = &row.entry.reason { span.why { (said(reason)) } }
                }
                td.number { (event(row.entry.seq)) }
            }
        })
    };
    let rows: Vec<_> = dossier.recorded().filter_map(row).collect();
    html! {
        p {
            "A revocation takes effect in an application once it has a status list that was "
            "published after it. Revoked keys and features are listed if they touch this customer."
        }
        @if rows.is_empty() {
            p.none { "Nothing was revoked in this range." }
        } @else {
            (table(
                "What was taken back in this range",
                &["When", "What", "Reach", "Class of reason", "Who, and why", "Event"],
                &rows,
            ))
        }
    }
}

/// That a revocation ended.
fn not_any_more(row: &AuditRow, ended: &Unrevocation) -> Markup {
    html! {
        tr {
            td { (time(row.recorded)) }
            td { (ended.subject.class().name()) " " (id(&ended.subject.id())) }
            td.word { "not revoked any more" }
            td.word { "" }
            td.word {
                (said(&row.entry.actor))
                @if let Some(reason) = &row.entry.reason { span.why { (said(reason)) } }
            }
            td.number { (event(row.entry.seq)) }
        }
    }
}

/// The newest checkpoint as it was signed.
pub(super) fn checkpoint(dossier: &Dossier, issuer: &str) -> Markup {
    let Some(checkpoint) = &dossier.checkpoint else {
        return html! { p.none { "None was signed yet." } };
    };
    html! {
        p {
            "The issuer signed that the first " (checkpoint.size) " entries of its ledger ("
            (id(Origin::of_issuer(issuer).as_str())) ") come together to this root hash. The lines "
            "are the name of the ledger, the number of entries, the root hash and, after an empty "
            "line, the signatures."
        }
        pre { (checkpoint.note) }
    }
}

/// What the evidence shows, in plain words.
pub(super) fn meaning(issuer: &str) -> Markup {
    html! {
        h3 { "What this shows" }
        ul {
            li {
                "Each numbered event is an entry of the ledger of " (said(issuer)) ". An entry is "
                "written once and never changed. Its hash in Appendix A is a fingerprint of all that "
                "it says, who recorded it and why among it."
            }
            li {
                "The checkpoint is signed. If one of the entries that it covers were changed, taken "
                "away or put in later, their root hash would be another one, and the checkpoint "
                "would not fit any more."
            }
            li {
                "The proof of a token in Appendix B shows that this very token was entered into the "
                "ledger before the checkpoint was signed, and at which place."
            }
            li {
                "States and entitlements are not stored opinions: they follow from the entries by "
                "fixed rules, and whoever has the ledger can work them out again."
            }
        }
        h3 { "What it does not show" }
        ul {
            li {
                "When something happened, other than by the issuer's own clock. The order of the "
                "entries is certain, and that each was there when a checkpoint after it was signed."
            }
            li {
                "That the issuer keeps only one ledger. Against that stands a checkpoint that "
                "somebody else kept: every later one must continue it."
            }
            li { "That what people wrote, such as a reason or a name, is true." }
            li {
                "That a license was delivered or used, or that an application had heard of a "
                "revocation: it knows of one from the status list that it has."
            }
            li {
                "That this page is whole. It is not signed; what is in doubt can be checked as "
                "follows."
            }
        }
        h3 { "How to check it" }
        ol {
            li {
                "Keep the checkpoint above in a file of its own, apart from the issuer. It must end "
                "with a line end after its last signature."
            }
            li {
                "Have the issuer's ledger, or a backup of it, verified against it: "
                code { "phi ledger verify --checkpoint FILE" } ". Every hash, state, token and "
                "signature is computed again, and the first entry that does not fit is named."
            }
            li {
                "For one event, ask for the entry and its proof: "
                code { "phi ledger prove --event NUMBER --entry entry.cbor --out entry.tlog-proof" }
                ". The SHA-256 of the entry, "
                code { "openssl dgst -sha256 -binary entry.cbor | base64" }
                ", is the hash in Appendix A."
            }
            li {
                "For a token, keep its proof from Appendix B in a file: "
                code { "phi proof verify FILE --token TOKEN" }
                " checks it offline, with the issuer's published root documents and nothing else. "
                "Of an event, " code { "phi proof verify entry.tlog-proof --entry entry.cbor" }
                " does the same."
            }
            li {
                "If the issuer publishes the log (" code { "phi ledger export" } "), its tiles are "
                "public files in the format of C2SP tlog-tiles. They have the hashes and name "
                "nobody; any tool for that format finds the leaves of Appendix A in them."
            }
        }
    }
}

/// Every event with its place in the log.
pub(super) fn events(dossier: &Dossier) -> Markup {
    let row = |row: &AuditRow| {
        let seq = row.entry.seq;
        html! {
            tr id={ "event-" (seq) } {
                th.number scope="row" { (seq) }
                td { (time(row.entry.time)) }
                td.word { (row.entry.event.name()) }
                td.number { (row.leaf_index()) }
                td { (id(&row.hash.to_string())) }
                td { @if dossier.covers(seq) { "yes" } @else { strong { "not yet" } } }
            }
        }
    };
    let rows: Vec<_> = dossier.recorded().map(row).collect();
    html! {
        @if rows.is_empty() {
            p.none { "No event is in this report." }
        } @else {
            (table(
                "Leaves count from 0; a hash is the SHA-256 of the entry, in base64",
                &["Event", "Recorded", "Kind", "Leaf", "Hash of the entry", "Covered"],
                &rows,
            ))
        }
    }
}

/// The proof of each token.
pub(super) fn proofs(dossier: &Dossier) -> Markup {
    html! {
        p {
            "Each is a C2SP tlog-proof: the hash of the token's entry, the place of its leaf, the "
            "hashes on the way to the root, and the checkpoint that has the root."
        }
        @if dossier.tokens.is_empty() { p.none { "No token is in this report." } }
        @for token in &dossier.tokens { (proof(token)) }
    }
}

fn proof(token: &TokenDossier) -> Markup {
    let name = token.token.token_id.to_string();
    html! {
        details open {
            summary { "Token " (id(&name)) ", event " (token.seq) }
            @match &token.proof {
                Some(proof) => pre { (proof.to_text()) },
                None => p.none { "No checkpoint covers it yet." },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use phi_verify::{Reason, RuleClass};

    use super::*;

    #[test]
    fn only_what_an_application_may_accept_is_good() {
        for (made, good, text) in [
            (TokenStanding::Good, true, "good"),
            (TokenStanding::Grace, true, "in its grace"),
            (TokenStanding::Ended, false, "expired"),
            (
                TokenStanding::Suspended,
                false,
                "suspended with its license",
            ),
            (
                TokenStanding::Revoked(RuleClass::License, Reason::Refund),
                false,
                "license revoked: refund",
            ),
        ] {
            assert_eq!(standing(&made), (good, text.to_owned()));
        }
    }
}
