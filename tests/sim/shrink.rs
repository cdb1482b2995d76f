//! Makes a failure small: which few of its operations does it need?

/// A part of `items`, in their order, that still fails, and none of which can be left out.
///
/// Delta debugging (Zeller, Hildebrandt: "Simplifying and isolating failure-inducing input", 2002), by complements
/// alone: ever smaller pieces are left out, for as long as the rest fails.
pub fn shrink<T: Clone>(items: &[T], fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut left = items.to_vec();
    let mut piece = left.len().div_ceil(2);
    while piece > 0 {
        let (mut start, mut shrank) = (0, false);
        while start < left.len() {
            let end = (start + piece).min(left.len());
            let rest = [&left[..start], &left[end..]].concat();
            if fails(&rest) {
                left = rest;
                shrank = true;
            } else {
                start = end;
            }
        }
        // Once more with single ones, where the last round of them left something out.
        piece = if piece == 1 && shrank { 1 } else { piece / 2 };
    }
    left
}

#[test]
fn what_is_needed_stays_and_all_else_goes() {
    let items: Vec<u32> = (0..200).collect();
    let needs =
        |needed: &'static [u32]| move |items: &[u32]| needed.iter().all(|number| items.contains(number));
    for needed in [&[][..], &[0], &[199], &[3, 77, 78, 150]] {
        assert_eq!(shrink(&items, needs(needed)), needed);
    }
}
