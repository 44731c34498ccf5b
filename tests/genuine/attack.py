"""Attacks the mail server NAME that runs in ROOT, each scenario from an address of its own, and
writes down what the server answered: `attack.py NAME ROOT NAMES TRUTH`. TRUTH has a line of JSON for each
address: attempts that failed, that ended without a verdict on a password (soft), that the server's
own fault ended, that succeeded; and one for each forged address that must never be blamed."""
import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from clients import FAILED, FAULT, OK, SERVER4, SOFT, Addresses, Closed, Imap, Line, Pop3, Sieve, Smtp, b64

USER, RIGHT, WRONG = "alice@mx.test", "correct", "wrong"

# Attempts that say nothing about a password, and what is done once or twice in one.
DROPPED = ["dropped after the first challenge", "dropped after the name"]
HALVES = [*DROPPED, "cancelled", "bad base64", "no such mechanism", "forged mechanism", "timeout"]

# What each server offers: services with their ports and mechanisms. silent: what it writes nothing of.
SERVERS = {
    "exim": {"smtp": {25: None, 587: "start", 465: "wrap"}, "mechanisms": ["PLAIN", "LOGIN", "CRAM-MD5"],
             "backend": ["LOGIN"], "timeout": 8, "ambiguous": [") ["], "mta": {"smtp": "exim"}},
    "cyrus": {"imap": {143: None, 993: "wrap"}, "pop3": {110: None, 995: "wrap"}, "sieve": {4190: None},
              "mechanisms": ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"], "backend": ["PLAIN"],
              "ambiguous": ["badlogin: [", "host ["],
              "mta": {"imap": "cyrus", "pop3": "cyrus", "sieve": "cyrus"},
              "silent": {"imap": ["cancelled", *DROPPED], "pop3": ["cancelled", *DROPPED], "sieve": DROPPED}},
    "courier": {"imap": {143: None, 993: "wrap"}, "pop3": {110: None, 995: "wrap"},
                "smtp": {25: None, 587: "start", 465: "wrap"}, "mechanisms": ["PLAIN", "LOGIN", "CRAM-MD5"],
                "backend": ["PLAIN"], "mta": {"imap": "courier", "pop3": "courier", "smtp": "courier"},
                "silent": {"imap": DROPPED, "smtp": DROPPED}},
    "sendmail": {"smtp": {25: None, 587: "start", 465: "wrap"},
                 "mechanisms": ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"], "backend": ["PLAIN"], "timeout": 8,
                 "mta": {"smtp": "sendmail"}, "silent": {"smtp": HALVES}},
    "postfix": {"smtp": {2525: None, 587: "start", 465: "wrap"}, "imap": {143: None, 993: "wrap"},
                "pop3": {110: None, 995: "wrap"}, "sieve": {4190: None},
                "mechanisms": ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"], "backend": ["PLAIN"], "timeout": 8,
                "postscreen": True,
                "mta": {"smtp": "postfix", "imap": "dovecot", "pop3": "dovecot", "sieve": "dovecot"}},
}
SERVERS["trixie"] = SERVERS["postfix"]
CLASSES = {"smtp": Smtp, "imap": Imap, "pop3": Pop3, "sieve": Sieve}

# Names that carry what a log line would say about somebody else. %s is a forged address.
USERS = [
    "x>, method=PLAIN, rip=%s, lip=1.2.3.4",
    "x>, method=PLAIN, rip=%s, lip=1.2.3.4, session=<a>",
    "x]: SASL LOGIN authentication failed: unknown[%s]",
    "x\npostfix/smtpd[1]: warning: unknown[%s]: SASL LOGIN authentication failed: y",
    "x) [%s]: 535 Incorrect authentication data (set_id=y",
    "x)\n2026-11-22 07:00:00 login authenticator failed for (y) [%s]: 535 Incorrect authentication data (set_id=y)",
    "x [%s] PLAIN y [SASL(-13): authentication failure: z]",
    "x] [SASL(-13): authentication failure]\nimap[1]: badlogin: [%s] plaintext y SASL(-13)",
    "x, relay=evil.test [%s]",
    "x, mech=LOGIN, relay=evil.test [%s] (may be forged), user=y",
    "x, ip=[::ffff:%s]",
    "x]\nLOGIN FAILED, user=y, ip=[::ffff:%s]",
    "x', ip=[%s], port=[1], LOGIN FAILED",
    '"x" [%s] \\',
    "x(y,%s)",
    "x,%s): unknown user",
    "[%s]",
    "%s",
]
HELOS = [
    "[%s]",
    "unknown[%s]",
    "x_[%s]:_SASL_LOGIN_authentication_failed",
    "x)[%s]:535",
    "(x)[%s]",
    "x, relay=y [%s]",
    'a"b[%s]',
    "H=(x) [%s]: 535 Incorrect authentication data",
    "x) [%s]: 535 Incorrect authentication data (set_id=y",
]
HOSTS = ["%s", "[%s]", "x[%s]", "unknown[%s].ex.test", "rip=%s", "x,rip=%s,lip=1.2.3.4", "(x)[%s]", "ip=[%s]"]
SENDERS = [
    '"x [%s]"@ex.test',
    "x]:relay=[%s]@ex.test",
    '"login authenticator failed for (x) [%s]: 535 Incorrect authentication data"@ex.test',
    '"warning: unknown[%s]: SASL PLAIN authentication failed: "@ex.test',
    '", rip=%s, lip=1.2.3.4"@ex.test',
]


