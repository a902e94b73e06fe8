//! Proofs: a tool counts as installed only when its effect was seen.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xtask_workspace::Call;
use xtask_workspace::config::{Effect, Proof, Tool};

use crate::catalog::filled;
use crate::link::{self, LinkSettings, package};
use crate::machine::{Found, Machine};
use crate::process::successful;

/// The longest that a command may take that proves a tool; 1 s on a quiet machine.
const ENDS: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proven {
    /// What was seen, in a few words.
    pub evidence: String,
    /// For a linker or a driver: how rustc was told to use it.
    pub link: Option<LinkSettings>,
}

/// Makes the tool at `found` do what it is for, and checks that it did. Fails with what was seen instead.
pub(crate) fn prove(tool: &Tool, found: &Found, machine: &Machine) -> Result<Proven> {
    let evidence = match &tool.proof {
        Proof::Effect(Effect::Link | Effect::Driver) => return link::prove(tool, found, machine),
        Proof::Effect(Effect::Cache) => cache(found, machine)?,
        Proof::Effect(Effect::Tests) => runner(found, machine)?,
        Proof::Effect(Effect::Version) => match &found.version {
            Some(version) => format!("says to be {version}"),
            None => bail!("{} prints no version", found.path),
        },
        Proof::Command(words) => {
            let mut words = words.iter().map(|word| filled(word, &found.path, &machine.rustlib));
            let program = words.next().unwrap_or_default();
            let call = Call::new(&machine.root, program, words);
            successful(&call, &machine.environment, ENDS)?;
            format!("`{call}` succeeds")
        }
    };
    Ok(Proven { evidence, link: None })
}

/// A text that nothing has printed before: a program that prints it was just built.
pub(crate) fn token() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("proof-{}-{}", std::process::id(), now.as_nanos())
}

/// cargo-nextest is proven by tests that it lists and runs.
fn runner(found: &Found, machine: &Machine) -> Result<String> {
    let (scratch, token) = (machine.scratch("nextest")?, token());
    let source = format!(
        "#[test] fn leaves_a_trace() {{ std::fs::write(std::env::var(\"PROBE_TRACE\").unwrap(), \"{token}\").unwrap(); }}\n\
         #[test] fn does_nothing() {{}}\n"
    );
    let manifest = package(&scratch, "src/lib.rs", &source)?;
    let (trace, target) = (scratch.path().join("trace"), scratch.path().join("target"));
    let call = |args: &[&str]| {
        // In its own folder: the workspace's nextest configuration is about the workspace's tests. A target that is set in
        // the configuration is built for, but its tests may not run here.
        let rest = ["--manifest-path", manifest.as_str(), "--target", machine.host.as_str()];
        Call::new(scratch.path(), found.path.as_str(), args.iter().copied().chain(rest))
            .with_env("CARGO_TARGET_DIR", target.as_str())
            .with_env("CARGO_BUILD_BUILD_DIR", target.as_str())
            .with_env("PROBE_TRACE", trace.as_str())
    };
    let mut environment = machine.environment.clone();
    for (name, _) in machine.environment.iter().filter(|(name, _)| name.starts_with("NEXTEST_")) {
        environment.remove(name);
    }
    let list = call(&["nextest", "list", "--message-format", "json"]);
    let listed = successful(&list, &environment, ENDS)?.stdout;
    let listed = serde_json::from_str::<Value>(&listed)
        .with_context(|| format!("failed to read what `{list}` said"))?;
    let count = listed["test-count"].as_u64().unwrap_or_default();
    if count != 2 {
        bail!("`{list}` lists {count} tests of 2");
    }
    let run = call(&["nextest", "run"]);
    successful(&run, &environment, ENDS)?;
    if std::fs::read_to_string(&trace).unwrap_or_default() != token {
        bail!("`{run}` succeeded without running a test");
    }
    Ok("lists and runs 2 tests".to_owned())
}

