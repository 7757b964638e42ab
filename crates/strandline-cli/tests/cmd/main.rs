//! The command as a person meets it: whole sessions, whose text is compared, and what sessions cannot show.
//!
//! A session is a file of `sessions/`, run in a folder of its own; what changes from run to run is elided there by `[..]`.
//! `TRYCMD=overwrite` writes sessions anew.

#[cfg(test)]
mod bucket;
#[cfg(test)]
mod command;
#[cfg(test)]
mod exits;
#[cfg(test)]
mod forms;
#[cfg(test)]
#[cfg(unix)]
mod interrupts;
#[cfg(test)]
mod meant;
#[cfg(test)]
mod paging;
#[cfg(test)]
mod pipes;
#[cfg(test)]
mod races;
#[cfg(test)]
#[cfg(unix)]
mod readme;
#[cfg(test)]
mod shell;
#[cfg(test)]
mod stores;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod values;

#[test]
fn sessions_are_as_they_are_written() {
    trycmd::TestCases::new()
        .case("tests/cmd/sessions/*.trycmd")
        .env("STRANDLINE_LAKE", "")
        .env("STRANDLINE_CONFIG", command::NO_CONFIG)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100");
}
