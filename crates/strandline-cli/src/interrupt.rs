//! Ctrl-C: nothing is left half-done, and what became of the work is said.
//!
//! Until a commit begins, dropping the work leaves nothing but objects that nobody refers to. Once it has begun it is waited
//! for, since dropping it would leave its outcome unknown; who insists gets the transaction's id to look for.

use std::future::{Future, IntoFuture};
use std::io;
use std::sync::{LazyLock, mpsc};

use strandline::{Report, Transaction};
use tokio::sync::watch;

use crate::context::Context;
use crate::failure::{Failure, Result};

/// What is said of a statement that is interrupted.
pub(crate) const STATEMENT: &str =
    "interrupted; a statement that was committing has happened whole or not at all";

/// From here on Ctrl-C does not end the process by itself: what it ends is told by whoever waits for it.
pub(crate) fn listen() {
    LazyLock::force(&PRESSED);
}

/// Runs what commits nothing, until it is interrupted.
pub(crate) async fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    run_or(work, "interrupted").await
}

/// Runs what is done before a commit begins.
pub(crate) async fn before_commit<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    run_or(work, "interrupted; nothing was committed").await
}

/// Runs statements, which may commit; the message says what becomes of one that was committing.
pub(crate) async fn statements<T>(work: impl Future<Output = Result<T>>, message: &str) -> Result<T> {
    tokio::select! {
        biased;
        done = work => done,
        () = interrupted() => {
            Err(Failure::interrupted(message).hint("`strand log` shows what was committed"))
        }
    }
}

/// Runs what commits nothing, and says what became of it if it is interrupted.
pub(crate) async fn run_or<T>(work: impl Future<Output = Result<T>>, message: &str) -> Result<T> {
    tokio::select! {
        biased;
        done = work => done,
        () = interrupted() => Err(Failure::interrupted(message)),
    }
}

/// Carries a commit through, whatever is pressed; pressed twice, says what to look for.
pub(crate) async fn commit(
    context: &Context,
    transaction: &Transaction,
    commit: impl IntoFuture<Output = strandline::Result<Report>>,
) -> Result<Report> {
    let mut commit = std::pin::pin!(commit.into_future());
    tokio::select! {
        biased;
        done = &mut commit => return Ok(done?),
        () = interrupted() => {}
    }
    context.out.note("the commit has begun and is being finished; press Ctrl-C again to leave it");
    tokio::select! {
        biased;
        done = &mut commit => Ok(done?),
        () = interrupted() => {
            let message = format!(
                "interrupted while committing: transaction {} has committed whole or not at all",
                transaction.id()
            );
            Err(Failure::interrupted(message).hint("look for the transaction in `strand log -o json`"))
        }
    }
}

/// Waits for Ctrl-C from now on, and not only from when it is first asked; for ever where it cannot be heard.
pub(crate) fn interrupted() -> impl Future<Output = ()> {
    let mut pressed = PRESSED.clone();
    pressed.mark_unchanged();
    async move {
        if pressed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Whether it was pressed since the command began.
pub(crate) fn was_pressed() -> bool {
    *PRESSED.borrow() > 0
}

/// How often it was pressed.
static PRESSED: LazyLock<watch::Receiver<u64>> = LazyLock::new(|| {
    let (presses, pressed) = watch::channel(0);
    let (ready, listening) = mpsc::channel();
    // A thread that does nothing else: those of the runtime may all be computing.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| runtime.block_on(hear(presses, ready)))
    });
    let _ = listening.recv();
    pressed
});

async fn hear(presses: watch::Sender<u64>, ready: mpsc::Sender<()>) {
    let Ok(mut signals) = signals() else { return };
    let _ = ready.send(());
    while signals.recv().await.is_some() {
        presses.send_modify(|times| *times += 1);
    }
}

#[cfg(unix)]
fn signals() -> io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
}

#[cfg(windows)]
fn signals() -> io::Result<tokio::signal::windows::CtrlC> {
    tokio::signal::windows::ctrl_c()
}
