//! What every store promises, by one suite for every engine.

mod history;
mod quotas;
mod reports;
mod seats;

/// A test of each case, for each engine.
macro_rules! on_every_engine {
    ($($module:ident::$case:ident,)*) => {
        mod sqlite_engine {
            $(
                #[test]
                fn $case() {
                    let mut rig = crate::rig::SqliteRig::new();
                    super::$module::$case(&mut rig);
                    assert_eq!(crate::rig::Rig::audit(&rig), Vec::<String>::new());
                }
            )*
        }

        mod postgres_engine {
            $(
                #[test]
                fn $case() {
                    let Some(mut rig) = crate::rig::PostgresRig::new() else { return };
                    super::$module::$case(&mut rig);
                    assert_eq!(crate::rig::Rig::audit(&rig), Vec::<String>::new());
                }
            )*
        }
    };
}

on_every_engine! {
    quotas::a_limit_is_never_exceeded,
    quotas::a_request_is_charged_once,
    quotas::a_number_means_one_request,
    quotas::only_what_was_given_is_taken_back,
    quotas::a_period_ends_and_never_comes_again,
    quotas::a_license_that_changes_keeps_its_count,
    quotas::what_is_beyond_the_limit_is_told,
    quotas::a_burst_is_paid_back,
    quotas::slices_shrink_to_the_last_unit,
    quotas::what_is_unlimited_is_counted,
    quotas::a_request_keeps_to_the_rules,
    seats::no_more_seats_than_there_are,
    seats::a_holder_has_one_seat,
    seats::who_comes_back_takes_its_place_again,
    seats::only_who_is_silent_is_evicted,
    seats::the_queue_is_served_in_its_order,
    seats::a_license_that_changes_keeps_its_seats,
    seats::extra_seats_are_given_out_beyond,
    seats::the_last_seats_are_kept_for_a_group,
    seats::a_group_fills_its_own_seats_first,
    seats::who_cannot_be_seated_holds_up_nobody,
    seats::reservations_that_change_take_nobodys_seat,
    seats::a_store_that_went_back_is_told_of_groups,
    seats::a_store_that_went_back_keeps_the_seat_of_a_group,
    seats::a_seat_that_is_away_is_taken,
    seats::a_clock_that_is_set_back_lends_nothing_of_the_past,
    seats::a_claim_keeps_to_the_rules,
    reports::a_report_is_what_the_log_comes_to,
    reports::a_report_is_made_again_to_the_byte,
    reports::a_report_of_one_license_has_nothing_of_others,
    reports::the_limit_of_a_period_is_the_one_it_was_charged_under,
    reports::a_store_that_went_back_says_so,
    reports::a_clock_that_was_set_is_told,
    reports::a_span_keeps_to_the_rules,
    history::a_stranger_has_to_introduce_itself,
    history::a_store_that_starts_again_knows_everything,
    history::a_store_that_went_back_learns,
    history::a_store_that_goes_back_twice_has_two_epochs,
    history::a_store_that_went_back_is_told_of_seats,
    history::a_store_that_is_said_to_be_restored_gives_nothing_out,
    history::a_seat_that_was_given_up_does_not_come_back,
    history::a_grant_that_never_arrived_is_free_again,
    history::learning_goes_on_after_a_start,
    history::a_seat_is_reasserted_only_while_the_store_learns,
    history::a_new_store_learns_from_nodes_of_the_old_one,
}
