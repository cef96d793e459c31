"""A server on loopback whose answers a test writes."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHILD = f"m1.{'0' * 32}"
PLACED = {"type": "placed", "child": {"id": CHILD, "url": f"http://127.0.0.1:1/children/{CHILD}"}}


def problem(code, status=503, **more):
    kind = f"urn:distributed-pool:problem:{code}"
    return {"type": kind, "title": code, "status": status, "detail": code, "code": code, **more}


def sse(*events):
    """Events as a stream. A text is the data of one that a test writes itself."""
    lines = []
    for index, event in enumerate(events):
        number = index + 1
        if isinstance(event, dict):
            number = event.get("id", number)
            data = {key: each for key, each in event.items() if key != "id"}
            event = (event["type"], json.dumps(data))
        name, data = event
        lines.append(f"id: {number}\nevent: {name}\ndata: {data}\n\n")
    return 200, "text/event-stream", "".join(lines).encode()


def as_json(body, status=200):
    kind = "application/json" if status == 200 else "application/problem+json"
    return status, kind, json.dumps(body).encode()


@contextlib.contextmanager
def server(answer):
    """Serves `answer(method, path, read)`, which returns a status, a type and bytes.

    `read(n)` reads bytes of the body, which has to be read as a whole. Yields the URL.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            left = [int(self.headers.get("content-length") or 0)]

            def read(size=1 << 30):
                data = self.rfile.read(min(size, left[0]))
                left[0] -= len(data)
                return data

            status, kind, body = answer(self.command, self.path, read)
            read()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.send_header("x-consul-index", "1")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *_):
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    # A client that leaves is no fault of the test.
    served.handle_error = lambda *_: None
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{served.server_port}"
    finally:
        served.shutdown()
        thread.join()
        served.server_close()
