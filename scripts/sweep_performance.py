"""What `clean-stale` costs and how exact it is: a section of docs/performance.md, for scripts/performance.py.

Large build dirs are copies of a real one: each unit of a built workspace again and again under other unit ids, so that
files, folders and what is in them are what cargo makes.
"""

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import time

# What somebody types all day in the measured workspace.
USED = "cargo test --workspace --no-run && cargo build --workspace && cargo check --workspace --all-targets"
UNIT_ID = re.compile(r"(?<=-)[0-9a-f]{16}(?![0-9a-f])")


def files_in(folder):
    return sum(len(files) for _, _, files in os.walk(folder))


def multiply(profile_dir, wanted):
    """Copies all units of a profile's folder under new ids until `wanted` files lie there."""
    groups = [(folder, sorted(os.listdir(profile_dir / folder))) for folder in (".fingerprint", "deps", "build")]
    have, once = files_in(profile_dir), sum(files_in(profile_dir / folder) for folder, _ in groups)
    made = random.Random(have)
    while have < wanted:
        ids = {}
        new_id = lambda match: ids.setdefault(match.group(), f"{made.getrandbits(64):016x}")
        for folder, names in groups:
            for name in names:
                renamed = UNIT_ID.sub(new_id, name)
                if renamed == name:
                    continue
                source, copy = profile_dir / folder / name, profile_dir / folder / renamed
                if source.is_dir():
                    copy.mkdir()
                    for below in source.iterdir():
                        if below.is_file():
                            shutil.copyfile(below, copy / below.name)
                else:
                    shutil.copyfile(source, copy)
        have += once


def forget_kept_plans(host):
    """A line for the shell: the folder of kept plans names its workspace, and nobody else's is touched."""
    kept = f"/dev/shm/xtask-suite-{os.getuid()}"
    return f"for root in $(grep -lx {host} {kept}/*.root); do rm -rf ${{root%.root}}; done; rm -rf {host}/target/xtask-suite/shadow-dir"


