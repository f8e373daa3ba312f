//! The `catalog.toml` that a new issuer folder starts with: short, true, and its own manual.

use super::name::Name;

/// The text of a first `catalog.toml`, with comments; it passes the check as it is.
pub fn template(product: &Name) -> String {
    TEMPLATE.replace("@PRODUCT@", product)
}

const TEMPLATE: &str = r#"# What you sell, named once. `phi catalog check` reads this file, `phi catalog diff` shows what an
# edit would change, `phi catalog publish` records it.
#
# Recording gives every flag, quota and limit a code, and tokens carry the codes. A code never
# changes its meaning and is never given again, so edit freely:
#   rename   new_name = { title = "...", was = "old_name" }    keeps the code
#   remove   delete the line                                   the code and the name stay reserved
#   restore  name = { title = "...", was = "name" }            brings a removed name back
# Names are a-z, 0-9, '.', '_' and '-'; a name with a dot is written in quotes.

product = "@PRODUCT@"
# title = "Your product, for people"

# On or off. The text is the title, for people.
[flags]
sso = "Single sign-on"
audit_log = "Audit log"

# Counted over a period: "lifetime", "hour", "day", "month" or "year".
[quotas]
api_calls = { title = "API calls", period = "month", unit = "calls" }

# Held at the same time: seats, nodes, sessions.
[limits]
seats = { title = "Concurrent seats", unit = "seats" }

# Amounts are whole numbers or "unlimited".
[plans.starter]
title = "Starter"
flags = ["sso"]
quotas = { api_calls = 10_000 }
limits = { seats = 5 }

# A plan may extend another: flags are added, amounts replace the inherited ones, and
# `without = ["name"]` takes away what was inherited.
[plans.premium]
title = "Premium"
extends = "starter"
flags = ["audit_log"]
quotas = { api_calls = "unlimited" }
limits = { seats = 50 }

# Sold on top of any plan; amounts are added to the plan's.
[addons.extra_seats]
title = "Ten more seats"
limits = { seats = 10 }
"#;

#[cfg(test)]
mod tests {
    use super::super::{Revision, Source};
    use super::*;

    #[test]
    fn the_template_passes_its_own_check() {
        let text = template(&Name::new("atlas").unwrap());
        let source = Source::parse(&text).unwrap_or_else(|found| panic!("{found}"));
        let revision = Revision::first(&source).unwrap();
        assert_eq!(revision.product().as_str(), "atlas");
        assert_eq!(revision.plans().len(), 2);
        assert!(text.lines().all(|line| line.len() <= 100));
    }
}
