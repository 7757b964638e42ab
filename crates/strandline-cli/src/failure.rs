//! What went wrong, as a person and as a program reads it: message and hint apart, or one JSON object.
//!
//! Invariants: the kind of an error of the SDK survives whatever it was wrapped in on its way here; a failure is said on
//! standard error, never among data. What does not belong here: which number it ends with (`exit`).

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use strandline::near::offer_of;
use strandline::storage::StoreAnswer;
use strandline::{Conflict, ErrorKind};
use strandline_datafusion::OnlyRead;

use crate::contested::{ContestedRow, lines};
use crate::exit::Exit;
use crate::output::{Style, harmless};
use crate::wording::plain;

/// A result of a verb.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why a verb did not do what it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Failure(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    exit: Exit,
    kind: String,
    message: String,
    hint: Option<String>,
    conflicts: Vec<String>,
    /// The rows among them.
    rows: Vec<ContestedRow>,
    retryable: bool,
    /// A store, or the client on the way to it, has said it: it came of a request.
    of_store: bool,
    /// Not even the bucket is there.
    lacks_bucket: bool,
    /// It was to be written where things are only read.
    only_read: bool,
    /// Nobody reads what is written: nothing is said, and it is no error.
    unheard: bool,
}

/// A failure as programs read it.
#[derive(Serialize)]
struct Object<'a> {
    error: Fields<'a>,
}

#[derive(Serialize)]
struct Fields<'a> {
    kind: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
    exit: u8,
    retryable: bool,
    conflicts: &'a [String],
    rows: &'a [ContestedRow],
}

