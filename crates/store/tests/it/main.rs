//! The conformance suite of the store: every story runs on SQLite and on PostgreSQL.
//!
//! PostgreSQL stories need `CHANCERY_TEST_POSTGRES_URL`, an administrator's URL of a server on this machine; each makes a
//! database of its own and drops it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod alerts;
mod application;
mod external;
mod figures;
mod group;
mod import;
mod insight;
mod inventory;
mod jobs;
mod lists;
mod migration;
mod nouns;
mod order;
mod people;
mod random;
mod revocation;
mod world;

macro_rules! stories {
    ($($module:ident: $($name:ident),+ ;)+) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::world::run(crate::world::Backend::Sqlite, stringify!($name), crate::$module::$name).await;
                }
            )+)+
        }

        mod postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::world::run(crate::world::Backend::Postgres, stringify!($name), crate::$module::$name).await;
                }
            )+)+
        }
    };
}

stories! {
    alerts:
        alerts_read_back_and_change_from_the_expected_state_only,
        messages_change_state_and_go_with_their_alert,
        cursors_start_once_and_notes_are_kept_until_they_end,
        only_certificates_that_need_somebody_are_found_before_their_end,
        a_long_window_is_walked_in_pieces,
        cas_in_use_are_found_before_their_end,
        a_projects_events_are_read_from_a_place_in_the_chain;
    application:
        applications_read_back_and_their_names_are_unique,
        profiles_are_attached_configured_and_detached,
        members_come_and_go_with_applications_and_identities,
        applications_are_listed_with_their_numbers;
    nouns:
        meta_is_set_and_inserted_once,
        projects_and_users_read_back,
        identities_with_secrets_read_back_and_go_together,
        secrets_are_spent_revoked_and_expire,
        tokens_are_extended_and_revoked,
        authorities_read_back_and_are_kept_while_in_use,
        activation_needs_the_expected_certificate,
        serial_numbers_of_an_imported_ca_are_never_used_again,
        a_change_of_a_ca_does_not_undo_its_renewal,
        templates_change_only_from_the_expected_version,
        profiles_read_back_and_filter,
        requests_read_back_and_change_status_once,
        idempotency_keys_are_claimed_once,
        config_version_grows_with_configuration_only,
        rows_that_do_not_fit_are_reported_by_name;
    people:
        a_change_of_a_person_writes_its_own_columns_and_no_others,
        a_second_factor_reads_back_and_each_step_is_used_once,
        a_password_is_set_in_place_of_the_expected_one,
        a_link_is_used_once_also_by_two_at_once,
        a_newer_link_takes_the_place_of_the_older,
        sessions_in_browsers_read_back_and_are_used_and_ended,
        a_deleted_person_leaves_nothing_that_signs_in;
    inventory:
        certificates_read_back_whole,
        an_issuer_never_uses_a_serial_number_twice,
        ca_certificates_share_the_serial_numbers_of_their_issuer,
        a_certificate_is_renewed_once,
        renewal_settings_and_metadata_change,
        deleted_certificates_leave_every_list,
        searches_find_names_serials_and_fingerprints,
        filters_hold_together,
        the_latest_active_certificate_and_the_metrics_follow_the_clock,
        another_project_sees_nothing;
    import:
        foreign_certificates_share_serial_numbers_but_each_is_there_once,
        another_project_may_have_the_same_foreign_certificate,
        an_imported_certificate_of_a_ca_here_takes_its_number_for_ever,
        a_crl_entry_is_found_by_its_serial_number;
    lists:
        pages_stay_whole_while_certificates_are_added,
        pages_follow_the_end_of_validity,
        rare_matches_beyond_the_window_are_reached_by_cursor,
        names_that_thousands_share_are_listed_newest_first,
        offsets_and_totals_agree,
        cursors_of_other_lists_are_refused,
        small_lists_page_and_search,
        audit_pages_and_filters;
    group:
        many_writers_share_groups_and_all_are_kept,
        a_failing_write_harms_no_neighbour,
        a_guard_that_refuses_leaves_no_trace,
        writes_happen_as_a_whole_or_not_at_all,
        twenty_renewals_of_one_certificate_give_one_successor,
        reopening_keeps_everything,
        a_second_process_is_refused,
        a_closed_store_says_so,
        a_newer_schema_is_refused,
        cut_connections_lose_nothing_that_was_acknowledged;
    jobs:
        jobs_are_due_in_the_order_of_their_deadlines,
        leases_that_nobody_holds_any_more_are_ended_and_lose_no_wake_up,
        scheduling_brings_forward_and_setting_replaces,
        one_node_leases_a_job_and_a_lost_lease_writes_nothing,
        nodes_that_meet_lease_each_job_once,
        a_job_made_again_has_no_token_of_before,
        what_is_asked_for_while_a_job_runs_is_not_lost,
        failures_are_counted_until_one_success,
        certificates_keep_their_renewal_job_in_step,
        overdue_and_coming_jobs_are_found;
    revocation:
        a_certificate_is_revoked_once_and_a_hold_can_end_both_ways,
        a_deleted_certificate_is_found_and_revoked,
        of_many_revocations_at_once_one_counts,
        crls_are_made_once_and_published_from_the_expected_number,
        entries_leave_when_a_publication_lets_them_go,
        twenty_thousand_entries_come_in_the_order_of_the_list,
        the_status_of_a_serial_number_follows_its_certificate,
        a_ca_certificate_is_revoked_held_and_released,
        ca_certificates_are_found_by_their_serial_numbers,
        a_certificate_in_both_places_is_revoked_by_either,
        responders_and_ca_certificates_are_found_by_key,
        a_write_may_end_a_job_and_ask_for_another;
    figures:
        figures_agree_with_the_rows_through_a_life,
        a_migration_counts_what_is_there,
        the_busiest_profiles_and_cas_are_named_first,
        views_find_what_they_promise,
        source_application_and_friendly_name_filter,
        views_with_many_certificates_are_walked_whole,
        what_a_crl_lists_is_kept_until_the_crl_lets_it_go,
        clean_up_removes_all_but_the_serial_number,
        ended_access_tokens_are_forgotten;
    insight:
        algorithms_agree_with_the_rows_through_a_life,
        a_migration_counts_the_algorithms_that_are_there,
        a_day_with_very_many_ends_is_told_in_proportion,
        saved_views_are_their_owners_and_may_be_shared,
        granted_requests_are_read_newest_first_and_piece_by_piece;
    external:
        external_cas_read_back_and_are_not_mistaken_for_internal_ones,
        a_name_is_one_cas_internal_or_external,
        an_external_ca_is_kept_while_a_profile_or_an_order_needs_it,
        connections_read_back_and_are_kept_while_a_ca_names_them,
        other_nodes_learn_of_external_cas_and_connections_but_not_of_orders;
    order:
        an_order_goes_from_ordering_to_tidying_to_done,
        a_certificate_is_renewed_by_one_order_at_a_time,
        challenges_are_answered_while_their_order_is_under_way,
        an_order_is_reserved_whole_or_not_at_all,
        a_request_waits_and_ends_once,
        a_key_made_for_an_order_goes_unless_a_certificate_has_it,
        an_issued_order_is_recorded_in_one_write_and_cleaned_up_with_its_certificate;
    migration:
        a_store_without_external_cas_is_migrated_without_loss;
    random:
        random_writes_agree_with_a_model;
}
