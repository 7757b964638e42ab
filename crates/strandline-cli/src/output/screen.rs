//! Where data goes: standard output, or, where a person looks on and it is longer than the screen, a pager.
//!
//! Invariants: nothing is held back but what fits on one screen of a terminal; a pager that cannot be started is done without;
//! once one runs, whoever drops the screen waits until the person has left it. A person who leaves it early is nobody who
//! reads any more: the write fails with a broken pipe. What does not belong here: what is printed.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use strandline::Environment;

use crate::interrupt;

/// What pages where `PAGER` names nothing: it ends by itself if all fits, keeps colours, and leaves the text on the screen.
const DEFAULT: &str = "less -FRX";

/// The command that shows what is longer than the screen.
#[derive(Clone, Debug)]
pub(crate) struct Pager(Arc<str>);

impl Pager {
    /// The one that the environment names; none where nobody sees standard output, or where none is wanted.
    pub(crate) fn of(environment: &dyn Environment) -> Option<Self> {
        let dumb = environment.variable("TERM").is_some_and(|term| term == "dumb");
        let named = environment.variable("PAGER").unwrap_or_else(|| DEFAULT.to_owned());
        let wanted = !dumb && !matches!(named.trim(), "" | "cat") && io::stdout().is_terminal();
        wanted.then(|| Self(named.into()))
    }

    /// As a shell would run it, since it may have arguments.
    fn start(&self) -> io::Result<Child> {
        if !self.is_there()? {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        // From here on Ctrl-C is the pager's, and must not end this process, which would leave it without a terminal.
        interrupt::listen();
        Command::new(shell).args([flag, &self.0]).stdin(Stdio::piped()).spawn()
    }
}

impl Pager {
    /// Whether the shell finds it, which would say so too late.
    fn is_there(&self) -> io::Result<bool> {
        if cfg!(windows) {
            return Ok(true);
        }
        let command = self.0.split_whitespace().find(|word| !word.contains('='));
        let find = ["-c", "command -v \"$1\" >/dev/null", "sh", command.unwrap_or_default()];
        Command::new("sh").args(find).status().map(|status| status.success())
    }
}

/// Standard output, in larger pieces, paged if it is long.
#[derive(Debug)]
pub(crate) struct Screen(State);

#[derive(Debug)]
enum State {
    Plain(BufWriter<Stdout>),
    Held(Held),
    Paged(Paged),
}

impl Screen {
    /// One that is never paged.
    pub(crate) fn plain() -> Self {
        Self(State::Plain(BufWriter::new(io::stdout())))
    }

    /// One that is paged if it gets longer than the terminal.
    pub(super) fn paged_by(pager: Option<&Pager>) -> Self {
        let size = terminal_size::terminal_size();
        match (pager, size) {
            (Some(pager), Some((width, height))) => {
                Self(State::Held(Held::new(pager.clone(), width.0.into(), height.0.into())))
            }
            _ => Self::plain(),
        }
    }

    /// Shows what was held back so far, through the pager if it was too long.
    fn release(&mut self) -> io::Result<()> {
        let State::Held(held) = &mut self.0 else { return Ok(()) };
        let text = std::mem::take(&mut held.text);
        self.0 = held
            .is_long()
            .then(|| Paged::start(&held.pager))
            .flatten()
            .map_or_else(|| State::Plain(BufWriter::new(io::stdout())), State::Paged);
        self.write_all(&text)
    }
}

impl Write for Screen {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            State::Plain(out) => out.write(text),
            State::Paged(paged) => paged.pipe.write(text),
            State::Held(held) => {
                held.take(text);
                if held.is_long() {
                    self.release()?;
                }
                Ok(text.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.release()?;
        match &mut self.0 {
            State::Plain(out) => out.flush(),
            State::Paged(paged) => paged.pipe.flush(),
            State::Held(_) => Ok(()),
        }
    }
}

/// Text that fits on the terminal so far.
#[derive(Debug)]
struct Held {
    text: Vec<u8>,
    pager: Pager,
    width: usize,
    /// How many lines fit; the prompt that follows takes one as well.
    room: usize,
    lines: usize,
    /// How much of the last line there is.
    column: usize,
}

impl Held {
    fn new(pager: Pager, width: usize, height: usize) -> Self {
        let (width, room) = (width.max(1), height.saturating_sub(1));
        Self { text: Vec::new(), pager, width, room, lines: 0, column: 0 }
    }

    /// Bytes count as columns: what is taken for too long and is not is shown at once by a pager that ends by itself.
    fn take(&mut self, text: &[u8]) {
        for byte in text {
            if *byte == b'\n' || self.column == self.width {
                self.lines += 1;
                self.column = 0;
            }
            if *byte != b'\n' {
                self.column += 1;
            }
        }
        self.text.extend_from_slice(text);
    }

    fn is_long(&self) -> bool {
        self.lines + usize::from(self.column > 0) > self.room
    }
}

/// A pager that runs.
#[derive(Debug)]
struct Paged {
    pipe: BufWriter<Pipe>,
    child: Child,
}

impl Paged {
    fn start(pager: &Pager) -> Option<Self> {
        let mut child = pager.start().ok()?;
        let pipe = BufWriter::new(Pipe(child.stdin.take()));
        Some(Self { pipe, child })
    }
}

impl Drop for Paged {
    fn drop(&mut self) {
        let _ = self.pipe.flush();
        self.pipe.get_mut().0 = None;
        let _ = self.child.wait();
    }
}

/// What the pager reads, until it is closed.
#[derive(Debug)]
struct Pipe(Option<ChildStdin>);

impl Write for Pipe {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Err(io::ErrorKind::BrokenPipe.into()), |pipe| pipe.write(text))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_no_line_for_the_prompt_is_long() {
        let check = |text: &str, expected| {
            let mut held = Held::new(Pager("less".into()), 10, 4);
            held.take(text.as_bytes());
            assert_eq!(held.is_long(), expected, "{text:?}");
        };
        check("", false);
        check("one\ntwo\nthree\n", false);
        check("one\ntwo\nthree\nfour", true);
        // A line that just fits takes one line, a longer one takes more.
        check("0123456789\n0123456789\nthree\n", false);
        check("01234567890\n0123456789\nthree\n", true);
    }
}