/// sccache is proven by a hit: of two equal compilations into clean folders the second comes from the cache.
///
/// It runs as a server of its own on a free port, otherwise with the user's settings: so the cache is the real one, and
/// the statistics are those of the probe alone.
fn cache(found: &Found, machine: &Machine) -> Result<String> {
    if machine.environment.get("CARGO_INCREMENTAL").is_some_and(|value| value != "0") {
        bail!(
            "CARGO_INCREMENTAL is set, and with it sccache caches nothing; unset it (incremental is cargo's default)"
        );
    }
    let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr());
    let server = Server { found, machine, port: free.context("failed to find a free port")?.port() };
    // It waits 10 s for its own server, which takes longer where a disk is busy, and is there the next time.
    let start = || server.made(&["--start-server"]);
    start().or_else(|_| start()).or_else(|_| start())?;
    let token = token();
    let first = server.compile(&token)?;
    let second = server.compile(&token)?;
    let (hits, misses) = (count(&second, "cache_hits"), count(&second, "cache_misses"));
    if count(&first, "cache_hits") != 0 || hits == 0 {
        bail!("the second of two equal compilations was not a hit ({hits} hits, {misses} misses)");
    }
    let (place, size) = cache_size(&second);
    let size = size.map(|(used, most)| format!(", {} MiB of at most {} MiB", used >> 20, most >> 20));
    Ok(format!("a hit in {place}{}", size.unwrap_or_default()))
}

/// Where the cache is, and its size and limit in bytes, as far as a server's statistics say.
pub(crate) fn cache_size(statistics: &Value) -> (String, Option<(u64, u64)>) {
    let place = statistics["cache_location"].as_str().unwrap_or("its cache").replace('"', "");
    (place, statistics["cache_size"].as_u64().zip(statistics["max_cache_size"].as_u64()))
}

/// The sum over all languages.
fn count(statistics: &Value, what: &str) -> u64 {
    let counts = statistics["stats"][what]["counts"].as_object();
    counts.into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
}

/// A server of our own, stopped when it is dropped.
struct Server<'a> {
    found: &'a Found,
    machine: &'a Machine,
    port: u16,
}

impl Server<'_> {
    /// Calls sccache with this server. Returns what it prints.
    fn made(&self, args: &[&str]) -> Result<String> {
        let call = Call::new(&self.machine.root, self.found.path.as_str(), args.iter().copied())
            .with_env("SCCACHE_SERVER_PORT", self.port.to_string())
            // If this process is killed, the server ends on its own.
            .with_env("SCCACHE_IDLE_TIMEOUT", "60");
        Ok(successful(&call, &self.machine.environment, ENDS)?.stdout)
    }

    /// Compiles a library as cargo would. Returns the statistics after that.
    fn compile(&self, token: &str) -> Result<Value> {
        let scratch = self.machine.scratch("cache")?;
        let source = scratch.write("probe.rs", &format!("pub const TOKEN: &str = \"{token}\";\n"))?;
        let out = scratch.path().join("out");
        // rustc would create it, and sccache does not.
        std::fs::create_dir(&out).with_context(|| format!("failed to create folder {out}"))?;
        let args = "rustc --crate-name probe --edition=2021 --crate-type lib --emit=dep-info,metadata,link \
                    -C metadata=0123456789abcdef -C extra-filename=-0123456789abcdef --out-dir";
        let args = args.split_whitespace().chain([out.as_str(), source.as_str()]).collect::<Vec<_>>();
        self.made(&args)?;
        if !out.join("libprobe-0123456789abcdef.rlib").is_file() {
            bail!("it succeeded without compiling anything");
        }
        let statistics = self.made(&["--show-stats", "--stats-format=json"])?;
        serde_json::from_str(&statistics).context("failed to read its statistics")
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // Otherwise it ends a minute later.
        let _ = self.made(&["--stop-server"]);
    }
}
