#!/usr/bin/env python3
"""Measures what docs/performance.md claims, and writes that page.

    scripts/performance.py [--quick] [--only SECTION] [--workspaces DIR] [--out docs/performance.md]

Needs hyperfine, cargo-nextest, cargo-sweep, git, a nightly toolchain, and crates.io for the peer's dependencies. Every figure is a ratio of medians of
commands that ran side by side in one run, because machines are shared and noisy. It works on generated workspaces in
a temporary folder: 500 tiny crates in a directory source stand for a large lock file, so nothing else is downloaded. The
section "Verdicts" alone takes public workspaces, with their dependencies.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile
import time

import plan_performance
import setup_performance
import sweep_performance
import verdicts_performance

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRUB = ("CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_INCREMENTAL", "RUSTC_WRAPPER", "CARGO")


def environment():
    """The user's own, without a store: what is measured as a first build is one."""
    kept = {name: value for name, value in os.environ.items() if name not in SCRUB}
    return {**kept, "XTASK_STORE": "off"}


def run(command, cwd, check=True):
    done = subprocess.run(command, cwd=cwd, env=environment(), text=True, capture_output=True, shell=isinstance(command, str))
    if check and done.returncode != 0:
        raise SystemExit(f"failed in {cwd}: {command}\n{done.stdout}{done.stderr}")
    return done


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def hyperfine(commands, cwd, runs, warmup=1, prepare=None):
    """Medians of wall, user and system seconds, for each (name, command)."""
    out = cwd / "hyperfine.json"
    call = ["hyperfine", "--runs", str(runs), "--warmup", str(warmup), "--export-json", str(out), "--style", "none"]
    if prepare:
        for one in prepare:
            call += ["--prepare", one]
    for name, command in commands:
        call += ["--command-name", name, command]
    run(call, cwd)
    results = json.loads(out.read_text())["results"]
    return {r["command"]: {"wall": r["median"], "cpu": r["user"] + r["system"]} for r in results}


def interleaved(commands, cwd, rounds, prepare):
    """Medians of wall and CPU seconds of commands that take turns, each after its own preparation, if it has one."""
    times = {name: [] for name, _ in commands}
    for _ in range(rounds):
        for name, command in commands:
            if name in prepare:
                run(prepare[name], cwd)
            seconds, *_ = verdicts_performance.call(["sh", "-c", command], cwd, environment(), check=True)
            times[name].append(seconds)
    return {name: {"wall": wall, "cpu": cpu} for name, (wall, cpu) in verdicts_performance.medians(times).items()}


def generated(folder, registry_crates, members, features=0):
    """A workspace of `members` packages over a directory source of `registry_crates` tiny crates with `features` each."""
    table = "[features]\n" + "".join(f"feature-number-{number} = []\n" for number in range(features))
    for number in range(registry_crates):
        crate = folder.parent / f"{folder.name}-registry" / f"dep{number}"
        needs = "" if number < 20 else f'[dependencies]\ndep{number - 20} = "1"\n'
        write(crate / "Cargo.toml", f'[package]\nname = "dep{number}"\nversion = "1.0.0"\nedition = "2021"\n{needs}{table}')
        write(crate / "src/lib.rs", "pub fn value() -> u32 { 1 }\n")
        write(crate / ".cargo-checksum.json", '{"files":{}}')
    names = [f"m{number}" for number in range(members)]
    for number, name in enumerate(names):
        share = range(number, registry_crates, members)
        needs = "".join(f'dep{dep} = "1"\n' for dep in share)
        path = f'm{number - 1} = {{ path = "../m{number - 1}" }}\n' if number % 3 == 1 else ""
        manifest = f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\n{needs}{path}'
        write(folder / "crates" / name / "Cargo.toml", manifest)
        tests = "".join(f"#[test] fn t{test}() {{ assert_eq!(1, super::value()); }}\n" for test in range(5))
        write(folder / "crates" / name / "src/lib.rs", f"pub fn value() -> u32 {{ 1 }}\n#[cfg(test)] mod tests {{ {tests} }}\n")
    write(folder / "Cargo.toml", '[workspace]\nresolver = "2"\nmembers = ["crates/*"]\n[profile.dev]\ndebug = 0\n')
    config = f'[source.crates-io]\nreplace-with = "here"\n[source.here]\ndirectory = "../{folder.name}-registry"\n'
    write(folder / ".cargo/config.toml", config)
    write(folder / ".gitignore", "/target\n")
    git = "git -c user.name=x -c user.email=x@example.com"
    run(["cargo", "generate-lockfile", "--offline"], folder)
    run(f"git init -q -b main && git add -A && {git} commit -qm first && git checkout -q -b work", folder)
    run(f"{git} commit -q --allow-empty -m second", folder)
    return folder


