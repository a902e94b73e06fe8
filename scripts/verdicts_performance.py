"""What remembering test programs costs and saves on public workspaces: a section of docs/performance.md, for
scripts/performance.py, which takes the folder with their clones (`--workspaces`).
"""

import json
import os
import pathlib
import platform
import re
import resource
import statistics
import subprocess
import time

# Cloned from GitHub, unless `--workspaces` names a folder that has them.
WORKSPACES = {
    "hyperfine": ("sharkdp/hyperfine", "327d5f4d9107141929f67f062bf9ef59f98b7399"),
    "anstyle": ("rust-cli/anstyle", "59a784c47529798108ad048b44326e55992059ac"),
    "utils": ("RustCrypto/utils", "e94573d1b193354e1bcd45ae734c25f1f5ccf1df"),
    "rust-csv": ("BurntSushi/rust-csv", "4a3997e91d668ea1d8595bdef15625a77cf2308a"),
}
clones = None

# How often each is measured: to publish, and to try the script.
ROUNDS = {"unchanged": (21, 3), "everything": (9, 2), "edit": (3, 1)}

BARE = ["cargo", "nextest", "run", "--workspace", "--no-fail-fast"]
# Each in a target dir of its own: what one builds saves another nothing.
OTHERS = {
    "nextest": BARE,
    "cargo": ["cargo", "test", "--workspace", "--no-fail-fast"],
    "all": ["cargo", "test", "--workspace", "--no-fail-fast", "--all-features", "--all-targets"],
}


