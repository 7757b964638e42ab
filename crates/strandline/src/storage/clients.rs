//! The clients of a bucket: one for objects, whose retries are bounded, and one for swaps, which never retries.
//!
//! Invariants: no request is made here (but the region of an instance may be looked up); a store that does not answer is
//! given up within seconds, or the time that what goes up may take (`pace`); an error of the configuration repeats none of the values that it was given.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, ObjectStore, RetryConfig, StaticCredentialProvider,
};

use super::access::Origin;
use super::aws;
use super::classify::redact;
use super::http::ObservingConnector;
use super::identity::Server;
use super::lenders::Checked;
use super::location::Place;
use super::options::{Family, Resolved, Rule, StoreOptions};
use super::pace::Link;
use super::refs::TokenKind;
use super::trust::Authorities;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::Runtime;

/// How long a connection may take to be made.
const CONNECT: (ClientConfigKey, &str) = (ClientConfigKey::ConnectTimeout, "3 seconds");

/// What one bucket is reached by.
pub(crate) struct Clients {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) swaps: Arc<dyn ObjectStore>,
    pub(crate) tokens: TokenKind,
    /// Where requests go, if not to the provider's own servers: part of what makes a store another one.
    pub(crate) endpoint: String,
    /// Who answers there.
    pub(crate) server: Server,
    pub(crate) region: Option<String>,
    pub(crate) credentials: Origin,
}

impl Clients {
    /// How the bucket is reached, for people.
    pub(crate) fn access(&self) -> Vec<(&'static str, String)> {
        let endpoint = Some(self.endpoint.clone()).filter(|endpoint| !endpoint.is_empty());
        let known = [("endpoint", endpoint), ("region", self.region.clone())];
        let known = known.into_iter().filter_map(|(name, value)| Some((name, value?)));
        known.chain([("credentials", self.credentials.to_string())]).collect()
    }
}

/// The clients of the bucket at `place`; `None` if it is not a bucket.
pub(crate) async fn connect(
    place: &Place,
    options: &StoreOptions,
    runtime: &Runtime,
) -> Result<Option<Clients>> {
    let (clients, prefix) = match place {
        Place::Folder(_) | Place::Memory(_) => return Ok(None),
        Place::S3 { bucket, prefix } => (s3(bucket, options, runtime).await?, prefix),
        Place::Gcs { bucket, prefix } => (gcs(bucket, options, runtime).await?, prefix),
        Place::Azure { container, host, prefix } => {
            (azure(container, host.as_deref(), options, runtime).await?, prefix)
        }
    };
    if prefix.as_ref().is_empty() {
        return Ok(Some(clients));
    }
    let objects = Arc::new(PrefixStore::new(clients.objects, prefix.clone()));
    let swaps = Arc::new(PrefixStore::new(clients.swaps, prefix.clone()));
    Ok(Some(Clients { objects, swaps, ..clients }))
}

/// For objects: repeating a put or a get of them is harmless.
fn bounded_retries() -> RetryConfig {
    RetryConfig {
        max_retries: 6,
        retry_timeout: Duration::from_secs(15),
        backoff: BackoffConfig { max_backoff: Duration::from_secs(3), ..BackoffConfig::default() },
    }
}

/// For swaps: a retry takes its own success for somebody else's.
fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..bounded_retries() }
}

fn misconfigured(error: &object_store::Error, options: &StoreOptions) -> Error {
    let text = options.hide_values(&redact(&error.to_string()));
    Error::new(ErrorKind::InvalidInput, format!("the store's options do not fit together: {text}"))
}

/// An endpoint without TLS is taken only if that is asked for, and the client itself would say so obscurely.
fn check_endpoint(endpoint: Option<&str>, allows_http: bool) -> Result<()> {
    if !endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) || allows_http {
        return Ok(());
    }
    let text =
        "the endpoint has no TLS (http://): set the option \"allow_http\" to \"true\" if that is meant";
    Err(Error::new(ErrorKind::InvalidInput, text))
}

