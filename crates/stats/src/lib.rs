//! Compares measurements that were taken side by side: medians, intervals, verdicts.
