//! A machine's clock over time: what it has shown, what signatures prove to be past, and the
//! documents by which an issuer lets an installation begin again.

use phi_verify::{ClockReset, DocumentKind, InstallationId, Root, SIGNED_LEAD, Status, UnixTime};

use super::{Check, ClockCheck, ClockStep, ClockView, Outcome, Vectors, base};
use crate::{
    hex,
    item::{Fields, Item},
    snakeoil::{self, DAY, NOW, Seed, role},
};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

pub(super) fn add(vectors: &mut Vectors) {
    readings(vectors);
    signatures(vectors);
    payloads(vectors);
    resets(vectors);
}

/// A case with the snakeoil keyset and this installation.
fn case(steps: Vec<ClockStep>) -> ClockCheck {
    ClockCheck {
        trust: base::trust(),
        built: None,
        installation: Some(hex(b"snakeoil machine")),
        steps,
    }
}

fn observe(times: &[UnixTime]) -> Vec<ClockStep> {
    let steps = times.iter().map(|time| ClockStep::Observe(time.seconds()));
    steps.collect()
}

/// What is said to come of a case: verdicts by their words, as far as there are any, with the
/// observed floor and the signed floor after each step.
fn accept(
    vectors: &mut Vectors,
    name: &str,
    shows: &str,
    case: ClockCheck,
    expected: &[(&str, Option<UnixTime>, UnixTime)],
) {
    let views = case.steps.iter().zip(expected);
    let views = views.map(|(step, (verdict, observed, signed))| ClockView {
        verdict: Some((*verdict).into()).filter(|_| matches!(step, ClockStep::Observe(_))),
        judged_at: match step {
            ClockStep::Observe(now) => Some((*now).max(signed.seconds())),
            _ => None,
        },
        observed: observed.map(UnixTime::seconds),
        signed: signed.seconds(),
    });
    let outcome = Outcome::Clock(views.collect());
    assert_eq!(case.steps.len(), expected.len(), "{name}");
    vectors.accept(format!("clock/{name}"), shows, Check::Clock(case), outcome);
}

fn refuse(vectors: &mut Vectors, name: &str, shows: &str, case: ClockCheck, code: &str) {
    vectors.refuse(format!("clock/{name}"), shows, Check::Clock(case), code);
}

/// Readings one after the other, with no news from the issuer.
fn readings(vectors: &mut Vectors) {
    let signed = snakeoil::keyset().issued_at;
    let (noon, doomsday) = (signed.plus(12 * HOUR), signed.plus(70 * 365 * DAY));
    let plausible = |observed| ("plausible", Some(observed), signed);
    let doubted = |observed| ("doubted", observed, signed);
    let step = 5 * MINUTE;
    let times = [noon, noon.plus(step - 1), noon.plus(step), noon.plus(step)];
    let shows = "the observed floor follows in steps of five minutes";
    let after = [noon, noon, noon.plus(step), noon.plus(step)].map(plausible);
    accept(vectors, "valid-steps", shows, case(observe(&times)), &after);

    let times = [noon, noon.minus(DAY), noon.minus(DAY + 1), noon];
    let shows = "a day back is tolerated, a second more is not, and a correction ends it";
    let rolled = ("rolled-back", Some(noon), signed);
    let after = [plausible(noon), plausible(noon), rolled, plausible(noon)];
    accept(
        vectors,
        "valid-rolled-back",
        shows,
        case(observe(&times)),
        &after,
    );

    let last = noon.plus(35 * DAY);
    let times = [noon, last, last.plus(35 * DAY + 1)];
    let shows = "35 days are no jump, a second more is one";
    let after = [plausible(noon), plausible(last), doubted(Some(last))];
    accept(vectors, "valid-jump", shows, case(observe(&times)), &after);

    let times = [noon, doomsday, noon.plus(DAY)];
    let shows = "a clock 70 years ahead that is corrected leaves nothing behind";
    let after = [
        plausible(noon),
        doubted(Some(noon)),
        plausible(noon.plus(DAY)),
    ];
    accept(
        vectors,
        "valid-jump-corrected",
        shows,
        case(observe(&times)),
        &after,
    );

    let far = noon.plus(100 * DAY);
    let times = [noon, far, far.plus(HOUR), far.plus(DAY), far.plus(2 * DAY)];
    let shows = "a machine that was off for 100 days is believed on its third day";
    let wait = doubted(Some(noon));
    let after = [
        plausible(noon),
        wait,
        wait,
        wait,
        plausible(far.plus(2 * DAY)),
    ];
    accept(
        vectors,
        "valid-jump-agreed",
        shows,
        case(observe(&times)),
        &after,
    );

    let times = [
        far,
        far.plus(DAY),
        doomsday,
        far.plus(2 * DAY),
        far.plus(3 * DAY),
    ];
    let shows = "a clock that jumps about agrees with nothing";
    accept(
        vectors,
        "valid-jumps",
        shows,
        case(observe(&times)),
        &[doubted(None); 5],
    );

    let times = [doomsday, doomsday.plus(DAY), doomsday.plus(2 * DAY), noon];
    let end = doomsday.plus(2 * DAY);
    let shows = "a wrong clock that was believed after three days, and is corrected then";
    let rolled = ("rolled-back", Some(end), signed);
    let after = [doubted(None), doubted(None), plausible(end), rolled];
    accept(
        vectors,
        "valid-wrong-for-days",
        shows,
        case(observe(&times)),
        &after,
    );
}

