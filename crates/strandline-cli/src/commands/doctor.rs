//! `strand doctor`: whether a lake, and the store that it is in, are fit to be worked with.
//!
//! It writes scratch objects under `tmp/`, which are nobody's, and removes them; nothing of a lake is touched.

use std::time::Duration;

use clap::Args as ClapArgs;
use object_store::ObjectStoreExt;
use serde::Serialize;
use strandline::format::{FORMAT_VERSION, Lake as LakeFile, ObjectPath, Pin, RefName};
use strandline::storage::{Loaded, RefKind, Storage, store_error};
use strandline::{Error, ErrorKind, Lake};
use tokio::time::Instant;

use crate::context::{Context, Place};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{Cell, Kind, Record, counted, text};
use crate::progress::Progress;

/// How often a request is timed.
const SAMPLES: usize = 5;

/// What `object_store` takes where no region is set.
const NO_REGION: &str = "us-east-1";

/// A clock that is further off than this is worth a word. No outcome depends on it.
const CLOCK: Duration = Duration::from_secs(5);

/// The branch that is meant where none is named.
const MAIN: &str = "main";

/// How the reasons of pins begin that stay until collections have seen them.
const LASTING: [&str; 3] = ["deleted", "renamed to", "expiry"];

/// Checks a lake, its store, credentials and rights
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Where: a URL, a folder, or a name from the config file [default: what --lake says]
    location: Option<String>,
}

/// What came of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Failed,
    Skipped,
}

/// One check.
#[derive(Serialize)]
struct Check {
    check: &'static str,
    verdict: Verdict,
    detail: String,
}

impl Record for Check {
    const COLUMNS: &'static [(&'static str, Kind)] = &[text("check"), text("verdict"), text("detail")];

    fn cells(&self) -> Vec<Cell> {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failed => "failed",
            Verdict::Skipped => "skipped",
        };
        vec![Cell::text(self.check), Cell::text(verdict), Cell::text(&self.detail)]
    }
}

/// What was found out so far.
#[derive(Default)]
struct Findings {
    checks: Vec<Check>,
    /// What the command ends with: that the store is not suitable, or the first thing that failed.
    exit: Option<Exit>,
}

impl Findings {
    fn say(&mut self, check: &'static str, verdict: Verdict, detail: impl Into<String>) {
        self.checks.push(Check { check, verdict, detail: detail.into() });
    }