/// The client shows a web identity to nobody without TLS, whatever else is allowed, and would say so obscurely too.
fn check_token_service(endpoint: Option<&str>) -> Result<()> {
    if !endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        return Ok(());
    }
    let text = "the token service has no TLS (http://), and identities that options name are shown to none without: \
                name it by the variables of the AWS tools";
    Err(Error::new(ErrorKind::InvalidInput, text))
}

fn is_true(value: Option<String>) -> bool {
    value
        .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "on" | "yes" | "y"))
}

/// A bucket's name goes into URLs as it is.
fn check_bucket(bucket: &str) -> Result<()> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=255).contains(&bucket.len()) && bucket.bytes().all(legal) {
        return Ok(());
    }
    let text = "a bucket's name must be 1 to 255 characters, of letters, digits, \".\", \"_\" and \"-\" only";
    Err(Error::new(ErrorKind::InvalidInput, text))
}

async fn s3(bucket: &str, options: &StoreOptions, runtime: &Runtime) -> Result<Clients> {
    use AmazonS3ConfigKey as Key;
    check_bucket(bucket)?;
    let resolved: Resolved<Key> = options.resolve(Family::Aws, runtime.environment())?;
    let seen = configured(AmazonS3Builder::default(), &resolved);
    let endpoint = seen.get_config_value(&Key::S3Endpoint).or(seen.get_config_value(&Key::Endpoint));
    check_endpoint(
        endpoint.as_deref(),
        is_true(seen.get_config_value(&Key::Client(ClientConfigKey::AllowHttp))),
    )?;
    let mut region = seen.get_config_value(&Key::Region).or(seen.get_config_value(&Key::DefaultRegion));
    let unsigned = is_true(seen.get_config_value(&Key::SkipSignature));
    let way = Way::of(&resolved)?;
    if way == Way::Client && resolved.gives(&Key::WebIdentityTokenFile) {
        check_token_service(seen.get_config_value(&Key::StsEndpoint).as_deref())?;
    }
    let authorities = authorities(options, Family::Aws, runtime).await?;
    let mut credentials: Option<AwsCredentialProvider> = None;
    if way == Way::Chain && !unsigned {
        // Another maker's server has no regions, and an instance's would be wrong for it.
        let known = region.or_else(|| endpoint.as_ref().map(|_| aws::FALLBACK_REGION.to_owned()));
        let profile = runtime.environment().variable("AWS_PROFILE");
        let hints = aws::Hints { profile, region: known, authorities: authorities.clone() };
        let (found, found_region) = aws::find(&hints, runtime).await;
        (credentials, region) = (found.map(|found| Arc::new(found) as _), found_region);
        // A profile's is as its file says.
        region.iter().try_for_each(|region| Rule::Region.check("region", region))?;
    }
    let (server, link) = (Server::default(), Link::default());
    let given = Given { resolved: &resolved, options, authorities: &authorities, server: &server };
    let named = |builder: AmazonS3Builder| {
        let builder =
            builder.with_bucket_name(bucket).with_http_connector(ObservingConnector::of(&server, &link));
        region.iter().fold(builder, AmazonS3Builder::with_region)
    };
    if way == Way::Client && !unsigned {
        let built = named(given.begun()).with_retry(bounded_retries()).build();
        let built = built.map_err(|error| misconfigured(&error, options))?;
        let token_file = seen.get_config_value(&Key::ContainerAuthorizationTokenFile);
        credentials = Some(Arc::new(Checked::new(Arc::clone(built.credentials()), token_file)));
    }
    let complete = |builder: AmazonS3Builder| {
        credentials.iter().fold(named(builder), |builder, found| builder.with_credentials(found.clone()))
    };
    let origin = Origin::of(&resolved, &[Key::AccessKeyId, Key::SecretAccessKey]);
    let clients = both(&given, complete, TokenKind::ETag, endpoint.unwrap_or_default())?;
    Ok(Clients { region: region.clone(), credentials: origin.unless(unsigned), ..clients })
}

/// How a bucket of S3 is signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// With a key that is given.
    Key,
    /// As one option tells `object_store` to find one by itself.
    Client,
    /// As the AWS tools find one.
    Chain,
}

