"""Providers of text messages, work chat and mail on this machine: real HTTP and SMTP, told how to behave."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Provider:
    """Remembers what came; ``behave(message)`` decides: ok, 500, 400, 409, refuse, hang."""

    def __init__(self, behave=lambda message: "ok"):
        self.behave, self.got, self.free = behave, [], threading.Event()
        self.arrived = threading.Event()

    def take(self, message) -> str:
        self.got.append(message)
        self.arrived.set()
        how = self.behave(message)
        if how == "hang":
            self.free.wait(20)
        return how

    @property
    def keys(self) -> list[str]:
        return [message["key"] for message in self.got]


@contextmanager
def http(provider: Provider) -> Iterator[str]:
    """Serve a provider of JSON over HTTP; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            how = provider.take(
                {**body, "key": self.headers["Idempotency-Key"], "token": self.headers.get("Authorization")}
            )
            status = {"500": 500, "400": 400, "409": 409}.get(how, 200)
            said = (
                {"success": False, "message": f"号码 {body.get('to')} 无效"}
                if how == "refuse"
                else {"id": f"P{len(provider.got)}"}
            )
            answer = json.dumps(said).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            except OSError:
                pass  # whoever asked has gone

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/send"
        finally:
            provider.free.set()
            server.shutdown()
            thread.join()


@contextmanager
def smtp(provider: Provider) -> Iterator[int]:
    """Serve a mail relay that speaks as much SMTP as a sender needs; gives its port."""

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line):
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self):
            self.say("220 relay")
            while line := self.rfile.readline():
                word = line[:4].upper().strip()
                if word == b"DATA":
                    self.say("354 go on")
                    lines = []
                    while (part := self.rfile.readline()) != b".\r\n":
                        lines.append(part)
                    text = b"".join(lines).decode()
                    key = (
                        next(row for row in text.splitlines() if row.startswith("Message-ID"))
                        .split("<")[1]
                        .split("@")[0]
                    )
                    how = provider.take({"key": key, "text": text})
                    self.say({"500": "451 later", "400": "550 no such person"}.get(how, "250 taken"))
                elif word == b"QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 yes")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads, allow_reuse_address = True, True

        def handle_error(self, *_):
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            provider.free.set()
            server.shutdown()
            thread.join()