    /// Whether the check passed.
    fn note(&mut self, check: &'static str, found: std::result::Result<String, Failure>) -> bool {
        match found {
            Ok(detail) => {
                self.say(check, Verdict::Ok, detail);
                true
            }
            Err(failure) => {
                self.say(check, Verdict::Failed, failure.message());
                match failure.exit() {
                    Exit::StoreUnsuitable => self.exit = Some(Exit::StoreUnsuitable),
                    exit => drop(self.exit.get_or_insert(exit)),
                }
                false
            }
        }
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit> {
    context.no_reference("doctor")?;
    let place = context.place(args.location.as_deref())?;
    let storage = context.storage(&place).await?;
    let mut findings = Findings::default();
    findings.say("location", Verdict::Ok, storage.location().to_string());
    access(&storage, &mut findings);
    let shown = Progress::of_traffic(context, "examining", storage.objects()).show();
    examine(&storage, &place, context, &mut findings).await;
    drop(shown);
    context.out.list(&findings.checks)?;
    Ok(findings.exit.unwrap_or(Exit::Ok))
}

/// How the store is reached.
fn access(storage: &Storage, findings: &mut Findings) {
    let known = storage.access();
    let has_regions = storage.location().to_string().starts_with("s3://");
    if has_regions && !known.iter().any(|(name, _)| *name == "region") {
        findings.say("region", Verdict::Ok, format!("none is set: requests are signed for {NO_REGION}"));
    }
    for (name, value) in known {
        findings.say(name, Verdict::Ok, value.as_str());
    }
}

/// All that takes requests. Who may not read is told what else he may do.
async fn examine(storage: &Storage, place: &Place, context: &Context, findings: &mut Findings) {
    let found = load(storage).await;
    let (absent, refused) = (matches!(found, Ok(None)), is_refused(&found));
    let read = findings.note("read", found.as_ref().map(|_| "allowed".to_owned()).map_err(Failure::clone));
    if absent && !exists(place) {
        let text = format!("there is nothing there: {}", context.no_lake(place).await);
        findings.note("lake", Err(Failure::not_found(text)));
    } else if read || refused {
        store(storage, context, read, findings).await;
    } else {
        findings.say("store", Verdict::Skipped, "it was not reached, so nothing else was tried");
    }
    match found {
        Ok(Some(bytes)) => lake(storage, &bytes, findings).await,
        Ok(None) if exists(place) => without_lake_file(storage, place, context, findings).await,
        Ok(None) | Err(_) => {}
    }
}

fn is_refused<T>(found: &Result<T>) -> bool {
    found.as_ref().is_err_and(|failure| failure.exit() == Exit::Refused)
}

/// Whether there is anything to try: a folder that is not there is not made to find out.
fn exists(place: &Place) -> bool {
    place.location.contains("://") || std::path::Path::new(&place.location).exists()
}

/// What stands in `lake.json`.
async fn load(storage: &Storage) -> Result<Option<Loaded>> {
    Ok(storage.refs().load(&ObjectPath::lake()).await?)
}

/// What the store allows, and whether it keeps its conditions.
async fn store(storage: &Storage, context: &Context, reads: bool, findings: &mut Findings) {
    if reads {
        findings.note("latency", latency(storage).await);
    } else {
        findings.say("latency", Verdict::Skipped, "it cannot be read");
    }
    let listed = storage.refs().list(RefKind::Branch).await;
    findings.note("list", listed.map(|_| "allowed".to_owned()).map_err(Failure::from));
    let written = scratch(storage, context, findings).await;
    let kept = || "conditional puts are kept, 16 writers at once too".to_owned();
    match storage.probe().await {
        Err(error) if !written && error.kind() != ErrorKind::StoreUnsuitable => {
            findings.say("conditions", Verdict::Skipped, "it cannot be written to");
        }
        probed => drop(findings.note("conditions", probed.map(|_| kept()).map_err(Failure::from))),
    }
}

/// How long the smallest request takes.
async fn latency(storage: &Storage) -> Result<String> {
    let mut times = Vec::new();
    for _ in 0..SAMPLES {
        let begun = Instant::now();
        storage.refs().load(&ObjectPath::lake()).await?;
        times.push(begun.elapsed());
    }
    times.sort();
    Ok(format!("{:.1?} for a small read, the median of {SAMPLES}", times[SAMPLES / 2]))
}

/// Puts an object, looks at its time, removes it. Tells whether it could be put. Where it could not, whether it might be removed is
/// tried with one that is not there, of which stores say first whether it may be; folders do not.
async fn scratch(storage: &Storage, context: &Context, findings: &mut Findings) -> bool {
    let store = storage.objects().store();
    let path = match context.runtime.nonce() {
        Ok(nonce) => object_store::path::Path::from(ObjectPath::scratch(nonce, 0).as_str()),
        Err(error) => return findings.note("write", Err(error.into())),
    };
    let put = store.put(&path, "{}".into()).await;
    let refused = |error| Failure::from(store_error(&error, &path));
    if !findings.note("write", put.map(|_| "allowed".to_owned()).map_err(refused)) {
        if !storage.location().to_string().contains("://") {
            findings.say("delete", Verdict::Skipped, "nothing could be written to delete");
            return false;
        }
        let deleted = store.delete(&path).await;
        let deleted = deleted.map(|()| "allowed".to_owned()).or_else(|error| match error {
            object_store::Error::NotFound { .. } => Ok("allowed".to_owned()),
            error => Err(refused(error)),
        });
        findings.note("delete", deleted);
        return false;
    }
    let here = context.runtime.now();
    match store.head(&path).await {
        Ok(found) => clock(here.as_micros(), found.last_modified.timestamp_micros(), findings),
        Err(error) => findings.say("clock", Verdict::Skipped, refused(error).message()),
    }
    let deleted = store.delete(&path).await;
    findings.note("delete", deleted.map(|()| "allowed".to_owned()).map_err(refused));
    forget_folder(storage, &path);
    true
}

/// Removes the folder of a scratch object from a local lake: a bucket has none.
fn forget_folder(storage: &Storage, object: &object_store::path::Path) {
    let (place, object) = (storage.location().to_string(), object.to_string());
    let Some((folder, _)) = object.rsplit_once('/').filter(|_| !place.contains("://")) else { return };
    // It stays if something else has come into it.
    let _ = std::fs::remove_dir(std::path::Path::new(&place).join(folder));
}

/// How far the store's clock is from ours. Stores tell whole seconds.
fn clock(here: i64, there: i64, findings: &mut Findings) {
    let apart = Duration::from_micros(here.abs_diff(there));
    if apart <= CLOCK {
        findings.say("clock", Verdict::Ok, format!("within {CLOCK:?} of the store's"));
    } else {
        let text =
            format!("{apart:.0?} apart from the store's; commits are safe, travel by time is less exact");
        findings.say("clock", Verdict::Warning, text);
    }
}

/// There is no lake, or one that has lost its file, which its branches show.
async fn without_lake_file(storage: &Storage, place: &Place, context: &Context, findings: &mut Findings) {
    let branches = storage.refs().list(RefKind::Branch).await.unwrap_or_default().len();
    if branches == 0 {
        let text = format!("there is no lake here: {}", context.no_lake(place).await);
        findings.note("lake", Err(Failure::not_found(text)));
        return;
    }
    let text = format!(
        "lake.json is missing, and there {}: restore it from any copy of the lake",
        match branches {
            1 => "is 1 branch".to_owned(),
            some => format!("are {some} branches"),
        }
    );
    findings.note("format", Err(Error::new(ErrorKind::Corrupt, text).into()));
    open(storage, findings).await;
}

/// What lake it is.
async fn lake(storage: &Storage, file: &Loaded, findings: &mut Findings) {
    let said = |file: LakeFile| format!("version {FORMAT_VERSION}, made by {}", file.writer.as_str());
    let parsed = LakeFile::parse(&file.bytes).map(said).map_err(Failure::from);
    if findings.note("format", parsed) {
        open(storage, findings).await;
    }
}

/// Where its branch stands: `main`, or whichever there is.
async fn open(storage: &Storage, findings: &mut Findings) {
    match open_any(storage).await {
        Ok(lake) => {
            let (head, branch) = (lake.head(), lake.default_branch().as_str());
            let detail = format!("{}, {branch} is at version {}", lake.id(), head.commit().seq);
            match branch == MAIN {
                true => findings.say("lake", Verdict::Ok, detail),
                false => findings.say("lake", Verdict::Ok, format!("{detail}; it has no {MAIN}")),
            }
            pins(branch, head.pointer().pins(), findings);
        }
        Err(error) => {
            findings.note("lake", Err(error.into()));
        }
    }
}

async fn open_any(storage: &Storage) -> strandline::Result<Lake> {
    let error = match Lake::open_in(storage.clone(), &RefName::new(MAIN)?).await {
        Err(error) if error.kind() == ErrorKind::NotFound => error,
        opened => return opened,
    };
    for branch in storage.refs().list(RefKind::Branch).await? {
        match Lake::open_in(storage.clone(), &branch).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return opened,
        }
    }
    Err(error)
}

/// What is kept besides the branch. A pin of a taking is there for a moment only, unless its writer died; those of what was deleted
/// stay until collections have seen them.
fn pins(branch: &str, pins: &[Pin], findings: &mut Findings) {
    if pins.is_empty() {
        return;
    }
    let lasts = |pin: &Pin| LASTING.iter().any(|reason| pin.reason.as_str().starts_with(reason));
    let taking = !pins.iter().all(lasts);
    let kept: Vec<String> = pins.iter().map(|pin| format!("{} since {}", pin.reason, pin.time)).collect();
    let text = format!("{} on {branch}: {}", counted(pins.len() as u64, "pin"), kept.join(", "));
    let verdict = if taking { Verdict::Warning } else { Verdict::Ok };
    let why = if taking { "; a branch or tag is being made, or was when its writer died" } else { "" };
    findings.say("pins", verdict, text + why);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_breaks_conditions_outweighs_whatever_failed_before() {
        let mut findings = Findings::default();
        let failed = |kind| Err(Error::new(kind, "it failed").into());
        assert!(!findings.note("delete", failed(ErrorKind::PermissionDenied)));
        assert_eq!(findings.exit, Some(Exit::Refused));
        assert!(!findings.note("conditions", failed(ErrorKind::StoreUnsuitable)));
        assert!(!findings.note("lake", failed(ErrorKind::NotFound)));
        assert_eq!(findings.exit, Some(Exit::StoreUnsuitable));
    }
}
