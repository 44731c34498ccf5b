"""Mail clients on raw sockets, each from an address of its own, and the tally of what the server
answered them. What the server says is the truth that its log is held against."""
import base64
import hashlib
import hmac
import os
import socket
import ssl
import subprocess

SERVER4, SERVER6 = "192.0.2.25", "2001:db8::25"
FAILED, SOFT, FAULT, OK = "failed", "soft", "fault", "ok"


def b64(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def digest_md5(challenge, service, user, password):
    """The client's answer of RFC 2831 to a server's challenge."""
    fields = {}
    for part in challenge.decode().split(","):
        key, _, value = part.partition("=")
        fields[key.strip()] = value.strip('"')
    realm, nonce = fields.get("realm", ""), fields["nonce"]
    cnonce, uri = os.urandom(12).hex(), f"{service}/mx.test"
    secret = hashlib.md5(f"{user}:{realm}:{password}".encode()).digest()
    a1 = hashlib.md5(secret + f":{nonce}:{cnonce}".encode()).hexdigest()
    a2 = hashlib.md5(f"AUTHENTICATE:{uri}".encode()).hexdigest()
    answer = hashlib.md5(f"{a1}:{nonce}:00000001:{cnonce}:auth:{a2}".encode()).hexdigest()
    return (
        f'username="{user}",realm="{realm}",nonce="{nonce}",cnonce="{cnonce}",nc=00000001,'
        f'qop=auth,digest-uri="{uri}",response={answer},charset=utf-8'
    )


class Closed(Exception):
    """The server has closed the connection, or says nothing any more."""


class Line:
    """A connection that talks in lines, with TLS from the start or later."""

    def __init__(self, client, port, tls=False, wait=25):
        family = socket.AF_INET6 if ":" in client.address else socket.AF_INET
        self.client = client
        self.socket = socket.socket(family)
        self.socket.bind((client.address, 0))
        self.socket.settimeout(wait)
        self.socket.connect((SERVER6 if family == socket.AF_INET6 else SERVER4, port))
        self.rest = b""
        if tls:
            self.start_tls()

    def start_tls(self):
        context = ssl._create_unverified_context()
        self.socket = context.wrap_socket(self.socket, server_hostname="mx.test")

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        try:
            self.socket.sendall(data + b"\r\n")
        except OSError as error:
            raise Closed(str(error)) from error

    def line(self):
        while b"\n" not in self.rest:
            try:
                data = self.socket.recv(4096)
            except OSError as error:
                raise Closed(str(error)) from error
            if not data:
                raise Closed("closed by the server")
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        self.client.heard.append(line.rstrip(b"\r").decode("utf-8", "replace"))
        return line.rstrip(b"\r")

    def close(self):
        try:
            self.socket.close()
        except OSError:
            pass


class Sasl(Line):
    """What SMTP, IMAP, POP3 and ManageSieve share: the steps of a SASL exchange. `service` is the
    name that DIGEST-MD5 wants; begin() starts a mechanism, step() sends an answer, and both give
    (challenge or None, outcome or None)."""

    service = ""

    def auth(self, mechanism, user, password, initial=True):
        """One whole attempt; its outcome is tallied, which may be that nobody heard of one."""
        try:
            outcome = self._auth(mechanism, user, password, initial)
        except Closed:
            self.client.count(SOFT)
            raise
        self.client.count(outcome)
        return outcome

    def _auth(self, mechanism, user, password, initial):
        if mechanism == "PLAIN":
            return self._steps(mechanism, [f"\0{user}\0{password}"], initial)
        if mechanism == "LOGIN":
            return self._steps(mechanism, [user, password], False)
        challenge, outcome = self.begin(mechanism)
        if outcome:
            return outcome
        if mechanism == "CRAM-MD5":
            proof = hmac.new(password.encode(), challenge, "md5").hexdigest()
            return self.step(f"{user} {proof}")[1]
        if mechanism == "DIGEST-MD5":
            challenge, outcome = self.step(digest_md5(challenge, self.service, user, password))
            return outcome or self.step("")[1]
        if mechanism == "SCRAM-SHA-256":
            nonce = b64(os.urandom(12))
            challenge, outcome = self.step(f"n,,n={user},r={nonce}")
            if outcome:
                return outcome
            both = challenge.decode().split(",")[0]
            return self.step(f"c=biws,{both},p={b64(os.urandom(32))}")[1]
        raise ValueError(mechanism)

    def _steps(self, mechanism, answers, initial):
        if initial:
            _, outcome = self.begin(mechanism, answers[0])
            answers = answers[1:]
        else:
            _, outcome = self.begin(mechanism)
        for answer in answers:
            if outcome:
                break
            _, outcome = self.step(answer)
        return outcome or SOFT


class Smtp(Sasl):
    service = "smtp"

    def __init__(self, client, port=25, tls=None, helo="client.ex.test", wait=25):
        super().__init__(client, port, tls == "wrap", wait)
        self.reply()
        self.command(f"EHLO {helo}")
        if tls == "start":
            if self.command("STARTTLS") == 220:
                self.start_tls()
                self.command(f"EHLO {helo}")

    def reply(self):
        while True:
            line = self.line()
            if line[3:4] != b"-":
                self.text = line[4:]
                return int(line[:3])

    def command(self, text):
        self.send(text)
        return self.reply()

    def _outcome(self, code):
        if code == 334:
            try:
                return base64.b64decode(self.text), None
            except ValueError:
                return self.text, None
        if code == 235:
            return None, OK
        if code == 535:
            return None, FAILED
        return None, FAULT if 400 <= code < 500 else SOFT

    def begin(self, mechanism, initial=None):
        return self._outcome(
            self.command(f"AUTH {mechanism}" + ("" if initial is None else " " + (b64(initial) or "=")))
        )

    def step(self, answer):
        return self._outcome(self.command(b64(answer)))


class Imap(Sasl):
    service = "imap"

    def __init__(self, client, port=143, tls=None, wait=25):
        super().__init__(client, port, tls == "wrap", wait)
        self.line()
        if tls == "start":
            if self.command("STARTTLS") == b"OK":
                self.start_tls()

    def tagged(self):
        while True:
            line = self.line()
            if line.startswith(b"+"):
                return b"+", line[2:]
            if line.startswith(b"t "):
                word, _, text = line[2:].partition(b" ")
                return word.upper(), text
            if line.startswith(b"* BYE"):
                raise Closed(line.decode())

    def command(self, text):
        self.send("t " + text if isinstance(text, str) else b"t " + text)
        word, self.text = self.tagged()
        return word

    def _outcome(self, word, text):
        if word == b"+":
            try:
                return base64.b64decode(text), None
            except ValueError:
                return text, None
        if word == b"OK":
            return None, OK
        if word == b"BAD":
            return None, SOFT
        if b"UNAVAILABLE" in text or b"temporar" in text.lower() or b"INUSE" in text:
            return None, FAULT
        return None, FAILED

    def login(self, user, password):
        """LOGIN with quoted strings, or literals where a name cannot be quoted."""
        try:
            if any(c in user for c in "\r\n\0") or not user.isascii():
                data = user.encode()
                outcome = None
                if self.command(f"LOGIN {{{len(data)}}}") == b"+":
                    self.send(data + f' "{password}"'.encode())
                    outcome = self._outcome(*self.tagged())[1]
                outcome = outcome or SOFT
            else:
                quoted = user.replace("\\", "\\\\").replace('"', '\\"')
                word = self.command(f'LOGIN "{quoted}" "{password}"')
                outcome = self._outcome(word, self.text)[1]
        except Closed:
            outcome = SOFT
        self.client.count(outcome)
        return outcome

    def begin(self, mechanism, initial=None):
        word = self.command(f"AUTHENTICATE {mechanism}")
        challenge, outcome = self._outcome(word, self.text)
        return (challenge, outcome) if initial is None or outcome else self.step(initial)

    def step(self, answer):
        self.send(b64(answer))
        return self._outcome(*self.tagged())


class Pop3(Sasl):
    service = "pop"

    def __init__(self, client, port=110, tls=None, wait=25):
        super().__init__(client, port, tls == "wrap", wait)
        self.greeting = self.line()
        if tls == "start":
            if self.command("STLS") == b"+OK":
                self.start_tls()

    def command(self, text):
        self.send(text)
        word, _, self.text = self.line().partition(b" ")
        return word

    def _outcome(self, word):
        if word == b"+":
            try:
                return base64.b64decode(self.text), None
            except ValueError:
                return self.text, None
        if word == b"+OK":
            return None, OK
        text = self.text.lower()
        if b"sys/temp" in text or b"temporar" in text or b"in-use" in text:
            return None, FAULT
        return None, FAILED

    def login(self, user, password):
        if self.command(f"USER {user}") != b"+OK":
            outcome = SOFT
        else:
            outcome = self._outcome(self.command(f"PASS {password}"))[1]
        self.client.count(outcome)
        return outcome

    def apop(self, user, password):
        stamp = self.greeting[self.greeting.find(b"<") :]
        proof = hashlib.md5(stamp + password.encode()).hexdigest()
        outcome = self._outcome(self.command(f"APOP {user} {proof}"))[1]
        self.client.count(outcome)
        return outcome

    def begin(self, mechanism, initial=None):
        text = f"AUTH {mechanism}"
        return self._outcome(self.command(text if initial is None else f"{text} {b64(initial)}"))

    def step(self, answer):
        return self._outcome(self.command(b64(answer)))


class Sieve(Sasl):
    service = "sieve"

    def __init__(self, client, port=4190, tls=None, wait=25):
        super().__init__(client, port, tls == "wrap", wait)
        self.answer()
        if tls == "start":
            if self.command("STARTTLS") == b"OK":
                self.start_tls()
                self.answer()

    def answer(self):
        while True:
            line = self.line()
            word = line.split(b" ")[0].upper()
            if word in (b"OK", b"NO", b"BYE"):
                self.text = line[len(word) + 1 :]
                return word
            if line.startswith(b"{"):
                self.text = self.line()
                return b"+"
            if line.startswith(b'"') and not b'" ' in line and line.endswith(b'"') and self.waiting:
                self.text = line.strip(b'"')
                return b"+"

    waiting = False

    def command(self, text):
        self.send(text)
        return self.answer()

    def _outcome(self, word):
        if word == b"+":
            return base64.b64decode(self.text), None
        if word == b"OK":
            return None, OK
        return None, FAULT if b"TRYLATER" in self.text else FAILED

    def begin(self, mechanism, initial=None):
        self.waiting = True
        text = f'AUTHENTICATE "{mechanism}"'
        return self._outcome(self.command(text if initial is None else f'{text} "{b64(initial)}"'))

    def step(self, answer):
        return self._outcome(self.command(f'"{b64(answer)}"'))


class Client:
    """An attacker with an address of its own."""

    def __init__(self, name, address):
        self.name, self.address = name, address
        self.tally = {FAILED: 0, SOFT: 0, FAULT: 0, OK: 0}
        self.heard = []
        self.services = set()
        self.kinds = set()
        self.problem = None

    def count(self, outcome, times=1):
        self.tally[outcome] += times

    def curl(self, url, user, password, mechanism, *extra):
        """One login by curl, which says 67 when it was denied."""
        host = f"[{SERVER6}]" if ":" in self.address else SERVER4
        command = ["curl", "-sS", "-k", "--interface", self.address, "-m", "25", "--user", f"{user}:{password}"]
        command += ["--login-options", f"AUTH={mechanism}", *extra, url.replace("HOST", host)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=40)
        self.heard.append(f"curl: {done.returncode} {done.stderr.decode(errors='replace')[:200]}")
        self.count({67: FAILED, 0: OK}.get(done.returncode, SOFT))

    def swaks(self, port, user, password, mechanism, *extra):
        """One login by swaks, which says 28 when it was denied."""
        host = SERVER6 if ":" in self.address else SERVER4
        command = ["swaks", "--to", "x@mx.test", "--from", "y@ex.test", "--helo", "swaks.ex.test", "--timeout", "25"]
        command += ["--quit-after", "AUTH", "--server", host, "--port", str(port), "--local-interface", self.address]
        command += ["--auth", mechanism, "--auth-user", user, "--auth-password", password, *extra]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        self.heard += done.stdout.decode(errors="replace").splitlines()
        self.count({28: FAILED, 0: OK}.get(done.returncode, SOFT))


class Addresses:
    """Hands out client addresses, one per scenario; the name server gets their names."""

    def __init__(self, names):
        self.used = {4: 0, 6: 0}
        self.names = names

    def take(self, name, version=4, host=None):
        self.used[version] += 1
        number = self.used[version]
        if version == 6:
            address = f"2001:db8:51:{number:x}::7"
        else:
            address = f"198.51.100.{number}" if number < 250 else f"192.0.2.{number - 150}"
        if host:
            self.write(f"{address} {host}")
        return Client(name, address)

    def list(self, client):
        """Puts an IPv4 client on the block list bl.test."""
        reverse = ".".join(reversed(client.address.split(".")))
        self.write(f"127.0.0.2 {reverse}.bl.test")

    def write(self, line):
        with open(self.names, "a", encoding="utf-8") as file:
            file.write(line + "\n")
