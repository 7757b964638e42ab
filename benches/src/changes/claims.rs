//! The figures of the bench that are counts and hold on any machine: who misses one of them makes the bench fail.
//!
//! What does not belong here: times, which are told and left to whoever reads them.

use crate::phase::{Failure, say};

/// The part of the other one's bytes that a lake may write.
const PART_OF_BYTES: u64 = 40;

/// From which part of `lineitem` on that is claimed: of fewer rows, the metadata of a commit is more than what the rows take.
const LEAST_SCALE: f64 = 1.0;

/// What a MERGE may have in memory, in kibibytes, and up to which part of `lineitem` that is claimed.
const MERGE_PEAK: u64 = 400 << 10;
const MOST_SCALE: f64 = 1.0;

/// The most that files may have after the changes, in hundredths of those of the same rows written anew.
const SCANNED: u64 = 115;

/// What one side took for a change.
pub(super) struct Took {
    pub(super) bytes: u64,
    pub(super) peak: u64,
}

/// What is missed of the claims so far.
#[derive(Default)]
pub(super) struct Claims(Vec<String>);

impl Claims {
    /// Looks at what a change took a lake, and the peer that it is compared with.
    pub(super) fn change(&mut self, (act, side): (&str, &str), scale: f64, ours: &Took, theirs: &Took) {
        if scale >= LEAST_SCALE && ours.bytes.saturating_mul(PART_OF_BYTES) > theirs.bytes {
            self.0.push(format!(
                "{act} by {side} wrote {} bytes, more than 1/{PART_OF_BYTES} of the {} that are rewritten",
                ours.bytes, theirs.bytes
            ));
        }
        if act == "merge" && scale <= MOST_SCALE && ours.peak > MERGE_PEAK {
            self.0.push(format!("{act} by {side} had {} KiB in memory, more than {MERGE_PEAK}", ours.peak));
        }
    }

    /// Fails if one of them was missed, naming all that were.
    pub(super) fn end(self) -> Result<(), Failure> {
        match &self.0[..] {
            [] => Ok(()),
            missed => {
                missed.iter().for_each(|missed| say(&format!("MISSED: {missed}")));
                Err(format!("{} claims are not met: {}", missed.len(), missed.join("; ")).into())
            }
        }
    }
}

/// What a scan reads of the changed table, and of the same rows written anew.
///
/// # Errors
/// If the one is too much.
pub(super) fn scanned(changed: u64, anew: u64) -> Result<(), Failure> {
    if changed.saturating_mul(100) > anew.saturating_mul(SCANNED) {
        let most = format!("more than {SCANNED} hundredths of the {anew} of the same rows written anew");
        return Err(format!("a scan reads {changed} bytes, {most}").into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missed_is_named() {
        let took = |bytes, peak| Took { bytes, peak };
        let end = |act, scale, ours: Took| {
            let mut claims = Claims::default();
            claims.change((act, "sdk"), scale, &ours, &took(4_000, 0));
            claims.end().map_err(|error| error.to_string())
        };
        assert_eq!(end("delete", 1.0, took(100, MERGE_PEAK + 1)), Ok(()));
        assert_eq!(end("delete", 0.01, took(101, 0)), Ok(()));
        let missed = end("delete", 1.0, took(101, 0)).unwrap_err();
        assert!(missed.contains("delete by sdk wrote 101 bytes"), "{missed}");
        let missed = end("merge", 1.0, took(101, MERGE_PEAK + 1)).unwrap_err();
        assert!(missed.starts_with("2 claims") && missed.contains("KiB in memory"), "{missed}");
        assert!(scanned(115, 100).is_ok() && scanned(116, 100).is_err());
    }
}
