//! Credentials and access: every way in which a user comes to credentials, those that expire in the middle of a write, buckets that
//! are public or have policies, and servers whose certificate nobody knows.
//!
//! Invariants: whoever asks is a process with the environment of the test alone (`errand`), so that nothing of the machine's own
//! settings gets in; all that it logs, shows and says is searched for what must not be there. What each answer of a server means is
//! the business of `wire`.

mod admin;
mod azure;
mod errand;
mod google;
mod host;
mod lenders;
mod policy;
mod public;
mod refresh;
mod secrets;
mod tls;
mod ways;

pub(crate) use errand::run as run_errand;
pub(crate) use google::closed;
pub(crate) use policy::at_minio_without;

use crate::runner::Case;

pub(crate) const CASES: &[Case] = &[
    Case { name: "access::each_way_to_credentials_is_gone", run: ways::all },
    Case { name: "access::minio_takes_what_each_way_finds", run: ways::minio },
    Case { name: "access::without_credentials_or_with_wrong_ones_it_is_denied", run: ways::denied },
    Case { name: "access::what_no_request_can_be_made_of_is_refused", run: lenders::unusable },
    Case { name: "access::who_lends_and_is_in_trouble_has_refused_nobody", run: lenders::in_trouble },
    Case { name: "access::a_long_write_outlives_its_credentials", run: refresh::goes_on },
    Case { name: "access::a_write_ends_whose_credentials_cannot_be_replaced", run: refresh::ends },
    Case { name: "access::a_public_bucket_is_read_without_credentials", run: public::stub },
    Case { name: "access::a_public_bucket_of_minio_is_read_without_credentials", run: public::minio },
    Case { name: "access::a_policy_lets_write_dev_and_not_main", run: policy::stub },
    Case { name: "access::a_policy_of_minio_lets_write_dev_and_not_main", run: policy::minio },
    Case { name: "access::who_may_not_list_is_told_what_right_is_missing", run: policy::unlisting },
    Case { name: "access::who_may_write_dev_alone_goes_on_when_the_server_is_renamed", run: policy::renamed },
    Case { name: "access::a_servers_certificate_is_trusted_by_a_named_authority", run: tls::stub },
    Case { name: "access::minio_behind_tls_is_trusted_by_a_named_authority", run: tls::minio },
    Case { name: "access::the_host_names_the_bucket", run: host::stub },
    Case { name: "access::the_host_names_the_bucket_of_minio", run: host::minio },
    Case { name: "access::azurite_refuses_wrong_keys_and_signatures_that_only_read", run: azure::keys },
    Case { name: "access::a_public_container_of_azurite_is_read_without_credentials", run: azure::public },
    Case { name: "access::azurite_behind_tls_is_trusted_by_a_named_authority", run: azure::certificate },
    Case { name: "access::accounts_of_google_are_known_or_refused", run: google::accounts },
    Case { name: "access::a_bucket_of_google_is_trusted_by_a_named_authority", run: google::certificate },
    Case { name: "access::nothing_that_is_logged_holds_a_credential", run: secrets::logs },
];
