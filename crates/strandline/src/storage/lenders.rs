//! Whoever lends credentials: what an error of his means, and whether what he lends can be used.
//!
//! `object_store` makes headers and URLs of what it is lent, and panics if it cannot. Invariants: nothing comes to it that cannot
//! stand there; no error repeats a credential; who is asked and does not answer, or is in trouble himself, has refused nobody. What
//! does not belong here: who is asked, and when again (`aws`); what a store says of credentials (`classify`).

use std::error::Error as StdError;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use object_store::CredentialProvider;
use object_store::aws::{AwsCredential, AwsCredentialProvider};

use super::classify::redact;
use super::trust::Untrusted;

/// How errors of this kind are called.
const WHAT: &str = "AWS credentials";

/// Refuses credentials of which no request can be made, without showing them.
pub(crate) fn check(credential: &AwsCredential) -> object_store::Result<()> {
    let parts = [("access key id", Some(&credential.key_id)), ("session token", credential.token.as_ref())];
    let illegible = |text: &String| !text.bytes().all(|byte| byte.is_ascii_graphic());
    match parts.into_iter().find(|(_, part)| part.is_some_and(illegible)) {
        Some((name, _)) => Err(unusable(format!(
            "the {name} that was found for AWS is not made of visible ASCII: a space or a line end, perhaps"
        ))),
        None => Ok(()),
    }
}

fn unusable(text: String) -> object_store::Error {
    object_store::Error::Unauthenticated { path: WHAT.to_owned(), source: text.into() }
}

/// What `object_store` finds by itself, looked at before a request is made of it.
#[derive(Debug)]
pub(crate) struct Checked {
    found: AwsCredentialProvider,
    /// Shown to a container's endpoint; it is another one from time to time.
    token_file: Option<String>,
}

impl Checked {
    pub(crate) fn new(found: AwsCredentialProvider, token_file: Option<String>) -> Self {
        Self { found, token_file }
    }
}

#[async_trait]
impl CredentialProvider for Checked {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        if let Some(file) = &self.token_file {
            check_token_file(file.as_ref()).await?;
        }
        let credential = self.found.get_credential().await?;
        check(&credential).map(|()| credential)
    }
}

/// A file that cannot be read is told of by whoever reads it next.
async fn check_token_file(path: &Path) -> object_store::Result<()> {
    let token = tokio::fs::read(path).await.unwrap_or_default();
    if token.iter().all(|byte| !byte.is_ascii_control()) {
        return Ok(());
    }
    let text = "the file of the store option \"container_authorization_token_file\" holds more than one line, or ends with a line end";
    Err(unusable(text.to_owned()))
}

/// What kept the last request to a lender from being answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch(Arc<Mutex<Trouble>>);

#[derive(Debug, Default)]
enum Trouble {
    /// Nothing, or nobody was asked.
    #[default]
    None,
    /// He does not answer, or says that he cannot now.
    Away,
    /// He is not believed to be who he should be.
    Untrusted(Untrusted),
}

impl Watch {
    /// The same client, watched.
    pub(crate) fn over(&self, client: SharedHttpClient) -> SharedHttpClient {
        let watch = self.clone();
        http_client_fn(move |settings: &HttpConnectorSettings, components| {
            let inner = client.http_connector(settings, components);
            SharedHttpConnector::new(Watched { inner, watch: watch.clone() })
        })
    }

    /// Forgets what was.
    pub(crate) fn begin(&self) {
        self.set(Trouble::None);
    }

    fn take(&self) -> Trouble {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, trouble: Trouble) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// What an error of the chain means: refused, or out of reach.
    pub(crate) fn meaning_of(&self, error: &CredentialsError) -> object_store::Error {
        let asked = !matches!(error, CredentialsError::CredentialsNotLoaded(_));
        match self.take() {
            Trouble::Untrusted(why) if asked => {
                object_store::Error::Generic { store: WHAT, source: Box::new(why) }
            }
            Trouble::Away if asked => {
                out_of_reach(format!("AWS credentials are not to be had now{}", all_said(error)))
            }
            _ if matches!(error, CredentialsError::ProviderTimedOut(_)) => {
                out_of_reach(format!("AWS credentials were not given in time{}", all_said(error)))
            }
            _ => unusable(format!(
                "no AWS credentials from environment, profile, SSO, web identity or instance role{}",
                all_said(error)
            )),
        }
    }
}

