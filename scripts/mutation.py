#!/usr/bin/env python3
"""Changes random lines of a workspace and checks that what is remembered is what a run of everything says.

    scripts/mutation.py WORKSPACE [--mutations 200] [--seed 1] [--minutes M] [--suite target/xtask/xtask-suite] [--apart]

WORKSPACE is a git clone whose dependencies are fetched. It is not touched: the script works on a clone of its HEAD in a
temporary folder. A mutation changes one line of one tracked file: Rust source, a build script, a manifest, a file that
sources name, or any other. Those that do not build do not count towards `--mutations`. Some follow on the ones before,
others on what was committed, and now and then everything is put back. After each, `test-fast` runs with what it remembers,
and then `cargo nextest run --workspace` runs everything and knows nothing of the suite. Each test program must end alike in
both, and where one of them does not build the other must not either. With `--apart` the second has a clone
and a target dir of its own, which takes twice as long; otherwise it uses what the first built, as cargo decides.

That a remembered program fails when it is audited is a difference too. "Noticed" are the mutations that made a test fail:
only these could have shown a pass that should not have been remembered.

A program that ends differently is run three times more: if it then does both, its tests are flaky, which is counted apart.
What takes too long, as with an endless loop, is not compared, and is counted as too slow. Needs cargo-nextest. Prints a
table, and a line per step; exit code 1 if there is a difference.
"""

import argparse
import json
import os
import pathlib
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A mutation may make a loop endless, in many tests. Also limits for all of the first run, and of each other, in seconds.
NEXTEST = '[profile.default]\nslow-timeout = { period = "15s", terminate-after = 2 }\n'
FIRST_LIMIT, LIMIT = 900, 300
SWAPS = [("==", "!="), ("<=", ">"), (">=", "<"), ("&&", "||"), (" + ", " - "), (" * ", " + "), (" < ", " >= "), (" > ", " <= "), ("true", "false")]
SWAPS += [(b, a) for a, b in SWAPS] + [("if ", "if !"), ("if !", "if "), (".min(", ".max("), ("Some(", "None.or("), ("..=", "..")]


def swapped(line, dice):
    """An operator or a word for its opposite."""
    found = [(m.start(), a, b) for a, b in SWAPS for m in re.finditer(re.escape(a), line)]
    if not found:
        return None
    at, a, b = dice.choice(found)
    return line[:at] + b + line[at + len(a):]


def renumbered(line, dice):
    found = list(re.finditer(r"(?<![\w.])\d+", line))
    if not found:
        return None
    match = dice.choice(found)
    return line[:match.start()] + str(max(0, int(match.group()) + dice.choice([-1, 1, 7]))) + line[match.end():]


def requoted(line, dice):
    """Another character in a string literal."""
    found = [m for m in re.finditer(r'"([^"\\]+)"', line)]
    if not found:
        return None
    match = dice.choice(found)
    at = dice.randrange(match.start(1), match.end(1))
    return line[:at] + dice.choice("abcxyz019 _") + line[at + 1:]


def retyped(line, dice):
    """Another character anywhere."""
    text = line.rstrip("\n")
    if not text:
        return None
    at = dice.randrange(len(text))
    return text[:at] + dice.choice("abcxyz019 _") + line[at + 1:]


SOURCE = [swapped] * 5 + [renumbered] * 3 + [requoted] * 3 + [lambda line, dice: "", lambda line, dice: line * 2]
DATA = [renumbered, requoted, retyped, retyped, lambda line, dice: "", lambda line, dice: line * 2]


class Workspace:
    """A clone of the workspace, and how its tests run there."""

    def __init__(self, source, folder):
        git(["clone", "--quiet", str(source), str(folder)], source)
        self.folder = folder
        # It may be ignored. Tracked, it is put back too, after cargo has changed it for a manifest.
        if (source / "Cargo.lock").exists():
            shutil.copy(source / "Cargo.lock", folder / "Cargo.lock")
            git(["add", "--force", "Cargo.lock"], folder)
        config = folder / ".config/nextest.toml"
        if not config.exists():
            config.parent.mkdir(exist_ok=True)
            config.write_text(NEXTEST)
        git(["add", "--force", ".config"], folder)
        git(["-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "--allow-empty", "-m", "time limits"], folder)

    def files(self):
        names = git(["ls-files", "-z"], self.folder).split("\0")
        return [name for name in names if name and (self.folder / name).is_file() and not (self.folder / name).is_symlink() and not name.startswith(".config/")]

    def restore(self):
        git(["checkout", "--quiet", "--", "."], self.folder)


def git(arguments, folder):
    return subprocess.run(["git", *arguments], cwd=folder, check=True, text=True, capture_output=True).stdout


def call(command, folder, environment, limit=LIMIT):
    """Exit code and standard output."""
    def limits():
        # Not the machine's memory and disk for a mutation.
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 30, 2 << 30))

    process = subprocess.Popen(command, cwd=folder, env=environment, text=True, errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=limits)
    try:
        out, _ = process.communicate(timeout=limit)
        return process.returncode, out
    except subprocess.TimeoutExpired:
        # Tests have process groups of their own.
        subprocess.run(["pkill", "-KILL", "--session", str(process.pid)], check=False)
        process.communicate()
        raise


