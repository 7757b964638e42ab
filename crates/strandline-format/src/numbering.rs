//! How the numbers of one branch (file ids, row ids) stand on another one that merged it [MRG-4].
//!
//! Invariant: a translation tells every id that the merged commit's history handed out, earlier merges included, so the
//! next merge needs that one alone. Only a file's stored row ids go through several; they are put together into one [FILE-9]. What does not belong here: which merges there were, and what is an addition.

use crate::error::{Error, Result};
use crate::id::{FileId, RowId};

/// From one id on, until the next step: how much greater the ids are on the other branch.
///
/// ```
/// use strandline_format::{NumberMap, Step};
///
/// // From 10 on, ids are greater by 5 on the other branch.
/// let map = NumberMap::new([Step { from: 10, by: 5 }])?;
/// assert_eq!(map.get(12), Some(17));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The first id.
    pub from: u64,
    /// How much greater; less than zero where the other branch had the ids first.
    pub by: i64,
}

impl Step {
    /// The step to ids that are greater by `more` still.
    fn and(self, more: i64) -> Result<Self> {
        let by = self.by.checked_add(more);
        let fits = |by: &i64| self.from.checked_add_signed(*by).is_some();
        Ok(Self { by: by.filter(fits).ok_or_else(|| self.without_number())?, ..self })
    }

    fn without_number(self) -> Error {
        Error::malformed(format!("the ids from {} would be below zero or beyond 64 bits", self.from))
    }
}

/// The steps without those that change nothing.
fn without_repeats(mut steps: Vec<Step>) -> Vec<Step> {
    let mut by = 0;
    steps.retain(|step| std::mem::replace(&mut by, step.by) != step.by);
    steps
}

/// A translation of ids. Those below the first step stay.
///
/// ```
/// use strandline_format::{NumberMap, Step};
/// let map = NumberMap::new([Step { from: 10, by: 5 }, Step { from: 20, by: -2 }])?;
/// assert_eq!((map.get(9), map.get(10), map.get(20)), (Some(9), Some(15), Some(18)));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberMap(Vec<Step>);

