//! Options of a store, under the names that `object_store` gives them and that users paste from its documentation.
//!
//! Invariants: what the caller gives comes before what the environment says; an option that no store of the kind knows is
//! an error that names the nearest one that it does know; values are never shown, because most of them are secrets; a value
//! that `object_store` would panic at is refused here.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::AzureConfigKey;
use object_store::gcp::GoogleConfigKey;
use url::Url;

use super::trust;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::Environment;

/// Options of a store: names to values, under `object_store`'s names. One more is `ca_bundle`: a file in PEM with authorities whose
/// certificates are trusted besides those that the system trusts.
///
/// ```
/// use strandline::storage::StoreOptions;
/// let options = StoreOptions::new().with("aws_region", "eu-central-1").with("aws_secret_access_key", "s3cret");
/// assert!(!format!("{options:?}").contains("s3cret"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoreOptions(BTreeMap<String, String>);

impl StoreOptions {
    /// No options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more. Names are not case-sensitive.
    #[must_use]
    pub fn with(mut self, name: impl AsRef<str>, value: impl Into<String>) -> Self {
        self.0.insert(name.as_ref().to_ascii_lowercase(), value.into());
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The options as a store's own keys: those of the environment first, so that the caller's own come after and win.
    ///
    /// An option that is empty where it has a [`Rule`] counts as unset; what the caller overrides is not checked.
    pub(crate) fn resolve<K: StoreKey>(
        &self,
        family: Family,
        environment: &dyn Environment,
    ) -> Result<Resolved<K>> {
        let mut resolved = Resolved { from_environment: Vec::new(), given: Vec::new() };
        for (name, value) in self.0.iter().filter(|(name, _)| !family.is_ca_bundle(name)) {
            let key: K = name.parse().map_err(|_| unknown(name, family))?;
            if is_set(&key, name, value)? {
                resolved.given.push((key, value.clone()));
            }
        }
        for (name, value) in environment.variables(family.prefix()) {
            // As `object_store` does it: variables that are not options are somebody else's.
            let Ok(key) = name.to_ascii_lowercase().parse() else { continue };
            if resolved.gives(&key) || is_set(&key, &name, &value)? {
                resolved.from_environment.push((key, value));
            }
        }
        Ok(resolved)
    }

    /// The file of authorities that is trusted besides the system's, if one is named: see [`trust`](super::trust).
    pub(crate) fn ca_bundle(&self, family: Family, environment: &dyn Environment) -> Option<String> {
        let given = self.0.iter().find(|(name, _)| family.is_ca_bundle(name)).map(|(_, value)| value.clone());
        let found = given.or_else(|| match family {
            Family::Aws => environment.variable("AWS_CA_BUNDLE"),
            Family::Google | Family::Azure => None,
        });
        found.filter(|path| !path.is_empty())
    }

    /// Takes every value of these options out of a text.
    pub(crate) fn hide_values(&self, text: &str) -> String {
        let secrets = self.0.values().filter(|value| value.len() >= 6);
        secrets.fold(text.to_owned(), |text, value| text.replace(value.as_str(), "…"))
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for StoreOptions {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(options: I) -> Self {
        options.into_iter().fold(Self::new(), |all, (name, value)| all.with(name, value))
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Options as a store's own keys.
pub(crate) struct Resolved<K> {
    pub(crate) from_environment: Vec<(K, String)>,
    pub(crate) given: Vec<(K, String)>,
}

impl<K> Resolved<K> {
    /// All, in the order in which they are applied: a later one wins.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &(K, String)> {
        self.from_environment.iter().chain(&self.given)
    }
}

impl<K: PartialEq> Resolved<K> {
    /// Whether the caller or the environment sets it.
    pub(crate) fn sets(&self, key: &K) -> bool {
        self.gives(key) || self.from_environment.iter().any(|(found, _)| found == key)
    }

    /// Whether the caller sets it.
    pub(crate) fn gives(&self, key: &K) -> bool {
        self.given.iter().any(|(found, _)| found == key)
    }
}

/// What a value must be, lest `object_store` panic when it makes a request of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A URL of a server.
    Endpoint,
    /// What follows a server in a URL.
    Path,
    /// The name of a region.
    Region,
    /// One word of a header.
    Word,
    /// One word of a URL.
    Label,
}

impl Rule {
    /// Refuses a value, without showing it.
    pub(crate) fn check(self, name: &str, value: &str) -> Result<()> {
        let (fits, needs) = match self {
            Self::Endpoint => (
                is_endpoint(value),
                "a URL that starts with http:// or https://, with a host and without user or password",
            ),
            Self::Path => {
                (value.starts_with('/') && is_written(value), "the path of a URL, which begins with /")
            }
            Self::Region => (is_region(value), "made of a-z, 0-9 and \"-\" only"),
            Self::Label => (is_label(value), "made of letters, digits, \".\", \"_\" and \"-\" only"),
            Self::Word => (
                value.bytes().all(|byte| byte.is_ascii_graphic()),
                "visible ASCII, without spaces or line ends, also at its ends",
            ),
        };
        if fits {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidInput, format!("the store option {name:?} must be {needs}")))
    }
}

fn is_region(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_label(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether a text can stand in a URL as it is.
pub(crate) fn is_written(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte))
}

/// Stricter than [`Url`], which repairs what the client then takes as it was written.
fn is_endpoint(value: &str) -> bool {
    let Some(rest) = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://")) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    is_written(value)
        && !authority.is_empty()
        && !authority.contains(['@', '%'])
        && Url::parse(value).is_ok_and(|url| url.has_host())
}

/// A store's own key of an option.
pub(crate) trait StoreKey: FromStr + PartialEq {
    /// What its value must be; `None`: whatever `object_store` itself takes.
    fn rule(&self) -> Option<Rule>;
}

impl StoreKey for AmazonS3ConfigKey {
    fn rule(&self) -> Option<Rule> {
        match self {
            Self::Endpoint
            | Self::S3Endpoint
            | Self::StsEndpoint
            | Self::MetadataEndpoint
            | Self::ContainerCredentialsFullUri => Some(Rule::Endpoint),
            Self::ContainerCredentialsRelativeUri => Some(Rule::Path),
            Self::Region | Self::DefaultRegion => Some(Rule::Region),
            Self::AccessKeyId | Self::SecretAccessKey | Self::Token => Some(Rule::Word),
            _ => None,
        }
    }
}

impl StoreKey for GoogleConfigKey {
    fn rule(&self) -> Option<Rule> {
        matches!(self, Self::BaseUrl).then_some(Rule::Endpoint)
    }
}

impl StoreKey for AzureConfigKey {
    fn rule(&self) -> Option<Rule> {
        match self {
            Self::Endpoint | Self::AuthorityHost | Self::MsiEndpoint | Self::FabricTokenServiceUrl => {
                Some(Rule::Endpoint)
            }
            Self::AuthorityId => Some(Rule::Label),
            Self::AccountName
            | Self::Token
            | Self::FabricWorkloadHost
            | Self::FabricSessionToken
            | Self::FabricClusterIdentifier => Some(Rule::Word),
            _ => None,
        }
    }
}

fn is_set<K: StoreKey>(key: &K, name: &str, value: &str) -> Result<bool> {
    match key.rule() {
        Some(_) if value.is_empty() => Ok(false),
        Some(rule) => rule.check(name, value).map(|()| true),
        None => Ok(true),
    }
}

/// The families of stores that take options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Aws,
    Google,
    Azure,
}

impl Family {
    fn prefix(self) -> &'static str {
        match self {
            Self::Aws => "AWS_",
            Self::Google => "GOOGLE_",
            Self::Azure => "AZURE_",
        }
    }

