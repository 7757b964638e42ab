//! AWS credentials and regions as the AWS tools find them: profiles, SSO, web identity, roles of instances and
//! containers, credential processes.
//!
//! `object_store` knows only some of these, so the chain of `aws-config` is bridged into its credential provider. It reads
//! the process's own environment and home folder, not those of [`Runtime`]: only the profile's name is handed in.
//! What whoever lends them says is read in [`lenders`].
//! Invariants: at most one refresh at a time, whoever asks; a refresh before the credentials expire, and the old ones
//! are used as long as they are valid if that fails; nothing waits longer than [`PATIENCE`]; nothing is logged on the way, because
//! the crates of the AWS tools log the tokens by which they ask.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;
use tracing::instrument::{WithDispatch, WithSubscriber};
use tracing::subscriber::NoSubscriber;

use super::lenders::{self, Watch};
use super::trust::Authorities;
use crate::runtime::Runtime;

/// How long credentials are looked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a region is looked for.
const REGION_PATIENCE: Duration = Duration::from_secs(3);
/// The region where none is found: `object_store`'s own default.
pub(crate) const FALLBACK_REGION: &str = "us-east-1";
/// How long before they expire credentials are replaced; those that live shorter, at half of their time.
const REFRESH_BEFORE: Duration = Duration::from_secs(5 * 60);
/// How long credentials that do not expire are kept: their profile may be edited.
const KEEP: Duration = Duration::from_secs(15 * 60);

/// How long after a failure credentials that are good for a while are not asked for again.
const RETRY: Duration = Duration::from_secs(30);

/// What the chain is told beforehand.
#[derive(Clone, Default)]
pub(crate) struct Hints {
    /// The profile, where the environment names one.
    pub(crate) profile: Option<String>,
    /// The region, where it is known; else it is looked for.
    pub(crate) region: Option<String>,
    /// Whom the servers of credentials may be besides those that the system trusts.
    pub(crate) authorities: Authorities,
}

/// Finds the region and makes the provider of credentials; no credentials are asked for yet.
pub(crate) async fn find(hints: &Hints, runtime: &Runtime) -> (Option<AwsCredentials>, Option<String>) {
    let watch = Watch::default();
    let config = match tokio::time::timeout(REGION_PATIENCE, unlogged(loader(hints, &watch).load())).await {
        Ok(config) => config,
        // Off AWS there is nobody to ask for an instance's region.
        Err(_) => {
            let region = Some(FALLBACK_REGION.to_owned());
            unlogged(loader(&Hints { region, ..hints.clone() }, &watch).load()).await
        }
    };
    let region = config.region().map(ToString::to_string);
    let provider = config.credentials_provider();
    (provider.map(|provider| AwsCredentials::new(provider, watch, runtime.clone())), region)
}

/// A future of which nobody's subscriber hears anything.
fn unlogged<F: Future>(future: F) -> WithDispatch<F> {
    future.with_subscriber(NoSubscriber::default())
}

fn loader(hints: &Hints, watch: &Watch) -> ConfigLoader {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let mut trusted = tls::TrustStore::default();
    if let Some(pem) = hints.authorities.pem() {
        trusted.add_pem_certificate(pem);
    }
    let context = tls::TlsContext::builder().with_trust_store(trusted).build();
    let builder = aws_smithy_http_client::Builder::new().tls_provider(provider);
    // A context that cannot be built is one that has no roots at all, as that of a system without any.
    let client = match context {
        Ok(context) => builder.tls_context(context).build_https(),
        Err(_) => builder.build_https(),
    };
    let timeouts =
        TimeoutConfig::builder().connect_timeout(Duration::from_secs(3)).operation_timeout(PATIENCE).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(watch.over(client))
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(2));
    if let Some(profile) = &hints.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &hints.region {
        loader = loader.region(Region::new(region.clone()));
    }
    loader
}

/// Credentials of the chain, kept until shortly before they expire.
#[derive(Debug)]
pub(crate) struct AwsCredentials {
    provider: SharedCredentialsProvider,
    /// How those are who are asked.
    watch: Watch,
    runtime: Runtime,
    /// Held through a refresh, so that everybody else waits for that one.
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    credential: Arc<AwsCredential>,
    refresh_at: Duration,
    expires_at: Option<Duration>,
}

impl AwsCredentials {
    fn new(provider: SharedCredentialsProvider, watch: Watch, runtime: Runtime) -> Self {
        Self { provider, watch, runtime, kept: Mutex::default() }
    }

    fn now(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.runtime.now().as_micros()).unwrap_or_default())
    }

    async fn provide(&self) -> object_store::Result<Kept> {
        self.watch.begin();
        let provided = tokio::time::timeout(PATIENCE, unlogged(self.provider.provide_credentials())).await;
        let credentials = provided.map_err(|_| too_slow())?.map_err(|error| self.watch.meaning_of(&error))?;
        self.keep(&credentials)
    }

    fn keep(&self, credentials: &Credentials) -> object_store::Result<Kept> {
        let expires_at = credentials.expiry().and_then(since_epoch);
        let now = self.now();
        let refresh_at = match expires_at {
            Some(expiry) => expiry.saturating_sub(REFRESH_BEFORE.min(expiry.saturating_sub(now) / 2)),
            None => now + KEEP,
        };
        let credential = AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(ToOwned::to_owned),
        };
        lenders::check(&credential)?;
        Ok(Kept { credential: Arc::new(credential), refresh_at, expires_at })
    }
}

