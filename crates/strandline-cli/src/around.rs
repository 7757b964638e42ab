//! Whether a place lies within a lake: what is made there would be among the objects of that one, and go with them.
//!
//! Invariant: who may not read, or does not get an answer soon, is not kept from what he is at. What does not belong here: whether the place
//! itself has a lake.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;
use strandline::ErrorKind;
use strandline::format::{Lake, ObjectPath};
use strandline::storage::StoreLocation;

use crate::context::{Context, Place};
use crate::failure::{Failure, Result};

/// So long is waited for answers.
const SOON: Duration = Duration::from_secs(5);

/// Refuses a place for a lake that is within another one, or is a file. Requests: one for each folder of a bucket above the place.
pub(crate) async fn check_outside(context: &Context, place: &Place) -> Result<()> {
    match around(context, place).await? {
        None => Ok(()),
        Some(around) => {
            let text = format!("{} is within a lake, that in {around}", location_of(place)?);
            Err(Failure::usage(text).hint("a lake has its folder to itself: choose one beside it"))
        }
    }
}

/// The lake that a place is within, if it is. Requests: one for each folder of a bucket above the place.
///
/// # Errors
/// It is in a file, or no place at all.
pub(crate) async fn around(context: &Context, place: &Place) -> Result<Option<String>> {
    let location = location_of(place)?;
    match is_in_bucket(&location) {
        true => Ok(in_bucket(context, place, &location).await),
        false => in_folders(Path::new(&location)),
    }
}

/// Refuses a place that is a file, or is in one.
pub(crate) fn check_folder(place: &Place) -> Result<()> {
    match location_of(place) {
        Ok(location) if !is_in_bucket(&location) => no_file(&absolute(Path::new(&location))),
        _ => Ok(()),
    }
}

fn location_of(place: &Place) -> Result<String> {
    Ok(StoreLocation::parse(&place.location)
        .map_err(|error| Failure::from(error).of_arguments())?
        .to_string())
}

fn is_in_bucket(location: &str) -> bool {
    location.contains("://")
}

fn absolute(place: &Path) -> PathBuf {
    std::fs::canonicalize(".").unwrap_or_default().join(place)
}

fn no_file(place: &Path) -> Result<()> {
    match place.ancestors().find(|folder| folder.is_file()) {
        Some(file) => Err(Failure::usage(format!("{} is a file, and a lake is in a folder", file.display()))),
        None => Ok(()),
    }
}

async fn in_bucket(context: &Context, place: &Place, location: &str) -> Option<String> {
    let above: Vec<Place> = above(location).map(|location| place.at(location)).collect();
    let lakes = join_all(above.iter().map(|place| has_lake(context, place)));
    let lakes = tokio::time::timeout(SOON, lakes).await.ok()?;
    above.into_iter().zip(lakes).find(|(_, has_lake)| *has_lake).map(|(place, _)| place.location)
}

async fn has_lake(context: &Context, place: &Place) -> bool {
    let Ok(storage) = context.storage(place).await else { return false };
    let loaded = storage.refs().load(&ObjectPath::lake()).await;
    matches!(loaded, Ok(Some(loaded)) if is_of_lake(&loaded.bytes))
}

/// Whether it is what a lake begins with, of a newer format too.
fn is_of_lake(bytes: &[u8]) -> bool {
    match Lake::parse(bytes) {
        Ok(_) => true,
        Err(error) => strandline::Error::from(error).kind() == ErrorKind::Unsupported,
    }
}

/// The locations around one in a bucket, the innermost first.
fn above(location: &str) -> impl Iterator<Item = String> {
    let (scheme, path) = location.split_once("://").unwrap_or(("", location));
    let (scheme, path) = (scheme.to_owned(), path.trim_end_matches('/').to_owned());
    let ends: Vec<usize> = path.rmatch_indices('/').map(|(at, _)| at).collect();
    ends.into_iter().map(move |end| format!("{scheme}://{}", &path[..end]))
}

fn in_folders(place: &Path) -> Result<Option<String>> {
    let place = absolute(place);
    no_file(&place)?;
    let has_lake = |folder: &&Path| {
        let file = std::fs::read(folder.join(ObjectPath::lake().as_str()));
        file.is_ok_and(|bytes| is_of_lake(&bytes))
    };
    let (around, itself) = really(&place);
    Ok(around.ancestors().skip(itself).find(has_lake).map(|folder| folder.display().to_string()))
}

/// What is there of a place, without links and steps back, and how much of its end is the place itself.
fn really(place: &Path) -> (PathBuf, usize) {
    if let Ok(found) = std::fs::canonicalize(place) {
        return (found, 1);
    }
    let around = place.ancestors().skip(1).find_map(|folder| std::fs::canonicalize(folder).ok());
    (around.unwrap_or_default(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_a_place_ends_with_its_bucket() {
        let check = |location: &str, expected: &[&str]| {
            assert_eq!(above(location).collect::<Vec<_>>(), expected, "{location}");
        };
        check("s3://bucket/a/b/c/", &["s3://bucket/a/b", "s3://bucket/a", "s3://bucket"]);
        check("gs://bucket", &[]);
    }
}
