//! Filters: built by phi-issuer, parsed and asked by phi-verify, about every id that there is.

use phi_issuer::filter::{self, BuildError, Built, Wanted};
use phi_verify::{
    TokenId,
    filter::{Answer, Filter, FilterKind, SaltedId},
};
use proptest::prelude::*;

const SALT: [u8; 16] = *b"snakeoil salt 16";

/// The salted ids of the tokens with these numbers.
fn ids(numbers: std::ops::Range<u64>) -> Vec<SaltedId> {
    let id = |number: u64| {
        let id = TokenId::from_bytes(u128::from(number).to_be_bytes());
        SaltedId::of_token(&SALT, id)
    };
    numbers.map(id).collect()
}

/// So many members, and so many others.
fn sets(members: u64, others: u64) -> (Vec<SaltedId>, Vec<SaltedId>) {
    (ids(0..members), ids(members..members + others))
}

/// Every form that can be built of these.
fn forms(members: &[SaltedId], others: &[SaltedId]) -> Vec<Built> {
    [
        filter::build(members, others, Wanted::Smallest),
        filter::build(members, others, Wanted::Compact),
        filter::cascade(members, others),
        filter::ribbon(members, others),
    ]
    .into_iter()
    .filter_map(|built| built.unwrap())
    .collect()
}

fn parsed(built: &Built) -> Filter {
    let filter = Filter::parse(built.kind.number(), &built.body).unwrap();
    assert_eq!(filter.kind(), built.kind);
    assert_eq!(filter.body(), built.body);
    filter
}

/// Builds every form and asks it about every id.
#[track_caller]
fn check(members: u64, others: u64) {
    let (revoked, good) = sets(members, others);
    answered_rightly(&revoked, &good);
}

#[track_caller]
fn answered_rightly(members: &[SaltedId], others: &[SaltedId]) {
    let all = (members.len() + others.len()) as u64;
    for built in forms(members, others) {
        let kind = built.kind;
        assert_eq!((built.members, built.universe), (members.len() as u64, all));
        let wrong = filter::wrong_answers(&parsed(&built), members, others);
        assert_eq!(wrong, 0, "{kind} of {} and {}", members.len(), others.len());
    }
}

#[test]
fn every_id_of_a_tiny_universe_is_answered_rightly() {
    for members in [1, 2, 3, 5, 8, 9, 17] {
        for others in [0, 1, 2, 3, 7, 9, 20] {
            check(members, others);
        }
    }
}

