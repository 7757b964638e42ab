//! The command as a person meets it: whole sessions, whose text is compared, and what sessions cannot show.
//!
//! A session is a file of `sessions/`, run in a folder of its own; what changes from run to run is elided there by `[..]`.
//! `TRYCMD=overwrite` writes sessions anew.

#[cfg(test)]
mod pipes;
#[cfg(test)]
mod shell;

#[test]
fn sessions_are_as_they_are_written() {
    trycmd::TestCases::new()
        .case("tests/cmd/sessions/*.trycmd")
        .env("STRANDLINE_LAKE", "")
        .env("STRANDLINE_CONFIG", "no-config.toml")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100");
}
