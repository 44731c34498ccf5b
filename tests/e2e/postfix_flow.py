#!/usr/bin/env python3
"""Sends mail through the Postfix of postfix_flow.sh, plays the servers and filters around it, and
writes what it did as JSON: the truth of most counters."""
import json
import smtplib
import socketserver
import subprocess
import sys
import threading
import time

truth = dict.fromkeys('received delivered forwarded deferred deferrals bounced expired rejected '
                      'reject_warnings held discarded reinjected filtered requeued'.split(), 0)
broken = False  # the remote server refuses for now
HOSTILE = ('250 2.0.0 Ok status=bounced (x), to=<a@b>, relay=none, delay=1, status=deferred (y',
           '250 2.0.0 Ok: queued as %s', '250 2.0.0 removed', '250 ok')


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


class Conversation(socketserver.StreamRequestHandler):
    """A little SMTP and LMTP server."""

    def say(self, text):
        self.wfile.write(text.encode() + b'\r\n')

    def handle(self):
        self.recipients, self.lmtp, self.xforward = [], False, ''
        self.say('220 there ESMTP')
        for line in self.rfile:
            word = line[:4].upper()
            if word in (b'EHLO', b'LHLO'):
                self.lmtp = word == b'LHLO'
                self.say('250-there\r\n250 XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT')
            elif line.upper().startswith(b'XFORWARD'):
                self.xforward += ' ' + line.decode().strip()[9:]
                self.say('250 ok')
            elif word == b'MAIL':
                self.sender, self.recipients = line.decode().split('<')[1].split('>')[0], []
                self.say('250 ok')
            elif word == b'RCPT':
                self.recipient(line.decode().split('<')[1].split('>')[0])
            elif word == b'DATA':
                self.say('354 go on')
                text = b''
                for line in self.rfile:
                    if line == b'.\r\n':
                        break
                    text += line
                self.take(text)
            elif word == b'QUIT':
                self.say('221 bye')
                return
            else:
                self.say('250 ok')

    def recipient(self, who):
        self.recipients.append(who)
        self.say('250 ok')


class Remote(Conversation):
    """The world outside: says what it likes, queue ids of ours too."""
    said = 0

    def recipient(self, who):
        if who.startswith('unknown'):
            self.say('550 5.1.1 no status=sent (250 ok) such user')
        elif who.startswith('later') and broken:
            self.say('450 4.7.1 not now, status=sent (250 2.0.0 Ok)')
        else:
            super().recipient(who)

    def take(self, text):
        Remote.said += 1
        own = [line.split(b' id ')[1].split(b';')[0].strip().decode()
               for line in text.split(b'\r\n') if b' id ' in line]
        reply = HOSTILE[Remote.said % len(HOSTILE)]
        self.say(reply % own[0] if '%s' in reply and own else reply.replace('%s', 'X'))


class Filter(Conversation):
    """Gives back on 10025 what it takes, and passes the reply on."""

    def take(self, text):
        back = smtplib.SMTP('127.0.0.1', 10025)
        back.ehlo('filter')
        if self.xforward:
            for pair in self.xforward.split():
                assert back.docmd('XFORWARD', pair)[0] == 250
        back.mail(self.sender)
        for who in self.recipients:
            back.rcpt(who)
        code, reply = back.data(text)
        back.quit()
        for _ in self.recipients if self.lmtp else ['one']:
            self.say('%d %s' % (code, reply.decode().split('\n')[-1]
                                if not self.lmtp else '2.6.0 fine'))


for address, handler in ((('203.0.113.9', 2500), Remote), (('127.0.0.1', 10024), Filter),
                         (('127.0.0.1', 10026), Filter)):
    threading.Thread(target=Server(address, handler).serve_forever, daemon=True).start()


def send(recipients, subject='hello', port=2525, sender='s@remote.test', source='198.51.100.7'):
    """How many recipients were taken; -1 when the message was not."""
    smtp = smtplib.SMTP('192.0.2.25', port, 'client.test', 30, source_address=(source, 0))
    smtp.ehlo('client.test')
    smtp.mail(sender)
    taken = sum(smtp.rcpt(who)[0] == 250 for who in recipients)
    code = smtp.data('Subject: %s\r\nMessage-ID: <status=sent (%s)@x>\r\n\r\nbody\r\n' % (subject, time.time()))[0] \
        if taken else 0
    smtp.quit()
    return taken if code == 250 else -1


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()


def queued():
    return [json.loads(line) for line in run('postqueue', '-j').splitlines()]