impl Way {
    /// A way that is given needs all of its options: without, `object_store` would ask the metadata of an instance instead.
    fn of(resolved: &Resolved<AmazonS3ConfigKey>) -> Result<Self> {
        use AmazonS3ConfigKey as Key;
        const WAYS: &[(Key, Option<Key>)] = &[
            (Key::WebIdentityTokenFile, Some(Key::RoleArn)),
            (Key::ContainerCredentialsRelativeUri, None),
            (Key::ContainerCredentialsFullUri, Some(Key::ContainerAuthorizationTokenFile)),
            (Key::MetadataEndpoint, None),
        ];
        if resolved.sets(&Key::AccessKeyId) || resolved.sets(&Key::SecretAccessKey) {
            return Ok(Self::Key);
        }
        let Some((way, needs)) = WAYS.iter().find(|(way, _)| resolved.gives(way)) else {
            return Ok(Self::Chain);
        };
        match needs.as_ref().filter(|needs| !resolved.sets(needs)) {
            Some(needs) => {
                let text = format!("the store option {:?} needs {:?} too", way.as_ref(), needs.as_ref());
                Err(Error::new(ErrorKind::InvalidInput, text))
            }
            None => Ok(Self::Client),
        }
    }
}

/// Those of the file that is named, if one is.
async fn authorities(options: &StoreOptions, family: Family, runtime: &Runtime) -> Result<Authorities> {
    Authorities::load(options.ca_bundle(family, runtime.environment()).as_deref()).await
}

async fn gcs(bucket: &str, options: &StoreOptions, runtime: &Runtime) -> Result<Clients> {
    use GoogleConfigKey as Key;
    check_bucket(bucket)?;
    let mut resolved: Resolved<Key> = options.resolve(Family::Google, runtime.environment())?;
    if let Some(path) = runtime.environment().variable("SERVICE_ACCOUNT") {
        resolved.from_environment.insert(0, (Key::ServiceAccount, path));
    }
    for name in ["GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"] {
        let host = runtime.environment().variable(name);
        host.iter().try_for_each(|host| Rule::Endpoint.check(name, &format!("http://{host}")))?;
    }
    let seen = configured(GoogleCloudStorageBuilder::default(), &resolved);
    let endpoint = seen.get_config_value(&Key::BaseUrl);
    // The builder allows it by itself, for the metadata of an instance; the clients that are made here do not.
    let allowed = resolved.in_order().filter(|(key, _)| *key == Key::Client(ClientConfigKey::AllowHttp));
    check_endpoint(endpoint.as_deref(), is_true(allowed.last().map(|(_, value)| value.clone())))?;
    let (server, link) = (Server::default(), Link::default());
    let unsigned = is_true(seen.get_config_value(&Key::SkipSignature));
    let complete = |builder: GoogleCloudStorageBuilder| {
        let builder =
            builder.with_bucket_name(bucket).with_http_connector(ObservingConnector::of(&server, &link));
        if unsigned { builder.with_credentials(Arc::new(nobody())) } else { builder }
    };
    let keys = [Key::ServiceAccount, Key::ServiceAccountKey, Key::ApplicationCredentials];
    let origin = Origin::of(&resolved, &keys).unless(unsigned);
    let authorities = authorities(options, Family::Google, runtime).await?;
    let given = Given { resolved: &resolved, options, authorities: &authorities, server: &server };
    let clients = both(&given, complete, TokenKind::Generation, endpoint.unwrap_or_default())?;
    Ok(Clients { credentials: origin, ..clients })
}

/// The client takes puts for signed even where nothing is to be, and would look for credentials at an instance.
fn nobody() -> StaticCredentialProvider<GcpCredential> {
    StaticCredentialProvider::new(GcpCredential { bearer: String::new() })
}