    /// Whether an option names the file of authorities, for which `object_store` has no key.
    fn is_ca_bundle(self, name: &str) -> bool {
        name == trust::OPTION || (self == Self::Aws && name.strip_prefix("aws_") == Some(trust::OPTION))
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Aws => AWS,
            Self::Google => GOOGLE,
            Self::Azure => AZURE,
        }
    }
}

fn unknown(name: &str, family: Family) -> Error {
    let known = family.names().iter().chain(CLIENT).chain(&[trust::OPTION]);
    let nearest =
        known.max_by(|a, b| likeness(name, a).total_cmp(&likeness(name, b))).copied().unwrap_or_default();
    let text = format!("unknown store option {name:?}: the nearest known one is {nearest:?}");
    Error::new(ErrorKind::InvalidInput, text)
}

/// How alike two names are, with or without the family's prefix.
fn likeness(name: &str, known: &str) -> f64 {
    let bare = |text: &'static str| known.strip_prefix(text);
    let short = ["aws_", "google_", "azure_storage_", "azure_"].into_iter().find_map(bare).unwrap_or(known);
    strsim::jaro_winkler(name, known).max(strsim::jaro_winkler(name, short))
}

/// The canonical names of the keys that each store's parser takes; they are only used to suggest one.
const AWS: &[&str] = &[
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_region",
    "aws_default_region",
    "aws_bucket",
    "aws_endpoint",
    "aws_endpoint_url",
    "aws_endpoint_url_s3",
    "aws_endpoint_url_sts",
    "aws_virtual_hosted_style_request",
    "aws_s3_express",
    "aws_imdsv1_fallback",
    "aws_metadata_endpoint",
    "aws_unsigned_payload",
    "aws_checksum_algorithm",
    "aws_container_credentials_relative_uri",
    "aws_container_credentials_full_uri",
    "aws_container_authorization_token_file",
    "aws_web_identity_token_file",
    "aws_role_arn",
    "aws_role_session_name",
    "aws_skip_signature",
    "aws_copy_if_not_exists",
    "aws_conditional_put",
    "aws_disable_tagging",
    "aws_request_payer",
    "aws_allow_http",
    "aws_server_side_encryption",
    "aws_sse_kms_key_id",
    "aws_sse_bucket_key_enabled",
    "aws_sse_customer_key_base64",
];

