//! Everything that can be asked of a place, tried once, and what came of it: a word for each, so that a test is a table.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use strandline::storage::{DataKind, Objects, RefKind, Storage, Swap};
use strandline::{Error, Result};
use strandline_format::{Era, ObjectRef, TableId};
use tokio::time::{Instant, timeout};

use crate::lake;

/// How long one call may take when the place is broken.
pub(crate) const SECONDS: Duration = Duration::from_secs(30);

/// One call and what came of it: `ok`, what a swap came to, or the kind of the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) call: &'static str,
    pub(crate) outcome: String,
    /// The error as people and logs see it, with its causes.
    pub(crate) text: String,
    pub(crate) took: Duration,
}

impl Tried {
    /// As one process says it to another.
    pub(crate) fn to_line(&self) -> String {
        format!(
            "{}\t{}\t{}\t{}",
            self.call,
            self.outcome,
            self.took.as_millis(),
            self.text.replace(['\t', '\n'], " ")
        )
    }

    /// The reverse.
    pub(crate) fn of_line(line: &str) -> Self {
        let [call, outcome, took, text] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line:?}")
        };
        let call = CALLS.iter().find(|known| **known == call).unwrap();
        let took = Duration::from_millis(took.parse().unwrap());
        Self { call, outcome: outcome.to_owned(), text: text.to_owned(), took }
    }
}

/// The calls that [`everything`] makes.
const CALLS: &[&str] = &["load", "list", "get", "put", "put data", "write data", "swap", "probe"];

/// Tries a call.
pub(crate) async fn tried<T: Debug>(call: &'static str, work: impl Future<Output = Result<T>>) -> Tried {
    let started = Instant::now();
    let ended = timeout(3 * SECONDS, work).await;
    let took = started.elapsed();
    let (outcome, text) = match ended {
        Err(_) => ("hangs".to_owned(), String::new()),
        Ok(Ok(_)) => ("ok".to_owned(), String::new()),
        Ok(Err(error)) => (error.kind().to_string(), shown(&error)),
    };
    Tried { call, outcome, text, took }
}

/// Tries a swap.
pub(crate) async fn tried_swap(call: &'static str, swap: impl Future<Output = Result<Swap>>) -> Tried {
    let mut said = None;
    let tried = tried(call, async {
        said = Some(swap.await?);
        Ok(())
    })
    .await;
    match said {
        None => tried,
        Some(Swap::Swapped(_)) => Tried { outcome: "swapped".to_owned(), ..tried },
        Some(Swap::Moved(_)) => Tried { outcome: "moved".to_owned(), ..tried },
        Some(Swap::Unknown(error)) => Tried { outcome: "unknown".to_owned(), text: shown(&error), ..tried },
    }
}

/// The text of the object that stands in the lakes of these tests.
pub(crate) const TEXT: &[u8] = b"{}";

/// That object.
pub(crate) fn object() -> ObjectRef {
    Objects::meta_ref(TEXT, Era(0))
}

/// Everything that writes, and the reads around it, all at once, in a lake that has [`object`].
pub(crate) async fn everything(storage: &Storage) -> Vec<Tried> {
    let (refs, objects) = (storage.refs(), storage.objects());
    let (object, path, large) = (object(), lake::main(), Bytes::from(vec![7; 1 << 20]));
    let calls: [BoxFuture<'_, Tried>; 8] = [
        tried("load", refs.load(&path)).boxed(),
        tried("list", refs.list(RefKind::Branch)).boxed(),
        tried("get", objects.get_meta(&object)).boxed(),
        tried("put", objects.put_meta(Bytes::from_static(b"{\"a\":1}"), Era(7))).boxed(),
        tried("put data", objects.put_data(DataKind::File, table(), large.clone(), Era(7))).boxed(),
        tried("write data", write(storage, &large)).boxed(),
        swap(storage, 200_000).boxed(),
        tried("probe", storage.probe()).boxed(),
    ];
    join_all(calls).await
}

/// The table that the tests' data files belong to.
pub(crate) fn table() -> TableId {
    "5f1b9c0e-6f0a-4d8e-9a3b-0d6f5b1c2a3d".parse().unwrap()
}

/// Writes a data object piece by piece.
pub(crate) async fn write(storage: &Storage, bytes: &[u8]) -> Result<ObjectRef> {
    let mut writer = storage.objects().write_data(DataKind::DeletionVector, table(), Era(7));
    for piece in bytes.chunks(64 << 10) {
        writer.write(piece).await?;
    }
    writer.finish().await
}

/// Swaps what stands in the pointer for something this long; creates it if it is not there or cannot be read.
pub(crate) async fn swap(storage: &Storage, length: usize) -> Tried {
    let current = storage.refs().load(&lake::main()).await.unwrap_or_default();
    let expected = current.as_ref().map(|loaded| &loaded.token);
    let path = lake::main();
    tried_swap("swap", storage.refs().swap(&path, expected, vec![b'x'; length].into())).await
}

/// An error as people and logs see it, with its causes.
pub(crate) fn shown(error: &Error) -> String {
    let mut text = format!("{error} / {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(" / {error} / {error:?}");
        cause = error.source();
    }
    text
}
