//! How long jobs take that wait for each other, with so many at a time: the longest chain first, as cargo does too
//! (`core/compiler/job_queue`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When the last job ends, with `workers` at a time, in O((n + e) log n). `prices[job]` is what a job costs, and
/// `needs[job]` which jobs end before it starts; both are equally long.
///
/// The job that can start earliest is next; of those that can start now, the one with the longest chain behind it.
pub(crate) fn makespan(prices: &[u64], needs: &[Vec<usize>], workers: usize) -> u64 {
    let mut needed_by = vec![Vec::new(); needs.len()];
    for (job, needs) in needs.iter().enumerate() {
        for need in needs {
            needed_by[*need].push(job);
        }
    }
    let chains = chains(prices, needs, &needed_by);
    // Of two equal ones, the lower number is first.
    let rank = |job: usize| (chains[job], Reverse(job));

    let mut open = needs.iter().map(Vec::len).collect::<Vec<_>>();
    let mut ready_at = vec![0; needs.len()];
    // Jobs whose needs are all scheduled: first by the time the last of these ends; from then on, by rank.
    let free = (0..needs.len()).filter(|job| open[*job] == 0);
    let mut waiting = free.map(|job| Reverse((0, Reverse(rank(job))))).collect::<BinaryHeap<_>>();
    let mut ready = BinaryHeap::new();
    let mut workers = (0..workers.max(1)).map(|_| Reverse(0)).collect::<BinaryHeap<_>>();
    let mut latest = 0;
    while let Some(Reverse(now)) = workers.pop() {
        while waiting.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            ready.extend(waiting.pop().map(|Reverse((_, Reverse(rank)))| rank));
        }
        let now_or_next = ready.pop().map(|rank| (now, rank));
        let now_or_next =
            now_or_next.or_else(|| waiting.pop().map(|Reverse((at, Reverse(rank)))| (at, rank)));
        let Some((start, (_, Reverse(job)))) = now_or_next else { break };
        let end = start + prices[job];
        latest = latest.max(end);
        workers.push(Reverse(end));
        for &waiter in &needed_by[job] {
            open[waiter] -= 1;
            ready_at[waiter] = end.max(ready_at[waiter]);
            if open[waiter] == 0 {
                waiting.push(Reverse((ready_at[waiter], Reverse(rank(waiter)))));
            }
        }
    }
    latest
}

/// For each job, the price of the longest chain of jobs that wait for it, itself included.
fn chains(prices: &[u64], needs: &[Vec<usize>], needed_by: &[Vec<usize>]) -> Vec<u64> {
    let mut chains = prices.to_vec();
    let mut open = needed_by.iter().map(Vec::len).collect::<Vec<_>>();
    // Starts at jobs that nobody waits for; every other comes after all that wait for it.
    let mut next = (0..open.len()).filter(|job| open[*job] == 0).collect::<Vec<_>>();
    while let Some(job) = next.pop() {
        for &need in &needs[job] {
            chains[need] = chains[need].max(prices[need] + chains[job]);
            open[need] -= 1;
            if open[need] == 0 {
                next.push(need);
            }
        }
    }
    chains
}

#[cfg(test)]
mod tests {
    use xtask_testkit::Random;

    use super::*;

    /// The same rules, looked up anew for every job.
    fn slow_makespan(prices: &[u64], needs: &[Vec<usize>], workers: usize) -> u64 {
        fn chain(job: usize, prices: &[u64], needs: &[Vec<usize>]) -> u64 {
            let waiters = (0..needs.len()).filter(|waiter| needs[*waiter].contains(&job));
            prices[job] + waiters.map(|waiter| chain(waiter, prices, needs)).max().unwrap_or(0)
        }
        let chains = (0..needs.len()).map(|job| chain(job, prices, needs)).collect::<Vec<_>>();
        let mut ends = vec![None::<u64>; needs.len()];
        let mut workers = vec![0; workers];
        for _ in 0..needs.len() {
            workers.sort_unstable();
            let start = |job: usize| {
                needs[job].iter().try_fold(workers[0], |latest, need| Some(ends[*need]?.max(latest)))
            };
            let startable = (0..needs.len()).filter(|job| ends[*job].is_none());
            let startable = startable.filter_map(|job| Some((start(job)?, Reverse(chains[job]), job)));
            let (start, _, job) = startable.min().unwrap();
            workers[0] = start + prices[job];
            ends[job] = Some(workers[0]);
        }
        ends.into_iter().flatten().max().unwrap_or(0)
    }

    #[test]
    fn random_graphs_take_as_long_as_when_every_step_is_looked_up() {
        let mut random = Random::new(12);
        for _ in 0..400 {
            let count = 1 + random.below(24);
            // Few different prices, so that there are many equals; 0 is one of them.
            let prices = (0..count).map(|_| random.number() % 6).collect::<Vec<_>>();
            let often = random.below(40);
            let mut needs = vec![Vec::new(); count];
            // Numbers say nothing about the order: half of the graphs are the other way round.
            let turned = random.chance(50);
            for job in 0..count {
                for need in (0..job).filter(|_| random.chance(often)).collect::<Vec<_>>() {
                    let (job, need) = if turned { (count - 1 - job, count - 1 - need) } else { (job, need) };
                    needs[job].push(need);
                }
            }
            let workers = 1 + random.below(5);
            let expected = slow_makespan(&prices, &needs, workers);
            assert_eq!(makespan(&prices, &needs, workers), expected, "{prices:?} {needs:?} {workers}");
        }
    }

    #[test]
    fn jobs_wait_for_what_they_need_and_for_a_free_worker() {
        let schedule = |prices: &[u64], edges: &[(usize, usize)], workers| {
            let mut needs = vec![Vec::new(); prices.len()];
            for (job, need) in edges {
                needs[*job].push(*need);
            }
            makespan(prices, &needs, workers)
        };
        assert_eq!(schedule(&[], &[], 2), 0);
        assert_eq!(schedule(&[5, 5, 5, 5], &[], 2), 10);
        assert_eq!(schedule(&[5, 5, 5], &[(1, 0), (2, 1)], 8), 15);
        // A long chain starts first, and the short ones fill the other worker.
        assert_eq!(schedule(&[3, 3, 3, 10, 10], &[(4, 3)], 2), 20);
    }
}
