"""`make test`: set up, start the test cluster, run pytest with the given arguments, stop what was started."""

import os
import shlex
import shutil
import subprocess
import sys

from cluster import start_private, stop, url_of
from plain import ROOT, run_main, say
from setup import PYTHON, ensure_everything, with_node

WHOLE = (
    "-n 2 --dist worksteal --reruns 1 --max-suite-reruns 3 --only-rerun [Tt]imeout|timed.out --rerun-show-tracebacks"
)
"""All tests on two cores. A wait that ran out on a busy machine is tried once more, three of them at most, and told with its traceback; a
wrong value never is."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """Return the first Chromium that runs; Ubuntu's chromium-browser may be a stub that only names a snap."""
    for name in BROWSERS:
        path = shutil.which(name)
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


def test_environment(database_url: str, browser: str | None) -> dict[str, str]:
    """Return the environment of the tests: none of the run-time settings, which tests set for themselves."""
    environ = {name: value for name, value in with_node().items() if not name.startswith("FLEET_")}
    environ["FLEET_TEST_DATABASE_URL"] = database_url
    if browser:
        environ["FLEET_CHROMIUM"] = browser
    return environ


def main() -> int:
    """Run all tests on two cores, or the given ones on one."""
    given = os.environ.get("FLEET_TEST_DATABASE_URL")
    ensure_everything(own_database=not given)
    browser = os.environ.get("FLEET_CHROMIUM") or find_browser()
    if not browser:
        say("未找到 Chromium，浏览器测试将跳过", "no Chromium found: browser tests are left out")
    chosen = [word for text in sys.argv[1:] for word in shlex.split(text)]
    command = [str(PYTHON), "-m", "pytest", *(chosen or WHOLE.split())]
    if given:
        return subprocess.call(command, cwd=ROOT, env=test_environment(given, browser))
    cluster, started_here = start_private(test=True)
    try:
        return subprocess.call(command, cwd=ROOT, env=test_environment(url_of(cluster), browser))
    finally:
        if started_here:
            stop(cluster)


if __name__ == "__main__":
    run_main(main)