def remembering(suite, workspace, environment, limit=LIMIT):
    """What `test-fast` says of each program; `None` if it did not build. What was audited counts as remembered."""
    _, out = call([str(suite), "test-fast", "--json"], workspace.folder, environment, limit)
    try:
        report = json.loads(out)
    except ValueError:
        return None
    if report["not_compiled"] is not None:
        return None
    ended = {program["name"]: program["verdict"] for program in report["programs"]}
    if report["mismatch"]:
        ended[report["mismatch"]["program"]] = "remembered"
        call([str(suite), "verdicts", "--accept"], workspace.folder, environment)
    return ended


def bare(workspace, environment, program=None, limit=LIMIT):
    """What nextest says of each program that has tests; `None` if it did not build, or could not list the tests."""
    command = ["cargo", "nextest", "run", "--workspace", "--no-fail-fast", "--no-tests", "pass", "--message-format", "libtest-json-plus"]
    command += ["-E", f"binary_id(={program})"] if program else []
    code, out = call(command, workspace.folder, {**environment, "NEXTEST_EXPERIMENTAL_LIBTEST_JSON": "1"}, limit)
    if code not in (0, 100):
        return None
    ended = {}
    for line in out.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event.get("type") == "suite" and event["event"] != "started":
            of = event["nextest"]
            kinds = {"test": "::", "bin": "::bin/", "example": "::example/", "bench": "::bench/"}
            name = of["crate"] + (kinds[of["kind"]] + of["test_binary"] if of["kind"] in kinds else "")
            ended[name] = "passed" if event["event"] == "ok" else "failed"
    return ended


def mutate(workspace, name, dice):
    """Changes one line of the file. Returns what it was and is, or `None` if it has no line that can be changed."""
    path = workspace.folder / name
    content, encoding = path.read_bytes(), "utf-8"
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        encoding = "latin-1"
    lines = content.decode(encoding).splitlines(keepends=True)
    source = name.endswith(".rs")
    full = code(lines) if source else [at for at, line in enumerate(lines) if line.strip()]
    for _ in range(20 if full else 0):
        at = dice.choice(full)
        new = dice.choice(SOURCE if source else DATA)(lines[at], dice)
        if new is not None and new != lines[at]:
            old, lines[at] = lines[at], new
            path.write_bytes("".join(lines).encode(encoding))
            return {"line": at + 1, "old": old, "new": new}
    return None


def choose(workspace, dice):
    """A file, of one of five kinds; a source the more often, the longer it is."""
    files = workspace.files()
    sources = {name: (workspace.folder / name).read_text(errors="replace") for name in files if name.endswith(".rs")}
    words = set(re.findall(r"[\w.-]+", " ".join(sources.values())))
    scripts = {name for name in sources if pathlib.PurePath(name).name == "build.rs"}
    manifests = {name for name in files if name.endswith((".toml", ".lock"))}
    named = {name for name in files if pathlib.PurePath(name).name in words} - set(sources) - manifests
    others = set(files) - set(sources) - manifests - named
    kinds = [(set(sources) - scripts, 12), (scripts, 1), (manifests, 2), (named, 4), (others, 1)]
    kinds = [(sorted(kind), weight) for kind, weight in kinds if kind]
    kind = dice.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
    return dice.choices(kind, [1 + len(code(sources[name].splitlines())) if name in sources else 1 for name in kind])[0]


def code(lines):
    """Which lines of Rust are not empty and not only a comment."""
    found, comment = [], False
    for at, line in enumerate(map(str.strip, lines)):
        comment = comment or line.startswith("/*")
        if line and not comment and not line.startswith("//"):
            found.append(at)
        comment = comment and "*/" not in line
    return found


def same(ours, theirs):
    return ours == theirs or (ours, theirs) == ("remembered", "passed")


def differences(ours, theirs):
    if ours is None or theirs is None:
        return [] if ours is theirs else [("the build", "failed" if ours is None else "built", "failed" if theirs is None else "built")]
    # A program without tests is not in nextest's report.
    names = sorted(set(ours) | set(theirs))
    return [(name, ours.get(name, "missing"), theirs.get(name, "passed")) for name in names if not same(ours.get(name, "missing"), theirs.get(name, "passed"))]


def is_flaky(one, suite, workspaces, environment):
    """Whether the program ends both ways when it is run again."""
    name, ours, theirs = one
    seen = set()
    for _ in range(3):
        again = bare(workspaces[-1], environment, None if name == "the build" else name)
        seen.add("failed" if again is None else "built" if name == "the build" else again.get(name, "passed"))
    if any(same(ours, other) if name != "the build" else ours == other for other in seen):
        return True
    if ours == "failed":
        again = remembering(suite, workspaces[0], environment)
        return again is not None and (name == "the build" or same(again.get(name, "missing"), theirs))
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=pathlib.Path)
    parser.add_argument("--mutations", type=int, default=200, help="how many that build")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="stop after this time")
    parser.add_argument("--suite", type=pathlib.Path, default=ROOT / "target/xtask/xtask-suite")
    parser.add_argument("--apart", action="store_true", help="a clone and a target dir of its own for the run of everything")
    parser.add_argument("--log", type=pathlib.Path, help="a file that gets a line of JSON for each step")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xtask-suite-mutation-") as folder:
        totals = measure(arguments, pathlib.Path(folder))
    print(table(arguments.workspace.name, arguments.seed, totals))
    sys.exit(1 if totals["differences"] else 0)