#[test]
fn every_id_is_answered_rightly() {
    for (members, others) in [
        (1, 5_000),
        (10, 9_990),
        (100, 9_900),
        (500, 9_500),
        (700, 700),
        (4_500, 4_700),
        (19_000, 1_000),
        (3_000, 0),
    ] {
        check(members, others);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_id_of_any_universe_is_answered_rightly(
        (members, others) in prop_oneof![(1..30_u64, 0..30_u64), (1..400_u64, 0..400_u64)],
        salt in any::<u64>(),
    ) {
        let first = salt >> 1;
        let (revoked, good) = (ids(first..first + members), ids(first + members..first + members + others));
        answered_rightly(&revoked, &good);
    }
}

/// Mozilla's add-on blocklist, addons#7492: with a thousand blocked and one that is not, its
/// builder stopped.
#[test]
fn a_thousand_listed_and_one_not() {
    check(1_000, 1);
    check(1, 1_000);
    let (members, others) = sets(1_000, 1);
    let built = filter::build(&members, &others, Wanted::Smallest)
        .unwrap()
        .unwrap();
    assert!(built.body.len() < 16, "{} bytes", built.body.len());
}

/// Mozilla's add-on blocklist, addons#15261: ids that were given twice made the file larger.
#[test]
fn an_id_given_twice_or_in_another_place_changes_nothing() {
    let (mut members, mut others) = sets(300, 6_000);
    let expected = forms(&members, &others);
    members.extend_from_within(..200);
    others.extend_from_within(1_000..);
    members.reverse();
    others.rotate_left(2_345);
    assert_eq!(forms(&members, &others), expected);
    members.sort_unstable();
    members.dedup();
    assert_eq!(forms(&members, &others), expected);
}

#[test]
fn an_id_on_both_sides_is_refused() {
    let (members, mut others) = sets(40, 500);
    others.insert(77, members[13]);
    let refused = filter::build(&members, &others, Wanted::Smallest);
    assert_eq!(refused, Err(BuildError::Contradiction(members[13])));
}

#[test]
fn ids_that_are_no_hashes_are_refused_where_nothing_tells_them_apart() {
    let crafted = |numbers: std::ops::Range<u64>| -> Vec<_> {
        let bytes = numbers.map(|number| (u128::from(number) << 64 | 7).to_le_bytes());
        bytes.map(SaltedId::from_bytes).collect()
    };
    let (members, others) = (crafted(0..60), crafted(60..100));
    let refused = filter::cascade(&members, &others);
    assert_eq!(refused, Err(BuildError::Inseparable));
    // A window reads both halves of an id.
    let ribbon = filter::ribbon(&members, &others).unwrap().unwrap();
    assert_eq!(
        filter::wrong_answers(&parsed(&ribbon), &members, &others),
        0
    );
}

#[test]
fn nothing_to_list_is_no_filter() {
    assert_eq!(filter::build(&[], &ids(0..50), Wanted::Smallest), Ok(None));
    assert_eq!(filter::build(&[], &[], Wanted::Smallest), Ok(None));
}

#[test]
fn everything_listed_takes_three_bytes() {
    let built = filter::build(&ids(0..5_000), &[], Wanted::Smallest)
        .unwrap()
        .unwrap();
    assert_eq!(
        (built.kind, &built.body[..]),
        (FilterKind::Cascade, &[1, 0, 0][..])
    );
}

/// A handful of ids among many is a list.
#[test]
fn the_smallest_form_is_chosen() {
    let kind = |members, others| {
        let (members, others) = sets(members, others);
        let built = filter::build(&members, &others, Wanted::Smallest)
            .unwrap()
            .unwrap();
        let cascade = filter::cascade(&members, &others).unwrap().unwrap();
        assert!(built.body.len() <= cascade.body.len());
        built.kind
    };
    assert_eq!(kind(1, 30_000), FilterKind::Exact);
    assert_eq!(kind(100, 9_900), FilterKind::Cascade);
}

/// The closed form of a cascade's size: 1.4427 log2(s/r) + 4.204 bits for each that is listed. It
/// knows no whole numbers of probes, which cost some hundredths where few ids are not listed.
#[test]
fn a_cascade_is_as_large_as_its_closed_form() {
    for (members, others) in [
        (1_000_u32, 99_000_u32),
        (1_000, 19_000),
        (5_000, 95_000),
        (2_000, 62_000),
    ] {
        let (revoked, good) = sets(members.into(), others.into());
        let built = filter::cascade(&revoked, &good).unwrap().unwrap();
        let (members, others) = (f64::from(members), f64::from(others));
        let closed = members * (std::f64::consts::LOG2_E * (others / members).log2() + 4.204) / 8.0;
        let bytes = f64::from(u32::try_from(built.body.len()).unwrap());
        assert!(
            bytes <= closed * 1.01 + 64.0,
            "{bytes} bytes, closed form {closed}"
        );
        assert!(
            bytes >= closed * 0.97 - 64.0,
            "{bytes} bytes, closed form {closed}"
        );
    }
}

/// Of ids outside the universe, those are taken for members that pass the first layer and are held
/// back by an odd one: two of three that pass.
#[test]
fn outside_its_universe_a_cascade_says_yes_as_often_as_theory_has_it() {
    for (members, others) in [(400_u32, 39_600_u32), (1_000, 19_000)] {
        let (revoked, good) = sets(members.into(), others.into());
        let cascade = parsed(&filter::cascade(&revoked, &good).unwrap().unwrap());
        let share = f64::from(members) / f64::from(others);
        near(&cascade, share / 2_f64.sqrt() * 2.0 / 3.0);
    }
}

/// Of ids outside the universe, those are taken for members that pass the first stage and to whom
/// the second says 1, as it does to every other.
#[test]
fn outside_its_universe_a_ribbon_pair_says_yes_as_often_as_theory_has_it() {
    for (members, others, rank) in [(400, 39_600, 6), (1_000, 19_000, 4), (2_000, 2_100, 0)] {
        let (revoked, good) = sets(members, others);
        let built = filter::ribbon(&revoked, &good).unwrap().unwrap();
        assert_eq!(built.body[1], rank);
        near(&parsed(&built), 0.5_f64.powi(i32::from(rank) + 1));
    }
}

/// A bit of rank for each that is listed, one for each that passes, and hardly more. Of those that
/// pass there are more or fewer by chance.
#[test]
fn a_ribbon_pair_is_as_large_as_its_closed_form() {
    for (members, others, rank) in [(1_000_u32, 99_000_u32, 6), (5_000, 95_000, 4)] {
        let (revoked, good) = sets(members.into(), others.into());
        let built = filter::ribbon(&revoked, &good).unwrap().unwrap();
        let passing = f64::from(others) / f64::from(1_u32 << rank);
        let closed = (f64::from(members) * f64::from(rank + 1) + passing) / 8.0;
        let bytes = f64::from(u32::try_from(built.body.len()).unwrap());
        let chance = 3.0 * passing.sqrt() / 8.0;
        assert!(
            bytes <= closed * 1.002 + chance + 16.0,
            "{bytes} bytes, closed form {closed}"
        );
        assert!(
            bytes >= closed - chance,
            "{bytes} bytes, closed form {closed}"
        );
    }
}

/// Beyond sixteen thousand ids the equations are solved in shards.
#[test]
fn every_id_of_several_shards_is_answered_rightly() {
    let (members, others) = sets(17_000, 50_000);
    let built = filter::ribbon(&members, &others).unwrap().unwrap();
    assert_eq!(built.body[..3], [0, 1, 2]);
    assert_eq!(filter::wrong_answers(&parsed(&built), &members, &others), 0);
    assert_eq!(filter::ribbon(&members, &others), Ok(Some(built)));
}

/// Asks about ids that no filter here knows: the share of yes is within three standard deviations.
fn near(filter: &Filter, expected: f64) {
    let strangers = ids(1_000_000_000..1_000_060_000);
    let found = strangers
        .iter()
        .filter(|id| filter.contains(**id) != Answer::No)
        .count();
    let count = f64::from(u32::try_from(strangers.len()).unwrap());
    let found = f64::from(u32::try_from(found).unwrap());
    let deviation = (count * expected * (1.0 - expected)).sqrt();
    let off = (found - count * expected) / deviation;
    assert!(off.abs() < 3.0, "{found} of {count}, {off:.1} deviations");
}

#[test]
fn a_body_cut_short_is_refused_and_so_is_a_longer_one() {
    let (members, others) = sets(60, 900);
    for built in forms(&members, &others) {
        let number = built.kind.number();
        for end in 0..built.body.len() {
            assert!(Filter::parse(number, &built.body[..end]).is_err(), "{end}");
        }
        let longer = [&built.body[..], &[0]].concat();
        assert!(Filter::parse(number, &longer).is_err());
    }
}

/// What a body says cannot be changed into a panic: a flip is refused, or read and asked.
#[test]
fn a_body_with_a_bit_flipped_is_refused_or_read_as_it_is() {
    let (members, others) = sets(60, 900);
    for built in forms(&members, &others) {
        let mut refused = 0;
        for bit in 0..built.body.len() * 8 {
            let mut body = built.body.clone();
            body[bit / 8] ^= 1 << (bit % 8);
            match Filter::parse(built.kind.number(), &body) {
                Ok(filter) => {
                    assert_eq!(filter.body(), body);
                    for id in members.iter().chain(&others[..60]) {
                        filter.contains(*id);
                    }
                }
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 20, "{}: {refused} flips were refused", built.kind);
    }
}
