//! Deletion vectors: which rows of a file are gone, by their position in it.
//!
//! The bytes are exactly the blob `deletion-vector-v1` of Iceberg and Delta [DV-1]. Invariants: equal sets have equal bytes,
//! whichever way they came to be, because they are stored by their hash [DV-4]; whatever bytes come in, reading is bounded
//! by their length [DV-3]. Where a blob lies, and that it is not empty, is the business of the file entry.

use std::fmt;

use roaring::{RoaringBitmap, RoaringTreemap};

use crate::error::{Error, Result};

/// What stands before the bitmaps.
const MAGIC: [u8; 4] = [0xD1, 0xD3, 0x39, 0x64];
/// The length and the checksum around, the magic and the count of bitmaps within.
const LENGTH_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 4;
const COUNT_BYTES: usize = 8;
const KEY_BYTES: usize = 4;
/// The high halves of positions end here, so that positions are positive in Java too [DV-2].
const MAX_KEY: u32 = i32::MAX as u32 - 1;

/// A set of row positions within one file.
///
/// ```
/// use strandline_format::DeletionVector;
/// let vector = DeletionVector::from_positions([3, 1, 1 << 40])?;
/// let read = DeletionVector::decode(&vector.encode()?)?;
/// assert_eq!(read.positions().collect::<Vec<_>>(), [1, 3, 1 << 40]);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct DeletionVector(RoaringTreemap);

impl DeletionVector {
    /// The highest position that can be deleted.
    pub const MAX_POSITION: u64 = (MAX_KEY as u64) << 32 | u32::MAX as u64;

    /// The set of no positions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The set of these positions.
    ///
    /// # Errors
    /// `Invalid` above [`Self::MAX_POSITION`].
    pub fn from_positions(positions: impl IntoIterator<Item = u64>) -> Result<Self> {
        let mut vector = Self::new();
        for position in positions {
            vector.insert(position)?;
        }
        Ok(vector)
    }

    /// All positions below this one.
    ///
    /// # Errors
    /// `Invalid` above [`Self::MAX_POSITION`].
    pub fn below(end: u64) -> Result<Self> {
        if end > Self::MAX_POSITION {
            return Err(Error::invalid(format!("{end} is not a row position")));
        }
        let mut all = RoaringTreemap::new();
        all.insert_range(0..end);
        Ok(Self(all))
    }

    /// Adds a position; whether it was not yet there.
    ///
    /// # Errors
    /// `Invalid` above [`Self::MAX_POSITION`].
    pub fn insert(&mut self, position: u64) -> Result<bool> {
        if position > Self::MAX_POSITION {
            return Err(Error::invalid(format!("{position} is not a row position")));
        }
        Ok(self.0.insert(position))
    }

    /// Whether the row at this position is deleted.
    #[must_use]
    pub fn contains(&self, position: u64) -> bool {
        self.0.contains(position)
    }

    /// How many rows are deleted.
    #[must_use]
    pub fn cardinality(&self) -> u64 {
        self.0.len()
    }