/// Times that trusted signatures and the build of the application prove to be past.
fn signatures(vectors: &mut Vectors) {
    let keyset = snakeoil::keyset().issued_at;
    let built = keyset.plus(9 * DAY);
    let behind = built.minus(DAY + 1);
    let times = observe(&[behind, built.minus(DAY), built]);
    let shows = "a clock behind the build of the application, whose time counts instead";
    let after = [
        ("behind-signature", Some(behind), built),
        ("plausible", Some(behind), built),
        ("plausible", Some(built), built),
    ];
    let check = ClockCheck {
        built: Some(built.seconds()),
        ..case(times)
    };
    accept(vectors, "valid-built", shows, check, &after);

    let list = snakeoil::status();
    let import = |status: &Status| ClockStep::Import(hex(&Seed::Status.sign(&status.unsigned())));
    let late = list.this_update.plus(35 * DAY);
    let steps = [
        observe(&[late]),
        vec![import(&list)],
        observe(&[late.plus(1), keyset]),
    ];
    let shows = "a newer status list speaks for a clock that was doubted";
    let after = [
        ("doubted", None, keyset),
        ("", None, list.this_update),
        ("doubted", None, list.this_update),
        ("behind-signature", Some(keyset), list.this_update),
    ];
    accept(vectors, "valid-status", shows, case(steps.concat()), &after);

    let end = NOW.plus(90 * DAY);
    let wrong = [end, end.plus(DAY), end.plus(2 * DAY), NOW];
    let steps = [observe(&wrong), vec![import(&list)], observe(&[NOW])];
    let shows = "a newer status list brings the observed floor down to the time for which the clock has run";
    let believed = Some(end.plus(2 * DAY));
    let ran = Some(keyset.plus(2 * DAY));
    let after = [
        ("doubted", None, keyset),
        ("doubted", None, keyset),
        ("plausible", believed, keyset),
        ("rolled-back", believed, keyset),
        ("", ran, list.this_update),
        ("plausible", Some(NOW), list.this_update),
    ];
    accept(
        vectors,
        "valid-status-resets",
        shows,
        case(steps.concat()),
        &after,
    );

    withheld_lists(vectors, &list);

    // A thief of the status key, and the root that takes the key away.
    let thief = Status {
        this_update: UnixTime::MAX.minus(2),
        next_update: UnixTime::MAX.minus(1),
        hard_expiry: UnixTime::MAX,
        ..list
    };
    let root = Root {
        version: 2,
        status: role(&[snakeoil::key(22)], 1),
        ..snakeoil::root()
    };
    let root = hex(&Seed::Root.sign(&root.unsigned()));
    let steps = [
        vec![import(&thief)],
        observe(&[NOW]),
        vec![ClockStep::Import(root)],
        observe(&[NOW]),
    ];
    let shows = "a status list of the year 9999 counts for 400 days past the keyset, until its \
                 key is replaced";
    let cap = keyset.plus(SIGNED_LEAD);
    let after = [
        ("", None, cap),
        ("behind-signature", Some(NOW), cap),
        ("", Some(NOW), keyset),
        ("plausible", Some(NOW), keyset),
    ];
    accept(
        vectors,
        "valid-status-cap",
        shows,
        case(steps.concat()),
        &after,
    );
}

