//! What was used in a span of time, for whoever is to have it in writing.

use phi_enforce::{UsageQuery, UsageReport, parse_time};
use phi_verify::{LimitCode, QuotaCode, UnixTime};

use super::{Denied, Service, allowed};
use crate::{
    clients::{Client, Right},
    licenses::Shelf,
};

impl Service {
    /// What was used of the licenses that the client may use from one time on and before another:
    /// now, unless it is said. Times are RFC 3339 in UTC, or days.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn usage_report(
        &self,
        client: &Client,
        from: &str,
        to: Option<&str>,
    ) -> Result<UsageReport, Denied> {
        allowed(client, Right::Usage)?;
        let invalid = |what| Denied::invalid(what, "is no time such as 2031-01-04T00:00:00Z");
        let from = parse_time(from).map_err(|_| invalid("from"))?;
        let to = to.map(parse_time).transpose().map_err(|_| invalid("to"))?;
        // The second that it is now is in it.
        let query = span(client, from, to.unwrap_or_else(|| self.now().plus(1)))?;
        let mut report = self.ask_store(move |engine| engine.report(&query)).await?;
        name(&mut report, &self.licenses.shelf());
        Ok(report)
    }
}

fn span(client: &Client, from: UnixTime, to: UnixTime) -> Result<UsageQuery, Denied> {
    let query = UsageQuery::new(from, to);
    let query = query.map_err(|_| Denied::invalid("to", "is not after from"))?;
    Ok(match client.scopes().licenses() {
        Some(licenses) => query.of(licenses.iter().copied()),
        None => query,
    })
}

/// Puts names into a report, as far as there are catalogs.
fn name(report: &mut UsageReport, shelf: &Shelf) {
    for used in &mut report.licenses {
        let entry = shelf.licenses.get(&used.license);
        let Some(catalog) = entry.and_then(|entry| entry.catalog.as_ref()) else {
            continue;
        };
        for quota in &mut used.quotas {
            let named = QuotaCode::checked(quota.code.into());
            let named = named.and_then(|code| catalog.quotas.get(&code));
            quota.name = named.map(|(named, _)| named.name.clone());
        }
        for limit in &mut used.limits {
            let named = LimitCode::checked(limit.code.into());
            let named = named.and_then(|code| catalog.limits.get(&code));
            limit.name = named.map(|named| named.name.clone());
        }
    }
}
