"""A Prometheus that does as a script says: a real HTTP or HTTPS server in threads of this process."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs

from modelrollout.measure.provider_settings import ProviderSettings


class Asked(NamedTuple):
    command: str
    path: str
    form: dict[str, list[str]]
    headers: dict[str, str]

    @property
    def query(self) -> str:
        return self.form["query"][0]

    @property
    def time(self) -> float:
        return float(self.form["time"][0])


@dataclass(kw_only=True)
class Script:
    """What the server answers, and what it was asked."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: float = 0.0
    drip: float = 0.0
    dead: bool = False
    """Hangs up without an answer, as a process does that is killed."""
    chunked: bool = False
    """Answers in chunks, as Prometheus does where an answer is long."""
    missing: int = 0
    """Bytes of the body that never come."""
    answer: Callable[[Asked], bytes] | None = None
    """Makes the body of each answer, instead of `body`."""
    allowed: Callable[[Asked], bool] = lambda _: True
    """Who gets something else than 401."""
    asked: list[Asked] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Script]:
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            asked = Asked(self.command, self.path, parse_qs(body), dict(self.headers))
            script.asked.append(asked)
            if script.dead:
                self.close_connection = True
                return
            stop.wait(script.hang)
            allowed = script.allowed(asked)
            told = script.body if script.answer is None or not allowed else script.answer(asked)
            self.send_response_only(script.status if allowed else 401)
            if "Date" not in script.headers:
                self.send_header("Date", self.date_time_string())
            length = {"Transfer-Encoding": "chunked"} if script.chunked else {"Content-Length": str(len(told))}
            for name, value in {**length, **script.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self._write(told[: len(told) - script.missing])
            self.close_connection = self.close_connection or script.missing > 0

        def _write(self, told: bytes) -> None:
            step = 1 if script.drip else 1000 if script.chunked else len(told) or 1
            for i in range(0, len(told), step):
                piece = told[i : i + step]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if script.chunked else piece)
                self.wfile.flush()
                if script.drip and stop.wait(script.drip):
                    return
            if script.chunked:
                self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST  # noqa: N815 -- http.server's spelling

        def log_message(self, *args: object) -> None: ...

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                self.close_connection = True

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None: ...

    http = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        http.socket = tls.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    script.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{http.server_port}"
    try:
        yield script
    finally:
        stop.set()
        http.shutdown()
        http.server_close()


def matrix(*rows: tuple[dict[str, str], list[list[object]]], **more: object) -> bytes:
    result = [{"metric": labels, "values": values} for labels, values in rows]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}, **more}).encode()


QUICK = {"read_seconds": 0.3, "deadline_seconds": 0.8}


def patient(script: Script, **changes: object) -> ProviderSettings:
    """Settings that no busy machine makes fail, but for what a test changes."""
    wide = {"connect_seconds": 5.0, "read_seconds": 10.0, "deadline_seconds": 15.0, **changes}
    return ProviderSettings(url=script.url, **wide)  # type: ignore[arg-type]
