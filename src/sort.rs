//! Sorting in few bytes.
//!
//! The standard library's sorts are made anew for each type that is sorted, 5 KiB each; together they were a fiftieth of the loader. What is
//! sorted here is short as a rule, but can be long where a device tree is hostile: so it is heapsort, n log n in any order, and one copy of it
//! for all types.

/// A list that can be sorted, by places below [`Places::count`].
trait Places {
    fn count(&self) -> usize;
    fn is_less(&self, one: usize, other: usize) -> bool;
    fn swap(&mut self, one: usize, other: usize);
}

struct List<'i, T, F> {
    items: &'i mut [T],
    is_less: F,
}

impl<T, F: Fn(&T, &T) -> bool> Places for List<'_, T, F> {
    fn count(&self) -> usize {
        self.items.len()
    }

    fn is_less(&self, one: usize, other: usize) -> bool {
        matches!((self.items.get(one), self.items.get(other)), (Some(one), Some(other)) if (self.is_less)(one, other))
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.items.swap(one, other);
    }
}

/// Sorts `items` so that none is less than one before it. What is equal may change places.
pub fn sort_by<T>(items: &mut [T], is_less: impl Fn(&T, &T) -> bool) {
    heapsort(&mut List { items, is_less });
}

/// Heapsort (J. W. J. Williams, 1964; R. W. Floyd, 1964).
fn heapsort(list: &mut dyn Places) {
    let count = list.count();
    for root in (0..count / 2).rev() {
        sift_down(list, root, count);
    }
    for end in (1..count).rev() {
        list.swap(0, end);
        sift_down(list, 0, end);
    }
}

/// Lets the item at `root` sink among those before `end` until none below it is larger.
fn sift_down(list: &mut dyn Places, mut root: usize, end: usize) {
    loop {
        // Fewer than half of the places are above another: no sum overflows.
        let left = 2 * root + 1;
        if left >= end {
            return;
        }
        let right = left + 1;
        let larger = if right < end && list.is_less(left, right) { right } else { left };
        if !list.is_less(root, larger) {
            return;
        }
        list.swap(root, larger);
        root = larger;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_is_the_standard_librarys(mut items in prop::collection::vec((0u8..20, any::<u32>()), 0..200)) {
            let mut expected = items.clone();
            expected.sort_unstable();
            sort_by(&mut items, |one, other| one < other);
            prop_assert_eq!(items, expected);
        }
    }

    #[test]
    fn no_order_makes_it_slow() {
        const COUNT: u32 = 1 << 14;
        let orders: [fn(u32) -> u32; 4] = [|at| at, |at| COUNT - at, |_| 7, |at| at.wrapping_mul(0x9e37_79b9)];
        for order in orders {
            let mut items: Vec<u32> = (0..COUNT).map(order).collect();
            let compared = Cell::new(0);
            sort_by(&mut items, |one, other| {
                compared.set(compared.get() + 1);
                one < other
            });
            assert!(items.is_sorted());
            assert!(compared.get() < 2 * COUNT * 14, "{}", compared.get());
        }
    }
}
