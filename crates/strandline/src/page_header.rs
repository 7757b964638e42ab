//! The headers of Parquet pages: what they say, and how one is given the checksum that the encoder leaves out, and another length of its page.
//!
//! Why by hand: the Parquet crate compares checksums, but writes none and shows nobody its headers. Headers are structs of Thrift's
//! compact protocol, of which as much stands here as it takes to read one of any writer, and to put one field into one of ours.
//!
//! Invariants: nothing here panics or reads beyond its bytes, whatever they are; a header with a checksum says what it said
//! before, and else it is refused. What does not belong here: pages as a whole (`write::checksum` and `scan::headers`).

use std::fmt;

/// The field types of Thrift's compact protocol.
mod ty {
    pub(super) const STOP: u8 = 0;
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
}

/// The fields of a header.
mod field {
    pub(super) const KIND: i16 = 1;
    pub(super) const COMPRESSED_SIZE: i16 = 3;
    pub(super) const CRC: i16 = 4;
    pub(super) const DATA_PAGE: i16 = 5;
    pub(super) const DICTIONARY_PAGE: i16 = 7;
    pub(super) const DATA_PAGE_V2: i16 = 8;
}

/// How deep structs and lists may nest. Headers of today have a struct in a struct in a struct.
const DEPTH: usize = 16;

/// One more than the field before, and an `i32`: what a field for the checksum begins with.
const NEXT_I32: u8 = 1 << 4 | ty::I32;

/// A page that is a dictionary.
const DICTIONARY: i32 = 2;

/// Pages that are data, of both versions.
const DATA: [i32; 2] = [0, 3];

/// What the header of a page says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageHeader {
    kind: i32,
    /// The length of the page behind its header.
    pub(crate) page: usize,
    /// The checksum of the page behind its header.
    pub(crate) crc: Option<u32>,
    /// How many values a page has, nulls too; of a dictionary how many entries.
    pub(crate) values: i32,
    /// The number of the encoding of the values.
    pub(crate) encoding: i32,
    /// The length of the header itself.
    pub(crate) length: usize,
    /// Where the length of the page stands, and the field for the checksum goes, which is behind it.
    page_at: usize,
    crc_at: usize,
}

/// Why a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Odd(&'static str);

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the header of a page {}", self.0)
    }
}

impl std::error::Error for Odd {}

impl PageHeader {
    /// Reads the header that the bytes begin with.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Odd> {
        let mut thrift = Thrift { bytes, at: 0 };
        let (mut kind, mut page) = (None, None);
        let mut header = Self::default();
        let mut last = 0;
        while let Some((id, of)) = thrift.field(last)? {
            match (id, of) {
                (field::KIND, ty::I32) => kind = Some(thrift.int()?),
                (field::COMPRESSED_SIZE, ty::I32) => {
                    header.page_at = thrift.at;
                    page = Some(thrift.int()?);
                    header.crc_at = thrift.at;
                }
                (field::CRC, ty::I32) => header.crc = Some(thrift.int()?.cast_unsigned()),
                (field::DATA_PAGE | field::DICTIONARY_PAGE, ty::STRUCT) => header.contents(&mut thrift, 2)?,
                (field::DATA_PAGE_V2, ty::STRUCT) => header.contents(&mut thrift, 4)?,
                _ => thrift.skip(of, DEPTH)?,
            }
            last = id;
        }
        header.kind = kind.ok_or(Odd("does not say what the page is"))?;
        header.page =
            page.and_then(|page| usize::try_from(page).ok()).ok_or(Odd("has no length of the page"))?;
        header.length = thrift.at;
        Ok(header)
    }

    /// Reads what is said of the values: how many in the first field, and their encoding.
    fn contents(&mut self, thrift: &mut Thrift<'_>, encoding: i16) -> Result<(), Odd> {
        let mut last = 0;
        while let Some((id, of)) = thrift.field(last)? {
            match (id, of) {
                (1, ty::I32) => self.values = thrift.int()?,
                (id, ty::I32) if id == encoding => self.encoding = thrift.int()?,
                _ => thrift.skip(of, DEPTH)?,
            }
            last = id;
        }
        Ok(())
    }

    pub(crate) fn is_data(&self) -> bool {
        DATA.contains(&self.kind)
    }

    pub(crate) fn is_dictionary(&self) -> bool {
        self.kind == DICTIONARY
    }

    /// The same header, of these bytes, for a page of another length and with a checksum. Fields give their distance from the one
    /// before, so the next one comes one nearer.
    pub(crate) fn of_page(&self, bytes: &[u8], page: usize, crc: u32) -> Result<Vec<u8>, Odd> {
        let (sizes, after) = bytes.split_at_checked(self.crc_at).ok_or(Odd("ends early"))?;
        let (next, rest) = after.split_first().ok_or(Odd("ends early"))?;
        let next = next.checked_sub(1 << 4).ok_or(Odd("has nothing behind the sizes"))?;
        let before = sizes.get(..self.page_at).ok_or(Odd("ends early"))?;
        let mut with = Vec::with_capacity(bytes.len() + 6);
        with.extend_from_slice(before);
        put_int(&mut with, i32::try_from(page).map_err(|_| Odd("cannot tell of so long a page"))?);
        let crc_at = with.len();
        with.push(NEXT_I32);
        put_int(&mut with, crc.cast_signed());
        with.push(next);
        with.extend_from_slice(rest);
        let expected = Self { page, crc: Some(crc), length: with.len(), crc_at, ..self.clone() };
        if self.crc.is_some() || self.length != bytes.len() || Self::read(&with)? != expected {
            return Err(Odd("has no place for a checksum"));
        }
        Ok(with)
    }
}