impl NumberMap {
    /// The translation with these steps.
    ///
    /// # Errors
    /// `Invalid` if they do not ascend.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Result<Self> {
        let steps: Vec<Step> = steps.into_iter().collect();
        match steps.windows(2).find(|pair| pair[0].from >= pair[1].from) {
            Some(pair) => Err(Error::invalid(format!("the step from {} is out of order", pair[1].from))),
            None => Ok(Self(steps)),
        }
    }

    /// The steps, ascending.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// This translation and then `next`, as one [REB-4]. Steps that change nothing are left out.
    ///
    /// ```
    /// use strandline_format::{NumberMap, Step};
    /// let first = NumberMap::new([Step { from: 10, by: 5 }])?;
    /// let next = NumberMap::new([Step { from: 18, by: -3 }])?;
    /// assert_eq!(first.then(&next)?.steps(), [Step { from: 10, by: 5 }, Step { from: 13, by: 2 }]);
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Malformed` if a step begins at an id that has no number then.
    pub fn then(&self, next: &Self) -> Result<Self> {
        let starts = std::iter::once(Step { from: 0, by: 0 }).chain(self.0.iter().copied());
        let ends = self.0.iter().map(|step| Some(step.from)).chain([None]);
        let mut steps = Vec::new();
        for (piece, end) in starts.zip(ends).filter(|(piece, end)| *end != Some(piece.from)) {
            let first = piece.from.checked_add_signed(piece.by).ok_or_else(|| piece.without_number())?;
            steps.push(piece.and(next.by(first))?);
            // Where the steps of `next` begin, in ids before this translation, as far as ids of this piece come there.
            let inside = |from: &u64| end.is_none_or(|end| *from < end);
            for step in &next.0[next.0.partition_point(|step| step.from <= first)..] {
                let from = u64::try_from(i128::from(step.from) - i128::from(piece.by));
                let Some(from) = from.ok().filter(inside) else { break };
                steps.push(Step { from, ..piece }.and(step.by)?);
            }
        }
        Ok(Self(without_repeats(steps)))
    }

    /// The steps as they are written.
    pub(crate) fn to_pairs(&self) -> Vec<(u64, i64)> {
        self.0.iter().map(|step| (step.from, step.by)).collect()
    }

    /// The translation with the steps that were read.
    pub(crate) fn from_pairs(pairs: Vec<(u64, i64)>) -> Result<Self> {
        Self::new(pairs.into_iter().map(|(from, by)| Step { from, by }))
    }

    /// Whether the first id of each step has a number on the other branch [FILE-9].
    pub(crate) fn steps_fit(&self) -> bool {
        self.0.iter().all(|step| self.get(step.from).is_some())
    }

    /// Whether every id stays.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.0.iter().all(|step| step.by == 0)
    }

    /// The id on the other branch; `None` if there is no such number.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<u64> {
        id.checked_add_signed(self.by(id))
    }

    /// The first of `count` ids in a row, if they are in a row on the other branch too.
    #[must_use]
    pub fn get_run(&self, first: u64, count: u64) -> Option<u64> {
        let last = first.checked_add(count.saturating_sub(1))?;
        self.get(last)?;
        (self.by(first) == self.by(last)).then(|| self.get(first)).flatten()
    }

    fn by(&self, id: u64) -> i64 {
        let after = self.0.partition_point(|step| step.from <= id);
        after.checked_sub(1).map_or(0, |at| self.0[at].by)
    }

    /// The translation of the ids below `end`, piece by piece.
    #[must_use]
    pub fn pieces(&self, end: u64) -> Pieces {
        let starts = std::iter::once(Step { from: 0, by: 0 }).chain(self.0.iter().copied());
        let ends = self.0.iter().map(|step| step.from).chain([end]);
        let piece =
            |(start, next): (Step, u64)| Piece { first: start.from, end: next.min(end), by: start.by };
        Pieces::of(starts.zip(ends).map(piece))
    }
}

/// Some ids in a row that are greater by the same number.
///
/// ```
/// use strandline_format::{NumberMap, Piece, Step};
///
/// let map = NumberMap::new([Step { from: 10, by: 5 }])?;
/// assert_eq!(map.pieces(12).as_slice()[1], Piece { first: 10, end: 12, by: 5 });
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The first id.
    pub first: u64,
    /// The first id after them.
    pub end: u64,
    /// How much greater they are on the other branch.
    pub by: i64,
}

impl Piece {
    /// The same from the other branch to this one.
    fn reversed(&self) -> Result<Self> {
        let first = self.first.checked_add_signed(self.by);
        let end = self.end.checked_add_signed(self.by);
        match (first, end, self.by.checked_neg()) {
            (Some(first), Some(end), Some(by)) => Ok(Self { first, end, by }),
            _ => {
                let message = format!("the ids from {} cannot be greater by {}", self.first, self.by);
                Err(Error::malformed(message))
            }
        }
    }
}

/// What is known of a translation: the ids between its pieces are not translated.
///
/// Invariant: the pieces ascend and are disjoint.
///
/// ```
/// use strandline_format::Pieces;
///
/// // Ids below 10 are shared; the two that the other side has added get numbers behind ours.
/// let (map, next) = Pieces::shared(10).complete(12, 30)?;
/// assert_eq!((map.get(9), map.get(10), map.get(11), next), (Some(9), Some(30), Some(31), 32));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces(Vec<Piece>);

impl Pieces {
    fn of(pieces: impl Iterator<Item = Piece>) -> Self {
        let mut pieces: Vec<Piece> = pieces.filter(|piece| piece.first < piece.end).collect();
        pieces.sort_unstable_by_key(|piece| piece.first);
        Self(pieces)
    }

    /// The ids below `end`, which stay: those that were handed out before the branches parted.
    #[must_use]
    pub fn shared(end: u64) -> Self {
        Self::of(std::iter::once(Piece { first: 0, end, by: 0 }))
    }

    /// The ids from the first to before the end, which stay: those that one commit handed out.
    #[must_use]
    pub fn between(first: u64, end: u64) -> Self {
        Self::of(std::iter::once(Piece { first, end, by: 0 }))
    }

