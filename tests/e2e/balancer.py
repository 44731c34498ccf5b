"""A balancer for tests: each request goes to the next server in turn, or to another when that one is gone.
balancer.py PORT HOST:PORT HOST:PORT...   A line for each request on standard output: the server that took it."""
import http.client
import http.server
import itertools
import sys

turn = itertools.cycle(sys.argv[2:])


class Balancer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {"Host": self.headers["Host"], "X-Forwarded-For": self.client_address[0]}
        if body:
            headers["Content-Type"] = "application/json"
        for _ in sys.argv[2:]:
            server = next(turn)
            try:
                link = http.client.HTTPConnection(server, timeout=30)
                link.request(self.command, self.path, body or None, headers)
                answer = link.getresponse()
                data = answer.read()
                break
            except OSError:
                continue
        else:
            self.send_error(502)
            return
        print(server, self.command, self.path, answer.status, flush=True)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "date", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = pass_on

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Balancer).serve_forever()