def settle(wanted=0):
    """Waits until only deferred and held messages are left, so many."""
    for _ in range(300):
        left = queued()
        if len(left) == wanted and all(m['queue_name'] in ('deferred', 'hold') for m in left):
            return left
        time.sleep(0.1)
    raise SystemExit('the queue does not settle: %s' % left)


def count(**what):
    for name, n in what.items():
        truth[name] += n


# Deliveries of every sort.
for _ in range(4):
    assert send(['ok@remote.test']) == 1
    count(received=1, delivered=1)
assert send(['ok@remote.test', 'v@virtual.test', 'x@eat.test']) == 3
count(received=1, delivered=3)
assert send(['alice@mx.test']) == 1
count(received=1, delivered=1)
assert send(['alias@mx.test']) == 1  # two of one: a copy each for the remote and the local one
settle()
# local hands the remote copy on as a new message, and delivers the local one itself.
count(received=1, forwarded=1, delivered=2)
subprocess.run(['sendmail', '-f', 's@remote.test', 'ok@remote.test'], input=b'Subject: x\n\nx\n', check=True)
count(received=1, delivered=1)
settle()
# Bounces: the sender is remote, so each notification is delivered there.
assert send(['unknown@remote.test']) == 1
count(received=1, bounced=1, delivered=1)
assert send(['unknown1@remote.test', 'unknown2@remote.test', 'ok@remote.test']) == 3
count(received=1, bounced=2, delivered=2)
settle()
# Content filters.
for _ in range(3):
    assert send(['ok@remote.test', 'v@virtual.test'], port=2626) == 2
    count(received=1, delivered=2, reinjected=1, filtered=2)
    settle()
for _ in range(2):
    assert send(['ok@remote.test', 'v@virtual.test'], port=2627) == 2
    count(received=1, delivered=2, reinjected=1, filtered=2)
    settle()
# Refusals.
assert send(['no@mx.test']) == -1
count(received=0, rejected=1)
assert send(['no@mx.test', 'ok@remote.test']) == 1
count(received=1, delivered=1, rejected=1)
assert send(['held@mx.test'], subject='x') == 1
count(received=1, held=1)
assert send(['lost@mx.test']) == 1
count(received=1, discarded=1)
assert send(['w@virtual.test']) == -1  # not listed: the warning that was asked for, and the default
count(reject_warnings=1, rejected=1)
assert send(['ok@remote.test'], subject='reject: header x') == -1
count(received=1, rejected=1)
assert send(['ok@remote.test'], subject='discard this') == 1
count(received=1, discarded=1)
assert send(['ok@remote.test'], subject='warn me: reject: header') == 1
count(received=1, reject_warnings=1, delivered=1)
assert send(['ok@remote.test'], subject='hold it') == 1
count(received=1, held=1)
try:  # postscreen's own server refuses the recipient
    assert send(['ok@remote.test'], port=25, source='198.51.100.66') == -1
except smtplib.SMTPServerDisconnected:
    pass
count(rejected=1)
for m in settle(2):
    mine = m['recipients'][0]['address'] == 'held@mx.test'
    run('postsuper', '-d' if mine else '-H', m['queue_id'])
run('postfix', 'flush')
settle()
count(delivered=1)
# Deferrals, then delivery.
broken = True
assert send(['later1@remote.test', 'later2@remote.test']) == 2
count(received=1, deferred=1, deferrals=2)
left = settle(1)
time.sleep(1.2)
run('postqueue', '-i', left[0]['queue_id'])
for _ in range(100):
    time.sleep(0.1)
    if open('/var/log/flow.log').read().count('status=deferred (host') >= 4:
        break
count(deferrals=2)
settle(1)
# On hold by hand, back, and requeued: a new id, and no new message.
run('postsuper', '-h', left[0]['queue_id'])
run('postsuper', '-H', left[0]['queue_id'])
broken = False
run('postsuper', '-r', left[0]['queue_id'])
count(requeued=1)
time.sleep(0.5)
run('postfix', 'flush')
settle()
count(delivered=2)
# Expiry: the queue manager gives up, and the notification is delivered.
broken = True
assert send(['later@remote.test']) == 1
count(received=1, deferred=1, deferrals=1)
settle(1)
run('postconf', '-e', 'maximal_queue_lifetime=1s')
run('postfix', 'reload')
time.sleep(1.5)
run('postfix', 'flush')
count(deferrals=1, expired=1, delivered=1)
settle()
json.dump(truth, open(sys.argv[1], 'w'))