    /// Whether no row is deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The highest position in the set.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        self.0.max()
    }

    /// The positions, ascending.
    pub fn positions(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter()
    }

    /// The positions from the first to the last of these, ascending.
    pub fn within(&self, first: u64, last: u64) -> impl Iterator<Item = u64> + '_ {
        let mut positions = self.0.iter();
        positions.advance_to(first);
        positions.take_while(move |position| *position <= last)
    }

    /// What is deleted in either: how two sides' deletes come together [DV-5].
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(&self.0 | &other.0)
    }

    /// What is deleted in both: rows that two sides deleted [DV-5].
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(&self.0 & &other.0)
    }

    /// Whether some row is deleted in both.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        !self.0.is_disjoint(&other.0)
    }

    /// Whether all that is deleted in `other` is deleted here: deletes are never taken back within a file.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        self.0.is_superset(&other.0)
    }

    /// What this side deleted since `base`.
    #[must_use]
    pub fn added_since(&self, base: &Self) -> Self {
        Self(&self.0 - &base.0)
    }

    /// The blob [DV-1].
    ///
    /// # Errors
    /// `TooLarge` if its length does not fit into four bytes.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let bitmaps: Vec<(u32, RoaringBitmap)> =
            self.0.bitmaps().map(|(key, bitmap)| (key, canonical(bitmap))).collect();
        let mut body = MAGIC.to_vec();
        body.extend((bitmaps.len() as u64).to_le_bytes());
        for (key, bitmap) in &bitmaps {
            body.extend(key.to_le_bytes());
            write_bitmap(bitmap, &mut body)?;
        }
        let length = u32::try_from(body.len())
            .map_err(|_| Error::too_large(format!("a deletion vector of {} bytes", body.len())))?;
        let mut blob = length.to_be_bytes().to_vec();
        blob.extend(&body);
        blob.extend(crc32fast::hash(&body).to_be_bytes());
        Ok(blob)
    }

    /// Reads a blob, which must be nothing but one vector.
    ///
    /// # Errors
    /// `Corrupt` if the checksum is wrong, `Malformed` if the bytes break the layout in any other way.
    pub fn decode(blob: &[u8]) -> Result<Self> {
        let body = checked_body(blob)?;
        let bitmaps = body.strip_prefix(&MAGIC).ok_or_else(|| malformed("it does not begin as one"))?;
        let (count, mut rest) = split_array::<COUNT_BYTES>(bitmaps)?;
        let mut found: Vec<(u32, RoaringBitmap)> = Vec::new();
        for _ in 0..u64::from_le_bytes(count) {
            let (key, tail) = split_array::<KEY_BYTES>(rest)?;
            let key = u32::from_le_bytes(key);
            if key > MAX_KEY || found.last().is_some_and(|(last, _)| *last >= key) {
                return Err(malformed("its bitmaps are not in order"));
            }
            let (bitmap, tail) = read_bitmap(tail)?;
            found.push((key, bitmap));
            rest = tail;
        }
        if !rest.is_empty() {
            return Err(malformed("bytes follow its last bitmap"));
        }
        found.retain(|(_, bitmap)| !bitmap.is_empty());
        Ok(Self(RoaringTreemap::from_bitmaps(found)))
    }
}

/// What the length and the checksum are about.
fn checked_body(blob: &[u8]) -> Result<&[u8]> {
    let (length, rest) = split_array::<LENGTH_BYTES>(blob)?;
    let body_length = rest.len().checked_sub(CHECKSUM_BYTES).ok_or_else(cut)?;
    if u32::try_from(body_length) != Ok(u32::from_be_bytes(length)) {
        return Err(malformed("its length is not what it says"));
    }
    let (body, checksum) = rest.split_at(body_length);
    if crc32fast::hash(body).to_be_bytes() != *checksum {
        return Err(Error::corrupt("a deletion vector does not match its checksum"));
    }
    Ok(body)
}

/// The containers in the smallest of their forms, whatever they were built from [DV-4].
fn canonical(bitmap: &RoaringBitmap) -> RoaringBitmap {
    let mut bitmap = bitmap.clone();
    bitmap.remove_run_compression();
    bitmap.optimize();
    bitmap
}

fn write_bitmap(bitmap: &RoaringBitmap, bytes: &mut Vec<u8>) -> Result<()> {
    bitmap
        .serialize_into(bytes)
        .map_err(|error| Error::invalid(format!("a bitmap cannot be written: {error}")))
}

