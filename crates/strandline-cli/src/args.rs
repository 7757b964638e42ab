//! The command line, as clap reads it: what all verbs take. The verbs' own arguments stand in their files.

use std::ffi::OsString;

use clap::{Args as ClapArgs, Parser};

use crate::commands::Command;
use crate::output::Format;

/// A lake in a bucket or folder: tables, branches and commits, with no server beside it.
#[derive(Debug, Parser)]
#[command(
    name = "strand",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = AFTER_HELP
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
A reference is a branch, a tag, a version or a time, like main, v1, main~3, v12,
main@{2026-01-02} or commit:3fa9c1.
Exit codes: 0 ok, 1 error, 2 usage, 3 conflict, 4 not found, 5 refused credentials
or permission, 6 integrity, 7 differences, 8 store not suitable, 130 interrupted.";

/// What all verbs take.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Options of all verbs")]
pub(crate) struct Global {
    /// The lake: a URL, a folder, or a name from the config file [default: what STRANDLINE_LAKE says]
    #[arg(short, long, global = true, value_name = "LAKE")]
    pub(crate) lake: Option<String>,
    /// The branch, tag, version or time that is read, or the branch that is written to [default: main]
    #[arg(long = "ref", global = true, value_name = "REFERENCE")]
    pub(crate) reference: Option<String>,
    /// The form of the output: table, json, ndjson or csv
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORM",
        hide_possible_values = true
    )]
    pub(crate) output: Format,
    /// An option of the store, under object_store's name for it; may be given several times
    #[arg(long = "option", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) options: Vec<(String, String)>,
    /// Says nothing but data and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Shows what is longer than the terminal without $PAGER (less -FRX, if that names none)
    #[arg(long, global = true)]
    pub(crate) no_pager: bool,
}

/// What the log says of a commit.
#[derive(Debug, ClapArgs)]
pub(crate) struct ForTheLog {
    /// Why, for the log
    #[arg(short, long)]
    pub(crate) message: Option<String>,
    /// Who, for the log
    #[arg(long)]
    pub(crate) author: Option<String>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it has the form key=value")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// The arguments of this process. One that begins with a comment of SQL is a statement, and no option: none has a space in its name.
pub(crate) fn given() -> impl Iterator<Item = OsString> {
    std::env::args_os().map(|argument| match argument.to_str() {
        Some(text) if text.starts_with("--") && text[2..].starts_with(char::is_whitespace) => {
            format!(" {text}").into()
        }
        _ => argument,
    })
}

/// Whether a command line that was not understood asked for JSON.
pub(crate) fn asks_for_json() -> bool {
    asked_for_json(std::env::args().skip(1))
}

fn asked_for_json(arguments: impl Iterator<Item = String>) -> bool {
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let value = match argument.strip_prefix("--") {
            Some("output") => arguments.next(),
            Some(long) => long.strip_prefix("output=").map(ToOwned::to_owned),
            None => match short_output(&argument) {
                Some("") => arguments.next(),
                value => value.map(|value| value.trim_start_matches('=').to_owned()),
            },
        };
        if matches!(value.as_deref(), Some("json" | "ndjson")) {
            return true;
        }
    }
    false
}

/// What stands behind `-o`, also where flags that take nothing stand before it: `-qojson`.
fn short_output(argument: &str) -> Option<&str> {
    argument.strip_prefix('-')?.trim_start_matches(['q', 'g']).strip_prefix('o')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_asked_for_in_many_ways() {
        let check = |line: &str, expected: bool| {
            assert_eq!(asked_for_json(line.split(' ').map(ToOwned::to_owned)), expected, "{line}");
        };
        for line in [
            "lss -o json",
            "-ojson lss",
            "-o=ndjson lss",
            "--output json",
            "--output=json lss",
            "-qo json lss",
            "-qojson",
        ] {
            check(line, true);
        }
        for line in ["lss", "-o csv json", "-l json lss", "--output table", "-lo json"] {
            check(line, false);
        }
    }
}
