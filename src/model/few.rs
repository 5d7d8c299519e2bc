//! A list that nearly always has one item, which then takes no memory of its own: on a host with a million sockets that
//! is a million pieces of memory less. `smallvec` has the same, but not for what borrows: its lists cannot stand for lists
//! of a shorter lifetime, which the rows of a listing must.

use std::ops::{Deref, DerefMut};

/// Any number of items, mostly one.
#[derive(Clone, Debug)]
pub enum Few<T> {
    /// None.
    None,
    /// One.
    One(T),
    /// Several.
    #[expect(clippy::box_collection, reason = "a list itself would make each of a million sockets larger")]
    Many(Box<Vec<T>>),
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(mut items: Vec<T>) -> Few<T> {
        match items.len() {
            0 | 1 => items.pop().map_or(Few::None, Few::One),
            _ => Few::Many(Box::new(items)),
        }
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Few<T> {
        let mut items = items.into_iter();
        match (items.next(), items.next()) {
            (None, _) => Few::None,
            (Some(only), None) => Few::One(only),
            (first, second) => Few::Many(Box::new(first.into_iter().chain(second).chain(items).collect())),
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Few::None => &[],
            Few::One(only) => std::slice::from_ref(only),
            Few::Many(items) => items,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Few::None => &mut [],
            Few::One(only) => std::slice::from_mut(only),
            Few::Many(items) => items,
        }
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Few<T>) -> bool {
        self[..] == other[..]
    }
}

impl<T: Eq> Eq for Few<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_items_that_it_was_made_of() {
        for count in 0..4 {
            let items: Vec<u32> = (0..count).collect();
            let collected: Few<u32> = items.iter().copied().collect();
            assert_eq!(collected[..], items);
            assert_eq!(collected, Few::from(items));
            assert_eq!(matches!(collected, Few::Many(_)), count > 1);
        }
    }
}
