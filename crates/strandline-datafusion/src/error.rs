//! The SDK's errors on their way through DataFusion, and back.
//!
//! Invariant: an error of the SDK keeps its kind: it goes in as [`DataFusionError::External`] and is found again below whatever
//! DataFusion has wrapped around it. What does not belong here: making errors, which is for whoever knows what is wrong.

use std::error::Error as StdError;
use std::{fmt, io};

use datafusion::error::DataFusionError;
use strandline::storage::store_error;
use strandline::{Error, ErrorKind};

/// The SDK's error, for DataFusion.
pub(crate) fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// An error of this kind, for DataFusion.
pub(crate) fn refused(kind: ErrorKind, message: impl Into<String>) -> DataFusionError {
    external(Error::new(kind, message))
}

/// The source of an [`Error`] that a statement would write where it stands at a tag or an older version, which are only read.
///
/// ```
/// use std::error::Error;
/// use strandline::Lake;
/// use strandline_datafusion::{OnlyRead, Session, lake_error};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn Error>> {
/// let lake = Lake::create("memory://only-read").await?;
/// lake.create_tag("v1").await?;
/// let session = Session::of(&lake.at("v1").await?)?;
/// let error = session.sql("CREATE TABLE t (id BIGINT)").await.unwrap_err();
/// let source = lake_error(&error).and_then(Error::source);
/// assert!(source.is_some_and(|source| source.is::<OnlyRead>()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnlyRead;

impl fmt::Display for OnlyRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("only branches are written to")
    }
}

impl StdError for OnlyRead {}

/// Refuses to write where a session stands; what to do is said by `instead`.
pub(crate) fn only_read(place: impl fmt::Display, instead: &str) -> Error {
    let message = format!("this session stands at {place}, which is only read: {instead}");
    Error::new(ErrorKind::InvalidInput, message).with_source(OnlyRead)
}

/// The SDK's error in an error of DataFusion, whatever is wrapped around it; `None` if it is DataFusion's own.
///
/// ```
/// use datafusion::error::DataFusionError;
/// use strandline::{Error, ErrorKind};
/// use strandline_datafusion::lake_error;
/// let error = DataFusionError::External(Box::new(Error::new(ErrorKind::NotFound, "no table \"t\"")));
/// let wrapped = error.context("while planning");
/// assert_eq!(lake_error(&wrapped).map(Error::kind), Some(ErrorKind::NotFound));
/// ```
#[must_use]
pub fn lake_error(error: &DataFusionError) -> Option<&Error> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        next = inner(error);
    }
    None
}

/// What an error is about; boxes and shared pointers are looked into, since their `source` passes over what they hold.
fn inner<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    use datafusion::arrow::error::ArrowError;
    match error.downcast_ref::<DataFusionError>() {
        Some(DataFusionError::External(inner)) => return Some(inner.as_ref()),
        Some(DataFusionError::Shared(inner)) => return Some(inner.as_ref()),
        Some(DataFusionError::ParquetError(inner)) => return Some(inner.as_ref()),
        Some(DataFusionError::ArrowError(inner, _)) => return Some(inner.as_ref()),
        Some(DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner)) => {
            return Some(inner.as_ref());
        }
        Some(DataFusionError::Collection(errors)) => return errors.first().map(|error| error as _),
        _ => {}
    }
    if let Some(ArrowError::ExternalError(inner)) = error.downcast_ref::<ArrowError>() {
        return Some(inner.as_ref());
    }
    match error.downcast_ref::<datafusion::parquet::errors::ParquetError>() {
        Some(datafusion::parquet::errors::ParquetError::External(inner)) => Some(inner.as_ref()),
        _ => error.source(),
    }
}

/// What a store, or the system, said within an error of DataFusion, told of a place; `None` if neither did.
pub(crate) fn store_told(error: &DataFusionError, place: &str) -> Option<Error> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(said) = error.downcast_ref::<object_store::Error>() {
            return Some(store_error(said, place));
        }
        if let Some(said) = error.downcast_ref::<io::Error>() {
            match said.get_ref() {
                // Its `source` passes over what it holds.
                Some(held) => next = Some(held),
                None => return Some(store_error(&of_system(said), place)),
            }
            continue;
        }
        next = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::ObjectStore(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::IoError(inner)) => Some(inner),
            _ => inner(error),
        };
    }
    None
}

fn of_system(said: &io::Error) -> object_store::Error {
    let source = io::Error::new(said.kind(), said.to_string());
    object_store::Error::Generic { store: "file", source: source.into() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::error::ArrowError;
    use datafusion::parquet::errors::ParquetError;

    use super::*;

    #[test]
    fn an_error_keeps_its_kind_through_every_wrapping() {
        let lost = || Error::new(ErrorKind::Corrupt, "a wrong byte");
        let wrapped = [
            external(lost()),
            external(lost()).context("while reading"),
            DataFusionError::Shared(Arc::new(external(lost()))),
            DataFusionError::from(ArrowError::ExternalError(Box::new(lost()))),
            DataFusionError::from(ArrowError::ExternalError(Box::new(external(lost())))),
            DataFusionError::from(ParquetError::External(Box::new(lost()))),
            DataFusionError::Collection(vec![external(lost())]),
            DataFusionError::External(Box::new(external(lost()))),
        ];
        for error in wrapped {
            assert_eq!(lake_error(&error).map(Error::kind), Some(ErrorKind::Corrupt), "{error:?}");
        }
        assert!(lake_error(&DataFusionError::Plan("no such function".to_owned())).is_none());
    }

    #[test]
    fn a_full_disk_is_found_however_deep_it_stands() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let stored = || object_store::Error::Generic { store: "LocalFileSystem", source: full().into() };
        let all = [
            DataFusionError::IoError(full()),
            DataFusionError::IoError(io::Error::other(stored())),
            DataFusionError::ObjectStore(Box::new(stored())),
            DataFusionError::from(ParquetError::External(Box::new(stored()))).context("while writing"),
            DataFusionError::from(ArrowError::IoError(String::new(), full())),
        ];
        for error in all {
            let told = store_told(&error, "/place/x.csv").map(|told| (told.kind(), told.to_string()));
            let Some((kind, text)) = told else { panic!("{error:?}") };
            assert_eq!(kind, ErrorKind::StoreFull, "{error:?}");
            assert!(text.contains("/place/x.csv"), "{text}");
        }
        assert!(store_told(&DataFusionError::Plan("no such function".to_owned()), "/").is_none());
    }
}
