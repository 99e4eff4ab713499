//! The conformance suite of the store: every story runs on SQLite and on PostgreSQL.
//!
//! PostgreSQL stories need `CHANCERY_TEST_POSTGRES_URL`, an administrator's URL of a server on this machine; each makes a
//! database of its own and drops it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod application;
mod group;
mod import;
mod inventory;
mod lists;
mod nouns;
mod random;
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
        templates_change_only_from_the_expected_version,
        profiles_read_back_and_filter,
        requests_read_back_and_change_status_once,
        idempotency_keys_are_claimed_once,
        config_version_grows_with_configuration_only,
        rows_that_do_not_fit_are_reported_by_name;
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
        an_imported_certificate_of_a_ca_here_takes_its_number_for_ever;
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
    random:
        random_writes_agree_with_a_model;
}
