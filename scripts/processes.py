"""Programs that `make run` keeps alive: start, wait until ready, notice that one died, stop all."""

import ctypes
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plain import LOGS, ROOT, Refused, tail

READY_LIMIT_S = 180.0
STOP_LIMIT_S = 15.0
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """``is_ready`` is asked until it holds; ``zh`` and ``en`` name the program to a person."""

    name: str
    zh: str
    en: str
    command: Sequence[str]
    is_ready: Callable[[], bool] = lambda: True


@dataclass
class Running:
    program: Program
    process: subprocess.Popen[bytes]
    log: Path


def end_with_parent() -> None:
    """Ask the kernel to stop this child when the supervisor is killed, so that no port stays taken."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def launch(program: Program, env: Mapping[str, str]) -> Running:
    """Start a program in a process group of its own: Ctrl-C reaches only the supervisor, which stops in order."""
    log = LOGS / f"{program.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            program.command,
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - this program has one thread
        )
    return Running(program, process, log)


def refuse_dead(running: Sequence[Running]) -> None:
    """:raises Refused: one of the programs has ended; its last words are printed first."""
    for one in running:
        status = one.process.poll()
        if status is not None:
            print(tail(one.log), flush=True)
            raise Refused(
                f"{one.program.zh}已退出（状态 {status}），系统随之停止；原因见上，完整日志 {one.log}",
                f"the {one.program.en} ended (status {status}), so everything stops; see above, full log: {one.log}",
            )


def wait_ready(running: Sequence[Running], *, limit_s: float = READY_LIMIT_S) -> None:
    """Wait until every program says it is ready.

    :raises Refused: one died, or is not ready in time.
    """
    deadline = time.monotonic() + limit_s
    waiting = list(running)
    while True:
        refuse_dead(running)
        waiting = [one for one in waiting if not one.program.is_ready()]
        if not waiting:
            return
        if time.monotonic() > deadline:
            one = waiting[0]
            print(tail(one.log), flush=True)
            raise Refused(
                f"{one.program.zh}在 {limit_s:.0f} 秒内未就绪，原因见上，完整日志 {one.log}",
                f"the {one.program.en} was not ready within {limit_s:.0f} s; see above, full log: {one.log}",
            )
        time.sleep(0.2)


def signal_group(one: Running, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(one.process.pid, number)


def stop_all(running: Sequence[Running], *, limit_s: float = STOP_LIMIT_S) -> None:
    """Stop programs one after another, the last started first; what does not end in time is killed."""
    deadline = time.monotonic() + limit_s
    for one in reversed(running):
        signal_group(one, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            one.process.wait(timeout=max(1.0, deadline - time.monotonic()))
        signal_group(one, signal.SIGKILL)
        one.process.wait()


def answers_tcp(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def answers_http(url: str) -> bool:
    """Tell whether a page comes; an error of the asker's own (401, 404) counts, a server's error does not."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
            return answer.status < 500
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def is_free(host: str, port: int) -> bool:
    """Tell whether a TCP port can be listened on; one that only waits for old connections to fade can.

    :raises PermissionError: ports below 1024 are root's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except PermissionError:
            raise
        except OSError:
            return False
        return True