async fn azure(
    container: &str,
    host: Option<&str>,
    options: &StoreOptions,
    runtime: &Runtime,
) -> Result<Clients> {
    use AzureConfigKey as Key;
    let mut resolved: Resolved<Key> = options.resolve(Family::Azure, runtime.environment())?;
    if let Some(endpoint) = runtime.environment().variable("IDENTITY_ENDPOINT") {
        Rule::Endpoint.check("IDENTITY_ENDPOINT", &endpoint)?;
        resolved.from_environment.push((Key::MsiEndpoint, endpoint));
    }
    if let Some(header) = runtime.environment().variable("IDENTITY_HEADER") {
        Rule::Word.check("IDENTITY_HEADER", &header)?;
    }
    let seen = configured(MicrosoftAzureBuilder::default(), &resolved);
    let endpoint = seen.get_config_value(&Key::Endpoint);
    let allows_http = is_true(seen.get_config_value(&Key::Client(ClientConfigKey::AllowHttp)));
    let emulated = is_true(seen.get_config_value(&Key::UseEmulator));
    check_endpoint(endpoint.as_deref(), allows_http || emulated)?;
    let account = host.map(ToOwned::to_owned).or(seen.get_config_value(&Key::AccountName));
    let (server, link) = (Server::default(), Link::default());
    let complete = |builder: MicrosoftAzureBuilder| {
        let builder = builder.with_http_connector(ObservingConnector::of(&server, &link));
        match host {
            Some(host) => builder.with_url(format!("abfss://{container}@{host}")),
            None => builder.with_container_name(container),
        }
    };
    let unsigned = is_true(seen.get_config_value(&Key::SkipSignature));
    let origin = Origin::of(&resolved, &[Key::AccessKey, Key::SasKey, Key::ClientSecret, Key::Token]);
    let authorities = authorities(options, Family::Azure, runtime).await?;
    let given = Given { resolved: &resolved, options, authorities: &authorities, server: &server };
    let clients = both(&given, complete, TokenKind::ETag, endpoint.or(account).unwrap_or_default())?;
    Ok(Clients { credentials: origin.unless(unsigned), ..clients })
}

/// What the three builders have in common, which `object_store` has no trait for.
trait Builder: Default {
    type Key: Clone;
    fn client_key(key: ClientConfigKey) -> Self::Key;
    fn over(self, client: ClientOptions) -> Self;
    fn set(self, key: Self::Key, value: &str) -> Self;
    fn finish(self, retry: RetryConfig) -> object_store::Result<Arc<dyn ObjectStore>>;
}

macro_rules! builder {
    ($builder:ty, $key:ty) => {
        impl Builder for $builder {
            type Key = $key;
            fn client_key(key: ClientConfigKey) -> Self::Key {
                <$key>::Client(key)
            }
            fn over(self, client: ClientOptions) -> Self {
                self.with_client_options(client)
            }
            fn set(self, key: Self::Key, value: &str) -> Self {
                self.with_config(key, value)
            }
            fn finish(self, retry: RetryConfig) -> object_store::Result<Arc<dyn ObjectStore>> {
                Ok(Arc::new(self.with_retry(retry).build()?))
            }
        }
    };
}

builder!(AmazonS3Builder, AmazonS3ConfigKey);
builder!(GoogleCloudStorageBuilder, GoogleConfigKey);
builder!(MicrosoftAzureBuilder, AzureConfigKey);

/// A builder with our own limit first, so that whatever is set wins over it.
fn configured<B: Builder>(begun: B, resolved: &Resolved<B::Key>) -> B {
    let (key, value) = CONNECT;
    let limited = begun.set(B::client_key(key), value);
    resolved.in_order().fold(limited, |builder, (key, value)| builder.set(key.clone(), value))
}

/// What clients are made of.
struct Given<'a, K> {
    resolved: &'a Resolved<K>,
    options: &'a StoreOptions,
    authorities: &'a Authorities,
    server: &'a Server,
}

impl<K: Clone> Given<'_, K> {
    /// A builder of which clients come that trust whom they should.
    fn begun<B: Builder<Key = K>>(&self) -> B {
        configured(B::default().over(self.authorities.client_options()), self.resolved)
    }
}