/// Lists that are kept back, and what is lived twice.
fn withheld_lists(vectors: &mut Vectors, list: &Status) {
    let signed = snakeoil::keyset().issued_at;
    let begin = signed.plus(20 * DAY);
    let import = ClockStep::Import(hex(&Seed::Status.sign(&list.unsigned())));
    let days: Vec<_> = (0..20).map(|day| begin.plus(day * DAY)).collect();
    let last = begin.plus(19 * DAY);
    let back = list.this_update;
    assert!(back < last.minus(DAY));
    let steps = [observe(&days), vec![import], observe(&[back, last])];
    let mut after: Vec<_> = days
        .iter()
        .map(|day| ("plausible", Some(*day), signed))
        .collect();
    let floor = Some(last);
    after.extend([
        ("", Some(signed.plus(19 * DAY)), list.this_update),
        ("plausible", Some(back), list.this_update),
        ("plausible", floor, list.this_update),
    ]);
    let shows = "a list that was kept back, for a clock that ran twenty days past the keyset first";
    accept(
        vectors,
        "valid-status-withheld",
        shows,
        case(steps.concat()),
        &after,
    );

    let day = |hours: u64| observe(&[last.minus(DAY), last.minus(DAY).plus(hours * HOUR)]);
    let steps = [
        observe(&[last]),
        day(24),
        day(24),
        day(1),
        observe(&[last.minus(DAY), last.minus(5 * MINUTE), last]),
    ];
    let plausible = ("plausible", floor, signed);
    let rolled = ("rolled-back", floor, signed);
    let after = [
        plausible, plausible, plausible, plausible, plausible, plausible, plausible, rolled,
        plausible, plausible,
    ];
    let shows = "two days within the tolerance may be lived twice, and no third";
    let check = case(steps.concat());
    accept(vectors, "valid-lived-twice", shows, check, &after);
}

/// The fields of a clock reset.
fn payloads(vectors: &mut Vectors) {
    let good = base::clock_reset_fields;
    let after = |n| Item::Uint(NOW.plus(n).seconds());
    for (name, shows, fields, code) in [
        (
            "installation-15-bytes",
            "an installation of 15 bytes",
            good().with(2, Item::bytes(&[0; 15])),
            "field-invalid",
        ),
        (
            "nonce-17-bytes",
            "a nonce of 17 bytes",
            good().with(3, Item::bytes(&[0; 17])),
            "field-invalid",
        ),
        (
            "not-after-missing",
            "a reset without an end",
            good().without(4),
            "field-missing",
        ),
        (
            "steady-missing",
            "a reset that does not say how far it reaches",
            good().without(6),
            "field-missing",
        ),
        (
            "to-after-end",
            "a clock that begins after the reset's own end",
            good().with(5, after(7 * DAY + 1)),
            "field-invalid",
        ),
        (
            "field-unknown",
            "a field that is not known",
            good().with(7, Item::Uint(0)),
            "field-unknown",
        ),
        (
            "kind-status",
            "a status list's kind",
            good().with(0, Item::Uint(5)),
            "kind-mismatch",
        ),
        (
            "issuer",
            "another issuer's name",
            good().with(1, Item::text("other.example")),
            "issuer-mismatch",
        ),
    ] {
        let step = reset_step(&document(&fields, Seed::Status), NOW);
        refuse(vectors, name, shows, case(vec![step]), code);
    }
    let signed = snakeoil::keyset().issued_at;
    let to = good().with(5, after(7 * DAY));
    let extended = {
        let mut fields = good();
        fields.0.push((Item::Nint(0), Item::text("ignored")));
        fields
    };
    for (name, shows, fields, observed) in [
        ("valid-reset", "a clock reset", good(), None),
        (
            "valid-reset-to",
            "a clock reset with a time to begin at",
            to,
            Some(NOW.plus(7 * DAY)),
        ),
        (
            "valid-reset-extension",
            "a clock reset with an extension",
            extended,
            None,
        ),
    ] {
        let step = reset_step(&document(&fields, Seed::Status), NOW);
        let after = [("", observed, signed)];
        accept(vectors, name, shows, case(vec![step]), &after);
    }
}

fn document(fields: &Fields, seed: Seed) -> Vec<u8> {
    base::document(DocumentKind::ClockReset, fields.encode(), seed)
}

fn reset_step(document: &[u8], now: UnixTime) -> ClockStep {
    ClockStep::Reset {
        document: hex(document),
        now: now.seconds(),
    }
}

/// The snakeoil clock reset, with this nonce.
fn reset(nonce: u8) -> ClockReset {
    ClockReset {
        nonce: [nonce; 16],
        ..snakeoil::clock_reset()
    }
}

