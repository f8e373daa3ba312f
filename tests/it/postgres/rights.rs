//! The rights that docs/guides/postgresql.md gives an operator are enough, and no more than that.

use phi_tests::{
    home::{Home, Sql, Store},
    postgres::is_there,
    snakeoil::START,
    workshop::{self, at, passphrase},
};

use super::join;

/// The statements of the guide that stand in SQL.
fn statements() -> String {
    let guide = include_str!("../../../docs/guides/postgresql.md");
    let parts = guide.split("```sql\n").skip(1);
    let blocks = parts.map(|part| part.split("```").next().unwrap());
    let grants = blocks.filter(|block| block.contains("GRANT"));
    grants.collect()
}

#[test]
fn an_operator_with_the_rights_of_the_guide_can_work() {
    if !is_there() {
        return;
    }
    let home = Home::new(Store::Server);
    let mut owner = home.furnished().unwrap();
    let license = workshop::issue(&mut owner, START).unwrap();
    // Roles belong to the server, which other tests share.
    let operator = format!("operator_{}", std::process::id());
    let sql = Sql::open(home.path());
    sql.run(&statements().replace("ann", &operator)).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let url = home
        .database()
        .url()
        .replace("phi@", &format!("{operator}@"));
    let mut issuer = join(folder.path(), &url).unwrap();
    for entry in std::fs::read_dir(home.path().join("keys")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(
            &path,
            folder.path().join("keys").join(path.file_name().unwrap()),
        )
        .unwrap();
    }
    workshop::mint(&mut issuer, license, 2, START.plus(60)).unwrap();
    issuer
        .publish_status(&passphrase(), &at(START.plus(60)))
        .unwrap();
    issuer.rebuild().unwrap();

    let as_operator = Sql::open(folder.path());
    for refused in [
        "UPDATE events SET actor = 'nobody'",
        "DELETE FROM events",
        "TRUNCATE events CASCADE",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP TABLE events CASCADE",
        "CREATE TABLE more (seq BIGINT)",
    ] {
        let said = as_operator.run(refused).unwrap_err();
        assert!(said.contains("42501"), "{refused}: {said}");
    }
    drop(issuer);
    drop(as_operator);
    let cleared = format!("DROP OWNED BY {operator}; DROP ROLE {operator}");
    sql.run(&cleared).unwrap();
}