/// How many containers the bytes of a bitmap claim, which must not be more than they can hold [DV-3].
fn check_container_count(bytes: &[u8]) -> Result<()> {
    const WITHOUT_RUNS: u16 = 12_346;
    const WITH_RUNS: u16 = 12_347;
    const LEAST_CONTAINER_BYTES: usize = 4;
    let (cookie, rest) = split_array::<2>(bytes)?;
    let (high, rest) = split_array::<2>(rest)?;
    let count = match u16::from_le_bytes(cookie) {
        WITHOUT_RUNS => u32::from_le_bytes(split_array::<4>(rest)?.0),
        WITH_RUNS => u32::from(u16::from_le_bytes(high)) + 1,
        _ => return Err(malformed("a bitmap does not begin as one")),
    };
    let room = rest.len() / LEAST_CONTAINER_BYTES;
    if usize::try_from(count).is_ok_and(|count| count <= room) { Ok(()) } else { Err(cut()) }
}

/// Reads one bitmap. That it is written again as the same bytes also covers what a reader has no use for: the offsets,
/// and the cardinalities of runs.
fn read_bitmap(bytes: &[u8]) -> Result<(RoaringBitmap, &[u8])> {
    check_container_count(bytes)?;
    let mut rest = bytes;
    let bitmap = RoaringBitmap::deserialize_from(&mut rest).map_err(malformed)?;
    let mut again = Vec::new();
    write_bitmap(&bitmap, &mut again)?;
    if bytes[..bytes.len() - rest.len()] != again {
        return Err(malformed("a bitmap contradicts itself"));
    }
    Ok((bitmap, rest))
}

fn split_array<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8])> {
    bytes.split_first_chunk::<N>().map(|(head, tail)| (*head, tail)).ok_or_else(cut)
}

fn cut() -> Error {
    malformed("it is cut short")
}

fn malformed(why: impl fmt::Display) -> Error {
    Error::malformed(format!("a deletion vector is malformed: {why}"))
}

impl Eq for DeletionVector {}

