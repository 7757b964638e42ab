//! Branches, tags, and what a session stands at.
//!
//! ```text
//! CREATE BRANCH [IF NOT EXISTS] name [FROM reference]
//! CREATE [OR REPLACE] TAG [IF NOT EXISTS] name [ON reference] [MESSAGE 'text']
//! DROP (BRANCH | TAG) [IF EXISTS] name
//! ALTER BRANCH name (RENAME TO name | FAST FORWARD TO reference)
//! MERGE BRANCH reference [INTO name] [TAKE (OURS | THEIRS) FOR [TABLE | VIEW | SCHEMA] name, …]… [MESSAGE 'text'] [DRY RUN]
//! CHERRY PICK reference [INTO name] [TAKE (OURS | THEIRS) FOR [TABLE | VIEW | SCHEMA] name, …]… [MESSAGE 'text'] [DRY RUN]
//! REVERT COMMIT reference [ON name] [TAKE (OURS | THEIRS) FOR [TABLE | VIEW | SCHEMA] name, …]… [MESSAGE 'text'] [DRY RUN]
//! RESET BRANCH [name] TO reference [MESSAGE 'text'] [DRY RUN]
//! USE (BRANCH name | TAG name | VERSION reference | SCHEMA name)
//! ```
//!
//! What does not belong here: the grammar of references, which is the format's.

use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use strandline::format::EntryType;
use strandline::merge::Side;

use super::words::{
    Parsed, expect, if_absent, if_exists, is_word, name, names, next_are, ref_name, reference, refuse, take,
    take_one_of, text,
};
use crate::sql::statement::{Bring, Brought, CreateTag, RefKind, Statement, Takes, Use};

pub(super) fn create_ref(parser: &mut Parser<'_>) -> Parsed<Option<Statement>> {
    if take(parser, &["CREATE", "BRANCH"]) {
        let if_absent = if_absent(parser);
        let name = ref_name(parser)?;
        let from = take(parser, &["FROM"]).then(|| reference(parser)).transpose()?;
        return Ok(Some(Statement::CreateBranch { name, from, if_absent }));
    }
    let or_replace = take(parser, &["CREATE", "OR", "REPLACE", "TAG"]);
    if or_replace || take(parser, &["CREATE", "TAG"]) {
        return tag(parser, or_replace).map(|tag| Some(Statement::CreateTag(tag)));
    }
    Ok(None)
}

fn tag(parser: &mut Parser<'_>, or_replace: bool) -> Parsed<CreateTag> {
    let if_absent = if_absent(parser);
    if or_replace && if_absent {
        return refuse("OR REPLACE and IF NOT EXISTS contradict each other");
    }
    let name = ref_name(parser)?;
    let on = take_one_of(parser, &["ON", "FROM"]).map(|_| reference(parser)).transpose()?;
    let message = take(parser, &["MESSAGE"]).then(|| text(parser)).transpose()?;
    Ok(CreateTag { name, on, message, or_replace, if_absent })
}

pub(super) fn drop_ref(parser: &mut Parser<'_>) -> Parsed<Option<Statement>> {
    for (word, kind) in [("BRANCH", RefKind::Branch), ("TAG", RefKind::Tag)] {
        if take(parser, &["DROP", word]) {
            let if_exists = if_exists(parser);
            return Ok(Some(Statement::DropRef { kind, name: reference(parser)?, if_exists }));
        }
    }
    Ok(None)
}

pub(super) fn alter_ref(parser: &mut Parser<'_>) -> Parsed<Option<Statement>> {
    if !take(parser, &["ALTER", "BRANCH"]) {
        return Ok(None);
    }
    let branch = reference(parser)?;
    if take(parser, &["RENAME", "TO"]) {
        return Ok(Some(Statement::RenameBranch { name: branch, to: ref_name(parser)? }));
    }
    expect(parser, &["FAST", "FORWARD", "TO"])?;
    Ok(Some(Statement::FastForward { branch, to: reference(parser)? }))
}

/// What brings a version into a branch.
pub(super) fn bring(parser: &mut Parser<'_>) -> Parsed<Option<Statement>> {
    // A table that is called so may be merged into as well.
    let table =
        is_word(&parser.peek_nth_token(2).token, "USING") || is_word(&parser.peek_nth_token(2).token, "AS");
    let (what, mut branch) = if !table && take(parser, &["MERGE", "BRANCH"]) {
        (Brought::Merged, None)
    } else if take(parser, &["CHERRY", "PICK"]) {
        (Brought::Picked, None)
    } else if take(parser, &["REVERT", "COMMIT"]) {
        (Brought::Reverted, None)
    } else if take(parser, &["RESET", "BRANCH"]) {
        let branch = if next_are(parser, &["TO"]) { None } else { Some(reference(parser)?) };
        expect(parser, &["TO"])?;
        (Brought::Reset, branch)
    } else {
        return Ok(None);
    };
    let reference = reference(parser)?;
    let before = if what == Brought::Reverted { "ON" } else { "INTO" };
    if what != Brought::Reset && take(parser, &[before]) {
        branch = Some(super::words::reference(parser)?);
    }
    let takes = if what == Brought::Reset { Vec::new() } else { takes(parser)? };
    let message = take(parser, &["MESSAGE"]).then(|| text(parser)).transpose()?;
    let dry_run = take(parser, &["DRY", "RUN"]);
    Ok(Some(Statement::Bring(Box::new(Bring { what, reference, branch, takes, message, dry_run }))))
}

/// `TAKE OURS FOR a, b TAKE THEIRS FOR TABLE c`: the rows of a and b that the sides disagree on, and all of c.
fn takes(parser: &mut Parser<'_>) -> Parsed<Vec<Takes>> {
    let mut takes = Vec::new();
    while take(parser, &["TAKE"]) {
        let side = match take_one_of(parser, &["OURS", "THEIRS"]) {
            Some("OURS") => Side::Ours,
            Some(_) => Side::Theirs,
            None => return parser.expected_ref("OURS or THEIRS", parser.peek_token_ref()),
        };
        expect(parser, &["FOR"])?;
        // A table may be called so: then a word of the statement follows, or none.
        let next = parser.peek_nth_token(1).token;
        let is_name = !matches!(next, Token::Word(_))
            || ["TAKE", "MESSAGE", "DRY"].into_iter().any(|word| is_word(&next, word));
        let kind = match is_name {
            true => None,
            false => take_one_of(parser, &["TABLE", "VIEW", "SCHEMA", "NAMESPACE"]),
        };
        let whole = kind.map(|kind| match kind {
            "TABLE" => EntryType::Table,
            "VIEW" => EntryType::View,
            _ => EntryType::Namespace,
        });
        takes.push(Takes { side, whole, names: names(parser)? });
    }
    Ok(takes)
}

pub(super) fn use_something(parser: &mut Parser<'_>) -> Parsed<Statement> {
    expect(parser, &["USE"])?;
    let used = match take_one_of(parser, &["BRANCH", "TAG", "VERSION", "SCHEMA", "NAMESPACE"]) {
        Some("BRANCH") => Use::Branch(reference(parser)?),
        Some("TAG") => Use::Tag(reference(parser)?),
        Some("VERSION") => Use::Version(reference(parser)?),
        Some(_) => Use::Schema(name(parser)?),
        None => {
            return refuse("write USE BRANCH name, USE TAG name, USE VERSION reference or USE SCHEMA name");
        }
    };
    Ok(Statement::Use(used))
}