/// Whether a clock reset is taken.
fn resets(vectors: &mut Vectors) {
    let signed = snakeoil::keyset().issued_at;
    let sign = |reset: &ClockReset, seed: Seed| seed.sign(&reset.unsigned());
    let apply = |reset: &ClockReset, now| reset_step(&sign(reset, Seed::Status), now);
    let end = reset(1).not_after;

    let (right, wrong) = (signed.plus(10 * DAY), signed.plus(90 * DAY));
    let wrong = [wrong, wrong.plus(DAY), wrong.plus(2 * DAY), right];
    let steps = [
        observe(&wrong),
        vec![apply(&reset(1), right)],
        observe(&[right]),
    ];
    let believed = Some(wrong[2]);
    let after = [
        ("doubted", None, signed),
        ("doubted", None, signed),
        ("plausible", believed, signed),
        ("rolled-back", believed, signed),
        ("", None, signed),
        ("plausible", Some(right), signed),
    ];
    let shows = "a clock that was ahead for days, was corrected, and begins again";
    let check = case(steps.concat());
    accept(vectors, "valid-reset-corrected", shows, check, &after);
    let shows = "a clock reset in the last second in which it can be used";
    let check = case(vec![apply(&reset(1), end)]);
    accept(
        vectors,
        "valid-reset-last",
        shows,
        check,
        &[("", None, signed)],
    );

    let refuse_one = |vectors: &mut Vectors, name: &str, shows: &str, step, code: &str| {
        refuse(vectors, name, shows, case(vec![step]), code);
    };
    let shows = "a clock reset a second later";
    let step = apply(&reset(1), end.plus(1));
    refuse_one(vectors, "reset-expired", shows, step, "clock-reset-expired");
    let over = ClockReset {
        not_after: signed.minus(1),
        ..reset(1)
    };
    let shows = "a clock reset that ended before the signed floor, whatever the clock shows";
    let step = apply(&over, UnixTime::EPOCH);
    refuse_one(
        vectors,
        "reset-behind-floor",
        shows,
        step,
        "clock-reset-expired",
    );
    let other = ClockReset {
        installation: InstallationId::from_bytes([7; 16]),
        ..reset(1)
    };
    let shows = "a clock reset for another installation";
    let step = apply(&other, NOW);
    refuse_one(
        vectors,
        "reset-installation",
        shows,
        step,
        "installation-mismatch",
    );
    let shows = "a clock reset for an installation that has no id";
    let check = ClockCheck {
        installation: None,
        ..case(vec![apply(&reset(1), NOW)])
    };
    let name = "reset-installation-none";
    refuse(vectors, name, shows, check, "installation-mismatch");
    for (name, signer) in [
        ("reset-signer-root", Seed::Root),
        ("reset-signer-keyset", Seed::Keyset),
        ("reset-signer-license", Seed::License),
        ("reset-signer-foreign", Seed::Foreign),
    ] {
        let shows = "a clock reset that another role signed";
        let step = reset_step(&sign(&reset(1), signer), NOW);
        refuse_one(vectors, name, shows, step, "signatures-missing");
    }
    let shows = "a clock reset that was kept until the clock had run for longer than it forgets";
    let old = ClockReset {
        steady: signed.plus(DAY - 1),
        ..reset(1)
    };
    let steps = [
        observe(&[signed, signed.plus(DAY)]),
        vec![apply(&old, signed)],
    ];
    let name = "reset-outlived";
    refuse(
        vectors,
        name,
        shows,
        case(steps.concat()),
        "clock-reset-outlived",
    );
    let shows = "a clock reset for a second time";
    let steps = vec![apply(&reset(1), NOW), apply(&reset(1), NOW)];
    refuse(
        vectors,
        "reset-used",
        shows,
        case(steps),
        "clock-reset-used",
    );
    let shows = "the 65th clock reset of those that are not over";
    let steps = (0..=64).map(|nonce| apply(&reset(nonce), NOW)).collect();
    let name = "resets-too-many";
    refuse(vectors, name, shows, case(steps), "clock-resets-too-many");
    let shows = "a status list in the place of a clock reset";
    let list = Seed::Status.sign(&snakeoil::status().unsigned());
    refuse_one(
        vectors,
        "reset-status",
        shows,
        reset_step(&list, NOW),
        "document-kind",
    );
    let shows = "a clock reset among what is imported";
    let check = base::import(&sign(&reset(1), Seed::Status));
    vectors.refuse("clock/reset-imported", shows, check, "document-kind");
}
