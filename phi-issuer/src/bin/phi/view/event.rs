//! An event of the ledger with all that is known of it, for every form of output.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use phi_issuer::{AuditRow, Event};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Stamp, summary};

/// An event in the ledger.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi audit show")]
pub(crate) struct EventView {
    /// Its place in the ledger, from 1.
    pub(crate) seq: u64,
    /// When it was recorded.
    pub(crate) time: Stamp,
    /// When it counts as recorded, if its clock was ahead and was corrected afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counts_as: Option<Stamp>,
    /// Who recorded it.
    pub(crate) actor: String,
    /// What happened, as a word.
    pub(crate) event: String,
    /// The license that it is about.
    pub(crate) license: Option<String>,
    /// The customer that it is about, also as that of the license.
    pub(crate) customer: Option<String>,
    /// The product that it is about, also as that of the license.
    pub(crate) product: Option<String>,
    /// What happened, in a line for people; its wording may change.
    pub(crate) summary: String,
    /// Why, in the actor's words.
    pub(crate) reason: Option<String>,
    /// The request that it answers.
    pub(crate) idempotency_key: Option<String>,
    /// Where its leaf is in the Merkle log, from 0.
    pub(crate) leaf_index: u64,
    /// SHA-256 of its entry, in base64: the `extra` line of its proof.
    pub(crate) entry_hash: String,
    /// The event as the ledger has it; times are seconds since 1970, documents in base64.
    pub(crate) details: Value,
}

impl From<AuditRow> for EventView {
    fn from(row: AuditRow) -> Self {
        Self {
            leaf_index: row.leaf_index(),
            entry_hash: row.hash.to_string(),
            seq: row.entry.seq,
            time: row.entry.time.into(),
            counts_as: Some(row.recorded)
                .filter(|recorded| *recorded != row.entry.time)
                .map(Stamp::from),
            event: row.entry.event.name().to_owned(),
            license: row.license.map(|id| id.to_string()),
            customer: row.customer,
            product: row.product,
            summary: summary(&row.entry.event),
            details: details(&row.entry.event),
            actor: row.entry.actor,
            reason: row.entry.reason,
            idempotency_key: row.entry.idempotency_key,
        }
    }
}

impl EventView {
    /// What it is about, as briefly as it can be said.
    pub(crate) fn about(&self) -> String {
        match (&self.license, &self.customer, &self.product) {
            (Some(license), Some(customer), _) => format!("{license} of {customer}"),
            (Some(one), ..) | (_, Some(one), _) | (_, _, Some(one)) => one.clone(),
            (None, None, None) => String::new(),
        }
    }

    /// What happened and why.
    pub(crate) fn what(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}, because \"{reason}\"", self.summary),
            None => self.summary.clone(),
        }
    }
}

fn details(event: &Event) -> Value {
    let value = serde_json::to_value(event);
    let mut value = value.expect("events have text keys and no failing parts");
    let document = match event {
        Event::DocumentPublished(publication) => &publication.document,
        Event::ClockResetIssued(reset) => &reset.document,
        _ => return value,
    };
    if let Value::Object(fields) = &mut value {
        fields.insert("document".into(), STANDARD.encode(document).into());
    }
    value
}
