//! Makes a lake in a folder, swaps its pointer once, and prints what stands in the bucket.
//!
//! `cargo run --example quickstart [folder]`: without a folder, one that is removed again.
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::time::Duration;

use futures::TryStreamExt;
use object_store::ObjectStore;
use strandline::storage::{Loaded, Settled, Storage};
use strandline::{Deadline, Lake, Result};
use strandline_format::Pointer;

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let scratch = tempfile::tempdir()?;
    let folder = std::env::args().nth(1).unwrap_or_else(|| scratch.path().join("lake").display().to_string());

    println!("Making a lake in {folder}");
    let lake = Lake::create(&folder).await?;
    println!("  lake {}", lake.id());
    print_bucket(lake.storage()).await?;

    println!("\nReplacing the pointer of main, by one conditional put");
    let before = lake.head().pointer();
    println!("  before: swap {}, nonce {}", before.seq(), before.nonce());
    let after = swap(&lake).await?;
    println!("  after:  swap {}, nonce {}", after.seq(), after.nonce());

    println!("\nThe same swap again: the pointer has moved, so it changes nothing");
    swap_is_stale(&lake).await?;

    println!("\nOpening it afresh takes one request");
    let opened = Lake::open(&folder).await?;
    let commit = opened.head().commit();
    println!("  version {} of {}: {:?}", commit.seq, commit.time, commit.message.as_str());
    Ok(())
}

/// Swaps in a pointer that differs only in its nonce: what fences off an older swap whose answer was lost.
async fn swap(lake: &Lake) -> Result<Pointer> {
    match try_swap(lake).await? {
        Settled::Applied(now) => Ok(Pointer::parse(&now.bytes)?),
        Settled::NotApplied(_) => {
            Err(strandline::Error::new(strandline::ErrorKind::Conflict, "somebody was faster"))
        }
        Settled::Unknown(error) => Err(error),
    }
}

async fn swap_is_stale(lake: &Lake) -> Result<()> {
    match try_swap(lake).await? {
        Settled::NotApplied(_) => println!("  refused, as it must be"),
        Settled::Applied(_) => println!("  applied: this store loses commits!"),
        Settled::Unknown(error) => return Err(error),
    }
    Ok(())
}

async fn try_swap(lake: &Lake) -> Result<Settled> {
    // Nobody else is at this lake, so nobody builds upon the swap before it is read back: the nonce tells it.
    let mine = |nonce| move |now: &Loaded| Ok(Pointer::parse(&now.bytes)?.nonce() == nonce);
    lake.swap(lake.head(), Ok, mine, Deadline::after(Duration::from_secs(10))).await
}

/// Lists what stands there, as any tool of the store's would.
async fn print_bucket(storage: &Storage) -> std::result::Result<(), object_store::Error> {
    let mut objects: Vec<_> = storage.objects().store().list(None).try_collect().await?;
    objects.sort_by(|left, right| left.location.cmp(&right.location));
    for object in objects {
        println!("  {:>6} bytes  {}", object.size, object.location);
    }
    Ok(())
}