fn both<B: Builder>(
    given: &Given<'_, B::Key>,
    complete: impl Fn(B) -> B,
    tokens: TokenKind,
    endpoint: String,
) -> Result<Clients> {
    let build = |retry| {
        let built = complete(given.begun()).finish(retry);
        built.map_err(|error| misconfigured(&error, given.options))
    };
    Ok(Clients {
        objects: build(bounded_retries())?,
        swaps: build(no_retries())?,
        tokens,
        endpoint,
        server: given.server.clone(),
        region: None,
        credentials: Origin::Chain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Environment;
    use crate::storage::StoreLocation;

    #[derive(Debug)]
    struct Nothing;

    impl Environment for Nothing {
        fn variables(&self, _: &str) -> Vec<(String, String)> {
            Vec::new()
        }
    }

    async fn open(location: &str, options: StoreOptions) -> Result<Option<Clients>> {
        let runtime = Runtime::system().with_environment(Nothing);
        connect(&StoreLocation::parse(location).unwrap().0, &options, &runtime).await
    }

    fn static_keys() -> StoreOptions {
        StoreOptions::new()
            .with("access_key_id", "id")
            .with("secret_access_key", "s3cr3t-key")
            .with("region", "x")
    }

    #[tokio::test]
    async fn every_kind_of_bucket_opens_without_a_request() {
        let azure = || StoreOptions::new().with("account_name", "me").with("account_key", "c2VjcmV0");
        let google = StoreOptions::new().with("skip_signature", "true");
        let check = |clients: Option<Clients>, tokens, endpoint: &str| {
            let clients = clients.unwrap();
            assert_eq!((clients.tokens, clients.endpoint.as_str()), (tokens, endpoint));
        };
        check(open("s3://b/p", static_keys()).await.unwrap(), TokenKind::ETag, "");
        let minio = static_keys().with("endpoint", "http://localhost:9").with("allow_http", "true");
        check(open("s3://b", minio).await.unwrap(), TokenKind::ETag, "http://localhost:9");
        check(open("gs://b/p", google).await.unwrap(), TokenKind::Generation, "");
        let access = |clients: Option<Clients>| clients.unwrap().access();
        let expected = [("region", "x".to_owned()), ("credentials", "from the given options".to_owned())];
        assert_eq!(access(open("s3://b", static_keys()).await.unwrap()), expected);
        check(open("az://c/p", azure()).await.unwrap(), TokenKind::ETag, "me");
        let host = "other.dfs.core.windows.net";
        check(open(&format!("abfss://c@{host}/p"), azure()).await.unwrap(), TokenKind::ETag, host);
        assert!(open("memory://x", StoreOptions::new()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn options_that_do_not_fit_are_refused_without_their_values() {
        let check = async |options: StoreOptions, names: &str| {
            let error = open("s3://b/p", options).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(names) && !shown.contains("s3cr3t"), "{shown}");
        };
        check(static_keys().with("endpoint", "http://localhost:9"), "allow_http").await;
        let identity = StoreOptions::new().with("web_identity_token_file", "/s3cr3t").with("role_arn", "r");
        check(identity.with("allow_http", "true").with("endpoint_url_sts", "http://localhost:9"), "no TLS")
            .await;
        let google =
            StoreOptions::new().with("skip_signature", "true").with("base_url", "http://localhost:9");
        let refused = open("gs://b/p", google).await.err().unwrap();
        assert!(refused.message().contains("allow_http"), "{refused}");
        check(StoreOptions::new().with("secret_access_key", "s3cr3t-key"), "options do not fit").await;
        check(static_keys().with("timeout", "s3cr3t-number"), "options do not fit").await;
        check(static_keys().with("endpiont", "s3cr3t"), "endpoint").await;
        check(static_keys().with("ca_bundle", "/s3cr3t/none.pem"), "ca_bundle").await;
    }

    #[tokio::test]
    async fn what_would_panic_at_the_first_request_is_refused() {
        let azure = || StoreOptions::new().with("account_name", "me").with("account_key", "c2VjcmV0");
        let google = || StoreOptions::new().with("skip_signature", "true");
        let mut cases = Vec::new();
        for endpoint in [
            "s3cr3t",
            "ftp://s3cr3t",
            "http:s3cr3t",
            "http://",
            "http:///s3cr3t",
            "https://me:s3cr3t@h",
            "https://@s3cr3t",
            "https://s3cr3t\n",
            " https://s3cr3t",
            "https://s3 cr3t",
            "https://s3cr3t:99999",
            "https://s3cr3t\\x",
            "https://s3cr3t%41",
            "https://s3cr3t\u{e9}",
        ] {
            for name in ["endpoint", "aws_endpoint", "endpoint_url", "aws_endpoint_url_s3"] {
                cases.push(("s3://b", static_keys(), name, endpoint));
            }
            cases.push(("az://c", azure(), "azure_storage_endpoint", endpoint));
            cases.push(("gs://b", google(), "google_base_url", endpoint));
        }
        for value in ["s3cr3t\n", "s3cr3t\r\nx: y", " s3cr3t", "s3cr3t x", "s3cr3t\0", "s3cr3t\u{e9}"] {
            for name in ["access_key_id", "secret_access_key", "session_token", "region", "default_region"] {
                cases.push(("s3://b", static_keys(), name, value));
            }
            cases.push(("az://c", azure(), "bearer_token", value));
        }
        cases.push(("s3://b", static_keys(), "region", "S3CR3T_1"));
        for value in ["s3cr3t", "http://s3cr3t\n", "http://s3 cr3t"] {
            for name in ["metadata_endpoint", "container_credentials_full_uri", "aws_endpoint_url_sts"] {
                cases.push(("s3://b", StoreOptions::new(), name, value));
            }
            for name in
                ["azure_msi_endpoint", "azure_storage_authority_host", "azure_fabric_token_service_url"]
            {
                cases.push(("az://c", azure(), name, value));
            }
        }
        for value in ["s3cr3t", "/s3 cr3t", "/s3cr3t\n", "/<s3cr3t>"] {
            cases.push(("s3://b", StoreOptions::new(), "container_credentials_relative_uri", value));
        }
        for value in ["s3 cr3t", "s3cr3t\n", "s3cr3t/x"] {
            cases.push(("az://c", azure(), "azure_storage_tenant_id", value));
        }
        for name in
            ["azure_fabric_workload_host", "azure_fabric_session_token", "azure_fabric_cluster_identifier"]
        {
            cases.push(("az://c", azure(), name, "s3cr3t\n"));
        }
        for (location, options, name, value) in cases {
            let error = open(location, options.with(name, value)).await.err();
            let error = error.unwrap_or_else(|| panic!("{name} {value:?} was taken"));
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name} {value:?}");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(&format!("{name:?}")), "{name} {value:?}: {shown}");
            assert!(!shown.to_lowercase().contains("s3cr3t"), "{name} {value:?}: {shown}");
        }
    }

    #[tokio::test]
    async fn half_of_a_way_to_credentials_is_refused() {
        let check = async |name: &str, value: &str, needs: &str| {
            let options = StoreOptions::new().with("region", "x").with(name, value);
            let error = open("s3://b/p", options.clone()).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.message().contains(name) && error.message().contains(needs), "{error}");
            assert!(open("s3://b/p", options.with(needs, "x")).await.unwrap().is_some());
        };
        check("aws_web_identity_token_file", "/s3cr3t", "aws_role_arn").await;
        let endpoint = "http://127.0.0.1:9/ecs";
        let file = "aws_container_authorization_token_file";
        check("aws_container_credentials_full_uri", endpoint, file).await;
    }

    #[test]
    fn a_bucket_is_named_in_few_characters() {
        for legal in ["b", "My_bucket.0-x", &"b".repeat(255)] {
            check_bucket(legal).unwrap();
        }
        for illegal in ["", "a b", "a\n", "a/b", "a%41", "b\u{fc}cket", "a?b", &"b".repeat(256)] {
            assert_eq!(check_bucket(illegal).unwrap_err().kind(), ErrorKind::InvalidInput, "{illegal:?}");
        }
    }
}