def clone(folder):
    run(["git", "clone", "--quiet", str(ROOT), str(folder)], ROOT)
    # What is not committed yet is measured too.
    changed = run("git ls-files -m -o --exclude-standard", ROOT).stdout.split("\n")
    for name in filter(None, changed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    run(["cargo", "fetch", "--locked"], folder)
    return folder


def peer(folder):
    """An empty binary on the library tracel-xtask, the nearest peer."""
    write(folder / "Cargo.toml", '[package]\nname = "peer"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\ntracel-xtask = "*"\n')
    write(folder / "src/main.rs", "use tracel_xtask as _;\nfn main() {}\n")
    run(["cargo", "fetch"], folder)
    return folder


def empty(folder):
    """The command that runs an empty binary in a workspace of its own."""
    write(folder / "Cargo.toml", '[package]\nname = "empty"\nversion = "0.1.0"\nedition = "2021"\n')
    write(folder / "src/main.rs", "fn main() {}\n")
    run(["cargo", "build", "--offline"], folder)
    return f"cd {folder} && cargo run --quiet --offline"


def run_empty(workspace):
    """The command that runs an empty member of a copy of `workspace`, as the alias runs the launcher. What cargo itself
    takes depends on the workspace: it reads all manifests and the index entry of every locked package."""
    copy = workspace.with_name(f"{workspace.name}-empty")
    shutil.copytree(workspace, copy, ignore=shutil.ignore_patterns("target", ".git"))
    manifest = (copy / "Cargo.toml").read_text()
    write(copy / "Cargo.toml", manifest.replace("members = [", 'members = ["empty", ', 1))
    write(copy / "empty/Cargo.toml", '[package]\nname = "empty"\nversion = "0.1.0"\nedition = "2021"\n')
    write(copy / "empty/src/main.rs", "fn main() {}\n")
    command = f"cd {copy} && cargo run --quiet --profile xtask --package empty"
    run(command, workspace)
    return command


def peak_memory(command, cwd):
    """Peak resident bytes of the suite's own process, cargo's children not counted."""
    process = subprocess.Popen(command, cwd=cwd, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        try:
            if os.readlink(f"/proc/{process.pid}/exe").endswith("xtask-suite"):
                for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().split("\n"):
                    if line.startswith("VmHWM:"):
                        peak = max(peak, int(line.split()[1]) * 1024)
        except OSError:
            pass
        time.sleep(0.003)
    return peak


def first_build(work, runs):
    """The daily program, the workshop on top of it, both from the store, and the peer."""
    suite, other, store = clone(work / "suite"), peer(work / "peer"), work / "store"
    daily = f"cd {suite} && cargo xtask --version"
    from_store = f"cd {suite} && XTASK_STORE={store} cargo xtask --version"
    launcher = f"cd {suite} && cargo build --quiet --profile xtask --package xtask"
    afresh = f"rm -rf {suite}/target"
    run(f"{afresh}; {from_store}", work)
    commands = [
        ("suite", daily),
        ("workshop", f"cd {suite} && cargo xtask version"),
        ("store", from_store),
        ("launcher", launcher),
        ("peer", f"cd {other} && cargo run --quiet --offline"),
    ]
    prepare = {name: afresh for name, _ in commands} | {"workshop": f"{afresh}; {daily}", "peer": f"rm -rf {other}/target"}
    built = interleaved(commands, work, runs, prepare)
    run(f"{daily}; cargo xtask version", work)
    return suite, built


def third_party(work, suite):
    """CPU seconds of rustc for crates that are not ours, and for ours, in one build of the daily program."""
    wrapper, log = work / "timed-rustc", work / "timed-rustc.log"
    wrapper.write_text(f"""#!/usr/bin/env python3
import os, resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
name = sys.argv[sys.argv.index("--crate-name") + 1] if "--crate-name" in sys.argv else "___"
with open("{log}", "a") as out:
    out.write(f"{{name}} {{used.ru_utime + used.ru_stime}}\\n")
sys.exit(code)
""")
    wrapper.chmod(0o755)
    build = f"cargo build --profile xtask --manifest-path crates/suite/Cargo.toml --bin xtask-suite --target-dir {work}/third-party"
    run(f"RUSTC_WRAPPER={wrapper} {build}", suite)
    times = [line.split() for line in log.read_text().splitlines()]
    ours = sum(float(seconds) for name, seconds in times if name.startswith("xtask_"))
    return sum(float(seconds) for _, seconds in times) - ours, ours


def warm_start(work, suite, runs):
    commands = [
        ("suite", f"cd {suite} && cargo xtask --version"),
        ("empty", empty(work / "empty")),
        ("member", run_empty(suite)),
    ]
    return hyperfine(commands, work, runs, warmup=3)


def adopted(work, suite, runs, calls):
    """What the suite costs a workspace of two members that has adopted it."""
    host = work / "adopted"
    write(host / "Cargo.toml", '[workspace]\nresolver = "2"\nmembers = ["a", "b"]\n')
    for name in "ab":
        write(host / name / "Cargo.toml", f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n')
        write(host / name / "src/lib.rs", "pub fn one() -> u32 { 1 }\n")
    run(["cargo", "generate-lockfile", "--offline"], host)
    adopt = f"cd {suite} && cargo xtask adopt {host} --no-build --json"
    undo = f"cd {suite} && cargo xtask adopt {host} --undo"
    report = json.loads(run(adopt, work).stdout)
    files = sum(1 for path in (host / "xtask").rglob("*") if path.is_file())
    own = hyperfine([("adopt", adopt)], work, 2 if runs == 1 else 5, warmup=0, prepare=[undo])["adopt"]
    call = f"cd {host} && cargo xtask --version"
    first = hyperfine([("first", call)], work, runs, warmup=0, prepare=[f"rm -rf {host}/target"])["first"]
    later = hyperfine([("adopted", call), ("empty", empty(work / "empty"))], work, calls, warmup=3)
    return {"bytes": report["repository_bytes"], "files": files, "own": own, "first": first, "later": later}


def shadow(work, suite, runs):
    # 12 members and 266 registry crates: 290 units of `cargo test --workspace`.
    host = generated(work / "units", 266, 12)
    binary = suite / "target/xtask/xtask-suite"
    forecast = f"{binary} -C {host} test-common --forecast --json"
    forget_cache = f"rm -rf {host}/target/xtask-suite/shadow"
    forget_kept = f"{forget_cache}; {sweep_performance.forget_kept_plans(host)}"
    first = json.loads(run(forecast, work).stdout)["forecast"]
    commands = [("cold", forecast), ("kept", forecast), ("cached", forecast)]
    return first["fresh"] + first["compile"], hyperfine(commands, work, runs, prepare=[forget_kept, forget_cache, "true"])


def overhead(work, suite, pairs):
    """Where all programs run, as there is no store."""
    host = generated(work / "locked", 520, 12)
    binary = suite / "target/xtask/xtask-suite"
    run(f"{binary} -C {host} test-fast", work)
    planned = json.loads(run(f"{binary} -C {host} test-fast --dry-run --json", work).stdout)
    bare = f"cd {host} && {planned['commands'][0]}"
    commands = [("bare", bare), ("ours", f"{binary} -C {host} test-fast"), ("all", f"cd {suite} && cargo xtask -C {host} test-fast")]
    times = interleaved(commands, work, pairs, {})
    memory = peak_memory([str(binary), "-C", str(host), "test-fast"], work)
    locked = (host / "Cargo.lock").read_text().count("[[package]]")
    metadata = hyperfine([("metadata", f"cd {host} && cargo metadata --format-version=1 --offline")], work, 5)["metadata"]["wall"]
    return locked, times, memory, planned, metadata


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few runs: to try the script, not to publish")
    parser.add_argument("--out", default=str(ROOT / "docs/performance.md"))
    parser.add_argument("--only", choices=["main", *SECTIONS], help="measure one section again, or the table at the top, and keep the rest")
    parser.add_argument("--workspaces", help="a folder with clones of the public workspaces that the section verdicts names; without it they are cloned")
    arguments = parser.parse_args()
    verdicts_performance.clones = arguments.workspaces
    few = arguments.quick
    out = pathlib.Path(arguments.out)
    with tempfile.TemporaryDirectory(prefix="xtask-suite-performance-") as folder:
        work = pathlib.Path(folder)
        if arguments.only and arguments.only != "main":
            suite = clone(work / "suite")
            run(["cargo", "xtask", "version"], suite)
            run(["cargo", "xtask", "--version"], suite)
            new = section(arguments.only, work, suite, few)
            old = ["## " + text for text in out.read_text().split("\n## ")]
            title = new.split("\n")[0]
            kept = [new if text.split("\n")[0] == title else text for text in old]
            page = "\n".join(kept if new in kept else [*kept, new]).removeprefix("## ")
            out.write_text(page)
            print(page)
            return
        suite, built = first_build(work, 1 if few else 5)
        crates = third_party(work, suite)
        warm = warm_start(work, suite, 5 if few else 31)
        costs = adopted(work, suite, 1 if few else 5, 5 if few else 31)
        units, shadows = shadow(work, suite, 2 if few else 11)
        locked, times, memory, planned, metadata = overhead(work, suite, 3 if few else 21)
        if arguments.only:
            sections = ["## " + text for text in out.read_text().split("\n## ")[1:]]
        else:
            sections = [section(name, work, suite, few) for name in SECTIONS]
    page = render(built, crates, warm, costs, units, shadows, locked, times, memory, planned, metadata) + "\n" + "\n".join(sections)
    out.write_text(page)
    print(page)


# Sections with a script of their own, in the order of the page.
SECTIONS = {"plan": plan_performance, "sweep": sweep_performance, "setup": setup_performance, "verdicts": verdicts_performance}


def section(name, work, suite, few):
    script = SECTIONS[name]
    return script.render(script.measure(work, suite, generated, hyperfine, environment(), few), verdict)


def verdict(holds):
    return "" if holds is None else "met" if holds else "**missed**"


def render(built, crates, warm, costs, units, shadows, locked, times, memory, planned, metadata):
    suite, other = built["suite"], built["peer"]
    ratio, cpu_ratio = suite["wall"] / other["wall"], suite["cpu"] / other["cpu"]
    workshop, store, launcher = built["workshop"], built["store"], built["launcher"]
    on_top = workshop["cpu"] / other["cpu"]
    copy = store["wall"] - launcher["wall"]
    theirs, own = crates
    lines = run(["scripts/count_lines.sh"], ROOT).stdout.split("\n")[-2].split()[0]
    start = warm["suite"]["wall"] - warm["empty"]["wall"]
    ours, total = [times[name]["wall"] - times["bare"]["wall"] for name in ("ours", "all")]
    first, later = costs["first"], costs["later"]
    call = later["adopted"]["wall"] - later["empty"]["wall"]
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    rustc = run(["rustc", "--version"], ROOT).stdout.strip()
    rows = [
        ("First `cargo xtask --version`, empty target, no store, crates downloaded, against an empty binary on tracel-xtask", f"{ratio:.2f} × ({suite['wall']:.1f} s against {other['wall']:.1f})", "≤ 1.3 ×", ratio <= 1.3),
        ("… in CPU seconds", f"{cpu_ratio:.2f} × ({suite['cpu']:.1f} against {other['cpu']:.1f})", "≤ 1.3 ×", cpu_ratio <= 1.3),
        ("… of which rustc spent on crates that are not ours, and on ours", f"{theirs:.1f} and {own:.1f} CPU-s", "≤ 0.75 × of November 2026's", None),
        ("The workshop on top of it, at the first `setup`, `doctor`, `clean-stale`, `disk`, `adopt` or `version`", f"{on_top:.2f} × the peer ({workshop['wall']:.1f} s, {workshop['cpu']:.1f} CPU-s)", "≤ 0.7 ×", on_top <= 0.7),
        ("From the store, beyond cargo's own build of the launcher", f"{copy:+.2f} s ({store['wall']:.2f} against {launcher['wall']:.2f})", "≤ +1 s", copy <= 1),
        ("Lines of product code (`scripts/count_lines.sh`)", f"{int(lines):,}", "≤ 20,500", int(lines) <= 20500),
        ("Warm `cargo xtask --version` in the clone, over `cargo run` of an empty binary in a workspace of its own", f"{start * 1000:+.0f} ms ({warm['suite']['wall'] * 1000:.0f} against {warm['empty']['wall'] * 1000:.0f})", "≤ +20 ms", start <= 0.020),
        ("… over `cargo run` of an empty member of the same workspace, whose manifests and lock file cargo reads too", f"{(warm['suite']['wall'] - warm['member']['wall']) * 1000:+.0f} ms ({warm['suite']['wall'] * 1000:.0f} against {warm['member']['wall'] * 1000:.0f})", "≤ +20 ms", warm["suite"]["wall"] - warm["member"]["wall"] <= 0.020),
        ("In a workspace that adopted the suite: first `cargo xtask --version` against the peer", f"{first['cpu'] / other['cpu']:.2f} × ({first['wall']:.1f} s, {first['cpu']:.1f} CPU-s)", "≤ 1.3 ×", first["cpu"] <= 1.3 * other["cpu"]),
        ("… each later one over `cargo run` of an empty binary", f"{call * 1000:+.0f} ms ({later['adopted']['wall'] * 1000:.0f} against {later['empty']['wall'] * 1000:.0f})", "≤ +20 ms", call <= 0.020),
        ("… what its repository grows by", f"{costs['files']} files, {costs['bytes'] / 2**10:.0f} KiB", "≤ 160 files, ≤ 800 KiB", costs["files"] <= 160 and costs["bytes"] <= 800 * 2**10),
        ("… `cargo xtask adopt` itself, without that build", f"{costs['own']['wall']:.1f} s", "≤ 5 s", costs["own"]["wall"] <= 5),
        (f"Forecast of {units} units, nothing known", f"{shadows['cold']['wall']:.2f} s", "≤ 0.7 s", shadows["cold"]["wall"] <= 0.7),
        ("… planned again into the kept folder", f"{shadows['kept']['wall']:.2f} s", "≤ 0.3 s", shadows["kept"]["wall"] <= 0.3),
        ("… from the cache (nothing, or only sources, changed)", f"{shadows['cached']['wall'] * 1000:.0f} ms", "≤ 50 ms", shadows["cached"]["wall"] <= 0.050),
        (f"`test-fast` over the bare runner, nothing to compile, {locked} locked packages, through `cargo xtask`", f"{total * 1000:+.0f} ms", "≤ +150 ms", total <= 0.150),
        ("… of which ours (the suite's binary started directly)", f"{ours * 1000:+.0f} ms", "≤ +60 ms", ours <= 0.060),
        ("Peak memory of the suite's own process in that run", f"{memory / 2**20:.0f} MiB", "≤ 50 MiB", memory <= 50 * 2**20),
    ]
    table = "\n".join(f"| {what} | {value} | {goal} | {verdict(holds)} |" for what, value, goal, holds in rows)
    return f"""# Performance

Made by `scripts/performance.py`; run it again to compare on your machine. Figures are medians of commands that ran
side by side. Machine: {os.cpu_count()} × {cpu}, {platform.system()}, {rustc}.

| what | measured | goal | |
| --- | --- | --- | --- |
{table}

The workspaces are generated; in the runs of `test-fast` the programs of all {planned['members']} members run, with nothing left to
compile, and the bare runner is the very command that `--dry-run` prints. `cargo metadata` alone takes {metadata * 1000:.0f} ms
there; its answer is cached by lock file, manifests, configuration and toolchain.
"""


if __name__ == "__main__":
    main()
