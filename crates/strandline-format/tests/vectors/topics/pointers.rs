//! Every way in which a pointer or a tag may change; packs, eras and fingerprints.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;
use strandline_format::{
    BranchStart, Era, Feature, Features, Hash, Label, LakeId, NewPin, Nonce, ObjectRef, Pack, PinId, Pointer,
    PointerUpdate, RefName, Release, Seq, StoreFingerprint, Tag, TagTarget,
};

use crate::octets::octets;
use crate::outcome::{Failure, Outcome, json, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefInput {
    hash: Hash,
    era: Era,
    size: u64,
}

impl From<RefInput> for ObjectRef {
    fn from(input: RefInput) -> Self {
        Self { hash: input.hash, era: input.era, size: input.size }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// Left out to begin with the one update `create main` or `reserve`.
    pointer: Option<Box<RawValue>>,
    nonce: Nonce,
    updates: Vec<BTreeMap<String, Box<RawValue>>>,
}

/// `{"pointer", "nonce", "updates"}` to the members of the next pointer that differ from those of the given one.
pub(crate) fn update(input: &RawValue) -> Outcome {
    let UpdateInput { pointer, nonce, updates } = read(input)?;
    let Some(text) = pointer else {
        return create(nonce, &updates);
    };
    let pointer = Pointer::parse(text.get().as_bytes())?;
    let mut next = pointer.next(nonce)?;
    for update in &updates {
        next = one_update(next, update)?;
    }
    let next = next.finish().to_json()?;
    Pointer::parse(&next)?;
    changes(text.get().as_bytes(), &next)
}

/// The members of the second object that the first has not, or has with other values.
pub(crate) fn changes(before: &[u8], after: &[u8]) -> Outcome {
    let (before, after): (BTreeMap<String, Json>, BTreeMap<String, Json>) =
        (serde_json::from_slice(before)?, serde_json::from_slice(after)?);
    let differs = |(name, value): &(String, Json)| before.get(name) != Some(value);
    json(after.into_iter().filter(differs).collect::<BTreeMap<_, _>>())
}

fn one_update(
    next: PointerUpdate,
    update: &BTreeMap<String, Box<RawValue>>,
) -> Result<PointerUpdate, Failure> {
    let (verb, input) = verb(update)?;
    Ok(match verb {
        "advance" => {
            let AdvanceInput { head, pack } = read(input)?;
            next.advance(head.into(), pack_of(&pack)?)?
        }
        "fence" => next.fence(read(input)?)?,
        "raise era" => next.raise_era(read(input)?),
        "pin" => {
            let PinInput { id, commit, from, reason, time } = read(input)?;
            next.pin(NewPin { id, commit: commit.into(), from, reason: Label::new(reason)?, time })?
        }
        "unpin" => next.unpin(read::<PinId>(input)?),
        "drop outdated pins" => {
            let () = read(input)?;
            next.drop_outdated_pins()
        }
        "expire" => {
            let ExpireInput { to, head, newest, release } = read(input)?;
            next.expire(to, head, newest.into(), release.release()?)?
        }
        "require" => next.require(read::<FeaturesInput>(input)?.features()?),
        "tombstone" => next.tombstone(read::<ReleaseInput>(input)?.release()?)?,
        "revive" => next.revive(read::<StartInput>(input)?.start()?)?,
        "probed" => next.probed(read::<String>(input)?.parse::<StoreFingerprint>()?),
        _ => return Err(Failure::Input(format!("{verb:?} is no update"))),
    })
}

fn verb(update: &BTreeMap<String, Box<RawValue>>) -> Result<(&str, &RawValue), Failure> {
    let first = update.first_key_value().filter(|_| update.len() == 1);
    first
        .map(|(verb, input)| (verb.as_str(), &**input))
        .ok_or_else(|| Failure::Input("not one verb".to_owned()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdvanceInput {
    head: RefInput,
    #[serde(default)]
    pack: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PinInput {
    id: PinId,
    commit: RefInput,
    from: Seq,
    #[serde(rename = "for")]
    reason: String,
    time: strandline_format::Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpireInput {
    to: Seq,
    /// The version of the head.
    head: Seq,
    /// The newest commit that is let go.
    newest: RefInput,
    release: ReleaseInput,
}

/// What the pin of a release says besides what it keeps.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseInput {
    id: PinId,
    #[serde(rename = "for")]
    reason: String,
    time: strandline_format::Timestamp,
}

impl ReleaseInput {
    fn release(self) -> Result<Release, Failure> {
        Ok(Release { id: self.id, reason: Label::new(self.reason)?, time: self.time })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeaturesInput {
    read: Vec<String>,
    write: Vec<String>,
}

impl FeaturesInput {
    fn features(self) -> Result<Features, Failure> {
        let list = |names: Vec<String>| names.into_iter().map(Feature::new).collect::<Result<Vec<_>, _>>();
        Ok(Features::new(list(self.read)?, list(self.write)?)?)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartInput {
    /// Only where a pointer is created.
    lake: Option<LakeId>,
    branch: String,
    era: Era,
    head: RefInput,
    expired_before: Seq,
    #[serde(default)]
    pack: Vec<String>,
}

impl StartInput {
    fn start(self) -> Result<BranchStart, Failure> {
        Ok(BranchStart {
            branch: RefName::new(self.branch)?,
            features: Features::default(),
            era: self.era,
            head: self.head.into(),
            expired_before: self.expired_before,
            pack: pack_of(&self.pack)?,
        })
    }
}

fn create(nonce: Nonce, updates: &[BTreeMap<String, Box<RawValue>>]) -> Outcome {
    let [update] = updates else { return Err(Failure::Input("a pointer is created alone".to_owned())) };
    let (verb, input) = verb(update)?;
    let create: fn(LakeId, BranchStart, Nonce) -> Pointer = match verb {
        "create main" => Pointer::create_main,
        "reserve" => Pointer::reserve,
        _ => return Err(Failure::Input("no pointer to update".to_owned())),
    };
    let start: StartInput = read(input)?;
    let lake = start.lake.ok_or_else(|| Failure::Input("a pointer without a lake".to_owned()))?;
    changes(b"{}", &create(lake, start.start()?, nonce).to_json()?)
}

/// A pack of these texts, as far as they fit.
fn pack_of(texts: &[String]) -> Result<Pack, Failure> {
    let mut builder = Pack::builder();
    for text in texts {
        builder.push(Hash::of(text.as_bytes()), text)?;
    }
    Ok(builder.finish())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackInput {
    texts: Vec<PackedText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackedText {
    /// Left out: that of the text.
    hash: Option<Hash>,
    text: Box<RawValue>,
}

/// `{"texts": [{"hash", "text"}]}`, the most needed first, to `[[whether each is in], bytes of the pack]`.
pub(crate) fn pack(input: &RawValue) -> Outcome {
    let mut builder = Pack::builder();
    let mut packed = Vec::new();
    for PackedText { hash, text } in read::<PackInput>(input)?.texts {
        let text = String::from_utf8(octets(&text)?).map_err(|error| Failure::Input(error.to_string()))?;
        packed.push(builder.push(hash.unwrap_or_else(|| Hash::of(text.as_bytes())), &text)?);
    }
    json((packed, builder.finish().bytes()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EraInput {
    pointer: Era,
    upload: Era,
}

/// `{"pointer", "upload"}`, both eras: whether what was uploaded in the one may be committed to a pointer of the other.
pub(crate) fn era(input: &RawValue) -> Outcome {
    let EraInput { pointer, upload } = read(input)?;
    let start = BranchStart {
        branch: RefName::new("main")?,
        features: Features::default(),
        era: pointer,
        head: ObjectRef { hash: Hash::of(b"{}"), era: Era(0), size: 2 },
        expired_before: Seq(0),
        pack: Pack::default(),
    };
    let pointer = Pointer::create_main(LakeId::from_random([1; 16]), start, Nonce::from_bytes([2; 16]));
    json(pointer.allows(upload))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FingerprintInput {
    kind: String,
    endpoint: String,
    bucket: String,
    root: String,
    server: Option<String>,
}

/// `{"kind", "endpoint", "bucket", "root", "server"?}` to the fingerprint.
pub(crate) fn fingerprint(input: &RawValue) -> Outcome {
    let FingerprintInput { kind, endpoint, bucket, root, server } = read(input)?;
    let server = server.unwrap_or_default();
    json(StoreFingerprint::served(&kind, &endpoint, &bucket, &root, &server).to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagInput {
    tag: Box<RawValue>,
    nonce: Nonce,
    update: String,
    target: Option<TargetInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetInput {
    commit: RefInput,
    version: Seq,
    branch: String,
    time: strandline_format::Timestamp,
    author: String,
    message: String,
    features: FeaturesInput,
}

impl TargetInput {
    fn target(self) -> Result<TagTarget, Failure> {
        Ok(TagTarget {
            commit: self.commit.into(),
            version: self.version,
            branch: RefName::new(self.branch)?,
            time: self.time,
            author: strandline_format::Author::new(self.author)?,
            message: strandline_format::Message::new(self.message)?,
            features: self.features.features()?,
        })
    }
}

/// `{"tag", "nonce", "update", "target"}` to the members of the next tag that differ from those of the given one.
pub(crate) fn tag(input: &RawValue) -> Outcome {
    let TagInput { tag, nonce, update, target } = read(input)?;
    let before = Tag::parse(tag.get().as_bytes())?;
    let after = match (update.as_str(), target) {
        ("renew", None) => before.renew(nonce)?,
        ("tombstone", None) => before.tombstone(nonce)?,
        ("move", Some(target)) => before.retarget(target.target()?, nonce)?,
        _ => return Err(Failure::Input(format!("{update:?} is no update, or has no target"))),
    };
    changes(tag.get().as_bytes(), &after.to_json()?)
}
