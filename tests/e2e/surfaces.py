"""surfaces.py ADDRESS TOKEN DOVECOT_KEY BOUNCER_KEY HOOKED: asks every surface of the node on this host for
ADDRESS until it is refused there, says "ready" once it asks, and then for each how many milliseconds after
the node's own verdict (of /api/v1/verdict, asked every 2 ms) that was."""
import http.client
import http.server
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

address, token, dovecot_key, bouncer_key, hooked = sys.argv[1:6]
GIVE_UP = time.monotonic() + 60
seen, lock = {}, threading.Lock()
waiting = threading.Barrier(11)


def get(line, path, headers=None, method="GET", body=None):
    line.request(method, path, body, headers or {})
    answer = line.getresponse()
    return answer.status, answer.read()


def connect():
    return http.client.HTTPConnection("127.0.0.1", 4729, timeout=60)


def bearer():
    return {"Authorization": "Bearer " + token}


def surface(name, ready, look, pause=0.01):
    """Waits until all are ready, then looks until it is there."""
    ready = ready()
    if look(ready):
        print(f"{name} lists {address} before its time", file=sys.stderr, flush=True)
        os._exit(1)  # of all threads
    waiting.wait()
    while time.monotonic() < GIVE_UP:
        if look(ready):
            with lock:
                seen[name] = time.monotonic()
            return
        time.sleep(pause)


def verdict(line):
    answer = json.loads(get(line, "/api/v1/verdict?addr=" + address, bearer())[1])
    return answer["action"] == "refuse"


def dns(zone):
    name = ".".join(reversed(address.split("."))) + "." + zone
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"

    def look(line):
        line.send(struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + question + b"\0\1\0\1")
        return struct.unpack(">6H", line.recv(512)[:12])[3] == 1

    def ready():
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        line.settimeout(20)
        line.connect(("127.0.0.1", 4753))
        return line

    return ready, look


def dovecot(line):
    headers = {"X-Api-Key": dovecot_key, "Content-Type": "application/json"}
    body = {"login": "alice", "remote": address, "protocol": "imap", "session_id": "s", "pwhash": "00"}
    status = json.loads(get(line, "/dovecot?command=allow", headers, "POST", json.dumps(body))[1])["status"]
    # A login under way would hold up the next one: it ended without a word on the password.
    body.update(success=False, policy_reject=True)
    get(line, "/dovecot?command=report", headers, "POST", json.dumps(body))
    return status < 0


def poll_ready():
    line = connect()
    return [line, json.loads(get(line, "/api/v1/changes", bearer())[1])["serial"]]


def poll(state):
    if len(state) == 2:  # the first look is before its time: nothing is waited for
        state.append(True)
        return False
    status, body = get(state[0], f"/api/v1/changes?since={state[1]}&wait=30", bearer())
    answer = json.loads(body)
    state[1] = answer["serial"]
    return any(change["subject"] == address and "refuse" in change["is"] for change in answer["changes"])


def stream_ready():
    line = connect()
    get(line, "/v1/decisions/stream?startup=true", {"X-Api-Key": bouncer_key})
    return line


def stream(line):
    body = get(line, "/v1/decisions/stream", {"X-Api-Key": bouncer_key})[1]
    return any(entry["value"] == address for entry in json.loads(body)["new"] or [])


def nftables(_):
    return subprocess.run(["nft", "get", "element", "inet", "grapevine", "refused4", "{ " + address + " }"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def hook(_):
    try:
        with open(hooked, encoding="utf-8") as file:
            return address in file.read()
    except FileNotFoundError:
        return False


class Receiver(http.server.BaseHTTPRequestHandler):
    told = b""

    def log_message(self, *_):
        pass

    def do_POST(self):
        Receiver.told += self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()


def webhook(_):
    return address.encode() in Receiver.told


def blocklist(line):
    return address in get(line, "/blocklist.txt")[1].decode().split()


http.server.ThreadingHTTPServer.allow_reuse_address = True
server = http.server.ThreadingHTTPServer(("127.0.0.1", 4730), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
threads = [
    ("verdict", connect, verdict, 0.002),
    ("DNS-refuse", *dns("refuse.grapevine")),
    ("DNS-untrusted", *dns("untrusted.grapevine")),
    ("Dovecot", connect, dovecot),
    ("long-poll", poll_ready, poll, 0),
    ("bouncer", stream_ready, stream),
    ("nftables", lambda: None, nftables),
    ("exec-hook", lambda: None, hook),
    ("webhook", lambda: None, webhook),
    ("block-list", connect, blocklist),
]
threads = [threading.Thread(target=surface, args=thread, daemon=True) for thread in threads]
for thread in threads:
    thread.start()
waiting.wait(30)
print("ready", flush=True)
for thread in threads:
    thread.join()
for name in sorted(seen, key=seen.get):
    if name != "verdict":
        print(name, max(0, round((seen[name] - seen["verdict"]) * 1000)))
sys.exit(0 if len(seen) == 10 else f"missing: only {sorted(seen)}")
