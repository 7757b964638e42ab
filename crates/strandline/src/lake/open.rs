//! Opening a lake [OPEN-1].

use std::future::IntoFuture;

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{Lake as LakeFile, ObjectPath, RefName};

use crate::error::{Error, ErrorKind, Result};
use crate::lake::head::Found;
use crate::lake::{DEFAULT_BRANCH, Lake};
use crate::runtime::Runtime;
use crate::storage::{RefKind, Storage, StorageOptions, StoreLocation, StoreOptions};

/// Where a lake is and how to get there: what [`Open`] and [`Create`](crate::lake::Create) share.
#[derive(Clone, Debug)]
pub(super) struct Place {
    location: String,
    pub(super) options: StorageOptions,
    pub(super) runtime: Runtime,
}

impl Place {
    pub(super) fn new(location: String) -> Self {
        Self { location, options: StorageOptions::default(), runtime: Runtime::system() }
    }

    pub(super) async fn storage(self) -> Result<Storage> {
        Storage::open(&StoreLocation::parse(&self.location)?, &self.options, self.runtime).await
    }
}

/// A lake that is about to be opened: `.await` it.
///
/// One request, and one more if the newest commit is too large for the pointer's pack. Dropping it leaves nothing. At an address where
/// nothing answers it ends within seconds, unless [`first_patience`](crate::storage::ObjectOptions::first_patience) says otherwise; what is read
/// later waits for the store as long as [`get_patience`](crate::storage::ObjectOptions::get_patience) says.
///
/// # Errors
/// `NotFound` if there is no lake or no such branch; `Unsupported` if the lake is of a newer format or requires a feature
/// that is not known; `Corrupt` if what stands there is no pointer; `InvalidInput` for a location or an option that is
/// not known; `PermissionDenied` or `Unavailable` from the store.
///
/// ```no_run
/// # async fn example() -> strandline::Result<()> {
/// use strandline::Lake;
/// use strandline::storage::StoreOptions;
/// let options = StoreOptions::new().with("region", "eu-central-1");
/// let lake = Lake::open("s3://bucket/lakes/sales").options(options).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a lake is opened when this is awaited"]
pub struct Open {
    place: Place,
    branch: Option<RefName>,
    or_another: bool,
}

impl Open {
    pub(super) fn new(location: String) -> Self {
        Self { place: Place::new(location), branch: None, or_another: false }
    }

    /// Options of the store, under `object_store`'s own names.
    pub fn options(mut self, options: StoreOptions) -> Self {
        self.place.options.store = options;
        self
    }

    /// How the storage works: its options, its cache, how much it does at once, whether a folder is fsynced.
    pub fn storage(mut self, options: StorageOptions) -> Self {
        self.place.options = options;
        self
    }

    /// Time, randomness and environment of one's own.
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.place.runtime = runtime;
        self
    }

    /// The branch to begin with, instead of `main`.
    pub fn branch(mut self, branch: RefName) -> Self {
        self.branch = Some(branch);
        self
    }

    /// If that branch is not there, any other one of the lake: for tools that show and mend branches. Then the branches are listed.
    pub fn or_another(mut self) -> Self {
        self.or_another = true;
        self
    }

    async fn run(self) -> Result<Lake> {
        let branch = self.branch.map_or_else(|| RefName::new(DEFAULT_BRANCH), Ok)?;
        let storage = self.place.storage().await?;
        match Lake::open_in(storage.clone(), &branch).await {
            Err(error) if self.or_another && error.kind() == ErrorKind::NotFound => {
                another(&storage).await?.ok_or(error)
            }
            opened => opened,
        }
    }
}

impl Lake {
    /// Opens the lake in a storage that the caller has made. Requests and errors as of [`Open`].
    ///
    /// # Errors
    /// As [`Open`].
    pub async fn open_in(storage: Storage, branch: &RefName) -> Result<Self> {
        let at = |error: Error| error.at(storage.location());
        match Found::load(&storage, branch).await.map_err(at)? {
            Found::Head(head) => Ok(Self::new(storage, head)),
            Found::Absent => Err(at(why_not(&storage, branch).await.map_err(at)?)),
            deleted @ Found::Deleted => {
                deleted.head(branch).map_err(at).map(|head| Self::new(storage.clone(), head))
            }
        }
    }
}

impl IntoFuture for Open {
    type Output = Result<Lake>;
    type IntoFuture = BoxFuture<'static, Result<Lake>>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

/// The lake at the first of its branches that is live.
async fn another(storage: &Storage) -> Result<Option<Lake>> {
    for name in storage.refs().list(RefKind::Branch).await? {
        if let Found::Head(head) = Found::load(storage, &name).await? {
            return Ok(Some(Lake::new(storage.clone(), head)));
        }
    }
    Ok(None)
}

/// Says why there is no pointer: no lake at all, one whose creation was cut off, or just no such branch.
async fn why_not(storage: &Storage, branch: &RefName) -> Result<Error> {
    let Some(file) = storage.refs().load(&ObjectPath::lake()).await? else {
        let text = "there is no lake here: make one, or look at the location";
        return Ok(Error::new(ErrorKind::NotFound, text));
    };
    LakeFile::parse(&file.bytes).map_err(|error| error.at(ObjectPath::lake()))?;
    let text = match branch.as_str() {
        DEFAULT_BRANCH => {
            "a lake was begun here, but it has no branch \"main\": creating it again completes it".to_owned()
        }
        name => format!("there is no branch {name:?}"),
    };
    Ok(Error::new(ErrorKind::NotFound, text))
}
