//! A bucket in this process, for what a folder cannot show: refused credentials, broken conditions, a moment in the middle.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use strandline_testkit::wire::{HttpRequest, HttpServer, StubBucket};

use crate::command::strand;

/// How long a moment in the middle lasts at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// The command, in a folder, about a lake in the bucket that a server has.
pub(crate) fn strand_at(server: &HttpServer, folder: &Path) -> Command {
    let mut command = strand(folder);
    command.env("STRANDLINE_LAKE", "s3://bucket/lake").envs([
        ("AWS_ENDPOINT", server.url().as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "the-secret"),
    ]);
    command
}

/// A bucket that can be stopped at a request.
pub(crate) struct Stopped {
    pub(crate) server: HttpServer,
    gate: Gate,
}

/// That a request came, what lets it go on, and that it was carried out.
struct Gate {
    arrived: Receiver<()>,
    go_on: Sender<()>,
    done: Receiver<()>,
}

impl Stopped {
    /// At each put of the pointer of `main` once a file of this name is there.
    pub(crate) fn at_the_swap_of_main(when: std::path::PathBuf) -> Self {
        let (arrive, arrived) = channel();
        let (go_on, waits) = channel::<()>();
        let (finish, done) = channel();
        let (bucket, waits) = (StubBucket::s3(), Mutex::new(waits));
        let server = HttpServer::start(move |request| {
            if !is_swap_of_main(request) || !when.exists() {
                return bucket.answer(request);
            }
            let _ = arrive.send(());
            let _ = waits.lock().unwrap().recv_timeout(PATIENCE);
            let answer = bucket.answer(request);
            let _ = finish.send(());
            answer
        });
        Self { server: server.unwrap(), gate: Gate { arrived, go_on, done } }
    }

    /// Until a request is stopped.
    pub(crate) fn wait(&self) {
        self.gate.arrived.recv_timeout(PATIENCE).unwrap();
    }

    /// Lets it go on, whether or not anybody still waits for the answer, until it is carried out.
    pub(crate) fn release(&self) {
        self.gate.go_on.send(()).unwrap();
        self.gate.done.recv_timeout(PATIENCE).unwrap();
    }
}

fn is_swap_of_main(request: &HttpRequest) -> bool {
    request.method == "PUT" && request.path().ends_with("/lake/refs/branches/main.json")
}
