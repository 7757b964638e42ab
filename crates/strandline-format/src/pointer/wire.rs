//! How a pointer stands in JSON, format version 1.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::pack::PackV1;
use super::{MAX_PACK_BYTES, MAX_PINS, MAX_PROBED, Pin, Pointer, RefState, StoreFingerprint, SwapSeq};
use crate::error::{Error, Result};
use crate::feature::{self, FeaturesV1};
use crate::hash::{RefV1, clip};
use crate::id::{Era, LakeId, Nonce, PinId, Seq};
use crate::json::{self, Header, MAX_REF_BYTES, Wire};
use crate::name::RefName;
use crate::text::Label;
use crate::time::Timestamp;

#[derive(Serialize, Deserialize)]
struct PointerV1 {
    #[serde(flatten)]
    header: Header,
    lake: LakeId,
    branch: String,
    features: FeaturesV1,
    seq: u64,
    nonce: Nonce,
    era: Era,
    head: RefV1,
    expired_before: Seq,
    pins: Vec<PinV1>,
    state: String,
    probed: Vec<String>,
    pack: PackV1,
}

#[derive(Serialize, Deserialize)]
struct PinV1 {
    id: PinId,
    commit: RefV1,
    from: Seq,
    era: Era,
    #[serde(rename = "for")]
    reason: String,
    time: Timestamp,
}

impl Wire for PointerV1 {
    const KIND: &'static str = "pointer";
    const LIMIT: usize = MAX_REF_BYTES;
    fn header(&self) -> &Header {
        &self.header
    }
}

impl RefState {
    /// The name of the state in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Deleted => "deleted",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "live" => Ok(Self::Live),
            "deleted" => Ok(Self::Deleted),
            _ => Err(Error::unsupported(format!("the state {:?} is not known here", clip(text)))),
        }
    }
}

impl Pointer {
    /// Reads a pointer's text; packed texts are checked against their hashes.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge`, `Corrupt` if a packed text is not what its hash says, or `Unsupported` for a newer format, a
    /// required feature or a state that is not known.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let wire: PointerV1 = json::parse(text).map_err(|error| feature::explain(text, error))?;
        Self::from_wire(wire).map_err(|error| feature::explain(text, error.stored().at(PointerV1::KIND)))
    }

    /// The pointer's text.
    ///
    /// # Errors
    /// `TooLarge` if the pack or the whole is beyond its bound.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        if self.pack.bytes() > MAX_PACK_BYTES {
            return Err(Error::too_large(format!("a pack of {} bytes", self.pack.bytes())));
        }
        json::write(&PointerV1 {
            header: Header::of::<PointerV1>(),
            lake: self.lake,
            branch: self.branch.as_str().to_owned(),
            features: (&self.features).into(),
            seq: self.seq.0,
            nonce: self.nonce,
            era: self.era,
            head: self.head.into(),
            expired_before: self.expired_before,
            pins: self.pins.iter().map(PinV1::from).collect(),
            state: self.state.as_str().to_owned(),
            probed: self.probed.iter().map(ToString::to_string).collect(),
            pack: (&self.pack).into(),
        })
    }

    fn from_wire(wire: PointerV1) -> Result<Self> {
        let pointer = Self {
            features: wire.features.try_into()?,
            state: RefState::parse(&wire.state)?,
            lake: wire.lake,
            branch: RefName::new(wire.branch)?,
            seq: SwapSeq(wire.seq),
            nonce: wire.nonce,
            era: wire.era,
            head: wire.head.into(),
            expired_before: wire.expired_before,
            pins: pins_from_wire(wire.pins)?,
            probed: probed_from_wire(&wire.probed)?,
            pack: wire.pack.try_into()?,
        };
        pointer.check()?;
        Ok(pointer)
    }

    fn check(&self) -> Result<()> {
        if self.state == RefState::Deleted && !self.pack.is_empty() {
            return Err(Error::malformed("a deleted branch has an empty pack"));
        }
        if let Some(pin) = self.pins.iter().find(|pin| pin.era > self.era) {
            return Err(Error::malformed(format!(
                "pin {} is of era {}, the pointer of {}",
                pin.id, pin.era, self.era
            )));
        }
        match self.head_version() {
            Some(head) if head < self.expired_before => Err(Error::malformed(format!(
                "versions before {} are expired, the head {head} too",
                self.expired_before
            ))),
            _ => Ok(()),
        }
    }

    /// The version of the head, if the pack tells it.
    fn head_version(&self) -> Option<Seq> {
        #[derive(Deserialize)]
        struct OnlySeq {
            seq: Seq,
        }
        let commit: OnlySeq = serde_json::from_str(self.pack.get(&self.head.hash)?).ok()?;
        Some(commit.seq)
    }
}

impl From<&Pin> for PinV1 {
    fn from(pin: &Pin) -> Self {
        let reason = pin.reason.as_str().to_owned();
        Self { id: pin.id, commit: pin.commit.into(), from: pin.from, era: pin.era, reason, time: pin.time }
    }
}

impl TryFrom<PinV1> for Pin {
    type Error = Error;

    fn try_from(wire: PinV1) -> Result<Self> {
        let reason = Label::new(wire.reason).map_err(|error| error.at("pin"))?;
        let commit = wire.commit.into();
        Ok(Self { id: wire.id, commit, from: wire.from, era: wire.era, reason, time: wire.time })
    }
}

fn pins_from_wire(wire: Vec<PinV1>) -> Result<Vec<Pin>> {
    if wire.len() > MAX_PINS {
        return Err(Error::too_large(format!("{} pins, the limit is {MAX_PINS}", wire.len())));
    }
    let pins: Vec<Pin> = wire.into_iter().map(Pin::try_from).collect::<Result<_>>()?;
    let mut known = HashSet::new();
    match pins.iter().find(|pin| !known.insert(pin.id)) {
        Some(twice) => Err(Error::malformed(format!("pin {} is repeated", twice.id))),
        None => Ok(pins),
    }
}

fn probed_from_wire(wire: &[String]) -> Result<Vec<StoreFingerprint>> {
    if wire.len() > MAX_PROBED {
        return Err(Error::malformed(format!("{} probed stores, the limit is {MAX_PROBED}", wire.len())));
    }
    let probed: Vec<StoreFingerprint> = wire.iter().map(|text| text.parse()).collect::<Result<_>>()?;
    let mut known = HashSet::new();
    match probed.iter().find(|store| !known.insert(**store)) {
        Some(twice) => Err(Error::malformed(format!("probed store {twice} is repeated"))),
        None => Ok(probed),
    }
}