    /// The pieces, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[Piece] {
        &self.0
    }

    /// The id on the other branch, if it is known.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<u64> {
        let at = self.0.partition_point(|piece| piece.end <= id);
        let piece = self.0.get(at).filter(|piece| piece.first <= id)?;
        id.checked_add_signed(piece.by)
    }

    /// The ids below `end` that it does not tell, which stay.
    #[must_use]
    pub fn gaps(&self, end: u64) -> Self {
        let starts = std::iter::once(0).chain(self.0.iter().map(|piece| piece.end));
        let ends = self.0.iter().map(|piece| piece.first).chain([end]);
        Self::of(starts.zip(ends).map(|(first, next)| Piece { first, end: next.min(end), by: 0 }))
    }

    /// The same in as few pieces as tell it.
    pub(crate) fn joined(self) -> Self {
        let mut pieces: Vec<Piece> = Vec::with_capacity(self.0.len());
        for piece in self.0 {
            match pieces.last_mut().filter(|last| last.end == piece.first && last.by == piece.by) {
                Some(last) => last.end = piece.end,
                None => pieces.push(piece),
            }
        }
        Self(pieces)
    }

    /// The same translation from the other branch to this one [MRG-3].
    ///
    /// # Errors
    /// `Malformed` if a piece has no numbers on the other branch, or two pieces have the same ones.
    pub fn reversed(&self) -> Result<Self> {
        let reversed = Self::of(self.0.iter().map(Piece::reversed).collect::<Result<Vec<_>>>()?.into_iter());
        match reversed.0.windows(2).find(|pair| pair[0].end > pair[1].first) {
            Some(pair) => Err(Error::malformed(format!("two ids have the number {} alike", pair[1].first))),
            None => Ok(reversed),
        }
    }

    /// This translation and then `next`: of the ids that both tell.
    ///
    /// # Errors
    /// `Malformed` if a piece has no numbers on the other branch.
    pub fn then(&self, next: &Self) -> Result<Self> {
        let mut all = Vec::new();
        for piece in &self.0 {
            let there = |id: u64| {
                let wrong = || {
                    Error::malformed(format!(
                        "the ids from {} cannot be greater by {}",
                        piece.first, piece.by
                    ))
                };
                id.checked_add_signed(piece.by).ok_or_else(wrong)
            };
            let (first, end) = (there(piece.first)?, there(piece.end)?);
            let met = &next.0[next.0.partition_point(|next| next.end <= first)..];
            for next in met.iter().take_while(|next| next.first < end) {
                let back = |id: u64| piece.first + (id - first);
                let by =
                    piece.by.checked_add(next.by).ok_or_else(|| Error::malformed("ids beyond 64 bits"))?;
                all.push(Piece { first: back(next.first.max(first)), end: back(next.end.min(end)), by });
            }
        }
        Ok(Self::of(all.into_iter()))
    }

    /// The ids on the other branch with those that they have here; of several that have one number there the first.
    ///
    /// # Errors
    /// `Malformed` if a piece has no numbers on the other branch.
    pub fn backwards(&self) -> Result<Self> {
        let mut back: Vec<Piece> = self.0.iter().map(Piece::reversed).collect::<Result<_>>()?;
        back.sort_by_key(|piece| piece.first);
        let mut end = 0;
        for piece in &mut back {
            piece.first = piece.first.max(end);
            end = end.max(piece.end);
        }
        Ok(Self::of(back.into_iter()))
    }

    /// Whether any of the ids from the first to the last one is told.
    #[must_use]
    pub fn meets(&self, (first, last): (u64, u64)) -> bool {
        self.0
            .get(self.0.partition_point(|piece| piece.end <= first))
            .is_some_and(|piece| piece.first <= last)
    }

    /// The pieces as they are written.
    pub(crate) fn to_runs(&self) -> Vec<(u64, u64, i64)> {
        self.0.iter().map(|piece| (piece.first, piece.end - piece.first, piece.by)).collect()
    }

    /// The pieces that were read [COM-9].
    pub(crate) fn from_runs(runs: Vec<(u64, u64, i64)>) -> Result<Self> {
        let mut pieces: Vec<Piece> = Vec::with_capacity(runs.len());
        for (first, count, by) in runs {
            let end = first.checked_add(count).filter(|end| *end > first);
            let end = end.ok_or_else(|| Error::invalid(format!("a run of {count} ids from {first}")))?;
            if pieces.last().is_some_and(|before| before.end > first) {
                return Err(Error::invalid(format!("the run from {first} is out of order")));
            }
            let piece = Piece { first, end, by };
            piece.reversed()?;
            pieces.push(piece);
        }
        Ok(Self(pieces))
    }

    /// Single ids, each with the one that it has on the other branch.
    ///
    /// # Errors
    /// `TooLarge` if one is further away than a number can say.
    pub fn of_pairs(pairs: &std::collections::BTreeMap<u64, u64>) -> Result<Self> {
        let mut pieces: Vec<Piece> = Vec::new();
        for (from, to) in pairs {
            let by = i64::try_from(i128::from(*to) - i128::from(*from));
            let by = by.map_err(|_| Error::too_large(format!("ids {from} and {to} are too far apart")))?;
            match pieces.last_mut().filter(|last| last.end == *from && last.by == by) {
                Some(last) => last.end += 1,
                None => pieces.push(Piece { first: *from, end: from + 1, by }),
            }
        }
        Ok(Self(pieces))
    }

    /// Both translations together; where both tell an id, this one's word counts.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let mut all = self.0.clone();
        let mut at = 0;
        for piece in &other.0 {
            let mut first = piece.first;
            // Both lists ascend, so what ends before this piece also ends before the next one.
            at += self.0[at..].iter().take_while(|known| known.end <= first).count();
            for known in self.0[at..].iter().take_while(|known| known.first < piece.end) {
                all.push(Piece { first, end: known.first, ..*piece });
                first = known.end;
            }
            all.push(Piece { first, ..*piece });
        }
        Self::of(all.into_iter())
    }

    /// Both translations together; where both tell an id on either side, this one's word counts [MRG-3].
    ///
    /// # Errors
    /// `Malformed` if a piece has no numbers on the other branch, or two pieces of this one have the same ones.
    pub fn beside(&self, other: &Self) -> Result<Self> {
        let free = self.reversed()?.gaps(u64::MAX);
        Ok(self.or(&other.then(&free)?))
    }

    /// The whole translation of the ids below `their_end`: those that no piece tells are additions and get the numbers from
    /// `our_end` on, in ascending order [REB-3, MRG-3]. Returns the first number that is then left as well.
    ///
    /// # Errors
    /// `TooLarge` if the numbers are used up.
    pub fn complete(&self, their_end: u64, our_end: u64) -> Result<(NumberMap, u64)> {
        let used_up = || Error::too_large("no ids are left for what the other side added");
        let mut steps: Vec<Step> = Vec::new();
        let (mut at, mut next) = (0, our_end);
        let mut add = |first: u64, end: u64, next: &mut u64| {
            if first < end {
                let by = i64::try_from(i128::from(*next) - i128::from(first)).map_err(|_| used_up())?;
                *next = next.checked_add(end - first).ok_or_else(used_up)?;
                steps.push(Step { from: first, by });
            }
            Ok::<(), Error>(())
        };
        let mut known = Vec::new();
        for piece in self.0.iter().filter(|piece| piece.first < their_end) {
            add(at, piece.first, &mut next)?;
            known.push(Step { from: piece.first, by: piece.by });
            at = piece.end.min(their_end);
        }
        add(at, their_end, &mut next)?;
        steps.extend(known);
        steps.sort_unstable_by_key(|step| step.from);
        Ok((NumberMap(without_repeats(steps)), next))
    }
}