impl Failure {
    fn new(exit: Exit, kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            exit,
            kind: kind.into(),
            message: message.into(),
            hint: None,
            conflicts: Vec::new(),
            rows: Vec::new(),
            retryable: false,
            of_store: false,
            lacks_bucket: false,
            only_read: false,
            unheard: false,
        }))
    }

    /// A command line that makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Something that was given, data or text, is not what it should be.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(Exit::Error, ErrorKind::InvalidInput.as_str(), message)
    }

    /// Something that was named is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, ErrorKind::NotFound.as_str(), message)
    }

    /// An error of a file at this place.
    pub(crate) fn io(place: impl fmt::Display, error: &io::Error) -> Self {
        Self::of_io(error).at(place)
    }

    fn of_io(error: &io::Error) -> Self {
        let (kind, message) = match error.kind() {
            io::ErrorKind::NotFound => (ErrorKind::NotFound, "there is no such file or folder"),
            io::ErrorKind::PermissionDenied => (ErrorKind::PermissionDenied, "this user has no right to it"),
            io::ErrorKind::StorageFull => (ErrorKind::StoreFull, "the disk is full"),
            io::ErrorKind::AlreadyExists => (ErrorKind::AlreadyExists, "it is there already"),
            io::ErrorKind::IsADirectory => (ErrorKind::InvalidInput, "it is a folder"),
            io::ErrorKind::InvalidData => (ErrorKind::InvalidInput, "it is not text in UTF-8"),
            _ => return Self::new(Exit::Error, "input or output", error.to_string()),
        };
        Self::new(Exit::of(kind), kind.as_str(), message)
    }

    /// What two sides disagree on.
    pub(crate) fn conflicts(listed: Vec<String>, rows: Vec<ContestedRow>) -> Self {
        let mut failure = Self::new(Exit::Conflict, ErrorKind::Conflict.as_str(), listed.join("; "));
        (failure.0.conflicts, failure.0.rows) = (listed, rows);
        failure
    }

    /// What is not done, since it would take away what somebody may still want.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Conflict, ErrorKind::Conflict.as_str(), message)
    }

    /// Ctrl-C; the message says what became of the work.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Exit::Interrupted, "interrupted", message)
    }

    /// The same, with what to do about it in the place of what is said by itself.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same, with what to do about it if nothing is said of that.
    pub(crate) fn hint_if_none(mut self, hint: &str) -> Self {
        self.0.hint.get_or_insert_with(|| hint.to_owned());
        self
    }

    /// The same, with what to do about it if it is of this kind.
    pub(crate) fn hint_if(self, kind: ErrorKind, hint: impl Into<String>) -> Self {
        if self.is(kind) { self.hint(hint) } else { self }
    }

    /// The same, with the nearest of these names for the one that does not exist, unless the SDK has offered one.
    pub(crate) fn offer<'n>(mut self, wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Self {
        if !self.0.message.contains("did you mean") {
            self.0.message.push_str(&offer_of(wanted, names));
        }
        self
    }

    /// The same, said to be at `place`, which goes in front of the message.
    pub(crate) fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    /// The same in other words.
    pub(crate) fn reworded(mut self, words: impl Fn(&str) -> String) -> Self {
        self.0.message = words(&self.0.message);
        self
    }

    /// The same, of a text that is a part of another one and begins there: what the parser says of lines and columns is of the whole.
    pub(crate) fn moved(mut self, line: usize, column: usize) -> Self {
        if let Some(message) = moved(&self.0.message, line, column) {
            self.0.message = message;
        }
        self
    }

    /// The same; if it is about what was given, then the command line was wrong, unless it came of a request: what is wrong there may
    /// as well be the store, and verbs that ask it for other things say the same.
    pub(crate) fn of_arguments(mut self) -> Self {
        if self.is(ErrorKind::InvalidInput) && !self.0.of_store {
            self.0.exit = Exit::Usage;
        }
        self
    }

    pub(crate) fn is(&self, kind: ErrorKind) -> bool {
        self.0.kind == kind.as_str()
    }

    /// Whether not even the bucket or container is there.
    pub(crate) fn lacks_bucket(&self) -> bool {
        self.0.lacks_bucket
    }

    /// Whether something was to be written to a tag or an older version.
    pub(crate) fn is_only_read(&self) -> bool {
        self.0.only_read
    }

    /// Whether a commit was refused because of what others have committed.
    pub(crate) fn collides(&self) -> bool {
        self.is(ErrorKind::Conflict) && !self.0.conflicts.is_empty()
    }

    /// Nothing, if nobody reads what is written any more.
    pub(crate) fn heard(self) -> Result<()> {
        if self.0.unheard { Ok(()) } else { Err(self) }
    }

    pub(crate) fn exit(&self) -> Exit {
        self.0.exit
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// Says it on standard error, and how the command ends then. Nobody hears it if that is closed.
    pub(crate) fn say(&self, json: bool, style: Style) -> Exit {
        let text = if json { self.json() } else { self.text(style) };
        let _ = io::stderr().write_all(text.as_bytes());
        self.exit()
    }

    /// How it is said to a person; nothing if nobody is there to hear it.
    fn text(&self, style: Style) -> String {
        if self.0.unheard {
            return String::new();
        }
        let said = matches!(self.0.exit, Exit::Usage | Exit::Interrupted)
            || self.0.message.starts_with(&self.0.kind);
        let kind = if said { String::new() } else { format!("{}: ", self.0.kind) };
        let mut text = format!("{} {kind}{}\n", style.error("error:"), harmless_lines(&self.0.message));
        text.push_str(&lines(&self.0.rows));
        if let Some(hint) = &self.0.hint {
            text.push_str(&format!("{} {}\n", style.hint("hint:"), harmless_lines(hint)));
        }
        text
    }

    /// How it is said to a program: one object on one line.
    fn json(&self) -> String {
        let Inner { exit, kind, message, hint, conflicts, rows, retryable, unheard, .. } = &*self.0;
        if *unheard {
            return String::new();
        }
        let hint = hint.as_deref();
        let error = Fields { kind, message, hint, exit: *exit as u8, retryable: *retryable, conflicts, rows };
        serde_json::to_string(&Object { error }).map(|text| text + "\n").unwrap_or_default()
    }
}

/// A message with another place in it; `None` if there is none.
fn moved(message: &str, line: usize, column: usize) -> Option<String> {
    let (before, place) = message.split_once(" at Line: ")?;
    let (found, rest) = place.split_once(", Column: ")?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (at, rest) = rest.split_at(digits);
    let (found, at): (usize, usize) = (found.parse().ok()?, at.parse().ok()?);
    let at = if found == 1 { at + column - 1 } else { at };
    Some(format!("{before} at Line: {}, Column: {at}{rest}", found + line - 1))
}

/// A message with values and names of others in it, none of which commands the terminal.
fn harmless_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| harmless(line.to_owned())).collect();
    lines.join("\n")
}

