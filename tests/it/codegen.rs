//! Generated constants compile, and mean what the catalog means.

use phi_issuer::catalog::{Lang, Revision, Source, codegen};

/// What `phi catalog codegen --lang rust` wrote for `atlas.toml`.
#[expect(
    unreachable_pub,
    reason = "an application exports these from where it likes"
)]
mod atlas {
    include!("codegen/atlas.rs");
}

#[test]
fn constants_are_what_the_catalog_says() {
    let source = Source::parse(include_str!("codegen/atlas.toml")).unwrap();
    let revision = Revision::first(&source).unwrap();
    assert_eq!(
        codegen(&revision, Lang::Rust),
        include_str!("codegen/atlas.rs")
    );
    let flags = &revision.terms().flags;
    assert_eq!(flags[&atlas::flags::SSO.get()].name.as_str(), "sso");
    assert_eq!(
        flags[&atlas::flags::AUDIT_LOG.get()].name.as_str(),
        "audit_log"
    );
    let quotas = &revision.terms().quotas;
    assert_eq!(
        quotas[&atlas::quotas::API_CALLS.get()].name.as_str(),
        "api_calls"
    );
    let limits = &revision.terms().limits;
    assert_eq!(limits[&atlas::limits::SEATS.get()].name.as_str(), "seats");
    assert_eq!((atlas::PRODUCT, atlas::CATALOG_REVISION), ("atlas", 1));
    assert_eq!(
        revision.plan(atlas::plans::TEAM).unwrap().name.as_str(),
        "team"
    );
}