/// The translation of a table's numbers.
///
/// ```
/// use strandline_format::{NumberMap, Renumbering, RowId, Step};
///
/// let rows = NumberMap::new([Step { from: 10, by: 5 }])?;
/// let renumbering = Renumbering { rows, ..Renumbering::default() };
/// assert!(!renumbering.is_identity());
/// assert_eq!(renumbering.row(RowId(12)), Some(RowId(17)));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renumbering {
    /// Of file ids.
    pub files: NumberMap,
    /// Of row ids.
    pub rows: NumberMap,
    /// Ids that no row has here, because a row of this branch's own stands for it: of two with one key, the one that was left out, with the id of
    /// the one that stands.
    pub same: Pieces,
}

/// The numbers that what one commit added has where that commit was picked, from those that it has where it was committed first [MRG-11].
///
/// ```
/// use strandline_format::{PickedNumbers, Pieces};
///
/// // One row, 7 where it was committed, is 12 here.
/// let rows = Pieces::of_pairs(&[(7, 12)].into())?;
/// let picked = PickedNumbers { rows, ..PickedNumbers::default() };
/// assert_eq!((picked.rows.get(7), picked.rows.get(8)), (Some(12), None));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PickedNumbers {
    /// Of files.
    pub files: Pieces,
    /// Of rows.
    pub rows: Pieces,
    /// Rows that were left out, each with the row here that stands for it.
    pub same: Pieces,
}

