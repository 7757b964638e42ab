//! Where a lake is: a folder, a store in memory, or a bucket with a prefix.
//!
//! Invariants: parsing asks nobody (no request, no file system); a location never holds a credential, and text that has
//! one is refused without being repeated. Options and environment are the business of [`options`](super::options).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use object_store::path::Path;
use url::Url;

use super::classify::redact;
use crate::error::{Error, ErrorKind, Result};

/// Where a lake is.
///
/// ```
/// use strandline::storage::StoreLocation;
/// let location = StoreLocation::parse("s3://bucket/lakes/sales/")?;
/// assert_eq!(location.to_string(), "s3://bucket/lakes/sales");
/// assert!(StoreLocation::parse("./my lake").is_ok());
/// assert!(StoreLocation::parse("ftp://host/lake").is_err());
/// # Ok::<(), strandline::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLocation(pub(crate) Place);

/// The kinds of places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Folder(PathBuf),
    Memory(String),
    S3 {
        bucket: String,
        prefix: Path,
    },
    Gcs {
        bucket: String,
        prefix: Path,
    },
    /// `host` is the account's, if the URL names it.
    Azure {
        container: String,
        host: Option<String>,
        prefix: Path,
    },
}

impl StoreLocation {
    /// Reads a URL (`s3://bucket/prefix`, `gs://…`, `az://container/prefix`,
    /// `abfss://container@account.dfs.core.windows.net/prefix`, `file:///folder`, `memory://name`) or the path of a
    /// folder, which may be relative.
    ///
    /// `memory://name` is a lake of this process: the same name is the same lake.
    ///
    /// # Errors
    /// `InvalidInput`, saying what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self> {
        let place = match text.split_once("://") {
            None => folder(text),
            Some((scheme, rest)) => of_url(&scheme.to_ascii_lowercase(), rest, text),
        };
        place.map(Self).map_err(|why| Error::new(ErrorKind::InvalidInput, why).at(refused(text)))
    }
}

/// A refused text, for its message: without anything behind its scheme if a secret may be in it.
fn refused(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) if rest.contains(['@', '?', '#']) => format!("{scheme}://…"),
        _ if text.is_empty() => "an empty location".to_owned(),
        _ => redact(text),
    }
}

impl FromStr for StoreLocation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl Place {
    /// What makes a bucket another one: its kind, its name, and the root of the lake in it.
    pub(crate) fn identity(&self) -> (&'static str, &str, &str) {
        match self {
            Self::Folder(_) => ("folder", "", ""),
            Self::Memory(name) => ("memory", "", name),
            Self::S3 { bucket, prefix } => ("s3", bucket, prefix.as_ref()),
            Self::Gcs { bucket, prefix } => ("gs", bucket, prefix.as_ref()),
            Self::Azure { container, prefix, .. } => ("az", container, prefix.as_ref()),
        }
    }
}

/// The schemes that a location may have; a path that begins like one is a slip.
const SCHEMES: &[&str] =
    &["s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "memory", "file", "http", "https"];

type Parsed = std::result::Result<Place, String>;

fn folder(text: &str) -> Parsed {
    if text.is_empty() || text.contains('\0') {
        return Err("a folder's path is not empty and has no NUL".to_owned());
    }
    if text == "~" || text.starts_with("~/") {
        return Err("a home folder is not looked up here: write it out".to_owned());
    }
    let looks_like = |scheme: &&&str| {
        text.strip_prefix(**scheme).is_some_and(|rest| rest.starts_with(':') || rest.starts_with("//"))
    };
    if let Some(scheme) = SCHEMES.iter().find(looks_like) {
        return Err(format!("a URL begins with {scheme}://; for a folder of this name write ./{text}"));
    }
    Ok(Place::Folder(text.into()))
}

fn of_url(scheme: &str, rest: &str, text: &str) -> Parsed {
    if scheme == "file" {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        let path = url
            .to_file_path()
            .map_err(|()| "a file URL has three slashes and an absolute path".to_owned())?;
        return Ok(Place::Folder(path));
    }
    if rest.contains(['?', '#']) {
        return Err("a location has no query and no fragment: give options as options".to_owned());
    }
    match scheme {
        "memory" if rest.is_empty() => Err("a lake in memory has a name, as in memory://demo".to_owned()),
        "memory" => Ok(Place::Memory(rest.to_owned())),
        "s3" | "s3a" => bucket(rest).map(|(bucket, prefix)| Place::S3 { bucket, prefix }),
        "gs" | "gcs" => bucket(rest).map(|(bucket, prefix)| Place::Gcs { bucket, prefix }),
        "az" | "azure" => {
            bucket(rest).map(|(container, prefix)| Place::Azure { container, host: None, prefix })
        }
        "abfs" | "abfss" => azure_with_account(rest),
        _ => Err("no such kind of store: use a path, file, memory, s3, gs, az or abfss".to_owned()),
    }
}

fn bucket(rest: &str) -> std::result::Result<(String, Path), String> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err("the name of the bucket is missing".to_owned());
    }
    if bucket.contains(['@', ':']) {
        return Err("a location holds no user, password or port: give options as options".to_owned());
    }
    let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|error| error.to_string())?;
    Ok((bucket.to_owned(), prefix))
}