def measure(arguments, folder):
    dice, suite = random.Random(arguments.seed), arguments.suite.resolve()
    source = arguments.workspace.resolve()
    workspaces = [Workspace(source, folder / source.name)]
    if arguments.apart:
        workspaces.append(Workspace(source, folder / "apart" / source.name))
    for name in ("tmp", "home"):
        (folder / name).mkdir()
    home = pathlib.Path.home()
    environment = {
        "CARGO_HOME": str(home / ".cargo"),
        "RUSTUP_HOME": str(home / ".rustup"),
        **os.environ,
        "CARGO_NET_OFFLINE": "true",
        "CARGO_PROFILE_DEV_DEBUG": "0",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "XTASK_STORE": str(folder / "store"),
    }
    environment.pop("CARGO_TARGET_DIR", None)
    totals = dict.fromkeys(["mutations", "built", "noticed", "restored", "programs", "remembered", "failed", "too slow", "flaky", "differences"], 0)
    seconds = {"remembering": 0.0, "everything": 0.0}
    started = time.monotonic()
    stacked, last_built = 0, True
    step = -1
    while totals["built"] < arguments.mutations:
        if arguments.minutes and time.monotonic() - started > 60 * arguments.minutes:
            break
        step += 1
        # The first run has nothing to compare with what is remembered, but fills the memory.
        follows = last_built and stacked < 5 and dice.random() < 0.4
        if not follows:
            stacked = 0
            for workspace in workspaces:
                workspace.restore()
        change = None
        if step > 0 and (follows or dice.random() < 0.9):
            while change is None:
                name = choose(workspaces[0], dice)
                state = dice.getstate()
                change = mutate(workspaces[0], name, dice)
            for workspace in workspaces[1:]:
                dice.setstate(state)
                mutate(workspace, name, dice)
            change["file"] = name
            stacked += 1
        limit = LIMIT if step else FIRST_LIMIT
        begun = middle = time.monotonic()
        try:
            ours = remembering(suite, workspaces[0], environment, limit)
            middle = time.monotonic()
            theirs = bare(workspaces[-1], environment, limit=limit)
            found = differences(ours, theirs)
            flaky = [one for one in found if is_flaky(one, suite, workspaces, environment)]
        except subprocess.TimeoutExpired as error:
            totals["too slow"] += 1
            last_built = False
            print(f"{step}: {change}: {error}", file=sys.stderr, flush=True)
            continue
        if step == 0 and (ours is None or theirs is None):
            raise SystemExit(f"{source} does not build as it is")
        seconds["remembering"] += middle - begun
        seconds["everything"] += time.monotonic() - middle
        last_built = ours is not None
        verdicts = list((ours or {}).values())
        totals["mutations"] += change is not None
        totals["restored"] += change is None
        totals["built"] += last_built and change is not None
        totals["noticed"] += change is not None and "failed" in (theirs or {}).values()
        totals["programs"] += len(verdicts)
        totals["remembered"] += verdicts.count("remembered")
        totals["failed"] += verdicts.count("failed")
        totals["flaky"] += len(flaky)
        totals["differences"] += len(found) - len(flaky)
        line = {"step": step, "change": change, "stacked": stacked, "ours": ours, "theirs": theirs, "differences": found, "flaky": flaky, "seconds": [round(middle - begun, 1), round(time.monotonic() - middle, 1)]}
        if arguments.log:
            with arguments.log.open("a") as log:
                log.write(json.dumps(line) + "\n")
        what = f"{change['file']}:{change['line']}" if change else "as committed"
        ended = "did not build" if ours is None else f"{len(verdicts)} programs, {verdicts.count('remembered')} remembered, {verdicts.count('failed')} failed"
        print(f"{step}: {what}: {ended}, {len(found) - len(flaky)} differences, {len(flaky)} flaky", file=sys.stderr, flush=True)
        for one in found:
            print(f"  {'flaky' if one in flaky else 'DIFFERENT'}: {one[0]}: {one[1]}, but {one[2]} when everything runs", file=sys.stderr)
    return {**totals, **seconds}


def table(name, seed, totals):
    columns = ["mutations", "built", "noticed", "restored", "programs", "remembered", "failed", "too slow", "flaky", "differences"]
    return "\n".join([
        f"| workspace | seed | {' | '.join(columns)} |",
        f"| --- {'| --- ' * (len(columns) + 1)}|",
        f"| {name} | {seed} | {' | '.join(str(totals[column]) for column in columns)} |",
        "",
        f"{totals['remembering']:.0f} s remembering, {totals['everything']:.0f} s running everything.",
    ])


if __name__ == "__main__":
    main()