def median(values):
    return sorted(values)[len(values) // 2]


def timed(command, cwd, environment):
    started = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=environment, shell=True, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"failed in {cwd}: {command}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started, done.stdout


def side_by_side(commands, cwd, environment, rounds):
    """Medians of wall seconds of commands that take turns."""
    times = {name: [] for name, _ in commands}
    for _ in range(rounds + 1):
        for name, command in commands:
            times[name].append(timed(command, cwd, environment)[0])
    # The first round warms the cache.
    return {name: median(values[1:]) for name, values in times.items()}


def peak_memory(command, cwd, environment):
    """Peak resident bytes, by GNU-free means: the kernel's own account of a waited-for child."""
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_maxrss * 1024


def large(host, binary, environment, counts, rounds):
    """For each number of files: planning, `du`, cargo-sweep's dry run, removing, `rm`, and memory."""
    rows = []
    debug = host / "target/debug"
    plan = f"{binary} -C {host} clean-stale --dry-run --grace 0 --json > plan.json"
    for count in counts:
        multiply(debug, count)
        found = files_in(host / "target")
        turns = max(3, rounds if count < 500_000 else rounds // 2)
        commands = [
            ("plan", plan),
            ("du", f"du -s {host}/target"),
            ("cargo-sweep", f"cargo sweep --dry-run --time 0 {host}"),
        ]
        times = side_by_side(commands, host, environment, turns)
        call = [str(binary), "-C", str(host), "clean-stale", "--dry-run", "--grace", "0", "--json"]
        rows.append({"files": found, "times": times, "memory": peak_memory(call, host, environment)})
    return rows


def removing(host, binary, environment, count, rounds):
    """Seconds of removing what is stale, and of `rm -rf` of the very same files in a copy."""
    debug, aside = host / "target/debug", host / "aside"
    multiply(debug, count)
    ours, theirs = [], []
    for number in range(rounds):
        for folder in (aside, host / "twin"):
            subprocess.run(["cp", "-a", debug, folder], check=True)
        saved = host / "plan.json"
        subprocess.run(["sync"], check=True)
        report = json.loads(timed(f"{binary} -C {host} clean-stale --grace 0 --json", host, environment)[1])
        ours.append(report["remove_ms"] / 1000)
        # What the sweep has kept is taken out of the twin first, so that `rm` gets the same files.
        for folder, _, files in os.walk(debug):
            for name in files:
                path = host / "twin" / pathlib.Path(folder).relative_to(debug) / name
                path.unlink(missing_ok=True)
        subprocess.run(["sync"], check=True)
        theirs.append(timed(f"rm -rf {host}/twin", host, environment)[0])
        shutil.rmtree(debug)
        aside.rename(debug)
    return median(ours), median(theirs)


def times_of(folder):
    """When each file and folder below was last read and written."""
    times = {}
    for at, folders, files in os.walk(folder):
        for name in folders + files:
            status = os.lstat(os.path.join(at, name))
            times[os.path.relpath(os.path.join(at, name), folder)] = (status.st_atime_ns, status.st_mtime_ns)
    return times


def put_back(copy, folder, times):
    """`folder` as it was when `copy` and `times` were taken: copying alone would mark all of it as read today."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["cp", "-a", copy, folder], check=True)
    for path, when in sorted(times.items(), reverse=True):
        os.utime(folder / path, ns=when, follow_symlinks=False)


def exactness(host, binary, environment):
    """What each tool frees, deletes though it is needed, and leaves though it is not."""
    run = lambda line: timed(line, host, environment)[1]
    suite = f"{binary} -C {host}"
    target, aside = host / "target", host / "aside"
    run(f"{suite} clean-stale --grace 0 --verify")
    old = lambda days: f"-exec touch --no-dereference --date '{days} days ago' {{}} +"
    run(f"find {host} -path {target} -prune -o {old(11)} && find {target} {old(10)}")
    # Used today as on every day: all of it is fresh, so nothing is written.
    run(USED)
    # Stale at once: other flags, another profile, another compiler.
    run("RUSTFLAGS='--cfg old' cargo test --workspace --no-run")
    run("CARGO_PROFILE_DEV_DEBUG=1 cargo build --workspace")
    run("cargo +nightly check --workspace")
    times = times_of(target)
    run(f"cp -a {target} {aside}")
    tools = [
        ("clean-stale --grace 0", f"{suite} clean-stale --grace 0"),
        ("cargo sweep --time 7", f"cargo sweep --time 7 {host}"),
        ("cargo sweep --stamp, build, --file", f"cargo sweep --stamp {host} && {USED} && cargo sweep --file {host}"),
        ("cargo sweep --installed", f"cargo sweep --installed {host}"),
        ("cargo clean", "cargo clean"),
    ]
    size = lambda: int(run("du -s --block-size=1 --exclude=xtask-suite target 2>/dev/null || echo 0").split()[0])
    rows = []
    for name, line in tools:
        (host / "sweep.timestamp").unlink(missing_ok=True)
        put_back(aside, target, times)
        before = size()
        run(line)
        freed = before - size()
        left = json.loads(run(f"{suite} clean-stale --dry-run --grace 0 --json"))["stale_units"]
        done = json.loads(run(f"{suite} clean-stale --grace 0 --verify --json"))
        rows.append((name, freed, done["verified"]["built_units"] + done["recompiled_units"], left))
    return rows


def measure(work, suite, generated, hyperfine, environment, few):
    binary = suite / "target/xtask/xtask-workshop"
    host = generated(work / "sweep", 266, 12)
    tiers = '[tiers.lint]\ncommand = "check"\n[tiers.build-release]\nprofile = "dev"\n[sweep]\ngrace = 0\n'
    (host / "xtask.toml").write_text(tiers)
    run = lambda line: timed(line, host, environment)
    run(USED)
    dry = f"{binary} -C {host} clean-stale --dry-run"
    forget = f"{forget_kept_plans(host)}; rm -rf {host}/target/xtask-suite"
    shadows = hyperfine([("cold", dry), ("cached", dry)], work, 2 if few else 7, prepare=[forget, "true"])
    units = json.loads(run(f"{dry} --json")[1])["commands"][0]["units"]
    tools = exactness(host, binary, environment)
    run(f"rm -rf {host}/target && mv {host}/aside {host}/target && {binary} -C {host} clean-stale --grace 0")
    base = host / "target.base"
    shutil.copytree(host / "target", base, symlinks=True)
    rounds = 3 if few else 7
    rows = large(host, binary, environment, [15_000, 50_000] if few else [15_000, 150_000, 1_000_000], rounds)
    shutil.rmtree(host / "target")
    base.rename(host / "target")
    removal = removing(host, binary, environment, 15_000 if few else 150_000, 1 if few else 3)
    options = run(f"findmnt --noheadings --output OPTIONS --target {host}")[1].strip().split(",")
    reads = next((option for option in options if "atime" in option), "strictatime")
    return {"units": units, "reads": reads, "shadows": shadows, "tools": tools, "rows": rows, "removal": removal}


def render(found, verdict):
    def mark(value, goal):
        return verdict(value <= goal)

    mib = 2**20
    cold, cached = (found["shadows"][name]["wall"] for name in ("cold", "cached"))
    middle = found["rows"][1]
    times = middle["times"]
    to_du, to_sweep = times["plan"] / times["du"], times["plan"] / times["cargo-sweep"]
    ours, theirs = found["removal"]
    lines = [
        f"| `clean-stale --dry-run`, {found['units']} units of one command, five commands, nothing known | {cold:.2f} s | ≤ 3 s | {mark(cold, 3)} |",
        f"| … with cached plans | {cached:.2f} s | ≤ 0.5 s | {mark(cached, 0.5)} |",
        f"| Planning on {middle['files']:,} files against `du -s` | {to_du:.2f} × ({times['plan']:.2f} s, {times['du']:.2f} s) | ≤ 1.0 × | {mark(to_du, 1)} |",
        f"| … against the dry run of cargo-sweep | {to_sweep:.2f} × ({times['cargo-sweep']:.2f} s) | ≤ 1.0 × | {mark(to_sweep, 1)} |",
        f"| … peak memory | {middle['memory'] / mib:.0f} MiB | ≤ 150 MiB | {mark(middle['memory'], 150 * mib)} |",
        f"| Removing them against `rm -rf` of the same files | {ours / theirs:.2f} × ({ours:.2f} s, {theirs:.2f} s) | ≤ 1.0 × | {mark(ours / theirs, 1)} |",
    ]
    growth = [
        f"| {row['files']:,} | {row['times']['plan']:.2f} s | {row['times']['plan'] / row['files'] * 1e6:.1f} µs | {row['times']['du']:.2f} s | {row['times']['cargo-sweep']:.2f} s | {row['memory'] / mib:.0f} MiB |"
        for row in found["rows"]
    ]
    tools = [f"| `{name}` | {freed / mib:.0f} MiB | {deleted} | {kept} |" for name, freed, deleted, kept in found["tools"]]
    join = "\n".join
    return f"""## Sweeping

| what | measured | goal | |
| --- | --- | --- | --- |
{join(lines)}

With more files:

| files | planning | per file | `du -s` | cargo-sweep's dry run | peak memory |
| --- | --- | --- | --- | --- | --- |
{join(growth)}

Side by side, on a workspace whose needed units were built ten days ago and are used every day, after builds with
other flags, another profile and another compiler today (cargo-sweep goes by when a file was last read; this file system is
mounted `{found['reads']}`):

| tool | freed | needed units deleted | stale units kept |
| --- | --- | --- | --- |
{join(tools)}

Beside what `du` looks at, planning reads cargo's note of each unit: it says why each goes.
The large build dirs are copies of a real one under other unit ids, with a warm cache. "Removing" is what the report
calls `remove_ms`; `rm` gets a copy of just these files.
"""
