"""ModelDeployments that the tests apply, at a pace of seconds. Each builder says only what matters to its caller.

`custom` means the user's own image; here it is a web server of twenty lines that is up in less than a second and
answers as V2 servers do, so that the demo's load generator understands it. What is about models uses MLServer.
"""

from typing import Any

Document = dict[str, Any]

SERVER = """
import http.server, json, os, random, signal, threading
version, failing = os.environ["MODEL_VERSION"], float(os.environ.get("FAILING", "0"))
body = json.dumps({"model_version": version, "outputs": [{"data": ["positive"]}]}).encode()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, wbufsize = "HTTP/1.1", -1
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(500 if random.random() < failing else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size, daemon_threads = 128, True
server = Server(("", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""
SMALL = {"requests": {"cpu": "10m", "memory": "32Mi"}}
BY_TIME: Document = {"mode": "none", "minDuration": "1s", "deadline": "5s"}
BY_EVIDENCE: Document = {
    "poll": "1s",
    "minDuration": "3s",
    "deadline": "8s",
    "minRequests": 20,
    "noDataTimeout": "5s",
    "warmup": "1s",
    "metrics": [{"name": "errors", "nonInferiority": {"ratio": 1.5, "absolute": 0.05}}],
}
"""Decided by requests, in seconds; few requests prove little, hence the wide margin."""


def a_server(image: str, *, failing: float = 0, env: list[Document] | None = None, **runtime: Any) -> Document:
    """`spec.runtime` of our little server; `failing` is the share of requests that it answers with 500."""
    given = [{"name": "FAILING", "value": str(failing)}] if failing else []
    return {
        "preset": "custom",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-u", "-c", SERVER],
        "resources": SMALL,
        "readyTimeout": "60s",
        **({"env": [*given, *(env or [])]} if given or env else {}),
        **runtime,
    }


def steps(*weights: int, **each: Any) -> list[Document]:
    return [{"weight": weight, **each} for weight in weights]


def a_rollout(*weights: int, bake: str = "1s", **each: Any) -> Document:
    return {"steps": steps(*weights, **each), "bake": bake}


def through_the_gateway(hostname: str, gateway: str = "public") -> Document:
    parent = {"name": gateway, "namespace": "infra"}
    return {"router": "gatewayAPI", "gatewayAPI": {"parentRefs": [parent], "hostnames": [hostname]}}


def waiting_for_a_person(*weights: int) -> Document:
    """Steps that a person must let pass: a test may look around in each of them."""
    return a_rollout(*weights, pause=True)
