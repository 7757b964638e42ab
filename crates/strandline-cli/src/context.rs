//! What a verb works with: the lake that is meant, the version that is meant, and where it prints.
//!
//! Invariants: of two places that say the same thing, the more particular wins (the command line, then, of lakes, the environment
//! and then the config file, of options of stores, the named lake and then the environment); a bare word is a lake of the config file first and a folder second. What does not belong here: verbs.

use std::cell::OnceCell;

use strandline::format::{ObjectPath, Reference};
use strandline::lake::Open;
use strandline::near::nearest;
use strandline::storage::{Storage, StorageOptions, StoreLocation, StoreOptions};
use strandline::transaction::Begin;
use strandline::{Error, ErrorKind, Lake, Ref, Runtime, Table};

use crate::args::Global;
use crate::around::{around, check_folder};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::names;
use crate::output::{Output, Pager};

/// What a verb works with.
#[derive(Debug)]
pub(crate) struct Context {
    global: Global,
    /// Read once somebody asks for a lake.
    config: OnceCell<Config>,
    pub(crate) runtime: Runtime,
    pub(crate) out: Output,
}

/// Where a lake is, and what it takes to reach it.
#[derive(Debug)]
pub(crate) struct Place {
    /// What the user calls it.
    pub(crate) name: String,
    pub(crate) location: String,
    pub(crate) options: StoreOptions,
}

impl Place {
    /// Another location that is reached in the same way.
    pub(crate) fn at(&self, location: String) -> Self {
        Self { name: self.name.clone(), location, options: self.options.clone() }
    }
}

/// The variable that names the lake.
const VARIABLE: &str = "STRANDLINE_LAKE";

impl Context {
    pub(crate) fn new(global: Global, runtime: Runtime) -> Self {
        let pager = Pager::of(runtime.environment()).filter(|_| !global.no_pager);
        let out = Output::new(global.output, global.quiet, pager);
        Self { global, config: OnceCell::new(), runtime, out }
    }