class Campaign:
    def __init__(self, name, root, names):
        self.name, self.root = name, root
        self.server = SERVERS[name.split("-")[0]]
        self.addresses = Addresses(names)
        self.clients, self.forged = [], []
        self.pool = ThreadPoolExecutor(24)
        self.running = []

    def forge(self):
        self.forged.append(f"203.0.113.{len(self.forged) + 1}")
        return self.forged[-1]

    def run(self, name, action, version=4, host=None, listed=False, expect=None, kind=None,
            written=0, unwritten=0, forging=None):
        """Runs action(client) beside others. What the log must say of it: expect is the tally that
        must come out, kind what each failure was, written how many attempts without a verdict are in
        the log, unwritten how many of its failures are not. forging is a text of its choice: with
        some it can make its own line in the log ambiguous, which then says nothing."""
        client = self.addresses.take(name, version, host)
        client.expect, client.kind, client.written, client.unwritten = expect, kind, written, unwritten
        client.forging = forging is not None
        # A time of day could be the next line's, behind a line that was torn off.
        if forging and any(text in forging for text in (" 07:00:00 ", *self.server.get("ambiguous", ()))):
            client.unwritten = 1
        if listed:
            self.addresses.list(client)
        self.clients.append(client)
        self.submit(client, action)

    def submit(self, client, action):
        def guarded():
            try:
                action(client)
            except (Closed, OSError, subprocess.SubprocessError) as error:
                client.heard.append(f"({error})")
            except Exception as error:  # the harness's own fault: said at the end
                client.problem = repr(error)

        self.running.append(self.pool.submit(guarded))

    def listening(self):
        """Waits for every port; a server that does not come up is no attack."""
        for service in CLASSES:
            for port in self.server.get(service, ()):
                for left in range(100):
                    try:
                        socket.create_connection((SERVER4, port), 1).close()
                        break
                    except OSError:
                        time.sleep(0.2)
                else:
                    sys.exit(f"nothing listens on port {port}")

    def wait(self):
        for job in self.running:
            job.result()
        self.running = []

    def control(self, verb):
        subprocess.run(
            ["chroot", self.root, "/bin/bash", f"/genuine/{self.name.split('-')[0]}.sh", verb, self.name],
            check=False, timeout=60, stdout=sys.stdout, stderr=sys.stderr,
        )

    # ---- what every service is tried with ---------------------------------------------------

    def logins(self, service):
        kind, ports = CLASSES[service], self.server[service]
        first = next(iter(ports))
        for mechanism in self.server["mechanisms"]:
            def wrong(client, mechanism=mechanism):
                talk = kind(client, first)
                talk.auth(mechanism, USER, WRONG)
                talk.close()

            def unknown(client, mechanism=mechanism):
                talk = kind(client, first)
                talk.auth(mechanism, "nosuch@mx.test", WRONG)
                talk.close()

            why = self.name.endswith("-verbose")
            self.run(f"{service} {mechanism} wrong password", wrong, expect={FAILED: 1},
                     kind="wrong-password" if why else None)
            self.run(f"{service} {mechanism} unknown user", unknown, expect={FAILED: 1},
                     kind="unknown-account" if why else None)
        for port, tls in ports.items():
            for version in (4, 6):
                def once(client, port=port, tls=tls, password=WRONG):
                    talk = kind(client, port, tls)
                    talk.auth("PLAIN", USER, password)
                    talk.close()

                def right(client, once=once):
                    once(client, password=RIGHT)

                self.run(f"{service} {port} {tls} v{version} wrong", once, version, expect={FAILED: 1})
                self.run(f"{service} {port} {tls} v{version} right", right, version, expect={OK: 1})

        def several(client):
            talk = kind(client, first)
            for _ in range(3):
                talk.auth("PLAIN", USER, WRONG)
            talk.close()

        def finally_right(client):
            talk = kind(client, first)
            talk.auth("PLAIN", USER, WRONG)
            talk.auth("PLAIN", USER, RIGHT)
            talk.close()

        def late(client):
            talk = kind(client, first)
            talk.auth("PLAIN", USER, WRONG)
            time.sleep(1)
            talk.close()
            talk = kind(client, first)
            talk.auth("PLAIN", "bob@mx.test", WRONG)
            talk.close()

        self.run(f"{service} three in one connection", several, expect={FAILED: 3})
        # Without auth_verbose Dovecot writes nothing of the failures before a success in the same connection.
        dovecot = self.server["mta"][service] == "dovecot" and not self.name.endswith("-verbose")
        forgotten = 1 if dovecot else 0
        self.run(f"{service} wrong, then right", finally_right, expect={FAILED: 1, OK: 1}, unwritten=forgotten)
        self.run(f"{service} two connections", late, expect={FAILED: 2})

    def halves(self, service):
        """Attempts that say nothing about a password."""
        kind = CLASSES[service]
        first = next(iter(self.server[service]))

        def soft(name, action, count=1):
            def tried(client):
                client.count(SOFT, count)
                action(client)

            written = count if name in HALVES else 0
            if name in self.server.get("silent", {}).get(service, ()):
                written = 0
            elif self.server["mta"][service] == "dovecot":
                written = min(written, 1)  # it names the last of the visit
            self.run(f"{service} {name}", tried, written=written)

        def cancelled(client):
            talk = kind(client, first)
            talk.begin("PLAIN")
            talk.send("*" if service != "sieve" else '"*"')
            talk.line()
            talk.close()

        def dropped(client):
            talk = kind(client, first)
            talk.begin("LOGIN")
            talk.close()

        def dropped_late(client):
            talk = kind(client, first)
            talk.begin("LOGIN")
            talk.step(USER)
            talk.close()

        def unheard(client):
            talk = kind(client, first)
            answer = b64(f"\0{USER}\0{WRONG}")
            talk.send({"smtp": f"AUTH PLAIN {answer}", "pop3": f"AUTH PLAIN {answer}", "imap": "t LOGIN a b",
                       "sieve": f'AUTHENTICATE "PLAIN" "{answer}"'}[service])
            talk.close()

        def garbled(client):
            talk = kind(client, first)
            talk.begin("PLAIN")
            talk.send("@@@!" if service != "sieve" else '"@@@!"')
            talk.line()
            talk.close()

        def no_such(client):
            talk = kind(client, first)
            talk.begin("XNOSUCH")
            talk.begin("GSSAPI")
            talk.close()

        def forged_mechanism(client):
            talk = kind(client, first)
            talk.begin(f"X[{self.forge()}]")
            talk.begin(f"PLAIN,rip={self.forge()},lip=1.2.3.4")
            talk.close()

        def silent(client):
            talk = kind(client, first)
            talk.begin("PLAIN")
            time.sleep(self.server.get("timeout", 0) + 2)
            talk.close()

        soft("cancelled", cancelled)
        soft("dropped after the first challenge", dropped)
        soft("dropped after the name", dropped_late)
        soft("gone before the answer", unheard)
        soft("bad base64", garbled)
        soft("no such mechanism", no_such, 2)
        soft("forged mechanism", forged_mechanism, 2)
        if self.server.get("timeout") and service == "smtp":
            soft("timeout", silent)

        def none(client):
            talk = kind(client, first)
            talk.send({"smtp": "NOOP", "imap": "t NOOP", "pop3": "CAPA", "sieve": "CAPABILITY"}[service])
            talk.line()
            talk.close()

        self.run(f"{service} no attempt", none, expect={})

        def junk(client):
            talk = kind(client, first)
            for line in ("GET / HTTP/1.1", f"Host: [{self.forge()}]", "", "\0\1\2\xff", "a" * 600):
                talk.send(line)
            time.sleep(0.5)
            talk.close()

        self.run(f"{service} HTTP and rubbish", junk, expect={})
        for port, tls in self.server[service].items():
            if tls == "wrap":
                def no_tls(client, port=port):
                    talk = kind.__mro__[2](client, port, wait=10)
                    talk.send("GET / HTTP/1.0")
                    talk.line()

                self.run(f"{service} {port} without TLS", no_tls, expect={})

    def forged_users(self, service):
        kind = CLASSES[service]
        first = next(iter(self.server[service]))
        for user in USERS:
            user = user % self.forge()

            def plain(client, user=user):
                talk = kind(client, first)
                talk.auth("PLAIN", user, WRONG)
                talk.close()

            self.run(f"{service} PLAIN {user!r}", plain, expect={FAILED: 1}, forging=user)

            def login(client, user=user):
                talk = kind(client, first)
                if hasattr(talk, "login"):
                    talk.login(user.replace("\n", " ") if service == "pop3" else user, WRONG)
                else:
                    talk.auth("LOGIN", user, WRONG)
                talk.close()

            if service != "sieve":
                # A server may refuse the name before it asks for a password.
                self.run(f"{service} LOGIN {user!r}", login, forging=user)

    def forged_names(self, service):
        kind = CLASSES[service]
        first = next(iter(self.server[service]))
        for host in [*HOSTS, *(host + " lying" for host in HOSTS[:4])]:
            host = host % self.forge()

            def wrong(client):
                talk = kind(client, first)
                talk.auth("PLAIN", USER, WRONG)
                talk.close()

            self.run(f"{service} host {host}", wrong, host=host, expect={FAILED: 1}, forging=f"host {host}")

    # ---- SMTP alone ---------------------------------------------------------------------------

    def smtp(self):
        ports = list(self.server["smtp"])
        for helo in HELOS:
            helo = helo % self.forge()

            def greeted(client, helo=helo):
                talk = Smtp(client, ports[0], helo=helo)
                talk.auth("PLAIN", USER, WRONG)
                talk.close()

            # A server may refuse the name, and then AUTH with it.
            self.run(f"smtp HELO {helo}", greeted, forging=f"HELO {helo}")

        def relayed(client):
            talk = Smtp(client, ports[0])
            for sender in SENDERS:
                talk.command(f"MAIL FROM:<{sender % self.forge()}>")
                talk.command(f"RCPT TO:<{sender % self.forge()}>")
                talk.command(f"RCPT TO:<x@elsewhere.test>")
                talk.command("RSET")
            talk.command("QUIT")

        self.run("smtp forged senders and recipients", relayed, expect={})

        def delivered(client):
            talk = Smtp(client, ports[0])
            talk.auth("PLAIN", USER, RIGHT)
            talk.command(f"MAIL FROM:<{USER}>")
            talk.command(f"RCPT TO:<{USER}>")
            talk.command("DATA")
            text = f"warning: unknown[{self.forge()}]: SASL PLAIN authentication failed: "
            identity = f"<[{self.forge()}],relay=[{self.forge()}]@ex.test>"
            talk.command(f"From: {USER}\r\nSubject: {text}\r\nMessage-ID: {identity}\r\n\r\nx\r\n.")
            talk.command("QUIT")

        self.run("smtp forged header fields", delivered, expect={OK: 1})

        def pipelined(client):
            talk = Smtp(client, ports[0])
            line = "AUTH PLAIN " + b64(f"\0{USER}\0{WRONG}")
            talk.send(line + "\r\n" + line)
            for _ in range(2):
                client.count(talk._outcome(talk.reply())[1])
            talk.close()

        self.run("smtp two attempts sent at once", pipelined)

        def many(client):
            talk = Smtp(client, ports[0])
            for number in range(8):
                talk.auth("PLAIN", USER, f"{WRONG}{number}")
            talk.close()

        self.run("smtp until it is thrown out", many)
        self.run("smtp curl", lambda c: c.curl(f"smtp://HOST:{ports[0]}/", USER, WRONG, "PLAIN", "-X", "NOOP"),
                 expect={FAILED: 1})
        self.run("smtp curl TLS v6", lambda c: c.curl(f"smtps://HOST:{ports[2]}/", USER, WRONG, "LOGIN", "-X", "NOOP"),
                 6, expect={FAILED: 1})
        for mechanism in self.server["mechanisms"]:
            if mechanism in ("PLAIN", "LOGIN", "CRAM-MD5"):
                self.run(f"smtp swaks {mechanism}", lambda c, m=mechanism: c.swaks(ports[1], USER, WRONG, m, "-tls"),
                         expect={FAILED: 1})

    def postscreen(self):
        """Port 25 takes no logins; it has a list of its own to refuse by."""
        def listed(client):
            talk = Line(client, 25)
            login = "AUTH PLAIN " + b64(f"\0{USER}\0{WRONG}")
            for line in ("EHLO c", login, "MAIL FROM:<a@ex.test>", f"RCPT TO:<{USER}>", "QUIT"):
                talk.line()
                talk.send(line)

        def eager(client):
            talk = Line(client, 25)
            talk.send(f"EHLO [{self.forge()}]")
            talk.line()

        def rejected(client):
            talk = Smtp(client, 2525)
            talk.command("MAIL FROM:<a@ex.test>")
            talk.command(f"RCPT TO:<{USER}>")
            talk.command("QUIT")

        for name, action in (("listed", listed), ("eager", eager), ("rejected", rejected)):
            self.run(f"smtp postscreen {name}", action, listed=name != "eager", expect={})

    def reading(self):
        for service, tls in (("imap", "imaps"), ("pop3", "pop3s")):
            if service not in self.server:
                continue
            ports = list(self.server[service])
            plain, wrapped = f"{service}://HOST:{ports[0]}/", f"{tls}://HOST:{ports[1]}/"
            self.run(f"{service} curl", lambda c, u=plain: c.curl(u, USER, WRONG, "PLAIN"), expect={FAILED: 1})
            self.run(f"{service} {tls} curl v6", lambda c, u=wrapped: c.curl(u, "nosuch", WRONG, "PLAIN"), 6,
                     expect={FAILED: 1})

            def login(client, service=service, port=ports[0]):
                talk = CLASSES[service](client, port)
                talk.login(USER, WRONG)
                talk.close()

            def right(client, service=service, port=ports[0]):
                talk = CLASSES[service](client, port)
                talk.login(USER, RIGHT)
                talk.send("t LOGOUT" if service == "imap" else "QUIT")
                talk.line()
                talk.close()

            self.run(f"{service} LOGIN command", login, expect={FAILED: 1})
            self.run(f"{service} LOGIN command, right", right, expect={OK: 1})

    def faults(self):
        """The server cannot ask its backend: nobody is to blame."""
        self.control("fault")
        time.sleep(1)
        for service in CLASSES:
            if service not in self.server:
                continue
            first = next(iter(self.server[service]))
            for mechanism in self.server["backend"]:
                for password in (WRONG, RIGHT):
                    def tried(client, kind=CLASSES[service], first=first, mechanism=mechanism, password=password):
                        try:
                            talk = kind(client, first)
                            talk.auth(mechanism, USER, password)
                            talk.close()
                        finally:
                            if client.tally[OK]:
                                client.problem = "the backend is still there"
                            # Whatever it is called on the wire.
                            client.tally = {FAILED: 0, SOFT: 0, FAULT: 1, OK: 0}

                    # Dovecot names the client of only one such attempt a second.
                    self.run(f"{service} {mechanism} without its backend", tried)
                    time.sleep(1.5)
        self.wait()
        self.control("mend")
        time.sleep(1)

    def everything(self):
        for service in CLASSES:
            if service in self.server:
                self.logins(service)
                self.halves(service)
                self.forged_users(service)
                self.forged_names(service)
        if "smtp" in self.server:
            self.smtp()
        if self.server.get("postscreen"):
            self.postscreen()
        self.reading()
        self.wait()
        self.faults()

    def report(self, path):
        """Writes the truth; gives the number of scenarios that did not go as meant."""
        wrong = 0
        with open(path, "w", encoding="utf-8") as file:
            for client in self.clients:
                service = client.name.split()[0]
                entry = {"ip": client.address, "scenario": client.name, **client.tally,
                         "written": client.written, "unwritten": client.unwritten,
                         "forging": client.forging, "kind": client.kind, "service": service,
                         "mta": self.server["mta"].get(service)}
                file.write(json.dumps(entry) + "\n")
                meant = client.expect
                missed = meant is not None and {k: v for k, v in client.tally.items() if v} != meant
                if client.problem or missed:
                    wrong += 1
                    print(f"NOT AS MEANT: {entry} meant {meant} {client.problem or ''}")
                    print("    " + "\n    ".join(client.heard[-8:]))
            for address in self.forged:
                file.write(json.dumps({"never": address}) + "\n")
        print(f"{len(self.clients)} scenarios, {wrong} not as meant")
        return wrong


def main():
    name, root, names, truth = sys.argv[1:5]
    campaign = Campaign(name, root, names)
    campaign.listening()
    campaign.everything()
    return 1 if campaign.report(truth) else 0


if __name__ == "__main__":
    sys.exit(main())
