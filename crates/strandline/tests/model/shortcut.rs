//! Rules left out: each shortcut is one change of the protocol that looks harmless, and that a model shows to be wrong.
//!
//! The tests in `mutants.rs` say which property each one breaks.

/// What a mutant does otherwise than the protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortcut {
    // The nine of the rationale.
    /// After Moved a writer rebases without looking for its id [TXN-4, STO-7].
    BlindRebase,
    /// It asks whether the head is its own [TXN-5].
    HeadIsMine,
    /// No answer is reported as a failure [UNK-1].
    TimeoutIsFailure,
    /// After no answer the ref is read once, and that decides [UNK-4].
    ReadOnceAndDecide,
    /// It looks for its id after a Moved, but not after no answer [TXN-4].
    LookOnlyAfterMoved,
    /// A collection fences nothing and compares no eras; what is not reached and old is deleted [GC-1].
    CollectByAge,
    /// A swap that changes nothing leaves the token as it was [PTR-4].
    NoNonce,
    /// A writer commits whatever era its uploads have [GC-4].
    ErasNotCompared,
    /// The era is no part of the key: a delete hits what was put again [GC-11].
    KeyIsHashAlone,

    // Collection with one rule taken away.
    /// A pointer ceases to keep commits and leaves no pin [GC-10].
    NoPinWhenLettingGo,
    /// Any swap may drop a pin, however new [GC-9].
    PinsDroppedAtOnce,
    /// A pin is dropped one era early [GC-9].
    PinsDroppedEarly,
    /// The check of the source is content with a pin of a past era [GC-7].
    PastPinIsGoodEnough,
    /// A collection that meets an era above its own goes on [GC-2].
    OvertakenGoesOn,
    /// A pointer that has the collection's era already is read and not swapped [GC-2].
    SameEraIsNotSwapped,
    /// A branch becomes live by a put if absent [BR-2].
    LiveByPutIfAbsent,
    /// A branch goes live in the era of its reservation [BR-1].
    LiveInReservationEra,
    /// The source is not looked at between the base and the swap [GC-7].
    SourceNotChecked,
    /// Tags are fenced behind the pointers [GC-2].
    TagsFencedLast,

    // What else rests on one rule alone.
    /// Moved is reported as a conflict, as a client that retries by itself makes happen [STO-4, STO-7].
    MovedIsFailure,
    /// An error of a later sending is taken for the outcome of all [UNK-2].
    ErrorSettles,
    /// What is not found is resolved as aborted without a fence [UNK-7].
    ResolveWithoutFence,
    /// What is not found on a branch that was made anew is resolved as aborted [UNK-7].
    ResolveWithoutStart,
    /// The key of a run is looked for above its start only [TXN-4].
    KeyAboveStartOnly,
    /// The store replaces the ref whatever the token says [STO-2].
    StoreWithoutCondition,
    /// Objects are taken from an expired start [TXN-4].
    ReuseOfExpired,
}