    fn config(&self) -> Result<&Config> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = Config::load(self.runtime.environment())?;
        Ok(self.config.get_or_init(|| config))
    }

    /// The reference that was given.
    pub(crate) fn reference(&self) -> Option<&str> {
        self.global.reference.as_deref()
    }

    /// Refuses a reference where it would mean nothing.
    pub(crate) fn no_reference(&self, verb: &str) -> Result<()> {
        match &self.global.reference {
            Some(_) => Err(Failure::usage(format!("`strand {verb}` takes no --ref"))),
            None => Ok(()),
        }
    }

    /// Where the lake is that is meant; `given` is what the verb's own argument says.
    pub(crate) fn place(&self, given: Option<&str>) -> Result<Place> {
        let config = self.config()?;
        let of_environment = self.runtime.environment().variable(VARIABLE);
        let given = [given, self.global.lake.as_deref(), of_environment.as_deref()];
        let given = given.into_iter().flatten().find(|name| !name.is_empty());
        let named = given.or(config.default.as_deref()).ok_or_else(|| {
            Failure::usage("no lake is named")
                .hint("name one with --lake, STRANDLINE_LAKE, or `default` in the config file")
        })?;
        let lake = config.lakes.get(named);
        if lake.map_or(named, |lake| &lake.location).starts_with("memory:") {
            let failure = Failure::usage("a lake in memory is gone when the command ends");
            return Err(failure.hint("name a folder, or the URL of a bucket"));
        }
        let mut options = StoreOptions::new();
        for (key, value) in lake.into_iter().flat_map(|lake| &lake.options) {
            options = options.with(key, value);
        }
        for (key, value) in &self.global.options {
            options = options.with(key, value);
        }
        let location = lake.map_or(named, |lake| &lake.location).to_owned();
        Ok(Place { name: named.to_owned(), location, options })
    }

    /// Opens the store of a place. No request.
    pub(crate) async fn storage(&self, place: &Place) -> Result<Storage> {
        let location =
            StoreLocation::parse(&place.location).map_err(|error| Failure::from(error).of_arguments())?;
        let options = StorageOptions { store: place.options.clone(), ..StorageOptions::default() };
        let opened = Storage::open(&location, &options, self.runtime.clone()).await;
        opened.map_err(|error| Failure::from(error).of_arguments())
    }

    /// Opens the lake that is meant, at its default branch; where a reference is given, that need not be there.
    pub(crate) async fn lake(&self) -> Result<Lake> {
        let place = self.place(None)?;
        let opening = self.opening(&place);
        let opening = if self.reference().is_some() { opening.or_another() } else { opening };
        match opening.await {
            Ok(lake) => Ok(lake),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(self.unopened(&place, error.into()).await)
            }
            Err(error) => {
                check_folder(&place)?;
                Err(Failure::from(error).of_arguments())
            }
        }
    }

    /// Why the default branch of a lake is not there, with what to do about it.
    async fn unopened(&self, place: &Place, failure: Failure) -> Failure {
        let has_others = self.opening(place).or_another().await.is_ok();
        if has_others && self.lacks_file(place).await {
            let text = format!("{}: lake.json is missing, though there are branches", place.location);
            let failure = Failure::from(Error::new(ErrorKind::Corrupt, text));
            return failure.hint("restore it from any copy of the lake; --ref names a branch that is there");
        }
        let hint = if has_others {
            "`strand branch list` shows the branches that there are, --ref names one".to_owned()
        } else if failure.lacks_bucket() {
            "make the bucket first, then `strand init` makes a lake in it".to_owned()
        } else {
            self.no_lake(place).await
        };
        failure.hint(hint)
    }

    /// Whether a place has not got what a lake begins with.
    async fn lacks_file(&self, place: &Place) -> bool {
        let Ok(storage) = self.storage(place).await else { return false };
        matches!(storage.refs().load(&ObjectPath::lake()).await, Ok(None))
    }

    /// The same at whichever branch there is, for what is done to branches and tags.
    pub(crate) async fn lake_of_refs(&self) -> Result<Lake> {
        match self.opening(&self.place(None)?).or_another().await {
            Ok(lake) => Ok(lake),
            // Told with what to do about it.
            Err(_) => self.lake().await,
        }
    }

    fn opening(&self, place: &Place) -> Open {
        Lake::open(&place.location).options(place.options.clone()).runtime(self.runtime.clone())
    }

    /// What to do where there is no lake. Requests: one for each folder of a bucket above the place.
    pub(crate) async fn no_lake(&self, place: &Place) -> String {
        let lakes = self.config().into_iter().flat_map(|config| config.lakes.keys());
        if let Some(name) = nearest(&place.location, lakes.map(String::as_str)).first() {
            return format!("the config file has a lake {name:?}");
        }
        match around(self, place).await {
            Ok(Some(around)) => format!("it is within a lake: `strand ls -l {around}` looks at that"),
            Ok(None) => format!("`strand init {}` makes a lake there", place.name),
            Err(failure) => failure.message().to_owned(),
        }
    }

    /// The version that is meant: of `--ref`, else the newest of the default branch, which the lake was opened at a moment ago.
    pub(crate) async fn at(&self) -> Result<Ref> {
        let lake = self.lake().await?;
        match self.reference() {
            None => Ok(lake.opened()),
            reference => self.at_reference(&lake, reference).await,
        }
    }

    /// The version that a reference names, else the newest of the default branch.
    pub(crate) async fn at_reference(&self, lake: &Lake, reference: Option<&str>) -> Result<Ref> {
        let found = match reference {
            Some(reference) => lake.at(reference).await,
            None => lake.main().await,
        };
        let failure = match found {
            Ok(at) => return Ok(at),
            Err(error) => Failure::from(error).of_arguments(),
        };
        let like =
            "a reference is like main, v1, main~3, v12, main@{2026-01-02} or main@{2026-01-02T03:04:05Z}";
        let parsed = reference.map(str::parse::<Reference>);
        let failure = if let Some(Err(_)) = parsed { failure.hint(like) } else { failure };
        Err(match reference {
            Some(reference) if failure.is(ErrorKind::NotFound) => near_ref(lake, reference, failure).await,
            _ => failure,
        })
    }

    /// The version that a text gives: a bare number is one of the branch that is meant.
    pub(crate) async fn version_of(&self, lake: &Lake, on: &Ref, text: &str) -> Result<Ref> {
        let branch = on.branch().as_str();
        let Ok(number) = text.parse::<u64>() else { return self.at_reference(lake, Some(text)).await };
        if number > on.version().0 {
            let text = format!("there is no version {number}: {branch} is at version {}", on.version());
            return Err(Failure::not_found(text).hint("`strand log` shows the versions"));
        }
        self.at_reference(lake, Some(&format!("branch:{branch}@{{{number}}}"))).await
    }

    /// The reference that a verb's own argument gives, else `--ref`, else the default branch.
    pub(crate) fn one_reference<'a>(&'a self, given: Option<&'a str>, argument: &str) -> Result<&'a str> {
        match (given, self.reference()) {
            (Some(_), Some(_)) => Err(Failure::usage(format!("{argument} and --ref both say which version"))),
            (given, reference) => Ok(given.or(reference).unwrap_or("main")),
        }
    }

    /// A table of a version.
    pub(crate) async fn table(&self, at: &Ref, name: &str) -> Result<Table> {
        match at.table(name).await {
            Ok(table) => Ok(table),
            Err(error) => Err(near_table(at, name, error.into()).await.of_arguments()),
        }
    }

    /// Whether something stands under a name, whatever it is.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest name.
    pub(crate) async fn stands(&self, at: &Ref, name: &str) -> Result<()> {
        match at.table(name).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let (views, namespaces) = (at.views().await?, at.namespaces().await?);
                let mut others = views.iter().chain(&namespaces);
                if others.any(|other| names::are_one(other.name.as_str(), name)) {
                    return Ok(());
                }
                Err(near_table(at, name, error.into()).await.of_arguments())
            }
            _ => Ok(()),
        }
    }

    /// A transaction on the branch that is meant.
    pub(crate) async fn begin(&self, lake: &Lake) -> Result<Begin> {
        let Some(reference) = self.reference() else { return Ok(lake.begin()) };
        let at = self.at_reference(lake, Some(reference)).await?;
        if !is_branch(reference, &at) {
            let failure =
                Failure::usage(format!("{reference:?} is no branch, and only branches are written to"));
            return Err(
                failure.hint(format!("`strand branch create NAME --from {reference}` makes one there"))
            );
        }
        Ok(at.begin())
    }
}