fn azure_with_account(rest: &str) -> Parsed {
    let Some((container, rest)) = rest.split_once('@') else {
        return bucket(rest).map(|(container, prefix)| Place::Azure { container, host: None, prefix });
    };
    if container.is_empty() || container.contains([':', '/']) {
        return Err("an abfss URL reads abfss://container@account.dfs.core.windows.net/prefix".to_owned());
    }
    let (host, prefix) = bucket(rest)?;
    Ok(Place::Azure { container: container.to_owned(), host: Some(host), prefix })
}

/// A bucket and the path in it.
struct InBucket<'a>(&'a str, &'a Path);

impl fmt::Display for InBucket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.1.as_ref().is_empty() { "" } else { "/" };
        write!(f, "{}{slash}{}", self.0, self.1)
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Folder(path) => write!(f, "{}", path.display()),
            Place::Memory(name) => write!(f, "memory://{name}"),
            Place::S3 { bucket, prefix } => write!(f, "s3://{}", InBucket(bucket, prefix)),
            Place::Gcs { bucket, prefix } => write!(f, "gs://{}", InBucket(bucket, prefix)),
            Place::Azure { container, host: None, prefix } => {
                write!(f, "az://{}", InBucket(container, prefix))
            }
            Place::Azure { container, host: Some(host), prefix } => {
                write!(f, "abfss://{container}@{}", InBucket(host, prefix))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_and_shown() {
        let check = |text: &str, shown: &str| {
            assert_eq!(StoreLocation::parse(text).map(|found| found.to_string()).unwrap(), shown, "{text}");
        };
        check("lake", "lake");
        check("./a b/lake", "./a b/lake");
        check("/abs/lake", "/abs/lake");
        check(r"C:\lakes\one", r"C:\lakes\one");
        check("file:///abs/a%20b", "/abs/a b");
        check("memory://demo", "memory://demo");
        check("s3://bucket", "s3://bucket");
        check("S3a://bucket/a/b/", "s3://bucket/a/b");
        check("gs://bucket/a", "gs://bucket/a");
        check("az://container/a", "az://container/a");
        check(
            "abfss://container@account.dfs.core.windows.net/a/b",
            "abfss://container@account.dfs.core.windows.net/a/b",
        );
    }

    #[test]
    fn bad_locations_are_refused_without_repeating_secrets() {
        let check = |text: &str, names: &str| {
            let error = StoreLocation::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(names), "{shown}");
            assert!(!shown.contains("SECRET"), "{shown}");
        };
        check("", "not empty");
        check("ftp://host/x", "no such kind of store");
        check("memory://", "has a name");
        check("s3:///prefix", "bucket is missing");
        check("s3://bucket/a/../b", "..");
        check("s3://bucket/a//b", "empty");
        check("s3://key:SECRET@bucket/x", "no user");
        check("s3://bucket/x?aws_secret_access_key=SECRET", "no query");
        check("abfss://@account/x", "reads abfss://");
        check("file://host/x", "three slashes");
        check("s3://key:SEC/RETSECRET@bucket/x", "no user");
        check("s3://SECRET@bucket/x", "no user");
        check("https://key:SECRET/a@host/x", "no such kind of store");
        check("s3://bucket/x#SECRET", "no fragment");
        check("s3:/bucket/x", "begins with s3://");
        check("s3:bucket", "begins with s3://");
        check("s3//bucket", "begins with s3://");
        check("memory:x", "begins with memory://");
        check("~/lake", "write it out");
    }
}
