//! Sets of cargo compile units: those a command would need (the shadow plan), those it did build (the record) and
//! those that lie on disk (the inventory). Nobody else in the suite runs cargo builds, reads cargo's output or walks
//! the build dir.

mod assemble;
mod build_output;
mod compare;
mod compile_errors;
mod dep_info;
pub mod fake;
mod fingerprint;
mod forecast;
mod freshness;
pub mod inventory;
mod jobserver;
mod kept_plans;
mod makespan;
mod messages;
mod parallel;
mod plan_log;
pub mod process;
mod record;
mod shadow;
mod shadow_dir;
mod signals;
mod times;
mod timings;
mod unit;

pub use build_output::without_colour;
pub use compare::{Comparison, Split, compare};
pub use compile_errors::FailedTarget;
pub use dep_info::outputs as dep_info_outputs;
pub use fingerprint::Fingerprint;
pub use forecast::{Forecast, forecast};
pub use freshness::{State, reads, states};
pub use parallel::{cores, parallel};
pub use record::{BuiltUnit, CompileError, Record, RunOptions, now_ms, run, whole_milliseconds};
pub use shadow::{Shadow, Source, cached, forget_plans, plan, plan_all, user_rustdoc};
pub use shadow_dir::scratch_dir;
pub use signals::{end_by_signal, holding_signals};
pub use times::Times;
pub use timings::milliseconds;
pub use unit::{Incremental, Mode, TargetKind, Unit, UnitIdentity, UnitSet};