/// Whether a reference, for which this was found, names a branch, and not the version, hash or time that its head is at the moment.
pub(crate) fn is_branch(reference: &str, at: &Ref) -> bool {
    let named = |reference: Reference| reference.suffixes().is_empty() && at.is_named_by(reference.base());
    reference.parse().is_ok_and(named)
}

/// The same failure, with the nearest branch or tag if there is none of that name.
async fn near_ref(lake: &Lake, reference: &str, failure: Failure) -> Failure {
    let (branches, tags) = (lake.branches().await.unwrap_or_default(), lake.tags().await.unwrap_or_default());
    let branches = branches.iter().map(|branch| branch.name.as_str());
    let names: Vec<&str> = branches.chain(tags.iter().map(|tag| tag.name.as_str())).collect();
    // What follows a name says which of its versions is meant.
    let wanted = reference.split(['~', '@']).next().unwrap_or_default();
    let wanted = wanted.rsplit_once(':').map_or(wanted, |(_, name)| name);
    if names.contains(&wanted) {
        return failure.hint_if_none("`strand log` shows the versions that there are");
    }
    failure.offer(wanted, names).hint_if_none("`strand branch list` and `strand tag list` show what there is")
}

/// The same failure, with the nearest table or view if there is none of that name.
pub(crate) async fn near_table(at: &Ref, name: &str, failure: Failure) -> Failure {
    if !failure.is(ErrorKind::NotFound) {
        return failure;
    }
    let (tables, views) = (at.tables().await.unwrap_or_default(), at.views().await.unwrap_or_default());
    if views.iter().any(|view| names::are_one(view.name.as_str(), name)) {
        return failure.hint("`strand sql` reads views");
    }
    let names = tables.iter().chain(&views).map(|listed| listed.name.as_str());
    failure.offer(name, names).hint("`strand ls` shows what there is")
}
