"""A receiver of webhooks. hooks.py FOLDER PORT [CERTIFICATE KEY]: answers as FOLDER/mode says (ok, 500,
404, redirect, hang, drop), and writes each request that it answers with 200 to FOLDER/taken, one line of
JSON, and each attempt to FOLDER/attempts. With a key in FOLDER/key it checks the signature."""
import hashlib
import hmac
import http.server
import json
import os
import ssl
import sys
import time

folder = sys.argv[1]


def path(name):
    return os.path.join(folder, name)


def signed(header, body):
    if not os.path.exists(path("key")):
        return True
    parts = dict(part.split("=", 1) for part in (header or "").split(",") if "=" in part)
    with open(path("key"), encoding="ascii") as file:
        key = bytes.fromhex(file.read().strip())
    wanted = hmac.new(key, parts.get("t", "").encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, parts.get("v1", "")) and \
        abs(time.time() - int(parts["t"])) < 60


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(path("mode"), encoding="ascii") as file:
            mode = file.read().strip()
        with open(path("attempts"), "a", encoding="ascii") as file:
            file.write(f"{time.time():.3f} {mode} {self.path}\n")
        if mode == "drop":
            self.connection.close()
            return
        if mode == "hang":
            time.sleep(30)
        good = signed(self.headers.get("X-Grapevine-Signature"), body)
        if mode == "ok" and good and self.path == "/hook":
            with open(path("taken"), "a", encoding="utf-8") as file:
                file.write(json.dumps(json.loads(body)) + "\n")
            self.send_response(200)
        elif mode == "redirect":
            self.send_response(307)
            self.send_header("Location", "/elsewhere")
        else:
            self.send_response(403 if not good else int(mode) if mode.isdigit() else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
