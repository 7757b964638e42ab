//! One process: a runtime of its own under paused time, and a handle of the lake, which go together when it crashes.

use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::time::Duration;

use futures::future::Either;
use object_store::ObjectStore;
use strandline::storage::{ObjectOptions, Storage, StoreLocation};
use strandline::{Lake, Runtime};
use strandline_testkit::{Intercepted, SeededRandom, VirtualClock};
use tokio::runtime::Runtime as Tokio;

use crate::histories::cut::{Cut, Fuse};

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It runs to its end.
    Run,
    /// Its future is dropped after so many polls; the process lives on.
    Cut(u8),
    /// Its process ends after so many points, two for each request of the store.
    Crash(u8),
}

/// A process.
pub(crate) struct Process {
    store: Arc<dyn ObjectStore>,
    fuse: Intercepted<Fuse>,
    seed: u64,
    clock: VirtualClock,
    /// `None` only while it is begun anew.
    running: Option<(Lake, Tokio)>,
}

impl Process {
    /// A process that makes the lake, or opens it if it is there.
    pub(crate) fn begin(store: &Arc<dyn ObjectStore>, seed: u64, clock: &VirtualClock) -> Self {
        let fuse = Intercepted::layered(store.clone(), Fuse::default());
        let mut process = Self { store: store.clone(), fuse, seed, clock: clock.clone(), running: None };
        process.begin_anew();
        process
    }

    /// Ends it where it is, and begins another one in its place.
    pub(crate) fn begin_anew(&mut self) {
        if let Some((lake, tokio)) = self.running.take() {
            drop(lake);
            tokio.shutdown_background();
        }
        self.seed += 1_000;
        self.fuse = Intercepted::layered(self.store.clone(), Fuse::default());
        let runtime =
            Runtime::system().with_random(SeededRandom::new(self.seed)).with_clock(self.clock.clone());
        let shared: Arc<dyn ObjectStore> = Arc::new(self.fuse.clone());
        let location = StoreLocation::parse("memory://histories").unwrap();
        let storage =
            Storage::from_stores(location, shared.clone(), shared, ObjectOptions::default(), runtime);
        let tokio =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let lake = tokio.block_on(async {
            match crate::fixture::open(storage.clone()).await {
                Ok(lake) => lake,
                Err(_) => Lake::create_in(storage).await.unwrap(),
            }
        });
        self.running = Some((lake, tokio));
    }

    /// Its handle of the lake.
    pub(crate) fn lake(&self) -> &Lake {
        &self.running.as_ref().unwrap().0
    }

    /// The store without the process's own layer.
    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// Runs something to its end.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.running.as_ref().unwrap().1.block_on(future)
    }

    /// Runs something as far as its fate lets it. `None`: it was cut off, and if its process crashed with it, `begin_anew` is due.
    pub(crate) fn run_to<T>(&self, fate: Fate, future: impl IntoFuture<Output = T>) -> Option<T> {
        match fate {
            Fate::Run => Some(self.run(future.into_future())),
            Fate::Cut(polls) => {
                let cut = self.run(Cut::after(usize::from(polls), future));
                // Whatever it had begun comes to its end: that is what the process goes on to do.
                self.run(async { tokio::time::sleep(Duration::from_secs(300)).await });
                cut
            }
            Fate::Crash(points) => {
                let fuse = self.fuse.layer();
                fuse.set(u64::from(points));
                let future = std::pin::pin!(future.into_future());
                let blown = std::pin::pin!(fuse.blown());
                let ended = self.run(futures::future::select(future, blown));
                match ended {
                    // Who has an answer as the process ends does not live to tell.
                    Either::Left((output, _)) => fuse.reset().then_some(output),
                    Either::Right(_) => None,
                }
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some((lake, tokio)) = self.running.take() {
            drop(lake);
            tokio.shutdown_background();
        }
    }
}