impl fmt::Debug for DeletionVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeletionVector({} rows)", self.cardinality())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorKind;

    fn of(positions: &[u64]) -> DeletionVector {
        DeletionVector::from_positions(positions.iter().copied()).unwrap()
    }

    /// Positions that fall into arrays, runs and bitmaps, near and far.
    fn positions() -> impl Strategy<Value = BTreeSet<u64>> {
        let single = prop_oneof![0..200_u64, 0..1_000_000_u64, 0..=DeletionVector::MAX_POSITION];
        let run = (0..3_u64, 0..70_000_u64, 1..5_000_u64).prop_map(|(high, start, len)| {
            ((high << 32) + start..(high << 32) + start + len).collect::<Vec<_>>()
        });
        let parts = prop::collection::vec(prop_oneof![single.prop_map(|one| vec![one]), run], 0..6);
        parts.prop_map(|parts| parts.into_iter().flatten().collect())
    }

    fn vector() -> impl Strategy<Value = (BTreeSet<u64>, DeletionVector)> {
        positions().prop_map(|set| (set.clone(), DeletionVector::from_positions(set).unwrap()))
    }

    proptest! {
        #[test]
        fn a_vector_reads_as_it_was_written((set, vector) in vector()) {
            let blob = vector.encode().unwrap();
            let read = DeletionVector::decode(&blob).unwrap();
            prop_assert!(read.positions().eq(set.iter().copied()));
            prop_assert_eq!(read.cardinality(), set.len() as u64);
            prop_assert_eq!(read.max(), set.last().copied());
            prop_assert_eq!(&read, &vector);
            prop_assert_eq!(read.encode().unwrap(), blob);
        }

        #[test]
        fn sets_obey_their_laws((a, left) in vector(), (b, right) in vector()) {
            let union = left.union(&right);
            prop_assert!(union.positions().eq(a.union(&b).copied()));
            prop_assert_eq!(union.encode().unwrap(), right.union(&left).encode().unwrap());
            prop_assert_eq!(union.encode().unwrap(), DeletionVector::from_positions(a.union(&b).copied()).unwrap().encode().unwrap());
            prop_assert!(left.intersection(&right).positions().eq(a.intersection(&b).copied()));
            prop_assert_eq!(left.intersects(&right), !a.is_disjoint(&b));
            prop_assert_eq!(left.contains_all(&right), a.is_superset(&b));
            let added = union.added_since(&left);
            prop_assert!(added.positions().eq(b.difference(&a).copied()));
            prop_assert!(!added.intersects(&left));
            prop_assert_eq!(added.union(&left), union);
        }

        /// With the checksum set right again, so that the layout itself is what has to hold.
        #[test]
        fn hostile_bytes_never_panic((_, vector) in vector(), at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 1..9)) {
            let mut blob = vector.encode().unwrap();
            let start = at.index(blob.len() - CHECKSUM_BYTES);
            for (byte, other) in blob[start..].iter_mut().zip(&bytes) {
                *byte = *other;
            }
            let _ = DeletionVector::decode(&blob);
            seal(&mut blob);
            if let Ok(read) = DeletionVector::decode(&blob) {
                prop_assert_eq!(DeletionVector::decode(&read.encode().unwrap()).unwrap(), read);
            }
            let _ = DeletionVector::decode(&blob[..start]);
        }
    }

    /// Makes the length and the checksum right.
    fn seal(blob: &mut [u8]) {
        let end = blob.len() - CHECKSUM_BYTES;
        let length = u32::try_from(end - LENGTH_BYTES).unwrap();
        blob[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        let checksum = crc32fast::hash(&blob[LENGTH_BYTES..end]).to_be_bytes();
        blob[end..].copy_from_slice(&checksum);
    }

    fn hex(bytes: &[u8]) -> String {
        let mut text = String::new();
        crate::value::push_hex(&mut text, bytes);
        text
    }

    #[test]
    fn the_bytes_are_those_of_the_other_formats() {
        let blob = of(&[1, 5]).encode().unwrap();
        let body = "d1d33964\
                    0100000000000000\
                    00000000\
                    3a300000010000000000010010000000\
                    01000500";
        let checksum = crc32fast::hash(&blob[4..blob.len() - 4]);
        assert_eq!(hex(&blob), format!("00000024{body}{checksum:08x}"));
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926, "the IEEE polynomial");
    }

    /// Three rows in a run take as many bytes as three rows one by one: what counts is the set, not how it came to be.
    #[test]
    fn equal_sets_have_equal_bytes() {
        let run = DeletionVector::from_positions(0..10).unwrap();
        let run = DeletionVector::decode(&run.encode().unwrap()).unwrap();
        let rest = run.added_since(&DeletionVector::from_positions(3..10).unwrap());
        assert_eq!(hex(&rest.encode().unwrap()), hex(&of(&[0, 1, 2]).encode().unwrap()));
    }

    fn check(blob: &[u8], kind: ErrorKind) {
        assert_eq!(DeletionVector::decode(blob).unwrap_err().kind(), kind, "{}", hex(blob));
    }

    #[test]
    fn what_breaks_the_layout_is_refused() {
        let good = of(&[1, 5, 1 << 33]).encode().unwrap();
        let change = |at: usize, byte: u8| {
            let mut blob = good.clone();
            blob[at] = byte;
            seal(&mut blob);
            blob
        };
        check(&[], ErrorKind::Malformed);
        check(&good[..good.len() - 1], ErrorKind::Malformed);
        check(&change(4, 0), ErrorKind::Malformed);
        check(&change(8, 1), ErrorKind::Malformed);
        check(&change(8, 3), ErrorKind::Malformed);
        check(&change(15, 255), ErrorKind::Malformed);
        check(&change(16, 2), ErrorKind::Malformed);
        check(&change(32, 200), ErrorKind::Malformed);
        check(&change(24, 255), ErrorKind::Malformed);
        check(&change(26, 255), ErrorKind::Malformed);
        let mut flipped = good.clone();
        flipped[20] ^= 1;
        check(&flipped, ErrorKind::Corrupt);
        assert_eq!(
            DeletionVector::new().insert(DeletionVector::MAX_POSITION + 1).unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
}
