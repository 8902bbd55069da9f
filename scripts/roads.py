"""Build the road network of an OpenStreetMap extract for the road engine (OSRM): make roads PBF=hangzhou.osm.pbf.

The engine's programs come from the PyPI wheel osrm-bindings, unpacked into var/roads and never installed. The network
is built beside and takes the old one's place when it is whole.
"""

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

from plain import LOGS, ROOT, VAR, Refused, run_main, run_network_step, run_step, say

ROADS = VAR / "roads"
ENGINE = ROADS / "engine"
NETWORK = ROADS / "network"
LOG = LOGS / "roads.log"
PORT = 5000


def ensure_engine() -> Path:
    """Return the folder of the engine's programs and profiles, fetched and unpacked if it is not there."""
    wanted = ROOT / "requirements/roads.txt"
    stamp = ENGINE / ".stamp"
    if stamp.is_file() and stamp.read_bytes() == wanted.read_bytes():
        return ENGINE / "osrm"
    say("下载路网引擎（约 21 MB）", "fetching the road engine (21 MB)")
    shutil.rmtree(ENGINE, ignore_errors=True)
    ENGINE.mkdir(parents=True)
    pip = [str(ROOT / ".venv/bin/python"), "-m", "pip", "download", "--require-hashes", "--no-deps", "--only-binary=:all:",
           "--python-version", "3.12", "--platform", "manylinux_2_28_x86_64", "-d", str(ENGINE), "-r", str(wanted)]  # fmt: skip
    run_network_step(pip, LOG, "pip download osrm-bindings")
    [wheel] = ENGINE.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(ENGINE)
    wheel.unlink()
    for program in (ENGINE / "osrm/bin").iterdir():
        program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    stamp.write_bytes(wanted.read_bytes())
    return ENGINE / "osrm"


def build(engine: Path, extract: Path) -> None:
    """Build the network of an extract and put it in place."""
    draft = ROADS / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    (draft / "roads.osm.pbf").symlink_to(extract.resolve())
    steps = (
        [engine / "bin/osrm-extract", "-p", engine / "share/profiles/car.lua", draft / "roads.osm.pbf"],
        [engine / "bin/osrm-contract", draft / "roads.osrm"],
    )
    for step in steps:
        say(f"运行 {step[0].name}", f"running {step[0].name}")
        status, last = run_step([str(word) for word in step], LOG)
        if status != 0:
            print(last, file=sys.stderr)
            raise Refused(
                f"路网未能建成，原因见上（日志 {LOG}）；原有路网未动",
                f"the network could not be built, see above (log: {LOG}); the present one is untouched.",
            )
    (draft / "roads.osm.pbf").unlink()
    shutil.rmtree(NETWORK, ignore_errors=True)
    draft.rename(NETWORK)


def serve() -> int:
    """Answer on the loopback interface until stopped."""
    program = ENGINE / "osrm/bin/osrm-routed"
    if not (NETWORK / "roads.osrm.hsgr").is_file():
        raise Refused("还没有路网：请先 make roads PBF=文件", "there is no network yet: make roads PBF=FILE first.")
    return subprocess.run([program, "-a", "ch", "-i", "127.0.0.1", "-p", str(PORT), "--max-table-size", "2000",
                           NETWORK / "roads.osrm"], check=False).returncode  # fmt: skip


def main() -> int:
    given = sys.argv[1] if len(sys.argv) > 1 else ""
    if given == "serve":
        return serve()
    if not given or not Path(given).is_file():
        raise Refused(
            f"找不到 OpenStreetMap 数据 {given or '（未给出）'}：make roads PBF=hangzhou.osm.pbf",
            f"no OpenStreetMap extract {given or '(none given)'}: make roads PBF=hangzhou.osm.pbf.",
        )
    if os.uname().sysname != "Linux" or os.uname().machine != "x86_64":
        raise Refused("路网引擎仅提供 Linux x86_64 版", "the road engine comes for Linux on x86_64 only.")
    LOG.parent.mkdir(parents=True, exist_ok=True)
    build(ensure_engine(), Path(given))
    say(
        f"路网已建成。启动：python3 scripts/roads.py serve；设置 FLEET_OSRM_URL=http://127.0.0.1:{PORT}",
        f"the network is there. Start it with python3 scripts/roads.py serve, set FLEET_OSRM_URL=http://127.0.0.1:{PORT}",
    )
    return 0


if __name__ == "__main__":
    run_main(main)
