//! Random lives by the number of their seed, two at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number in this environment variable.
///
/// # Panics
/// When it holds something else.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect(name))
}

/// What `live` makes of each seed from `first` on, `count` in all.
///
/// # Panics
/// When any of them panics: after all others have lived, with their seeds.
pub fn each_seed<T: Send>(first: u64, count: u64, live: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(first);
    let results = Mutex::new((Vec::new(), Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                break;
            }
            let result = catch_unwind(AssertUnwindSafe(|| live(seed)));
            let mut results = results.lock().expect("no panic while it is held");
            match result {
                Ok(result) => results.0.push(result),
                Err(_) => results.1.push(seed),
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let (done, failed) = results.into_inner().expect("no panic while it was held");
    assert!(failed.is_empty(), "these seeds failed (see above): {failed:?}");
    done
}

#[cfg(test)]
mod tests {
    use super::each_seed;

    #[test]
    fn every_seed_lives_once() {
        let mut lived = each_seed(3, 5, |seed| seed);
        lived.sort_unstable();
        assert_eq!(lived, [3, 4, 5, 6, 7]);
    }

    #[test]
    #[should_panic(expected = "these seeds failed (see above): [2]")]
    fn one_that_fails_is_named_after_all_have_lived() {
        each_seed(1, 3, |seed| assert_ne!(seed, 2));
    }
}