/// Nobody was refused, and it may pass.
pub(crate) fn out_of_reach(text: String) -> object_store::Error {
    object_store::Error::Generic { store: WHAT, source: text.into() }
}

#[derive(Debug)]
struct Watched {
    inner: SharedHttpConnector,
    watch: Watch,
}

impl HttpConnector for Watched {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // Whoever waits may give up before there is an answer.
        self.watch.set(Trouble::Away);
        let (answer, watch) = (self.inner.call(request), self.watch.clone());
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            watch.set(trouble_in(&answer));
            answer
        })
    }
}

fn trouble_in(answer: &Result<HttpResponse, ConnectorError>) -> Trouble {
    match answer {
        Ok(response) if matches!(response.status().as_u16(), 429 | 500..=599) => Trouble::Away,
        Ok(_) => Trouble::None,
        Err(error) => Untrusted::within(error).map_or(Trouble::Away, Trouble::Untrusted),
    }
}

/// The error and its causes, without what others have said in them that may be a secret: what a process has printed, the body of
/// an answer.
fn all_said(error: &CredentialsError) -> String {
    let causes = std::iter::successors(Some(error as &(dyn StdError + 'static)), |error| (*error).source());
    // No colon: what stands behind the name of a secret and a colon is taken for the secret.
    causes.map(|cause| format!("; {}", said(&cause.to_string()))).collect()
}

fn said(text: &str) -> String {
    let begin = ["Stderr:", "Response {"].iter().filter_map(|mark| text.find(mark)).min();
    match begin {
        Some(begin) => format!("{}what it said is not repeated here", redact(&text[..begin])),
        None => redact(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::StaticCredentialProvider;

    fn credential(key_id: &str, token: &str) -> AwsCredential {
        let secret_key = "any \u{e9} bytes\n".to_owned();
        AwsCredential { key_id: key_id.to_owned(), secret_key, token: Some(token.to_owned()) }
    }

    #[test]
    fn what_no_header_can_hold_is_refused_without_being_shown() {
        assert!(check(&credential("AKIA", "to+ken//==")).is_ok());
        for (key_id, token, names) in [
            ("s3cr3t\n", "token", "access key id"),
            ("AKIA", "s3cr3t\n", "session token"),
            ("AKIA", "s3cr3t\r\nx: y", "session token"),
            ("AKIA", " s3cr3t", "session token"),
            ("AKIA", "s3cr3t\u{e9}", "session token"),
        ] {
            let error = check(&credential(key_id, token)).unwrap_err();
            assert!(matches!(error, object_store::Error::Unauthenticated { .. }), "{error}");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(names) && !shown.contains("s3cr3t"), "{shown}");
        }
    }

    #[tokio::test]
    async fn what_is_found_elsewhere_is_checked_each_time_and_so_is_what_is_shown_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let token_file = || file.to_str().map(ToOwned::to_owned);
        let found = |token| Arc::new(StaticCredentialProvider::new(credential("AKIA", token)));
        let good = Checked::new(found("token"), token_file());
        let check = async |text: &str, taken: bool| {
            std::fs::write(&file, text).unwrap();
            assert_eq!(good.get_credential().await.is_ok(), taken, "{text:?}");
        };
        check("Bearer token", true).await;
        check("Bearer token\n", false).await;
        check("Bearer other", true).await;
        assert!(Checked::new(found("token\n"), None).get_credential().await.is_err());
    }

    #[test]
    fn what_others_have_said_is_not_repeated() {
        let check = |text: &str, expected: &str| assert_eq!(said(text), expected);
        check("the profile is not there", "the profile is not there");
        check(
            "error response from IMDS (code: 500). Response { body: b\"TOPSECRET\" }",
            "error response from IMDS (code: 500). what it said is not repeated here",
        );
        check("it failed. Stderr: TOPSECRET", "it failed. what it said is not repeated here");
        check("x: {\"SecretAccessKey\":\"TOPSECRET\"}", "x: {\"SecretAccessKey\":\"…\"}");
    }
}