/// A number as Thrift's compact protocol has it: small ones of either sign in few bytes.
fn put_int(bytes: &mut Vec<u8>, number: i32) {
    let mut rest = (number << 1 ^ number >> 31).cast_unsigned();
    while rest > 0x7f {
        let [low, ..] = rest.to_le_bytes();
        bytes.push(low | 0x80);
        rest >>= 7;
    }
    let [low, ..] = rest.to_le_bytes();
    bytes.push(low);
}

/// Bytes of Thrift's compact protocol, and how far they are read.
struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Thrift<'_> {
    fn byte(&mut self) -> Result<u8, Odd> {
        let byte = self.bytes.get(self.at).copied().ok_or(Odd("ends early"))?;
        self.at += 1;
        Ok(byte)
    }

    fn pass(&mut self, bytes: u64) -> Result<(), Odd> {
        let end = usize::try_from(bytes).ok().and_then(|bytes| self.at.checked_add(bytes));
        self.at = end.filter(|end| *end <= self.bytes.len()).ok_or(Odd("ends early"))?;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Odd> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Odd("has a number that does not end"))
    }

    fn int(&mut self) -> Result<i32, Odd> {
        let number = u32::try_from(self.varint()?).map_err(|_| Odd("has a number beyond 32 bits"))?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// The id and type of the next field of a struct, or `None` at its end.
    fn field(&mut self, last: i16) -> Result<Option<(i16, u8)>, Odd> {
        let byte = self.byte()?;
        let (of, distance) = (byte & 0xf, i16::from(byte >> 4));
        if of == ty::STOP {
            return Ok(None);
        }
        let id = match distance {
            0 => i16::try_from(self.int()?).ok(),
            _ => last.checked_add(distance),
        };
        Ok(Some((id.ok_or(Odd("has a field beyond all numbers"))?, of)))
    }

    fn skip(&mut self, of: u8, depth: usize) -> Result<(), Odd> {
        let depth = depth.checked_sub(1).ok_or(Odd("nests too deep"))?;
        match of {
            ty::TRUE | ty::FALSE => Ok(()),
            ty::BYTE => self.pass(1),
            ty::I16 | ty::I32 | ty::I64 => self.varint().map(drop),
            ty::DOUBLE => self.pass(8),
            ty::BINARY => {
                let length = self.varint()?;
                self.pass(length)
            }
            ty::LIST | ty::SET => self.skip_list(depth),
            ty::MAP => self.skip_map(depth),
            ty::STRUCT => {
                while let Some((_, of)) = self.field(0)? {
                    self.skip(of, depth)?;
                }
                Ok(())
            }
            _ => Err(Odd("has a field of no known type")),
        }
    }

    fn skip_list(&mut self, depth: usize) -> Result<(), Odd> {
        let byte = self.byte()?;
        let count = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
        (0..count).try_for_each(|_| self.skip_element(byte & 0xf, depth))
    }

    fn skip_map(&mut self, depth: usize) -> Result<(), Odd> {
        let count = self.varint()?;
        let of = if count > 0 { self.byte()? } else { 0 };
        (0..count).try_for_each(|_| {
            self.skip_element(of >> 4, depth)?;
            self.skip_element(of & 0xf, depth)
        })
    }

    /// Within lists a truth takes a byte. So every element takes one, and no count is larger than the bytes that are there.
    fn skip_element(&mut self, of: u8, depth: usize) -> Result<(), Odd> {
        if matches!(of, ty::TRUE | ty::FALSE) { self.pass(1) } else { self.skip(of, depth) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A data page of 700 values, RLE_DICTIONARY, 300 bytes.
    const PAGE: [u8; 18] =
        [0x15, 0, 0x15, 0x80, 0x10, 0x15, 0xd8, 4, 0x2c, 0x15, 0xf8, 0x0a, 0x15, 0x10, 0x15, 6, 0, 0];

    /// A dictionary of 3 entries, PLAIN, 12 bytes, with a field that says whether it is sorted.
    const ENTRIES: [u8; 14] = [0x15, 4, 0x15, 24, 0x15, 24, 0x4c, 0x15, 6, 0x15, 0, 0x12, 0, 0];

    #[test]
    fn headers_are_read() {
        let page = PageHeader::read(&PAGE).unwrap();
        assert_eq!((page.page, page.values, page.encoding, page.length), (300, 700, 8, 18));
        assert!(page.is_data() && !page.is_dictionary() && page.crc.is_none());
        let entries = PageHeader::read(&ENTRIES).unwrap();
        assert_eq!((entries.page, entries.values, entries.encoding, entries.length), (12, 3, 0, 14));
        assert!(entries.is_dictionary() && !entries.is_data());
        assert_eq!(
            PageHeader::read(&[&PAGE[..], &[9; 5]].concat()).unwrap().length,
            18,
            "what follows is not read"
        );
    }

    /// The bytes by the text of Thrift: field 4 is one behind field 3, and the struct of the page one nearer than it was.
    #[test]
    fn a_checksum_is_put_behind_the_sizes() {
        let check = |bytes: &[u8], at: usize, crc: u32, number: &[u8]| {
            let found = PageHeader::read(bytes).unwrap();
            let with = found.of_page(bytes, found.page, crc).unwrap();
            let next = bytes[at] - 0x10;
            assert_eq!(with, [&bytes[..at], &[0x15], number, &[next], &bytes[at + 1..]].concat());
            assert_eq!(PageHeader::read(&with).unwrap().crc, Some(crc));
            assert_eq!(
                PageHeader::read(&with).unwrap().of_page(&with, found.page, crc),
                Err(Odd("has no place for a checksum"))
            );
        };
        check(&PAGE, 8, 0, &[0]);
        check(&PAGE, 8, 1, &[2]);
        check(&PAGE, 8, u32::MAX, &[1]);
        check(&PAGE, 8, 0x7fff_ffff, &[0xfe, 0xff, 0xff, 0xff, 0x0f]);
        check(&ENTRIES, 6, 0x8000_0000, &[0xff, 0xff, 0xff, 0xff, 0x0f]);
        check(&ENTRIES, 6, 100, &[0xc8, 0x01]);
    }

    #[test]
    fn the_length_of_the_page_is_replaced() {
        let found = PageHeader::read(&PAGE).unwrap();
        let check = |page: usize, number: &[u8]| {
            let with = found.of_page(&PAGE, page, 1).unwrap();
            assert_eq!(with, [&PAGE[..6], number, &[0x15, 2], &[PAGE[8] - 0x10], &PAGE[9..]].concat());
            assert_eq!(PageHeader::read(&with).unwrap().page, page);
        };
        check(300, &PAGE[6..8]);
        check(12, &[24]);
        check(100_000, &[0xc0, 0x9a, 0x0c]);
        assert!(found.of_page(&PAGE, 1 << 31, 1).is_err());
    }

    #[test]
    fn what_is_not_expected_is_refused() {
        let check = |bytes: &[u8]| {
            assert!(
                PageHeader::read(bytes).and_then(|header| header.of_page(bytes, header.page, 7)).is_err(),
                "{bytes:x?}"
            );
        };
        check(&[]);
        check(&[0]);
        check(&PAGE[..17]);
        check(&[&PAGE[..], &[0]].concat());
        check(&[0x15, 0, 0x15, 2, 0x15, 2, 0]);
        // The struct of the page in the long form, with its number instead of its distance.
        check(&[&PAGE[..8], &[0x0c, 10], &PAGE[9..]].concat());
        // A page of less than nothing, and numbers and structs without an end.
        check(&[0x15, 0, 0x15, 2, 0x15, 1, 0x2c, 0, 0]);
        check(&[&[0x15][..], &[0xff; 20]].concat());
        check(&[&PAGE[..8], &[0x1c; 100]].concat());
    }

    /// Fields of any type that a header may get one day.
    #[test]
    fn fields_that_are_not_known_are_passed_over() {
        let fields: [&[u8]; 9] = [
            &[0x11],
            &[0x13, 9],
            &[0x16, 0x80, 1],
            &[0x17, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x18, 3, 1, 2, 3],
            &[0x19, 0x21, 1, 2],
            &[0x1a, 0xf5, 2, 4, 6],
            &[0x1b, 1, 0x58, 2, 1, 7],
            &[0x1c, 0x1c, 0x15, 2, 0, 0],
        ];
        let header = [&PAGE[..17], &fields.concat(), &[0]].concat();
        let found = PageHeader::read(&header).unwrap();
        assert_eq!(found.length, header.len());
        assert_eq!(PageHeader { length: 18, ..found }, PageHeader::read(&PAGE).unwrap());
        assert_eq!(
            PageHeader::read(&[&PAGE[..17], &[0x1d, 0]].concat()),
            Err(Odd("has a field of no known type"))
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..60), cut in 0..17_usize, crc in any::<u32>()) {
            for bytes in [bytes.clone(), [&PAGE[..cut], &bytes].concat()] {
                if let Ok(header) = PageHeader::read(&bytes) {
                    prop_assert!(header.length <= bytes.len());
                    let _ = header.of_page(&bytes, header.page, crc);
                }
            }
        }
    }
}