fn since_epoch(time: SystemTime) -> Option<Duration> {
    time.duration_since(UNIX_EPOCH).ok()
}

#[async_trait]
impl CredentialProvider for AwsCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut kept = self.kept.lock().await;
        let now = self.now();
        if let Some(fresh) = kept.as_ref().filter(|kept| now < kept.refresh_at) {
            return Ok(Arc::clone(&fresh.credential));
        }
        match (self.provide().await, kept.as_mut()) {
            (Ok(provided), _) => {
                let credential = Arc::clone(&provided.credential);
                *kept = Some(provided);
                Ok(credential)
            }
            (Err(_), Some(old)) if old.expires_at.is_none_or(|expiry| now < expiry) => {
                // Whoever comes next does not wait for the same failure.
                old.refresh_at = (self.now() + RETRY).min(old.expires_at.unwrap_or(Duration::MAX));
                Ok(Arc::clone(&old.credential))
            }
            (Err(error), _) => Err(error),
        }
    }
}

fn too_slow() -> object_store::Error {
    lenders::out_of_reach(format!("AWS credentials were not given within {PATIENCE:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Clock;
    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::future;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
    use strandline_format::Timestamp;

    #[derive(Clone, Debug, Default)]
    struct Hand(Arc<AtomicI64>);

    impl Hand {
        fn set(&self, seconds: i64) {
            self.0.store(seconds * 1_000_000, Ordering::Relaxed);
        }
    }

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::Relaxed)).unwrap()
        }
    }

    /// Gives credentials that are valid for some seconds from the time at which they are asked for, an hour by default.
    #[derive(Clone, Debug, Default)]
    struct Hourly {
        clock: Hand,
        seconds: Option<u64>,
        calls: Arc<AtomicU64>,
        broken: Arc<std::sync::atomic::AtomicBool>,
    }

    impl ProvideCredentials for Hourly {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(async {
                tokio::task::yield_now().await;
                let call = self.calls.fetch_add(1, Ordering::Relaxed);
                if self.broken.load(Ordering::Relaxed) {
                    return Err(CredentialsError::not_loaded("session expired"));
                }
                let now = u64::try_from(self.clock.now().as_micros()).unwrap();
                let expiry = UNIX_EPOCH
                    + Duration::from_micros(now)
                    + Duration::from_secs(self.seconds.unwrap_or(3600));
                Ok(Credentials::new(format!("key{call}"), "secret", None, Some(expiry), "test"))
            })
        }
    }

    fn credentials() -> (Hourly, AwsCredentials) {
        living(None)
    }

    fn living(seconds: Option<u64>) -> (Hourly, AwsCredentials) {
        let provider = Hourly { seconds, ..Hourly::default() };
        let runtime = Runtime::system().with_clock(provider.clock.clone());
        let shared = SharedCredentialsProvider::new(provider.clone());
        (provider, AwsCredentials::new(shared, Watch::default(), runtime))
    }

    async fn key(credentials: &AwsCredentials) -> String {
        credentials.get_credential().await.unwrap().key_id.clone()
    }

    #[tokio::test]
    async fn many_askers_make_one_request() {
        let (provider, credentials) = credentials();
        let keys = futures::future::join_all((0..20).map(|_| key(&credentials))).await;
        assert!(keys.iter().all(|key| key == "key0"));
        assert_eq!(provider.calls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn they_are_refreshed_before_they_expire() {
        let (provider, credentials) = credentials();
        assert_eq!(key(&credentials).await, "key0");
        provider.clock.set(3600 - 301);
        assert_eq!(key(&credentials).await, "key0");
        provider.clock.set(3600 - 299);
        assert_eq!(key(&credentials).await, "key1");
    }

    #[tokio::test]
    async fn those_that_live_for_minutes_are_not_asked_for_at_each_request() {
        let (provider, credentials) = living(Some(60));
        for (seconds, expected) in [(0, "key0"), (29, "key0"), (31, "key1"), (60, "key1"), (62, "key2")] {
            provider.clock.set(seconds);
            assert_eq!(key(&credentials).await, expected, "after {seconds} s");
        }
    }

    #[tokio::test]
    async fn a_failed_refresh_is_an_error_only_once_the_old_ones_have_expired() {
        let (provider, credentials) = credentials();
        assert_eq!(key(&credentials).await, "key0");
        provider.broken.store(true, Ordering::Relaxed);
        provider.clock.set(3600 - 100);
        assert_eq!(key(&credentials).await, "key0");
        let calls = provider.calls.load(Ordering::Relaxed);
        provider.clock.set(3600 - 71);
        assert_eq!(key(&credentials).await, "key0");
        assert_eq!(provider.calls.load(Ordering::Relaxed), calls, "the failure is a moment old");
        provider.clock.set(3600 - 69);
        assert_eq!(key(&credentials).await, "key0");
        assert_eq!(provider.calls.load(Ordering::Relaxed), calls + 1);
        provider.clock.set(3600 - 10);
        assert_eq!(key(&credentials).await, "key0");
        provider.clock.set(3601);
        let error = credentials.get_credential().await.unwrap_err();
        assert!(matches!(error, object_store::Error::Unauthenticated { .. }), "{error}");
        assert!(error.to_string().contains("session expired"), "{error}");
    }
}
