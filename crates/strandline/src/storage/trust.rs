//! Which servers are believed to be who they say: the authorities that a user names, besides those of the system.
//!
//! Invariants: a bundle adds authorities and takes none away; one that cannot be read, or holds none, is refused where it is
//! named, and not at the first request. A certificate that is not trusted is not asked for again: it stays what it is.

use std::error::Error as StdError;
use std::fmt;

use object_store::client::{HttpError, HttpErrorKind};
use object_store::{Certificate, ClientOptions};

use crate::error::{Error, ErrorKind, Result};

/// The option that names the file.
pub(crate) const OPTION: &str = "ca_bundle";

/// Authorities that a user trusts.
#[derive(Clone, Default)]
pub(crate) struct Authorities {
    pem: Option<Vec<u8>>,
    certificates: Vec<Certificate>,
}

impl Authorities {
    /// Those of a file, if one is named.
    pub(crate) async fn load(path: Option<&str>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let refused = |why: &dyn fmt::Display| {
            Error::new(ErrorKind::InvalidInput, format!("the file of the store option {OPTION:?} {why}"))
        };
        let pem = tokio::fs::read(path)
            .await
            .map_err(|error| refused(&format_args!("cannot be read: {error}")).with_source(error))?;
        let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if certificates.is_empty() {
            return Err(refused(&"holds no certificate in PEM"));
        }
        Ok(Self { pem: Some(pem), certificates })
    }

    /// The options of a client that trusts them, and has no timeout but what is set.
    pub(crate) fn client_options(&self) -> ClientOptions {
        let options = ClientOptions::default().with_timeout_disabled();
        self.certificates.iter().cloned().fold(options, ClientOptions::with_root_certificate)
    }

    /// The file as it is, for clients of others.
    pub(crate) fn pem(&self) -> Option<&[u8]> {
        self.pem.as_deref()
    }
}

/// How `rustls` begins what it says of a certificate, whose type the client hides.
const REFUSED: &str = "invalid peer certificate";
/// What it says where something else comes than TLS.
const NOT_TLS: &str = "corrupt message of type InvalidContentType";

/// A server is not believed to be who it should be, and will not be by asking again.
#[derive(Debug)]
pub(crate) enum Untrusted {
    /// Its certificate is not one that is trusted.
    Certificate(String),
    /// It does not speak TLS.
    Plain,
}

impl Untrusted {
    /// The error that says so, if that is why no connection was made.
    pub(crate) fn of(error: &HttpError) -> Option<HttpError> {
        // No kind of error is tried less often than the unknown one.
        Some(HttpError::new(HttpErrorKind::Unknown, Self::within(error)?))
    }

    /// The last cause of an error that says so.
    pub(crate) fn within(error: &(dyn StdError + 'static)) -> Option<Self> {
        let causes = std::iter::successors(Some(error), |error| (*error).source());
        let why = causes.map(ToString::to_string).filter_map(|said| match said {
            said if said.contains(REFUSED) => Some(Self::Certificate(said)),
            said if said.contains(NOT_TLS) => Some(Self::Plain),
            _ => None,
        });
        why.last()
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(why) => write!(
                f,
                "the server's certificate is not trusted ({why}): the store option {OPTION:?} names a file of more authorities"
            ),
            Self::Plain => f.write_str(
                "the server does not speak TLS on this port: is it meant to be reached by http:// and \"allow_http\"?",
            ),
        }
    }
}

impl StdError for Untrusted {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bundle_without_a_certificate_is_refused_where_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "s3cr3t, and no certificate").unwrap();
        let check = async |path: &std::path::Path, why: &str| {
            let error = Authorities::load(path.to_str()).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(why) && shown.contains(OPTION) && !shown.contains("s3cr3t"), "{shown}");
        };
        check(&file, "holds no certificate").await;
        check(&folder.path().join("none.pem"), "cannot be read").await;
        assert!(Authorities::load(None).await.unwrap().pem().is_none());
    }
}
