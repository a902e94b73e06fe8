"""What `setup` and `doctor` cost: a section of docs/performance.md, for scripts/performance.py.

It removes Debian's packages of the tools first, if there are any, and has `setup` bring them back; so it needs root on a
Debian whose packages can be reached.
"""

import json
import subprocess
import time

PACKAGES = ["mold", "lld", "clang", "sccache"]
# What a plain cargo call does before it builds: the time that a second setup is compared with.
PLAIN = "cargo metadata --format-version 1 --offline"


def measure(work, suite, generated, hyperfine, environment, few):
    binary = suite / "target/xtask/xtask-workshop"
    host = generated(work / "setup", 60 if few else 266, 12)

    def run(command):
        started = time.perf_counter()
        done = subprocess.run(command, cwd=host, env=environment, text=True, capture_output=True)
        if done.returncode != 0:
            raise SystemExit(f"failed in {host}: {command}\n{done.stdout}{done.stderr}")
        return time.perf_counter() - started, done.stdout

    # wild has no package and no archive that can be reached everywhere; compiling it would be all that is measured.
    (host / "xtask.toml").write_text('[tools.wild]\nneed = "unwanted"\n')
    run(["apt-get", "remove", "--quiet", "--quiet", "--yes", *PACKAGES])
    whole, said = run([str(binary), "setup", "--yes", "--json"])
    report = json.loads(said)
    lines = [("second setup", f"{binary} setup"), ("doctor", f"{binary} doctor; true"), ("cargo metadata", PLAIN)]
    warm = hyperfine([(name, f"cd {host} && {line}") for name, line in lines], work, 3 if few else 21)
    return {"whole": whole, "report": report, "warm": warm}


def seconds(ms):
    return f"{ms / 1000:.1f} s"


def render(found, verdict):
    report, warm = found["report"], found["warm"]
    second, doctor, plain = (warm[name]["wall"] for name in ("second setup", "doctor", "cargo metadata"))
    tools = [tool for tool in report["tools"] if tool["state"] == "proven"]
    rows = [
        f"| {tool['name']} | {seconds(tool['install-ms']) if tool['installed'] else 'was there'} | {seconds(tool['proof-ms'])} |"
        for tool in tools
    ]
    race = report["race"]
    entries = [
        f"| {entry['name']} | {entry['median_ms']:.0f} ms | {verdict_of(entry)} |" for entry in race["entries"] if entry["median_ms"]
    ]
    join = "\n".join
    return f"""## Setting a machine up

From nothing (Debian's packages reachable, none of the tools installed but cargo-nextest) to all proven and the linkers
measured: {found['whole']:.1f} s. Of these {seconds(report['race-ms'])} went into measuring, of which most is building the tests of the workspace once (266
crates), and {seconds(report['set-ms'])} into the settings and a build that shows them. The rest:

| tool | installing | proof |
| --- | --- | --- |
{join(rows)}

The table that it showed, for `{race['binary']}`:

| linker | median of {race['rounds']} | against what is in use |
| --- | --- | --- |
{join(entries)}

| what | measured | goal | |
| --- | --- | --- | --- |
| a second `setup`, which changes nothing | {second:.2f} s, {second / plain:.1f} × `cargo metadata` | ≤ 0.5 s | {verdict(second <= 0.5)} |
| `doctor`, warm | {doctor:.2f} s, {doctor / plain:.1f} × `cargo metadata` | ≤ 1 s | {verdict(doctor <= 1)} |
"""


def verdict_of(entry):
    compared = entry["comparison"]
    if compared is None:
        return "-"
    low, high = compared["interval"]["low"], compared["interval"]["high"]
    return f"{compared['ratio']:.2f} × ({low:.2f} to {high:.2f}): {compared['verdict'].replace('-', ' ')}"
