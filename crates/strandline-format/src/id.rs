//! Ids: one type for each, with a strict parser, so that no bare `String` or `u64` crosses a module.
//!
//! Invariant: the text of an id is canonical, so equal ids have equal text [ID-1]. Ids are made of random bytes handed in
//! by the caller; this module never asks for randomness itself.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::hash::clip;

/// What each byte stands for as a lower-case hex digit; what is none has a bit that no digit has.
const HEX_DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};
const NO_DIGIT: u8 = 0x80;

/// The bytes that exactly `2 * N` lower-case hex digits stand for. A leaf has hundreds of hashes, so it does not branch.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut seen = 0;
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let (high, low) = (HEX_DIGITS[usize::from(pair[0])], HEX_DIGITS[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen & NO_DIGIT == 0).then_some(bytes)
}

/// Deserialises what its text form parses to, without allocating.
pub(crate) fn deserialize_parsed<'de, D, T>(
    deserializer: D,
    expected: &'static str,
) -> std::result::Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = Error>,
{
    struct Parsed<T>(&'static str, std::marker::PhantomData<T>);
    impl<T: FromStr<Err = Error>> Visitor<'_> for Parsed<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Parsed(expected, std::marker::PhantomData))
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these 128 bits, which the caller drew at random.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 128 bits.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", u128::from_be_bytes(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                parse_hex(text).map(Self).ok_or_else(|| {
                    Error::malformed(format!(
                        concat!("a ", stringify!($name), " has 32 lower-case hex digits, not {:?}"),
                        clip(text)
                    ))
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                deserialize_parsed(deserializer, "32 lower-case hex digits")
            }
        }
    };
}

random_id! {
    /// One transaction, chosen once and kept through all its retries [ID-3].
    ///
    /// ```
    /// use strandline_format::TxnId;
    /// let id = TxnId::from_bytes([7; 16]);
    /// assert_eq!(id.to_string().parse(), Ok(id));
    /// ```
    TxnId
}
random_id! {
    /// What makes each attempt at a pointer differ from every other, so that a token never repeats [PTR-4].
    ///
    /// ```
    /// use strandline_format::Nonce;
    /// assert_eq!(Nonce::from_bytes([7; 16]).to_string(), "07".repeat(16));
    /// ```
    Nonce
}
random_id! {
    /// One pin in a pointer.
    ///
    /// ```
    /// use strandline_format::PinId;
    /// assert_eq!(PinId::from_bytes([7; 16]).to_string().parse(), Ok(PinId::from_bytes([7; 16])));
    /// ```
    PinId
}

impl TxnId {
    /// The id that an idempotency key stands for: the same key, the same transaction [ID-4].
    ///
    /// ```
    /// use strandline_format::TxnId;
    /// assert_eq!(TxnId::of_key("job-7"), TxnId::of_key("job-7"));
    /// assert_ne!(TxnId::of_key("job-7"), TxnId::of_key("job-8"));
    /// ```
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        let hash = blake3::derive_key("strandline idempotency key", key.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Self(bytes)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A version 4 UUID made of these random bytes.
            #[must_use]
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }

            /// The 128 bits.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                let error = || {
                    Error::malformed(format!(
                        concat!("a ", stringify!($name), " is a lower-case hyphenated UUID, not {:?}"),
                        clip(text)
                    ))
                };
                let id = Uuid::try_parse(text).map_err(|_| error())?;
                let mut canonical = Uuid::encode_buffer();
                if id.hyphenated().encode_lower(&mut canonical) != text {
                    return Err(error());
                }
                Ok(Self(id))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                deserialize_parsed(deserializer, "a lower-case hyphenated UUID")
            }
        }
    };
}

uuid_id! {
    /// A lake, for ever: histories of different lakes are never merged.
    ///
    /// ```
    /// use strandline_format::LakeId;
    /// let id = LakeId::from_random([9; 16]);
    /// assert_eq!(id.to_string(), "09090909-0909-4909-8909-090909090909");
    /// assert!("09090909090949098909090909090909".parse::<LakeId>().is_err());
    /// ```
    LakeId
}
uuid_id! {
    /// A table, for as long as it lives, whatever it is called.
    ///
    /// ```
    /// use strandline_format::TableId;
    /// let id = TableId::from_random([1; 16]);
    /// assert_eq!(id.to_string().parse(), Ok(id));
    /// ```
    TableId
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number after this one, unless the range is used up.
            ///
            /// # Errors
            /// `TooLarge` at the end of the range.
            pub fn next(self) -> Result<Self> {
                self.0.checked_add(1).map(Self).ok_or_else(|| {
                    Error::too_large(concat!("no ", stringify!($name), " is left"))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// A commit's place in its branch, from 0: the version that people see.
    ///
    /// ```
    /// use strandline_format::Seq;
    /// assert_eq!(Seq(6).next()?, Seq(7));
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    Seq, u64
}
number! {
    /// A garbage-collection era: it grows by one with each collection.
    ///
    /// ```
    /// use strandline_format::Era;
    /// assert!(Era(0) < Era(0).next()?);
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    Era, u64
}
number! {
    /// A file entry within its table.
    ///
    /// ```
    /// use strandline_format::FileId;
    /// assert_eq!(FileId(6).next()?, FileId(7));
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    FileId, u64
}
number! {
    /// A row within its table, stable through updates, compaction, branches and merges.
    ///
    /// ```
    /// use strandline_format::RowId;
    /// assert_eq!(RowId(6).next()?, RowId(7));
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    RowId, u64
}
number! {
    /// A column, nested ones too, within its table; never used again after a drop.
    ///
    /// ```
    /// use strandline_format::{FieldId, RESERVED_FIELD_IDS};
    /// assert!(FieldId(1).next()? < RESERVED_FIELD_IDS);
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    FieldId, i32
}

/// Where Iceberg's reserved field ids begin: no column of a table may have an id from here up [SCH-4].
pub const RESERVED_FIELD_IDS: FieldId = FieldId(2_147_483_448);
