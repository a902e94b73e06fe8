"""What a first plan costs with the suite's jobserver and with cargo's own: a section of docs/performance.md, for
scripts/performance.py.
"""

import json
import os
import shutil

from sweep_performance import forget_kept_plans, median, timed

# The large one has as many features as make cargo take the 260 MB that it takes on a public workspace of this size
# (nushell, 1,125 units): its memory decides what a fork costs.
SIZES = [{"registry_crates": 266, "members": 12}, {"registry_crates": 1060, "members": 26, "features": 200}]


def own_jobserver(folder):
    """A folder for PATH with a cargo that does not see the suite's jobserver, so that it makes its own."""
    folder.mkdir()
    cargo = folder / "cargo"
    cargo.write_text(f'#!/bin/sh\nunset CARGO_MAKEFLAGS\nexec {shutil.which("cargo")} "$@"\n')
    cargo.chmod(0o755)
    return folder


def measure(work, suite, generated, hyperfine, environment, few):
    binary = suite / "target/xtask/xtask-suite"
    own = own_jobserver(work / "own-jobserver")
    rows = []
    for number, size in enumerate(SIZES):
        host = generated(work / f"plan{number}", **size)
        state = host / "target/xtask-suite"
        forget = f"rm -rf {state}/shadow; {forget_kept_plans(host)}"
        forecast = f"{binary} -C {host} test-common --forecast --json"
        times, plans = {"ours": [], "own": []}, {}
        for turn in range(-1, 3 if few else 9):
            for name in times:
                path = environment["PATH"] if name == "ours" else f"{own}{os.pathsep}{environment['PATH']}"
                variables = {**environment, "PATH": path}
                timed(forget, host, variables)
                seconds, said = timed(forecast, host, variables)
                (plan,) = (state / "shadow").glob("*.json")
                plans.setdefault(name, plan.read_bytes())
                if turn >= 0:
                    times[name].append(seconds)
        if plans["ours"] != plans["own"]:
            raise SystemExit(f"the jobserver changed the plan of {host}")
        found = json.loads(said)["forecast"]
        units = found["fresh"] + found["compile"]
        rows.append({"units": units, **{name: median(values) for name, values in times.items()}})
    return rows


def render(rows, verdict):
    def line(row, most, ratio):
        ours, own = row["ours"], row["own"]
        holds = verdict(ours <= most and ours <= ratio * own)
        return f"| {row['units']:,} | {ours:.2f} s | {own:.2f} s | {ours / own:.2f} × | ≤ {most} s, ≤ {ratio} × | {holds} |"

    goals = [(0.7, 1.0), (6, 0.2)]
    lines = "\n".join(line(row, *goal) for row, goal in zip(rows, goals))
    return f"""## Planning

A first plan, as for `--forecast`, where cargo uses the suite's jobserver and where it makes its own. Both plans are the same
to the byte.

| units | with the suite's jobserver | with cargo's own | ratio | goal | |
| --- | --- | --- | --- | --- | --- |
{lines}

With its own jobserver cargo copies the page tables of its memory for each unit. The packages of the larger
workspace have {SIZES[1]['features']} features each, with which cargo takes as much memory as for a public workspace of that size.
"""
