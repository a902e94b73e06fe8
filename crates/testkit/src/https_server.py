"""An HTTPS server for tests: the first part of a path says what it does with the file that the rest names.

Started as `https_server.py FOLDER CERTIFICATE KEY`; prints its port (and that of plain HTTP), appends a line for
each request to FOLDER/requests, and ends when its standard input does.
"""

import os
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER, CERTIFICATE, KEY = sys.argv[1:4]
LOCK = threading.Lock()
SEEN = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError):
            pass  # The other side has had enough: part of many tests.

    def do_GET(self):
        scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        wanted = self.headers.get("Range", "-")
        with LOCK:
            with open(os.path.join(FOLDER, "requests"), "a") as log:
                log.write(f"{scheme} {self.path} {wanted}\n")
            SEEN[self.path] = SEEN.get(self.path, 0) + 1
            nth = SEEN[self.path]
        mode, _, name = self.path.lstrip("/").partition("/")
        self.close_connection = True
        if mode == "ok":
            self.send(self.file(name))
        elif mode == "changed":  # Breaks off in the middle of one file, and then has another.
            content = self.file(name)
            if nth == 1:
                self.send(content[: len(content) // 2], claimed=len(content))
            else:
                self.ranged(b"X" * 10 + content[10:])
        elif mode == "truncated":
            content = self.file(name)
            self.send(content[: len(content) // 2], claimed=len(content))
        elif mode == "stall":
            content = self.file(name)
            self.head(200, len(content))
            self.wfile.write(content[:10])
            self.wfile.flush()
            time.sleep(60)
        elif mode == "drip":  # Never ends in time, never stalls either.
            self.head(200, 1 << 27)
            while True:
                self.wfile.write(b"x" * 2048)
                self.wfile.flush()
                time.sleep(0.05)
        elif mode == "redirect":
            self.redirect("/ok/" + name)
        elif mode == "redirect-http":
            self.redirect(f"http://localhost:{PLAIN.server_address[1]}/ok/{name}")
        elif mode == "redirect-file":
            self.redirect(f"file://{FOLDER}/{name}")
        elif mode == "loop":
            self.redirect(self.path)
        elif mode == "500":
            self.head(500, 0)
        elif mode == "503-once":
            self.head(503, 0) if nth == 1 else self.send(self.file(name))
        elif mode == "huge":
            self.head(200, None)
            while True:
                self.wfile.write(b"x" * 65536)
        elif mode == "huge-length":
            self.head(200, 1 << 40)
            time.sleep(60)
        elif mode == "resume":
            content = self.file(name)
            if nth == 1:
                self.send(content[: len(content) // 2], claimed=len(content))
            else:
                self.ranged(content)
        elif mode == "no-range":  # Breaks off once, and always begins at the front.
            content = self.file(name)
            if nth == 1:
                self.send(content[: len(content) // 2], claimed=len(content))
            else:
                self.send(content)
        else:
            self.head(404, 0)

    def do_CONNECT(self):  # As a proxy it is only asked.
        with LOCK, open(os.path.join(FOLDER, "requests"), "a") as log:
            log.write(f"proxy {self.path} -\n")
        self.close_connection = True
        self.head(403, 0)

    def file(self, name):
        with open(os.path.join(FOLDER, name), "rb") as file:
            return file.read()

    def head(self, status, length, extra=()):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in extra:
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def send(self, content, claimed=None):
        self.head(200, len(content) if claimed is None else claimed)
        self.wfile.write(content)

    def ranged(self, content):
        value = self.headers.get("Range")
        if value is None:
            return self.send(content)
        start = int(value.removeprefix("bytes=").split("-")[0])
        if start >= len(content):
            return self.head(416, 0, [("Content-Range", f"bytes */{len(content)}")])
        extra = [("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")]
        self.head(206, len(content) - start, extra)
        self.wfile.write(content[start:])

    def redirect(self, where):
        self.head(302, 0, [("Location", where)])


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, _request, _address):
        pass  # A client that refuses our certificate is part of a test.


class Https(Server):
    def finish_request(self, request, address):
        # Here, in the thread of this connection: a slow handshake holds up no other.
        super().finish_request(CONTEXT.wrap_socket(request, server_side=True), address)

    def shutdown_request(self, request):
        request.close()


CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
CONTEXT.load_cert_chain(CERTIFICATE, KEY)
PLAIN = Server(("127.0.0.1", 0), Handler)
SECURE = Https(("127.0.0.1", 0), Handler)
for server in (PLAIN, SECURE):
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(SECURE.server_address[1], PLAIN.server_address[1], flush=True)
sys.stdin.read()