impl Renumbering {
    /// Whether every id stays.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.files.is_identity() && self.rows.is_identity() && self.same == Pieces::default()
    }

    /// A file id on the other branch.
    #[must_use]
    pub fn file(&self, id: FileId) -> Option<FileId> {
        self.files.get(id.0).map(FileId)
    }

    /// A row id on the other branch.
    #[must_use]
    pub fn row(&self, id: RowId) -> Option<RowId> {
        self.rows.get(id.0).map(RowId)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(first: u64, end: u64, by: i64) -> Piece {
        Piece { first, end, by }
    }

    fn check_complete(known: &[Piece], their_end: u64, our_end: u64, steps: &[(u64, i64)], next: u64) {
        let (map, left) = Pieces::of(known.iter().copied()).complete(their_end, our_end).unwrap();
        let found: Vec<(u64, i64)> = map.steps().iter().map(|step| (step.from, step.by)).collect();
        assert_eq!((found.as_slice(), left), (steps, next), "{known:?}");
    }

    #[test]
    fn additions_come_after_ours_in_order() {
        check_complete(&[piece(0, 10, 0)], 15, 12, &[(10, 2)], 17);
        check_complete(&[piece(0, 10, 0)], 10, 12, &[], 12);
        check_complete(
            &[piece(0, 50, 0), piece(60, 80, -10)],
            90,
            100,
            &[(50, 50), (60, -10), (80, 30)],
            120,
        );
        check_complete(&[], 5, 0, &[], 5);
        assert!(Pieces::default().complete(5, u64::MAX).is_err());
    }

    #[test]
    fn the_first_of_two_translations_counts() {
        let ours = Pieces::of([piece(0, 10, 0), piece(20, 30, 1)].into_iter());
        let theirs = Pieces::of([piece(5, 25, 7), piece(40, 50, 8)].into_iter());
        assert_eq!(
            ours.or(&theirs).as_slice(),
            [piece(0, 10, 0), piece(10, 20, 7), piece(20, 30, 1), piece(40, 50, 8)]
        );
    }

    #[test]
    fn one_translation_after_another_tells_what_both_tell() {
        let first = Pieces::of([piece(0, 10, 0), piece(20, 30, 100)].into_iter());
        let next = Pieces::of(
            [piece(5, 8, 1), piece(9, 15, -9), piece(110, 125, -20), piece(128, 200, 0)].into_iter(),
        );
        let both = first.then(&next).unwrap();
        assert_eq!(
            both.as_slice(),
            [piece(5, 8, 1), piece(9, 10, -9), piece(20, 25, 80), piece(28, 30, 100)]
        );
        for id in 0..40 {
            assert_eq!(both.get(id), first.get(id).and_then(|id| next.get(id)), "{id}");
        }
    }

    #[test]
    fn pairs_become_runs_and_come_back_from_them() {
        let pairs = [(5, 9), (6, 10), (7, 3), (9, 12), (20, 9)].into_iter().collect();
        let same = Pieces::of_pairs(&pairs).unwrap();
        assert_eq!(same.to_runs(), [(5, 2, 4), (7, 1, -4), (9, 1, 3), (20, 1, -11)]);
        assert_eq!(Pieces::from_runs(same.to_runs()).unwrap(), same);
        // Two stand for one: the way back is that of the first.
        let back = same.backwards().unwrap();
        assert_eq!([3, 9, 10, 12, 13].map(|id| back.get(id)), [Some(7), Some(5), Some(6), Some(9), None]);
        assert!(same.meets((8, 9)) && same.meets((0, 5)) && !same.meets((10, 19)) && !same.meets((21, 99)));
        for wrong in [(3, 0, 1), (3, u64::MAX, 1), (3, 1, -4), (u64::MAX - 1, 1, 5)] {
            assert!(Pieces::from_runs(vec![wrong]).is_err(), "{wrong:?}");
        }
        assert!(Pieces::from_runs(vec![(3, 2, 1), (4, 1, 1)]).is_err());
    }

    #[test]
    fn many_pieces_are_put_together_in_one_walk() {
        const COUNT: u64 = 200_000;
        let pieces =
            |from: u64, by| Pieces::of((0..COUNT).map(move |at| piece(from + 4 * at, from + 4 * at + 3, by)));
        let both = pieces(0, 1).or(&pieces(2, 2));
        assert_eq!(both.as_slice().len() as u64, 2 * COUNT);
        assert_eq!(both.as_slice()[..2], [piece(0, 3, 1), piece(3, 4, 2)]);
        let maps = [0, 2].map(|from| {
            NumberMap::from_pairs((1..COUNT).map(|at| (from + 4 * at, at.cast_signed() % 2)).collect())
        });
        let [one, other] = maps.map(Result::unwrap);
        assert_eq!(one.then(&other).unwrap().get(4 * COUNT), Some(4 * COUNT + 2));
    }

    #[test]
    fn two_ids_with_one_number_have_no_way_back() {
        let back = |pieces: &[Piece]| Pieces::of(pieces.iter().copied()).reversed();
        assert_eq!(back(&[piece(0, 10, 0), piece(20, 30, -10)]).unwrap().get(10), Some(20));
        assert!(back(&[piece(0, 10, 0), piece(20, 30, -11)]).is_err());
        assert!(back(&[piece(0, 10, 5), piece(20, 30, -20)]).is_err());
        assert!(back(&[piece(5, 10, -6)]).is_err());
    }

    /// Pieces that are disjoint, by gap and length.
    fn some_pieces() -> impl Strategy<Value = Pieces> {
        prop::collection::vec((0..6_u64, 1..8_u64, -9..9_i64), 0..8).prop_map(|parts| {
            let mut end = 0;
            let mut pieces = Vec::new();
            for (gap, len, by) in parts {
                let first = end + gap;
                end = first + len;
                pieces.push(piece(first, end, by));
            }
            Pieces::of(pieces.into_iter())
        })
    }

    fn map() -> impl Strategy<Value = NumberMap> {
        prop::collection::btree_map(0..60_u64, -5..60_i64, 0..6)
            .prop_map(|steps| NumberMap(steps.into_iter().map(|(from, by)| Step { from, by }).collect()))
    }

    fn check_then(first: &[(u64, i64)], next: &[(u64, i64)], expected: Option<&[(u64, i64)]>) {
        let map = |pairs: &[(u64, i64)]| NumberMap::from_pairs(pairs.to_vec()).unwrap();
        let found = map(first).then(&map(next)).ok().map(|both| both.to_pairs());
        assert_eq!(found.as_deref(), expected, "{first:?} and then {next:?}");
    }

    #[test]
    fn two_translations_are_one() {
        check_then(&[], &[], Some(&[]));
        check_then(&[(0, 5)], &[(10, -5)], Some(&[(0, 5), (5, 0)]));
        check_then(&[(10, 5)], &[(0, 0), (12, 3)], Some(&[(10, 8)]));
        check_then(&[(10, 5)], &[(5, 1), (15, -5)], Some(&[(5, 1), (10, 0)]));
        check_then(&[(10, 5), (20, -3)], &[(16, 7)], Some(&[(10, 5), (11, 12), (20, 4)]));
        check_then(&[(u64::MAX, -9)], &[(u64::MAX, -1)], Some(&[(u64::MAX, -9)]));
        check_then(&[(7, 2)], &[(9, -2)], Some(&[]));
        check_then(&[(0, -1)], &[], None);
        check_then(&[], &[(3, -4)], None);
        check_then(&[(0, i64::MAX)], &[(0, i64::MAX)], None);
    }

    /// A map under which no id falls below zero.
    fn sound_map() -> impl Strategy<Value = NumberMap> {
        let by = |from: u64| (-from.cast_signed()..60).prop_map(move |by| (from, by));
        prop::collection::btree_set(0..60_u64, 0..6)
            .prop_flat_map(move |froms| froms.into_iter().map(by).collect::<Vec<_>>())
            .prop_map(|pairs| NumberMap::from_pairs(pairs).unwrap())
    }

    proptest! {
        #[test]
        fn one_translation_is_both_in_turn(first in sound_map(), next in sound_map()) {
            let both = first.then(&next).unwrap();
            prop_assert!(both.steps_fit() && NumberMap::new(both.steps().iter().copied()).is_ok());
            for id in 0..200 {
                prop_assert_eq!(both.get(id), first.get(id).and_then(|id| next.get(id)));
            }
        }

        #[test]
        fn what_one_does_not_tell_the_other_does(one in some_pieces(), other in some_pieces()) {
            let both = one.or(&other);
            let disjoint = both.as_slice().windows(2).all(|pair| pair[0].end <= pair[1].first);
            prop_assert!(disjoint, "{both:?}");
            let told = |pieces: &Pieces, id| pieces.as_slice().iter().any(|piece| (piece.first..piece.end).contains(&id));
            for id in 0..120 {
                let word = if told(&one, id) { &one } else { &other };
                prop_assert_eq!((both.get(id), told(&both, id)), (word.get(id), told(word, id)));
            }
        }

        #[test]
        fn gaps_are_what_is_not_told(pieces in some_pieces(), end in 0..90_u64) {
            let gaps = pieces.gaps(end);
            let told = |id| pieces.as_slice().iter().any(|piece| (piece.first..piece.end).contains(&id));
            for id in 0..100 {
                prop_assert_eq!(gaps.get(id), Some(id).filter(|id| *id < end && !told(*id)));
            }
        }

        #[test]
        fn pieces_are_the_map(map in map(), end in 0..90_u64) {
            let pieces = map.pieces(end);
            for id in 0..100 {
                prop_assert_eq!(pieces.get(id), map.get(id).filter(|_| id < end));
            }
        }

        #[test]
        fn a_complete_translation_gives_no_number_twice(
            cuts in prop::collection::btree_set(0..60_u64, 2..8),
            shared in 0..20_u64,
            their_end in 0..90_u64,
        ) {
            // Pieces that ours handed out among 1000 to 1999, in reverse order.
            let cuts: Vec<u64> = cuts.into_iter().map(|cut| cut + shared).collect();
            let to = |first: u64| 1900_i64 - 10 * first.cast_signed();
            let pairs = cuts.chunks_exact(2).map(|cut| piece(cut[0], cut[1].min(cut[0] + 10), to(cut[0])));
            let known = Pieces::shared(shared).or(&Pieces::of(pairs));
            let (map, next) = known.complete(their_end, 2000).unwrap();
            let mut seen = std::collections::HashSet::new();
            for id in 0..their_end {
                let ours = map.get(id).unwrap();
                prop_assert!(seen.insert(ours) && ours < next, "{id} -> {ours}");
                prop_assert!(known.get(id).is_none_or(|known| known == ours));
                prop_assert_eq!(known.get(id).is_none(), ours >= 2000);
            }
            let back = map.pieces(their_end).reversed().unwrap();
            for id in 0..their_end {
                prop_assert_eq!(back.get(map.get(id).unwrap()), Some(id));
            }
        }
    }
}
