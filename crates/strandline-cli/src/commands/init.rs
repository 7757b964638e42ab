//! `strand init`: makes a lake.

use clap::Args as ClapArgs;
use serde::Serialize;
use strandline::{ErrorKind, Lake};

use crate::around::check_outside;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output::{Cell, Kind, Record, text};

/// Makes a lake in a bucket or folder
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Where: a URL like s3://bucket/prefix, or a folder [default: what --lake says]
    location: Option<String>,
    /// Does nothing if there is a lake
    #[arg(long)]
    if_absent: bool,
}

/// A lake that stands.
#[derive(Serialize)]
struct Standing {
    location: String,
    lake: String,
    made: bool,
}

impl Record for Standing {
    const COLUMNS: &'static [(&'static str, Kind)] = &[text("location"), text("lake"), text("made")];

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::text(&self.location), Cell::text(&self.lake), Cell::text(self.made.to_string())]
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    context.no_reference("init")?;
    let place = context.place(args.location.as_deref())?;
    let storage = context.storage(&place).await?;
    check_outside(context, &place).await?;
    let (lake, made) = match Lake::create_in(storage).await {
        Ok(lake) => (lake, true),
        Err(error) if args.if_absent && error.kind() == ErrorKind::AlreadyExists => {
            let opening = Lake::open(&place.location).options(place.options.clone());
            (opening.runtime(context.runtime.clone()).await?, false)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let hint = format!("use it as it is: `strand ls -l {}`", place.name);
            return Err(Failure::from(error).hint(hint));
        }
        Err(error) => return Err(error.into()),
    };
    let sentence = match made {
        true => format!("made a lake in {}", place.location),
        false => format!("there is a lake in {} already", place.location),
    };
    let standing = Standing { location: place.location, lake: lake.id().to_string(), made };
    context.out.done(&standing, sentence)
}
