"""A road engine that says what it is told, over real HTTP."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Engine:
    """A server that answers every request with the next of what it was told, the last one for ever."""

    def __init__(self, server: ThreadingHTTPServer, asked: list[str], answers: list) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.asked = asked
        self.answers = answers


@pytest.fixture
def engine() -> Iterator[Engine]:
    asked: list[str] = []
    answers: list = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, body, wait_s = answers.pop(0) if len(answers) > 1 else answers[0]
            time.sleep(wait_s)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.end_headers()
            try:
                self.wfile.write(content)
            except OSError:
                self.close_connection = True  # the client did not wait

        def log_message(self, *_args) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Engine(server, asked, answers)
    server.shutdown()
    server.server_close()
    thread.join()


def says(engine: Engine, *answers) -> None:
    engine.answers[:] = [(*answer, 0.0)[:3] if isinstance(answer, tuple) else (200, answer, 0.0) for answer in answers]
