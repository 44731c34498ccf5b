"""A real SMTP server (aiosmtpd) on 127.0.0.1: STARTTLS and a login are required before a mail is taken.
Arguments: port, certificate, key, folder, and maybe `stock` (STARTTLS is offered, a login is not, as a
Debian mail server does it) or `plain` (neither). Each mail becomes a file there; `log` says who came how."""
import os
import signal
import ssl
import sys
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

port, certificate, key, folder = int(sys.argv[1]), *sys.argv[2:5]
kind = sys.argv[5] if len(sys.argv) > 5 else "strict"


def note(words):
    with open(os.path.join(folder, "log"), "a", encoding="utf-8") as log:
        log.write(words + "\n")


class Handler:
    number = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.endswith("@refused.test"):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        Handler.number += 1
        note(f"{'TLS' if session.ssl else 'PLAIN'} {session.authenticated} {envelope.mail_from} "
             f"{envelope.rcpt_tos[0]}")
        with open(os.path.join(folder, f"{Handler.number}.eml"), "wb") as mail:
            mail.write(envelope.original_content)
        return "250 taken"


def login(server, session, envelope, mechanism, auth_data):
    good = auth_data.login == b"grapevine" and auth_data.password == b"right password"
    return AuthResult(success=good)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
how = {"strict": {"tls_context": context, "require_starttls": True, "auth_required": True, "authenticator": login},
       "stock": {"tls_context": context}, "plain": {}}[kind]
controller = Controller(Handler(), hostname="127.0.0.1", port=port, **how)
controller.start()
signal.sigwait({signal.SIGTERM, signal.SIGINT})
controller.stop()
