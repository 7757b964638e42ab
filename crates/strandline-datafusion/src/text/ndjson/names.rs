//! The members of objects by their names, of which those that differ only in case are one.

use std::collections::HashMap;

use strandline::format::NameKey;

/// The names that objects may have, and which of them came in one.
#[derive(Debug, Default)]
pub(super) struct Names {
    places: HashMap<NameKey, usize>,
    /// The same by the spellings that were met.
    met: HashMap<String, usize>,
    /// The first spelling of each.
    spelled: Vec<String>,
    /// The place behind the one that came last: members of most files come in one order.
    next: usize,
    /// For each place, in which object it last came.
    came: Vec<u64>,
    /// How many objects have begun.
    objects: u64,
}

impl Names {
    pub(super) fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut made = Self::default();
        for name in names {
            made.add(name);
        }
        made
    }

    /// The place of a name that was not there.
    pub(super) fn add(&mut self, name: &str) -> usize {
        let place = self.came.len();
        self.came.push(0);
        self.spelled.push(name.to_owned());
        self.places.insert(NameKey::of(name), place);
        place
    }

    pub(super) fn place(&mut self, name: &str) -> Option<usize> {
        let guess = self.next;
        if self.spelled.get(guess).is_some_and(|spelled| spelled == name) {
            self.next += 1;
            return Some(guess);
        }
        let place = match self.met.get(name) {
            Some(place) => *place,
            None => {
                let place = *self.places.get(&NameKey::of(name))?;
                self.met.insert(name.to_owned(), place);
                place
            }
        };
        self.next = place + 1;
        Some(place)
    }

    /// How many names there are.
    pub(super) fn count(&self) -> usize {
        self.came.len()
    }

    /// Another object begins, of which nothing has come.
    pub(super) fn begin(&mut self) {
        self.objects += 1;
        self.next = 0;
    }

    /// Whether it is the first time in this object.
    pub(super) fn comes(&mut self, place: usize) -> bool {
        let came = self.came.get_mut(place);
        came.is_some_and(|came| std::mem::replace(came, self.objects) != self.objects)
    }

    /// Whether it came in this object.
    pub(super) fn has(&self, place: usize) -> bool {
        self.came.get(place) == Some(&self.objects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_once_in_each_object() {
        let mut names = Names::of(["id", "Straße"]);
        assert_eq!((names.place("ID"), names.place("STRASSE"), names.place("x")), (Some(0), Some(1), None));
        for _ in 0..2 {
            names.begin();
            let found = ["STRASSE", "id", "Straße", "Straße"].map(|name| names.place(name));
            assert_eq!(found, [Some(1), Some(0), Some(1), Some(1)]);
            assert_eq!((names.comes(1), names.comes(1)), (true, false));
            assert_eq!((names.has(0), names.has(1)), (false, true));
        }
        assert_eq!((names.add("x"), names.place("X")), (2, Some(2)));
    }
}
