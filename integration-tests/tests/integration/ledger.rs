//! A ref whose content is a ledger: every swap adds one line, so that the content itself tells each swap that ever landed,
//! in order, and a lost one or one that landed twice cannot hide.

use std::collections::BTreeMap;

use bytes::Bytes;
use strandline::storage::{Loaded, Storage, Swap};

use crate::child::{Start, acknowledge};
use crate::lake::{self, Place};
use strandline::storage::Durability;

/// One swap: the number of the writer, and the how manieth of its swaps it is, from 1.
pub(crate) type Line = (u32, u32);

/// Who writes how much, and where.
pub(crate) struct Writers {
    pub(crate) place: Place,
    pub(crate) durability: Durability,
    pub(crate) count: u32,
    pub(crate) swaps: u32,
}

impl Writers {
    /// One of them, beginning or going on after a kill.
    pub(crate) fn start(&self, writer: u32) -> Start {
        let (number, swaps) = (writer.to_string(), self.swaps.to_string());
        let durability = lake::durability_name(self.durability);
        let Place { location, options } = &self.place;
        Start::new("swap", &[location, options, durability, &number, &swaps])
    }

    /// Checks what stands in the ledger against what was acknowledged, by writer.
    pub(crate) fn check(&self, ledger: &[Line], acknowledged: &BTreeMap<u32, Vec<u32>>, doubt: bool) {
        for writer in 0..self.count {
            let landed: Vec<u32> = ledger.iter().filter(|line| line.0 == writer).map(|line| line.1).collect();
            let lost: Vec<u32> = (1..=self.swaps).filter(|number| !landed.contains(number)).collect();
            assert!(
                lost.is_empty(),
                "writer {writer}: {} swaps are lost, the first is {}",
                lost.len(),
                lost[0]
            );
            assert!(landed.is_sorted_by(|one, next| one < next), "writer {writer}: a swap landed twice");
            let said = acknowledged.get(&writer).map_or(&[][..], Vec::as_slice);
            assert!(said.is_sorted_by(|one, next| one < next), "writer {writer} acknowledged a swap twice");
            assert!(said.iter().all(|number| landed.contains(number)), "writer {writer}");
            // Unless writers were killed or answers lost, nothing may land of which its writer does not know.
            assert!(doubt || said == landed, "writer {writer}: a swap landed that was reported as lost");
        }
        assert_eq!(ledger.len(), (self.count * self.swaps) as usize);
    }
}

/// What stands in the ledger.
pub(crate) async fn read(storage: &Storage) -> Vec<Line> {
    lines(storage.refs().load(&lake::main()).await.unwrap().as_ref())
}

/// The same ledger with one more line.
pub(crate) fn with(current: Option<&Loaded>, line: Line) -> Bytes {
    let text = current.map_or(&b""[..], |loaded| &loaded.bytes);
    [text, format!("{} {}\n", line.0, line.1).as_bytes()].concat().into()
}

/// The lines that a process acknowledged, as numbers.
pub(crate) fn numbers(said: &[String]) -> impl Iterator<Item = u32> + '_ {
    said.iter().map(|line| line.parse().unwrap())
}

/// A writer: adds its lines one by one, and says each that the store reports as swapped. One that was killed goes on where the
/// ledger says that it was.
pub(crate) async fn swap_until_done(arguments: &[String]) {
    let [location, options, durability, writer, swaps] = arguments else { panic!("{arguments:?}") };
    let (writer, swaps): (u32, u32) = (writer.parse().unwrap(), swaps.parse().unwrap());
    let place = Place { location: location.clone(), options: options.clone() };
    let storage = lake::open_at(&place, lake::durability_of(durability)).await;
    let mut next = 1 + last_of(writer, storage.refs().load(&lake::main()).await.unwrap().as_ref());
    while next <= swaps {
        let current = storage.refs().load(&lake::main()).await.unwrap();
        if last_of(writer, current.as_ref()) == next {
            // An answer was lost and the swap was not: nothing to acknowledge.
            next += 1;
            continue;
        }
        let expected = current.as_ref().map(|loaded| &loaded.token);
        let bytes = with(current.as_ref(), (writer, next));
        match storage.refs().swap(&lake::main(), expected, bytes).await.unwrap() {
            Swap::Swapped(_) => {
                acknowledge(&next.to_string());
                next += 1;
            }
            Swap::Moved(_) | Swap::Unknown(_) => {}
        }
    }
}

fn lines(current: Option<&Loaded>) -> Vec<Line> {
    text(current).lines().map(line).collect()
}

fn text(current: Option<&Loaded>) -> &str {
    current.map_or("", |loaded| std::str::from_utf8(&loaded.bytes).unwrap())
}

fn line(text: &str) -> Line {
    let (writer, number) = text.split_once(' ').unwrap();
    (writer.parse().unwrap(), number.parse().unwrap())
}

fn last_of(writer: u32, current: Option<&Loaded>) -> u32 {
    text(current).lines().rev().map(line).find(|line| line.0 == writer).map_or(0, |line| line.1)
}
