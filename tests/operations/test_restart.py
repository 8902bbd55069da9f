"""A web program whose workers are renewed under load: no request fails, and no count is lost."""

import http.client
import os
import re
import signal
import threading
import time
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from tests import serving

TOKEN = "figures-of-the-tests"
VISITORS = 4
RENEWALS = 2


class Visitor(threading.Thread):
    """Asks again and again over one connection, and over a new one whenever the server says that it closes the old one."""

    def __init__(self, base, stop):
        super().__init__()
        self.place, self.stop = urlsplit(base).netloc, stop
        self.answered, self.failures = 0, []

    def run(self):
        connection = http.client.HTTPConnection(self.place, timeout=60)
        while not self.stop.is_set():
            try:
                connection.request("GET", "/healthz")
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failures.append(answer.status)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(error)
                connection.close()
            else:
                self.answered += 1
        connection.close()


def count(base):
    answer = serving.exchange(base, "GET", "/metrics", None, {"Authorization": f"Bearer {TOKEN}"})
    assert answer.status == 200, answer.text
    wanted = {"method": "GET", "route": "/healthz", "status": "200"}
    return sum(one.value for family in text_string_to_metric_families(answer.text) for one in family.samples
               if one.name == "fleet_http_responses_total" and one.labels == wanted)  # fmt: skip


def wait_until(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workers_are_renewed_under_load_and_no_request_fails(live_database_url, tmp_path):
    env = serving.environment(live_database_url, FLEET_PORT="0", FLEET_WORKERS="2", FLEET_METRICS_TOKEN=TOKEN)
    arguments = ["gunicorn", "-c", "config/gunicorn.py", "wsgi:app"]
    with serving.program("web", arguments, env, tmp_path, r"Listening at: (http://127\.0\.0\.1:\d+)") as found:
        log, stop = tmp_path / "web.log", threading.Event()
        visitors = [Visitor(found[1], stop) for _ in range(VISITORS)]
        for visitor in visitors:
            visitor.start()
        try:
            master = int(re.search(r"\[(\d+)\] \[INFO\] Starting gunicorn", log.read_text(encoding="utf-8"))[1])
            for renewal in range(1, RENEWALS + 1):
                before = sum(visitor.answered for visitor in visitors)
                wait_until(lambda before=before: sum(visitor.answered for visitor in visitors) > before + 40)
                os.kill(master, signal.SIGHUP)
                wait_until(lambda gone=2 * renewal: log.read_text(encoding="utf-8").count("Worker exiting") >= gone)
        finally:
            stop.set()
            for visitor in visitors:
                visitor.join()
        assert [failure for visitor in visitors for failure in visitor.failures] == []
        answered = sum(visitor.answered for visitor in visitors)
        assert answered > 80
        wait_until(lambda: count(found[1]) == answered)  # a worker's counts are added when it has gone
