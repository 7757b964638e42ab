//! A model of pointers, commits, branches and eras, searched to its end within small bounds; and its mutants, which take one
//! shortcut each and are caught.
//!
//! It is the text of `format-spec/protocol.md` that is modelled, not the crate: nothing here calls it.
//!
//! # What is modelled
//!
//! - `store.rs`: a register for each ref, with tokens, and objects by content and era.
//! - `writer.rs`: a transaction with the checks of every base [TXN-4], the loop [UNK-2], the fence [UNK-3] and its resolution
//!   [UNK-7], over a network that delays, loses, refuses and answers wrongly, and brings requests after their sender has gone on.
//! - `collector.rs`: the choice of the era, the fence, the mark, the deletes [GC-2, GC-3]; several that stall and overtake.
//! - `takeover.rs`: a commit taken over by another branch, a branch or a tag made by a reservation [GC-7, GC-8, BR-1, BR-5].
//! - `refs.rs`: expiry, deletion, a branch made anew, and old pins dropped [GC-9, GC-10, BR-3, EXP-1].
//!
//! `properties.rs` has what must hold in every state, and what each model must reach, so that none holds for want of anything
//! happening. `models.rs` has the bounds, `mutants.rs` the shortcuts of `shortcut.rs` with what each one breaks.
//!
//! # What stands for what
//!
//! - Tokens never repeat and are only compared. So a token is either that of what stands there or stale, and a request with a
//!   stale one is no longer followed, once nobody waits for its answer.
//! - The same bytes can be sent any number of times. Two copies in the air are one: at most one of them is applied.
//! - A crash is an actor that takes no further step; every actor may stop anywhere.
//! - Swaps of pins, fences of a collection, expiry and deletion are one step each. What a lost answer adds there is that the swap is found by its
//!   id or nonce, or made again.
//! - A commit is its transaction and the keys that it reaches; trees, nodes and rows are not told apart. Whether a rebase
//!   conflicts is left to chance.
//! - A collector deletes whatever the rules let it delete, whenever it likes from its mark on, without a listing.
//! - A pin that letting go leaves is one for each pointer, widened each time.
//! - Equal collectors are kept in order, so in a path "collector 0" may go on as "collector 1".
//!
//! # What is not
//!
//! Making a lake [INIT], local folders, the probe, group commits, fast-forwards, repair, a listing or a get that is not fresh [STO-1], and
//! time: a deadline may pass whenever somebody waits. Of merges there is only that they take over.
//!
//! # Bounds
//!
//! No model is cut off by depth, by a count of states or by time: sendings and readings are not bounded at all, and the acts that are
//! stand in `models.rs`. At most three refs, two writers with one transaction each, two takers, two collectors at once, and four collections in turn.
//! States are told apart by 64-bit hashes, as `stateright` does it; with a few million of them a collision is a matter of one in a million.
//!
//! `cargo test -p strandline --test model -- --nocapture` prints bounds, states and counterexamples.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod collector;
#[cfg(test)]
mod lake;
#[cfg(test)]
mod models;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod refs;
#[cfg(test)]
mod shortcut;
#[cfg(test)]
mod store;
#[cfg(test)]
mod takeover;
#[cfg(test)]
mod writer;
