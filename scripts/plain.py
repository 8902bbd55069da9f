"""How the scripts speak: progress lines, long steps that show they live, and errors of one plain sentence."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VAR = ROOT / "var"
LOGS = VAR / "log"
PRODUCTION_GUIDE = "docs/operations.md"


class Refused(Exception):
    """One sentence that says what is wrong and what to do, in Chinese and in English."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh} / {en}")


class Busy(Refused):
    """Another process holds the lock."""


def say(zh: str, en: str) -> None:
    print(f"· {zh} / {en}", flush=True)


def run_main(main: Callable[[], int]) -> None:
    """Run a script's main function; a refusal is printed as its sentence with exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        sys.exit(main())
    except Refused as refused:
        print(f"✗ {refused}", file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def tail(path: Path, lines: int = 15, *, since: int = 0) -> str:
    """Return the last lines of a log after byte ``since``, at most 16 KiB of it."""
    try:
        with path.open("rb") as file:
            file.seek(max(since, path.stat().st_size - 16384))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(line for line in text.splitlines()[-lines:] if line.strip())


def run_step(
    command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None, every_s: float = 10.0
) -> tuple[int, str]:
    """Run a command with its output in ``log``; shows every ``every_s`` seconds that it is alive.

    Returns the exit status and the last lines of its output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with log.open("ab") as out:
        since = out.tell()
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(env) if env else None
        )
        try:
            while True:
                try:
                    return process.wait(timeout=every_s), tail(log, since=since)
                except subprocess.TimeoutExpired:
                    print(f"    {time.monotonic() - begun:4.0f} s  {tail(log, 1, since=since)[:100]}", flush=True)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


def run_network_step(
    command: Sequence[str], log: Path, what: str, *, env: Mapping[str, str] | None = None, wait_s: float = 5.0
) -> None:
    """Run a command that fetches something, up to three times.

    :raises Refused: it failed three times.
    """
    for attempt in (1, 2, 3):
        status, last = run_step(command, log, env=env)
        if status == 0:
            return
        print(f"    {what}: 第 {attempt}/3 次未成功 / attempt {attempt} of 3 failed (exit {status})", flush=True)
        if attempt < 3:
            time.sleep(wait_s * attempt)
    print(last, file=sys.stderr, flush=True)
    raise Refused(
        f"{what} 三次下载均未成功，请检查网络或软件源设置后重试（日志 {log}）",
        f"{what} could not be fetched in three attempts: check the network or mirror settings and repeat (log: {log}).",
    )


@contextmanager
def locked(name: str, *, wait: bool) -> Iterator[Path]:
    """Hold ``var/<name>.lock``; the kernel frees it however the process ends.

    :raises Busy: someone else holds it and ``wait`` is false; the message is what the holder wrote into the file.
    """
    VAR.mkdir(exist_ok=True)
    path = VAR / f"{name}.lock"
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            holder = file.read().strip() or "?"
            raise Busy(
                f"系统已在运行（{holder}），请直接使用，或先在原窗口按 Ctrl-C 停止",
                f"It is already running ({holder}): use that one, or stop it first with Ctrl-C in its window.",
            ) from None
        file.truncate(0)
        yield path
        file.truncate(0)
