"""A superior platform on this machine: real HTTP, one registry of keys, told how to misbehave."""

import json
import ssl
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fleetapp.exchange import mapping

GOOD_TOKEN = "token-{}"


class Platform:
    """Registers every key once. ``behave(path, records)`` decides of each request: see ``_answer``."""

    def __init__(self, mapped=None, tls=None):
        self.mapped, self.tls = mapped or mapping.load(), tls
        self.behave = lambda path, records: "ok"
        self.refuse = lambda values: None
        self.registered: dict[str, dict] = {}
        self.order: list[str] = []
        self.times_registered: Counter[str] = Counter()
        self.requests: list[str] = []
        self.bodies: list[dict] = []
        self.logins, self.token, self.password = 0, "", "secret"
        self.free = threading.Event()
        self.port, self._server, self._thread = 0, None, None

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/api"

    def start(self):
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                platform._take(self)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads, allow_reuse_address = True, True

            def handle_error(self, *_):
                pass

        self._server = Server(("127.0.0.1", self.port), Handler)
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def stop(self):
        self.free.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _take(self, handler):
        names = self.mapped.request
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        path = handler.path.removeprefix("/api")
        if path == self.mapped.login["path"]:
            self._login(handler, body)
            return
        self.requests.append(path)
        self.bodies.append(body)
        how = self.behave(path, body[names["records"]])
        if how == "expired" or handler.headers.get(names["header"]) != names["prefix"] + self.token:
            self._say(handler, 401, b"{}")
            return
        self._answer(handler, how, body[names["records"]])

    def _login(self, handler, body):
        self.logins += 1
        if body[self.mapped.login["password"]] != self.password:
            self._say(
                handler,
                200,
                self._json({self.mapped.answer["code"]: "403", self.mapped.answer["message"]: "账号或密码错误"}),
            )
            return
        self.token = GOOD_TOKEN.format(self.logins)
        self._say(
            handler,
            200,
            self._json(
                {self.mapped.answer["code"]: self.mapped.answer["ok"][0]}, self.mapped.login["token"], self.token
            ),
        )

    def _answer(self, handler, how, records):
        if how.isdigit():
            self._say(handler, int(how), b"<html>error</html>")
        elif how == "nonsense":
            self._say(handler, 200, b"<html>maintenance</html>")
        elif how == "empty":
            self._say(
                handler,
                200,
                self._json(
                    {self.mapped.answer["code"]: self.mapped.answer["ok"][0]}, self.mapped.answer["results"], []
                ),
            )
        elif how == "slow":
            self.free.wait(20)
        elif how == "refused_whole":
            self._say(
                handler,
                200,
                self._json({self.mapped.answer["code"]: "1001", self.mapped.answer["message"]: "报文不合规"}),
            )
        else:
            taken = records[: len(records) // 2 or 1] if how == "part" else records
            results = [self._register(one, how) for one in taken]
            if how == "twice":
                results += results
            if how == "strangers":
                results = [one | {self.mapped.answer["key"]: "somebody-else"} for one in results]
            whole = self._json(
                {self.mapped.answer["code"]: self.mapped.answer["ok"][0]}, self.mapped.answer["results"], results
            )
            if how == "close":  # everything is registered, nobody is told
                handler.close_connection = True
                handler.connection.close()
            elif how == "half":
                self._say(handler, 200, whole[: len(whole) // 2], length=len(whole))
            elif how == "drip":
                self._drip(handler, whole)
            else:
                self._say(handler, 200, whole)

    def _register(self, record, how):
        names, answer = self.mapped.request, self.mapped.answer
        key = record[names["key"]]
        values = record[names["values"]] if names["values"] else record
        said = {answer["key"]: key, answer["receipt"]: f"R-{key}"}
        faults = self.refuse(values)
        if faults:
            told = [{answer["field"]: field, answer["message"]: message} for field, message in faults]
            return said | {answer["status"]: answer["rejected"][0], answer["faults"]: told}
        if key in self.registered or how == "duplicates":
            self.registered.setdefault(key, values)
            return said | {answer["status"]: answer["duplicate"][0]}
        self.registered[key] = values
        self.order.append(key)
        self.times_registered[key] += 1
        return said | {answer["status"]: answer["accepted"][0]}

    @staticmethod
    def _json(whole, path="", value=None):
        inner = whole
        names = path.split(".") if path else []
        for name in names[:-1]:
            inner = inner.setdefault(name, {})
        if names:
            inner[names[-1]] = value
        return json.dumps(whole, ensure_ascii=False).encode()

    @staticmethod
    def _say(handler, status, body, length=None):
        try:
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body) if length is None else length))
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:
            pass  # whoever asked has gone

    def _drip(self, handler, body):
        self._say(handler, 200, b"", length=len(body))
        try:
            for byte in body:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                if self.free.wait(0.05):
                    return
        except OSError:
            pass  # whoever asked has gone
