//! sccache is proven by a hit: of two equal compilations into clean folders the second comes from the cache.
//!
//! It runs as a server of its own on a free port, with the user's settings otherwise: so the cache is the real one, and the
//! statistics are those of the probe alone.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask_workspace::Call;

use super::{Proven, seen, token};
use crate::machine::Machine;
use crate::probe::Found;
use crate::process::successful;

/// Starting the server, compiling a library of one line; 1 s on a quiet machine.
const ANSWERS: Duration = Duration::from_secs(60);

pub(super) fn prove(found: &Found, machine: &Machine) -> Result<Proven> {
    if machine.environment.get("CARGO_INCREMENTAL").is_some_and(|value| value != "0") {
        bail!(
            "CARGO_INCREMENTAL is set, and with it sccache caches nothing; unset it (incremental is cargo's default)"
        );
    }
    let server = Server::start(found, machine)?;
    let token = token();
    compile(&server, &token)?;
    let first = server.statistics()?;
    compile(&server, &token)?;
    let second = server.statistics()?;
    if hits(&first) != 0 || hits(&second) == 0 {
        bail!(
            "the second of two equal compilations was not a hit ({} hits, {} misses)",
            hits(&second),
            count(&second, "cache_misses")
        );
    }
    Ok(seen(format!("a hit in {}", place(&second))))
}

/// The location of the cache, its size and its limit, as far as the server says.
fn place(statistics: &Value) -> String {
    let location = statistics["cache_location"].as_str().unwrap_or("its cache").replace('"', "");
    match statistics["max_cache_size"].as_u64() {
        Some(most) => {
            format!("{location}, {} MiB of at most {} MiB", mib(&statistics["cache_size"]), most >> 20)
        }
        None => location,
    }
}

fn mib(bytes: &Value) -> u64 {
    bytes.as_u64().unwrap_or_default() >> 20
}

fn hits(statistics: &Value) -> u64 {
    count(statistics, "cache_hits")
}

/// The sum over all languages.
fn count(statistics: &Value, what: &str) -> u64 {
    let counts = statistics["stats"][what]["counts"].as_object();
    counts.into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
}

/// Compiles a library as cargo would, with a token that was never compiled before.
fn compile(server: &Server<'_>, token: &str) -> Result<()> {
    let scratch = server.machine.scratch("cache")?;
    let source = scratch.write("probe.rs", &format!("pub const TOKEN: &str = \"{token}\";\n"))?;
    let out = scratch.path().join("out");
    // rustc would make it, and sccache does not.
    std::fs::create_dir(&out).with_context(|| format!("failed to create folder {out}"))?;
    let mut call = server.call(&["rustc", "--crate-name", "probe", "--edition=2021", source.as_str()]);
    let rest = [
        "--crate-type",
        "lib",
        "--emit=dep-info,metadata,link",
        "-C",
        "metadata=0123456789abcdef",
        "-C",
        "extra-filename=-0123456789abcdef",
        "--out-dir",
        out.as_str(),
    ];
    call.args.extend(rest.map(str::to_owned));
    successful(&call, &server.machine.environment, ANSWERS)?;
    if !out.join("libprobe-0123456789abcdef.rlib").is_file() {
        bail!("`{call}` succeeded without compiling anything");
    }
    Ok(())
}

/// A server of our own, stopped when it is dropped.
struct Server<'a> {
    found: &'a Found,
    machine: &'a Machine,
    port: u16,
}

impl<'a> Server<'a> {
    fn start(found: &'a Found, machine: &'a Machine) -> Result<Self> {
        let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr());
        let port = free.context("failed to find a free port")?.port();
        let server = Self { found, machine, port };
        let start = server.call(&["--start-server"]);
        successful(&start, &machine.environment, ANSWERS)?;
        Ok(server)
    }

    fn call(&self, args: &[&str]) -> Call {
        Call::new(&self.machine.root, self.found.path.as_str(), args.iter().copied())
            .with_env("SCCACHE_SERVER_PORT", self.port.to_string())
            // If this process is killed, the server ends by itself.
            .with_env("SCCACHE_IDLE_TIMEOUT", "60")
    }

    fn statistics(&self) -> Result<Value> {
        let call = self.call(&["--show-stats", "--stats-format=json"]);
        let said = successful(&call, &self.machine.environment, ANSWERS)?;
        serde_json::from_str(&said.stdout).with_context(|| format!("failed to read what `{call}` said"))
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // Otherwise it ends by itself a minute later.
        let _ = successful(&self.call(&["--stop-server"]), &self.machine.environment, ANSWERS);
    }
}