/// What to do about an error of this kind, where nothing more is known.
fn hint_of(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::Conflict => "nothing was committed; run it again, it will see what the others did",
        ErrorKind::CommitUnknown => "look for the transaction in `strand log` before you run it again",
        ErrorKind::PermissionDenied => "`strand doctor` says which rights are missing",
        ErrorKind::Corrupt => "no wrong rows were given; restore the object from any copy of the lake",
        ErrorKind::Unsupported => "a newer version of `strand` may know it",
        ErrorKind::SnapshotExpired => "`strand log` shows the versions that are kept",
        ErrorKind::StoreUnsuitable => "keep the lake in another store; `strand doctor` tries one",
        ErrorKind::StoreFull => "nothing of it was done; make room and run it again",
        ErrorKind::Unavailable => "try again, or see what `strand doctor` can reach",
        _ => return None,
    })
}

/// Whether an error tells of what nobody supports, and not of what a lake has and this version does not know: that has a cause.
fn is_refused_for_good(error: &strandline::Error) -> bool {
    error.kind() == ErrorKind::Unsupported && error.source().is_none()
}

impl From<&strandline::Error> for Failure {
    fn from(error: &strandline::Error) -> Self {
        let kind = error.kind();
        let mut failure = Self::new(Exit::of(kind), kind.as_str(), error.message());
        failure.0.hint = hint_of(kind).filter(|_| !is_refused_for_good(error)).map(ToOwned::to_owned);
        failure.0.retryable = error.is_retryable();
        let answer = find::<StoreAnswer>(error);
        failure.0.of_store = answer.is_some();
        failure.0.lacks_bucket = answer.is_some_and(StoreAnswer::is_of_missing_bucket);
        failure.0.only_read = find::<OnlyRead>(error).is_some();
        if kind == ErrorKind::Conflict && !error.is_retryable() {
            failure.0.hint = Some("nothing was committed; decide, as the message says".to_owned());
        }
        failure.0.conflicts = error.conflicts().iter().map(Conflict::to_string).collect();
        failure
    }
}

impl From<strandline::Error> for Failure {
    fn from(error: strandline::Error) -> Self {
        // A failure of our own goes through the SDK where it reads rows that we make.
        match find::<Failure>(&error) {
            Some(own) => own.clone(),
            None => Self::from(&error),
        }
    }
}

impl From<strandline::format::Error> for Failure {
    fn from(error: strandline::format::Error) -> Self {
        strandline::Error::from(error).into()
    }
}

impl From<strandline::arrow::error::ArrowError> for Failure {
    fn from(error: strandline::arrow::error::ArrowError) -> Self {
        Self::of_any(&error)
    }
}

impl From<parquet::errors::ParquetError> for Failure {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::of_any(&error)
    }
}

/// Where nobody reads what is written any more, nothing is left to say.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let unheard = error.kind() == io::ErrorKind::BrokenPipe;
        let mut failure = Self::of_io(&error);
        if unheard {
            failure.0.exit = Exit::Ok;
            failure.0.unheard = true;
        }
        failure
    }
}

impl Failure {
    /// An error of a library: ours if there is one behind it.
    pub(crate) fn of_any(error: &(dyn StdError + 'static)) -> Self {
        if let Some(own) = find::<strandline::Error>(error) {
            return own.into();
        }
        match find::<io::Error>(error) {
            Some(io) if matches!(io.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::StorageFull) => {
                io::Error::from(io.kind()).into()
            }
            _ => Self::input(plain(&error.to_string())),
        }
    }
}

/// The first error of this type among an error and its sources.
fn find<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind, self.0.message)
    }
}

impl StdError for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_commands_no_terminal() {
        let failure = Failure::input("s = x\u{1b}[31m:\nno number").hint("not \u{1b}");
        let text = failure.text(Style::PLAIN);
        assert_eq!(text.matches('\u{1b}').count(), 0, "{text}");
        assert!(text.contains("x\\u{1b}[31m:\nno number\nhint: not \\u{1b}\n"), "{text}");
    }

    #[test]
    fn places_are_those_of_the_whole_text() {
        let check = |message: &str, expected: &str| {
            assert_eq!(Failure::input(message).moved(5, 3).message(), expected);
        };
        check("found: x at Line: 1, Column: 8", "found: x at Line: 5, Column: 10");
        check("found: x at Line: 2, Column: 8 there", "found: x at Line: 6, Column: 8 there");
        check("it is at Line: none", "it is at Line: none");
        check("no table", "no table");
    }
}
