//! Signals that would end this process, kept while something runs that must not be left halfway.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};

/// The signals that end us. While they are watched they are kept; else they do what they always do.
pub(crate) struct Signals {
    last: Arc<AtomicUsize>,
    seen: AtomicUsize,
    idle: Arc<AtomicBool>,
}

impl Signals {
    pub(crate) fn get() -> Result<&'static Self> {
        static SIGNALS: OnceLock<Signals> = OnceLock::new();
        if let Some(signals) = SIGNALS.get() {
            return Ok(signals);
        }
        let signals =
            Self { last: Arc::default(), seen: AtomicUsize::new(0), idle: Arc::new(AtomicBool::new(true)) };
        for signal in terminating() {
            let number = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&signals.idle))
                .and_then(|_| signal_hook::flag::register_usize(signal, Arc::clone(&signals.last), number))
                .context("failed to watch for signals")?;
        }
        Ok(SIGNALS.get_or_init(|| signals))
    }

    pub(crate) fn watch(&self) -> Watch<'_> {
        self.last.store(0, Ordering::SeqCst);
        self.seen.store(0, Ordering::SeqCst);
        self.idle.store(false, Ordering::SeqCst);
        Watch(&self.idle)
    }

    /// A signal that came since the last call.
    pub(crate) fn take(&self) -> Option<i32> {
        let signal = self.last.swap(0, Ordering::SeqCst);
        if signal == 0 {
            return None;
        }
        self.seen.store(signal, Ordering::SeqCst);
        i32::try_from(signal).ok()
    }

    pub(crate) fn seen(&self) -> Option<i32> {
        self.take();
        i32::try_from(self.seen.load(Ordering::SeqCst)).ok().filter(|signal| *signal != 0)
    }
}

pub(crate) struct Watch<'a>(&'a AtomicBool);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn terminating() -> Vec<i32> {
    #[cfg(unix)]
    return vec![SIGINT, SIGTERM, signal_hook::consts::SIGHUP];
    #[cfg(not(unix))]
    vec![SIGINT, SIGTERM]
}

/// Ends this process the way `signal` would have, so that a shell sees the interruption.
pub fn end_by_signal(signal: i32) {
    // It only returns when the signal cannot be raised; the caller then exits with its own code.
    let _ = signal_hook::low_level::emulate_default_handler(signal);
}

/// Runs `work` to its end whatever signal comes; `work` may ask for one that came. Returns the last one beside
/// its result: it is for the caller to act on it.
pub fn holding_signals<T>(work: impl FnOnce(&dyn Fn() -> Option<i32>) -> T) -> Result<(T, Option<i32>)> {
    let signals = Signals::get()?;
    let watch = signals.watch();
    let done = work(&|| signals.seen());
    drop(watch);
    Ok((done, signals.seen()))
}