const GOOGLE: &[&str] = &[
    "google_service_account",
    "google_service_account_path",
    "google_service_account_key",
    "google_bucket",
    "google_base_url",
    "google_application_credentials",
    "google_skip_signature",
];

const AZURE: &[&str] = &[
    "azure_storage_account_name",
    "azure_storage_account_key",
    "azure_storage_client_id",
    "azure_storage_client_secret",
    "azure_storage_tenant_id",
    "azure_storage_authority_id",
    "azure_storage_authority_host",
    "azure_storage_sas_key",
    "azure_storage_token",
    "azure_storage_use_emulator",
    "azure_storage_endpoint",
    "azure_msi_endpoint",
    "azure_object_id",
    "azure_msi_resource_id",
    "azure_federated_token_file",
    "azure_use_fabric_endpoint",
    "azure_use_azure_cli",
    "azure_skip_signature",
    "azure_container_name",
    "azure_disable_tagging",
    "azure_fabric_token_service_url",
    "azure_fabric_workload_host",
    "azure_fabric_session_token",
    "azure_fabric_cluster_identifier",
    "azure_allow_http",
];

const CLIENT: &[&str] = &[
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "default_content_type",
    "http1_only",
    "http2_only",
    "http2_keep_alive_interval",
    "http2_keep_alive_timeout",
    "http2_keep_alive_while_idle",
    "http2_max_frame_size",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_url",
    "proxy_ca_certificate",
    "proxy_excludes",
    "randomize_addresses",
    "timeout",
    "user_agent",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(Vec<(&'static str, &'static str)>);

    impl Environment for Fixed {
        fn variables(&self, prefix: &str) -> Vec<(String, String)> {
            let all = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
            all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        }
    }

    #[test]
    fn every_name_that_is_suggested_is_one_that_is_taken() {
        for name in AWS.iter().chain(CLIENT) {
            assert!(name.parse::<AmazonS3ConfigKey>().is_ok(), "{name}");
        }
        for name in GOOGLE.iter().chain(CLIENT) {
            assert!(name.parse::<GoogleConfigKey>().is_ok(), "{name}");
        }
        for name in AZURE.iter().chain(CLIENT) {
            assert!(name.parse::<AzureConfigKey>().is_ok(), "{name}");
        }
    }

    #[test]
    fn an_unknown_option_names_the_nearest() {
        let check = |name: &str, nearest: &str| {
            let options = StoreOptions::new().with(name, "x");
            let error = options.resolve::<AmazonS3ConfigKey>(Family::Aws, &Fixed(vec![])).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(&format!("is {nearest:?}")), "{error}");
        };
        check("aws_acces_key_id", "aws_access_key_id");
        check("regon", "aws_region");
        check("AWS_ENDPONT", "aws_endpoint");
        check("conect_timeout", "connect_timeout");
        check("ca_bundel", "ca_bundle");
    }

    #[test]
    fn the_file_of_authorities_is_named_by_an_option_or_as_the_aws_tools_do() {
        let environment = Fixed(vec![("AWS_CA_BUNDLE", "env.pem")]);
        let check = |options: StoreOptions, family, expected: Option<&str>| {
            assert_eq!(options.ca_bundle(family, &environment).as_deref(), expected);
        };
        let given = StoreOptions::new().with("CA_BUNDLE", "given.pem");
        check(StoreOptions::new(), Family::Aws, Some("env.pem"));
        check(StoreOptions::new(), Family::Google, None);
        check(given.clone(), Family::Aws, Some("given.pem"));
        check(given.clone(), Family::Azure, Some("given.pem"));
        check(StoreOptions::new().with("aws_ca_bundle", "given.pem"), Family::Aws, Some("given.pem"));
        assert!(given.resolve::<AmazonS3ConfigKey>(Family::Aws, &environment).unwrap().given.is_empty());
    }

    #[test]
    fn what_is_given_comes_after_the_environment() {
        let environment =
            Fixed(vec![("AWS_REGION", "from-env"), ("AWS_PROFILE", "not an option"), ("PATH", "/bin")]);
        let options = StoreOptions::new().with("Region", "given");
        let resolved = options.resolve::<AmazonS3ConfigKey>(Family::Aws, &environment).unwrap();
        let values: Vec<&str> = resolved.in_order().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["from-env", "given"]);
    }

    #[test]
    fn what_is_empty_is_unset_and_what_is_overridden_is_not_checked() {
        let environment =
            Fixed(vec![("AWS_ENDPOINT", ""), ("AWS_ENDPOINT_URL", ""), ("AWS_REGION", "b a d")]);
        let options = StoreOptions::new().with("region", "good").with("session_token", "");
        let resolved = options.resolve::<AmazonS3ConfigKey>(Family::Aws, &environment).unwrap();
        assert!(!resolved.sets(&AmazonS3ConfigKey::Endpoint) && !resolved.sets(&AmazonS3ConfigKey::Token));
        let error =
            StoreOptions::new().resolve::<AmazonS3ConfigKey>(Family::Aws, &environment).err().unwrap();
        assert!(error.to_string().contains("AWS_REGION") && !error.to_string().contains("b a d"), "{error}");
    }
}