def call(command, cwd, environment, check=False):
    """Wall and CPU seconds, standard output and whether it succeeded."""
    def cpu():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    began, started = cpu(), time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=environment, text=True, errors="replace", capture_output=True, stdin=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    if check and done.returncode != 0:
        raise SystemExit(f"failed in {cwd}: {command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return (seconds, cpu() - began), done.stdout, done.returncode == 0


def clone(name, work, environment):
    repository, commit = WORKSPACES[name]
    folder = work / "public" / name
    source = pathlib.Path(clones) / name if clones else f"https://github.com/{repository}"
    call(["git", "clone", "--quiet", str(source), str(folder)], work, environment, check=True)
    call(["git", "checkout", "--quiet", commit], folder, environment, check=True)
    call(["cargo", "fetch"], folder, environment, check=True)
    return folder


def leaf_and_root(folder, environment):
    """The largest of the members that fewest others need, and the one that most need: one package where there is only one."""
    _, out, _ = call(["cargo", "metadata", "--format-version", "1"], folder, environment, check=True)
    facts = json.loads(out)
    members = {package["id"]: package for package in facts["packages"] if package["id"] in facts["workspace_members"]}
    nodes = {node["id"]: node["deps"] for node in facts["resolve"]["nodes"] if node["id"] in members}
    built_with = lambda dep: dep["pkg"] in members and any(kind["kind"] != "dev" for kind in dep["dep_kinds"])
    needs = {one: {dep["pkg"] for dep in deps if built_with(dep)} for one, deps in nodes.items()}

    def needed_by(one):
        found, open_ = set(), [one]
        while open_:
            at = open_.pop()
            new = {other for other, its in needs.items() if at in its} - found
            found |= new
            open_ += new
        return len(found - {one})

    def size(one):
        return sum(path.stat().st_size for path in sources(members[one]))

    ranked = sorted(members, key=lambda one: (needed_by(one), -size(one)))
    leaf, root = members[ranked[0]], members[ranked[-1]]
    return {"only": root} if leaf is root else {"leaf": leaf, "root": root}


def sources(package):
    """The file of its library or program, and what is below that folder."""
    roots = [target["src_path"] for target in package["targets"] if set(target["kind"]) & {"lib", "proc-macro", "bin"}]
    return [pathlib.Path(roots[0]), *sorted(pathlib.Path(roots[0]).parent.rglob("*.rs"))] if roots else []


class Edit:
    """A line in the first function of a package that is in a test program, with another number each time."""

    def __init__(self, package, programs_run):
        for self.path in sources(package):
            self.text = self.path.read_text()
            for self.match in re.finditer(r"^ *(pub(\(\w+\))? )?fn [^;{}]*\{\n", self.text, re.MULTILINE):
                self.make(0)
                # What does not build runs none.
                if programs_run():
                    return
            self.undo()
        raise SystemExit(f"no test program of {package['name']} has a function that takes another line")

    def make(self, number):
        at = self.match.end()
        self.path.write_text(f"{self.text[:at]}    let _ = core::hint::black_box({number}_u64);\n{self.text[at:]}")

    def undo(self):
        self.path.write_text(self.text)


def medians(times):
    return {key: [statistics.median(values) for values in zip(*pairs)] for key, pairs in times.items()}


def measure(work, suite, generated, hyperfine, environment, few):
    binary = suite / "target/xtask/xtask-suite"
    environment = {**environment, "XTASK_STORE": str(work / "verdicts"), "CARGO_TERM_PROGRESS_WHEN": "never"}
    return [one(name, clone(name, work, environment), work / "targets", binary, environment, few) for name in WORKSPACES]


def one(name, folder, targets, binary, environment, few):
    ours = [str(binary), "test-fast", "--json"]
    noop = ["cargo", "test", "--workspace", "--no-run"]
    row = {"name": name, "edits": []}
    row["programs"] = len(json.loads(call(ours, folder, environment)[1])["programs"])

    def ran(out):
        return sum(program["verdict"] in ("passed", "failed") for program in json.loads(out)["programs"])

    def in_turn(commands, rounds):
        """Medians of wall and CPU seconds of commands that take turns."""
        times = {key: [] for key in commands}
        for turn in range(-1, rounds):
            for key, command in commands.items():
                seconds, *_ = call(command, folder, environment)
                if turn >= 0:
                    times[key].append(seconds)
        return medians(times)

    rounds = {key: fewer if few else many for key, (many, fewer) in ROUNDS.items()}
    row["unchanged"] = in_turn({"ours": ours, "noop": noop}, rounds["unchanged"])
    row["everything"] = in_turn({"ours": [*ours, "--fresh"], "bare": BARE}, rounds["everything"])
    # Not in the workspace: they are no files of it.
    dirs = {key: targets / f"{name}-{key}" for key in OTHERS}
    targets.mkdir(exist_ok=True)
    for key, target in dirs.items():
        call(["cp", "-a", "--reflink=auto", str(folder / "target"), str(target)], folder, environment, check=True)
        row[key] = call(OTHERS[key], folder, {**environment, "CARGO_TARGET_DIR": str(target)})[2]
    number = 0
    for which, package in leaf_and_root(folder, environment).items():
        edit = Edit(package, lambda: ran(call(ours, folder, environment)[1]))
        times, had_to_run = {key: [] for key in ["ours", *OTHERS]}, 0
        for turn in range(-1, rounds["edit"]):
            number += 1
            edit.make(number)
            for key in times:
                variables = environment if key == "ours" else {**environment, "CARGO_TARGET_DIR": str(dirs[key])}
                seconds, out, _ = call(ours if key == "ours" else OTHERS[key], folder, variables)
                if turn >= 0:
                    times[key].append(seconds)
                if key == "ours":
                    had_to_run = ran(out)
        edit.undo()
        row["edits"].append({"which": which, "package": package["name"], "ran": had_to_run, "times": medians(times)})
    return row


def busy(rows):
    """How much longer than its CPU time cargo's check took, which waits for nothing on an idle machine."""
    times = [row["unchanged"]["noop"] for row in rows]
    share = statistics.median(max(0, 1 - cpu / wall) for wall, cpu in times)
    return f"about {share * 100:.0f} %"


def render(rows, verdict):
    def quick(row):
        (ours, our_cpu), (noop, cpu) = row["unchanged"]["ours"], row["unchanged"]["noop"]
        holds = verdict(ours <= noop + 0.080 and ours <= 1)
        return f"| {row['name']} | {row['programs']} | {ours * 1000:.0f} ms | {noop * 1000:.0f} ms | {(ours - noop) * 1000:+.0f} ms | {(our_cpu - cpu) * 1000:+.0f} ms | ≤ +80 ms, ≤ 1 s | {holds} |"

    def whole(row):
        (ours, our_cpu), (bare, cpu) = row["everything"]["ours"], row["everything"]["bare"]
        holds = verdict(ours <= 1.05 * bare + 0.100)
        return f"| {row['name']} | {ours:.2f} s | {bare:.2f} s | {(ours - bare) * 1000:+.0f} ms ({(ours / bare - 1) * 100:+.0f} %) | {(our_cpu - cpu) * 1000:+.0f} ms ({(our_cpu / cpu - 1) * 100:+.0f} %) | ≤ 5 % + 100 ms | {holds} |"

    def edited(row, edit):
        # What does not build with all features on a stable compiler, or fails here, takes another time.
        shown = [f"{edit['times'][key][0]:.1f} s{'' if key == 'ours' or row[key] else ' (fails)'}" for key in ["ours", *OTHERS]]
        return f"| {row['name']} | {edit['package']} ({edit['which']}) | {edit['ran']} of {row['programs']} | {' | '.join(shown)} |"

    sources = [(row["name"], *WORKSPACES[row["name"]]) for row in rows]
    public = ",\n".join(f"[{name}](https://github.com/{repository}) at {commit[:8]}" for name, repository, commit in sources)
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    new_line = "\n"
    return f"""## Verdicts

On public workspaces:
{public}.
The suite's binary is started directly, all that is compared took turns, and figures are medians. Machine:
{os.cpu_count()} × {cpu}, of which other work took {busy(rows)} meanwhile.

Nothing changed, against cargo's own check that nothing has to be built (`cargo test --workspace --no-run`):

| workspace | test programs | `test-fast` | cargo | difference | in CPU time | goal | |
| --- | --- | --- | --- | --- | --- | --- | --- |
{new_line.join(quick(row) for row in rows)}

Everything runs (`test-fast --fresh`), against `cargo nextest run --workspace`, with nothing to compile:

| workspace | `test-fast --fresh` | nextest | difference | in CPU time | goal | |
| --- | --- | --- | --- | --- | --- | --- |
{new_line.join(whole(row) for row in rows)}

After a line was added to a function of a member that no other needs, and of the one that most need; each command has a
warm target dir of its own, and compiling is part of it:

| workspace | edited | programs run | `test-fast` | `cargo nextest run --workspace` | `cargo test --workspace` | … `--all-features --all-targets` |
| --- | --- | --- | --- | --- | --- | --- |
{new_line.join(edited(row, edit) for row in rows for edit in row["edits"])}
"""
