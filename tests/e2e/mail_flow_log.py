#!/usr/bin/env python3
"""Writes a Postfix log with known truth, for the counters of the mail flow (SPEC 10.7).

usage: mail_flow_log.py SEED MESSAGES rfc3164|iso tame|hostile  >log 2>truth.json

Every line is made from Postfix's format strings, together with what it counts: once by SPEC 10.7
("truth"), once by what pflogsumm 1.1.5 is known to make of it ("pflogsumm"). Where the two differ
the reason is in "differences", with how often it occurred. Nothing here reads a log. A hostile log
has, wherever somebody else chose the text, texts that look like Postfix's own; it fools pflogsumm,
so of such a log only "truth" holds."""
import calendar
import json
import random
import sys
import time

SEED, MESSAGES, FORM, HOSTILITY = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
R = random.Random(SEED)
NAMES = ('received delivered forwarded deferred deferrals bounced expired rejected reject_warnings '
         'held discarded bytes_received bytes_delivered reinjected filtered').split()
truth = dict.fromkeys(NAMES, 0)
theirs = dict.fromkeys(NAMES, 0)
differences = {}
streams = []  # of lists of (program, text, mark)
HOSTILE = ['', ' status=bounced (x)', ' to=<a@b.c>, relay=none, delay=1, status=deferred (x',
           ' client=evil[203.0.113.9]', ': reject: RCPT from x[1.2.3.4]: 550', ' (queue active)',
           ', status=expired, returned to sender', ' removed', ' discard: header x', ' 100%s%n',
           ' from=<a@b>, size=99999, nrcpt=1 (queue active)'] if HOSTILITY == 'hostile' else ['']


def count(name, n=1, ours=True, pflogsumm=True, why=None):
    """`ours` and `pflogsumm`: who counts it. `why` must be given where they differ."""
    assert ours == pflogsumm or why, name
    truth[name] += n if ours else 0
    theirs[name] += n if pflogsumm else 0
    if why:
        differences[why] = differences.get(why, 0) + 1


used = set()


def queue_id():
    while True:
        if R.random() < 0.5:
            out = '%X' % R.randrange(16 ** 9, 16 ** R.choice((10, 11, 12)))
        else:
            safe = '0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxy'
            out = '4' + ''.join(R.choice(safe) for _ in range(9)) + 'z' + \
                ''.join(R.choice(safe) for _ in range(R.choice((3, 4, 5))))
        if out not in used:
            used.add(out)
            return out


def domain():
    return 'd%d.example' % R.randrange(40)


def address(odd=True):
    if odd and R.random() < 0.05:  # what an attacker puts into a local part, as Postfix quotes it
        return '"%s"@%s' % (R.choice(HOSTILE).replace('>', ''), domain())
    return 'u%d@%s' % (R.randrange(200), domain())


def client(local=False):
    if local:
        return R.choice(('localhost[127.0.0.1]', 'localhost[::1]', 'localhost[127.0.0.1]:4711'))
    return R.choice(('unknown[198.51.100.%d]', 'mail.x.example[192.0.2.%d]',
                     'q.example[2001:db8::%d]', 'p.example[192.0.2.%d]:40123')) % R.randrange(1, 250)


def reply():
    return R.choice(('250 2.0.0 Ok', '250 2.0.0 Ok: queued as %s' % queue_id(), '250 OK id=1x2-3y',
                     '250 2.0.0 <x> abc Saved')) + R.choice(HOSTILE)


def delivery(q, who, relay, status, text, orig=False, delay=None):
    return '%s: to=<%s>, %srelay=%s, %sdelay=%s, delays=0.1/0.01/%d/0.05, dsn=%s, status=%s (%s)' % (
        q, who, 'orig_to=<%s>, ' % address() if orig else '', relay,
        'conn_use=2, ' if R.random() < .1 else '',
        delay if delay is not None else '%.2g' % (R.random() * 9), R.randrange(3),
        {'sent': '2.0.0', 'bounced': '5.1.1', 'deferred': '4.4.1', 'SOFTBOUNCE': '5.1.1'}[status], status, text)


class Message:
    """One queue id from its coming to its end. What is emitted is counted at once."""

    def __init__(self, stream, q=None):
        self.stream, self.q, self.size = stream, q or queue_id(), R.randrange(300, 40000)
        self.counted = self.their_counted = self.deferred = False
        self.their_size = None   # pflogsumm keeps the first that it saw of an id, for ever
        self.their_deferred = False

    def line(self, program, text, mark=None):
        self.stream.append((program, text, mark and (mark, self.q)))

    def come(self, how=None, local=False, again=False):
        """`again`: back from a content filter."""
        how = how or R.choice(('smtpd', 'smtpd', 'smtpd', 'submission/smtpd', 'pickup'))
        if how == 'pickup':
            self.line('pickup', '%s: uid=%d from=<%s>' % (self.q, R.randrange(2000), address()), 'come')
        else:
            self.line(how, '%s: client=%s%s' % (
                self.q, client(local), R.choice((', sasl_method=PLAIN, sasl_username=u,x@y',
                                                 '')) if how != 'smtpd' else ''), 'come')
        count('received', ours=not again, why='content filter: received twice' if again else None)
        if again:
            count('reinjected', pflogsumm=False, why='pflogsumm knows no filters')
        self.counted, self.their_counted = not again, True
        self.cleanup()

    def cleanup(self):
        self.line('cleanup', '%s: message-id=<%d@%s%s>' % (
            self.q, R.randrange(10 ** 9), domain(), R.choice(HOSTILE)))

    def active(self):
        sender = address(odd=False)
        if HOSTILITY == 'hostile' and R.random() < 0.03:  # a size that the sender made up
            sender = '"a>, size=77, nrcpt=1 (queue active)"@%s' % domain()
        self.line('qmgr', '%s: from=<%s>, size=%d, nrcpt=%d (queue active)' % (
            self.q, sender, self.size, R.randrange(1, 4)), 'in')
        if self.counted and not getattr(self, 'sized', False):
            truth['bytes_received'] += self.size
        self.sized = True
        if self.their_size is None:
            self.their_size = self.size
            if self.their_counted:
                theirs['bytes_received'] += self.size
                self.their_counted = False

    def sent(self, n=1, program=None, filtered=False, other=None):
        for _ in range(n):
            self.one_sent(program, filtered, other)

    def one_sent(self, program, filtered, other):
        program = program or R.choice(('smtp', 'relay/smtp', 'lmtp', 'local', 'virtual', 'pipe', 'discard'))
        forged = False
        if filtered:
            program, relay, text = other
        elif program.endswith('smtp'):
            relay, text = 'mx.%s[203.0.113.%d]:25' % (domain(), R.randrange(250)), reply()
            if HOSTILITY == 'hostile' and R.random() < 0.05:
                text, forged = '250 2.0.0 forwarded as %s' % queue_id(), True
        elif program == 'lmtp':
            relay, text = R.choice(('mx[private/dovecot-lmtp]', '127.0.0.1[127.0.0.1]:24')), '250 2.0.0 <a@b> xyz Saved'
        elif program == 'pipe':
            relay, text = 'dovecot', 'delivered via dovecot service'
        elif program == 'discard':
            relay, text = 'none', domain()
        else:
            relay, text = program, R.choice(('delivered to mailbox', 'delivered to maildir'))
        self.line(program, delivery(self.q, address(odd=False), relay, 'sent', text, orig=R.random() < .1))
        if filtered:
            count('filtered', pflogsumm=False, why='pflogsumm knows no filters')
        count('delivered', ours=not filtered, pflogsumm=not forged,
              why='content filter: delivered twice' if filtered else
              'a remote reply that says "forwarded as"' if forged else None)
        if not filtered:
            truth['bytes_delivered'] += self.size if getattr(self, 'sized', False) else 0
        if forged:
            theirs['forwarded'] += 1
        else:
            theirs['bytes_delivered'] += self.their_size or 0

    def deferral(self, delay=None):
        program = R.choice(('smtp', 'error', 'retry', 'lmtp', 'local', 'pipe'))
        self.line(program, delivery(self.q, address(odd=False), 'none' if program != 'smtp' else 'mx[203.0.113.7]:25',
                                    'deferred', 'host said: 450%s' % R.choice(HOSTILE), delay=delay),
                  'in' if delay is None else 'delay%d' % delay)
        count('deferrals')
        count('deferred', ours=not self.deferred, pflogsumm=not self.their_deferred,
              why='pflogsumm knows this queue id as deferred before'
              if self.deferred != self.their_deferred else None)
        self.deferred = self.their_deferred = True

    def softbounce(self):
        """soft_bounce = yes: what would have bounced stays in the queue."""
        self.line('smtp', delivery(self.q, address(odd=False), 'mx[203.0.113.7]:25', 'SOFTBOUNCE',
                                   'host said: 550%s' % R.choice(HOSTILE)), 'in')
        why = 'pflogsumm does not count SOFTBOUNCE'
        count('deferrals', pflogsumm=False, why=why)
        count('deferred', ours=not self.deferred, pflogsumm=False, why=why)
        self.deferred = True

    def bounce(self):
        self.line(R.choice(('smtp', 'local', 'error', 'virtual', 'cleanup', 'lmtp')), delivery(
            self.q, address(odd=False), 'none', 'bounced', 'unknown user: "x"%s' % R.choice(HOSTILE)))
        count('bounced')

    def notify(self):
        note = Message(self.stream)
        note.cleanup()
        self.line('bounce', '%s: sender non-delivery notification: %s' % (self.q, note.q))
        note.active()
        note.sent()
        note.gone()

    def gone(self):
        self.line('qmgr', '%s: removed' % self.q, 'gone')


def ordinary(stream, q=None):
    m = Message(stream, q)
    m.come()
    m.active()
    fate = R.random()
    if fate < .5:
        m.sent(R.randrange(1, 4))
    elif fate < .7:
        for _ in range(R.randrange(1, 4)):
            if R.random() < .2:
                m.softbounce()
            else:
                m.deferral()
            m.active()
        if R.random() < .3:
            return m  # it stays in the queue
        m.sent()
    elif fate < .8:
        m.deferral()
        m.active()
        m.line('qmgr', '%s: from=<%s>, status=%s, returned to sender' % (
            m.q, address(), R.choice(('expired', 'force-expired'))))
        count('expired', pflogsumm=False, why='pflogsumm does not count expiry')
        m.notify()
    elif fate < .9:
        if R.random() < .5:
            m.sent()
        m.bounce()
        m.notify()
    else:
        copy = Message(stream)
        m.line('local', delivery(m.q, address(), 'local', 'sent', 'forwarded as %s' % copy.q))
        count('forwarded')
        copy.cleanup()
        copy.active()
        copy.sent()
        copy.gone()
    m.gone()
    return m


def reused(stream):
    """Short ids come again once the file is gone."""
    first = ordinary(stream, '%X' % R.randrange(16 ** 9, 16 ** 10))
    if stream[-1][2] != ('gone', first.q):
        return
    again = Message(stream, first.q)
    again.their_size, again.their_deferred = first.their_size, first.their_deferred
    again.come()
    again.active()
    why = 'pflogsumm keeps the first size of a queue id'
    differences[why] = differences.get(why, 0) + 1
    if R.random() < .6:
        again.deferral()
    again.sent()
    again.gone()


def filter_smtp(stream):
    """Advanced content filter: smtp or lmtp to the filter, back to a smtpd on loopback."""
    m, back = Message(stream), Message(stream)
    recipients = R.randrange(1, 4)
    xforward = R.random() < .4
    m.come()
    m.active()
    if xforward:
        back.line('smtpd', '%s: client=%s, orig_queue_id=%s, orig_client=%s' % (
            back.q, client(not R.randrange(2)), m.q, client()), 'come')
        count('received', ours=False, why='content filter: received twice')
        count('reinjected', pflogsumm=False, why='pflogsumm knows no filters')
        back.their_counted = True
        back.cleanup()
    else:
        back.come('smtpd', local=True, again=True)
    if R.random() < .5:
        back.active()
    relay = R.choice((('smtp', '127.0.0.1[127.0.0.1]:10024'), ('lmtp', 'mx[/run/amavis.sock]'),
                      ('amavis/lmtp', 'localhost[::1]:10024')))
    text = R.choice(('250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as %s',
                     '250 2.0.0 Ok: queued as %s')) % back.q
    if xforward and R.random() < .5:
        text = '250 2.6.0 fine'
    m.sent(recipients, filtered=True, other=(relay[0], relay[1], text))
    m.gone()
    back.active()
    back.sent(recipients)
    back.gone()


def refused(stream):
    place = R.choice(('CONNECT', 'HELO', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'END-OF-MESSAGE', 'ETRN', 'VRFY'))
    what = R.choice(('reject',) * 6 + ('reject_warning', 'hold', 'discard', 'milter-reject', 'milter-hold',
                                       'milter-discard', 'filter', 'redirect', 'bcc', 'info', 'warn'))
    q = queue_id() if R.random() < .3 else 'NOQUEUE'
    stream.append((R.choice(('smtpd', 'submission/smtpd')), '%s: %s: %s from %s: 554 5.7.1 <%s>: %s; from=<%s> to=<%s> proto=ESMTP helo=<%s>' % (
        q, what, place, client(), address(), R.choice(('Relay access denied', 'x')), address(), address(),
        R.choice(HOSTILE)), None))
    name = {'reject': 'rejected', 'reject_warning': 'reject_warnings', 'hold': 'held', 'discard': 'discarded'}
    if what.startswith('milter-'):
        count(name[what[7:]], pflogsumm=False, why="pflogsumm leaves out a milter's word in smtpd")
    elif what in name:
        count(name[what])


def screened(stream):
    k = R.randrange(3)
    if k == 0:
        text = 'NOQUEUE: reject: RCPT from [198.51.100.66]:%d: 550 5.7.1 Service unavailable; client [198.51.100.66] ' \
            'blocked using bl.test; from=<%s>, to=<%s>, proto=ESMTP, helo=<%s>' % (R.randrange(65536), address(), address(), R.choice(HOSTILE))
    elif k == 1:
        text = 'NOQUEUE: reject: CONNECT from [2001:db8::66]:%d: too many connections' % R.randrange(65536)
    else:
        text = 'reject: connect from [198.51.100.66]:%d: all screening ports busy' % R.randrange(65536)
    stream.append(('postscreen', text, None))
    count('rejected')


def content(stream):
    """header_checks, body_checks and milters, in cleanup."""
    m = Message(stream)
    m.come('smtpd')
    what, place = R.choice(('reject', 'warning', 'hold', 'discard', 'milter-reject', 'milter-hold', 'milter-discard',
                            'info', 'filter', 'prepend', 'mime')), R.choice(('header', 'body'))
    name = {'reject': 'rejected', 'warning': 'reject_warnings', 'hold': 'held', 'discard': 'discarded',
            'milter-reject': 'rejected', 'milter-hold': 'held', 'milter-discard': 'discarded'}
    hostile = R.choice(HOSTILE)
    # pflogsumm takes the first such words of the line; those of the header come later
    mark = 'in' if what in ('hold', 'milter-hold') else None
    if what == 'mime':
        m.line('cleanup', '%s: reject: mime-error improper use of 8-bit data in message header: x%s from %s; from=<%s> to=<%s>' % (
            m.q, hostile.replace('discard: header', ''), client(), address(), address()))
        count('rejected', pflogsumm=False, why='pflogsumm leaves out a MIME error')
    elif what.startswith('milter'):
        m.line('cleanup', '%s: %s: END-OF-MESSAGE from %s: 5.7.1 no%s; from=<%s> to=<%s> proto=ESMTP helo=<x>' % (
            m.q, what, client(), hostile, address(), address()), mark)
        count(name[what])
    else:
        if what not in name:
            hostile = ''  # else pflogsumm takes the word of the sender
        m.line('cleanup', '%s: %s: %s Subject: buy%s from %s; from=<%s> to=<%s> proto=ESMTP helo=<x>: no' % (
            m.q, what, place, hostile, client(), address(False), address(False)), mark)
        if what in name:
            count(name[what])
    if what.endswith('hold') and R.random() < .7:
        m.line('postsuper', '%s: released from hold' % m.q)
    elif what.endswith('hold'):
        if R.random() < .5:
            m.line('postsuper', '%s: removed' % m.q, 'gone')
        return
    if what in ('warning', 'info', 'filter', 'prepend', 'hold', 'milter-hold'):
        m.active()
        m.sent()
        m.gone()


def by_hand(stream):
    """What an admin does with postsuper."""
    m = Message(stream)
    m.come()
    m.active()
    m.deferral()
    m.line('postsuper', '%s: placed on hold' % m.q, 'in')
    k = R.randrange(3)
    if k == 0:
        m.line('postsuper', '%s: removed' % m.q, 'gone')
    elif k == 1:
        m.line('postsuper', '%s: released from hold' % m.q)
        m.active()
        m.sent()
        m.gone()
    else:
        again = Message(stream)
        m.line('postsuper', '%s: requeued' % m.q, 'gone')
        again.line('pickup', '%s: uid=106 from=<%s> orig_id=%s' % (again.q, address(), m.q), 'come')
        count('received', ours=False, why='pflogsumm counts a requeued message again')
        again.their_counted = True
        again.cleanup()
        again.active()
        again.sent()
        again.gone()


def proxied(stream):
    """smtpd_proxy_filter: smtpd has no queue file, the one behind the filter has."""
    stream.append(('smtpd', 'NOQUEUE: client=%s' % client(), None))
    count('received', ours=False, why='before-queue filter: pflogsumm counts the line without an id')
    m = Message(stream)
    m.come('smtpd', local=True)
    m.active()
    stream.append(('smtpd', 'proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as %s; from=<%s>' % (m.q, address()), None))
    m.sent()
    m.gone()


def from_before(stream):
    """A message whose coming is not in this log."""
    m = Message(stream)
    if R.random() < .5:
        m.active()
        m.deferral(R.randrange(3600, 400000))
    else:
        m.sent()
        m.gone()


def noise(stream):
    stream.append(R.choice((
        ('smtpd', 'connect from %s' % client(), None),
        ('smtpd', 'warning: hostname x does not resolve to address 192.0.2.1: reject: RCPT from', None),
        ('smtpd', 'warning: reject: ETRN x... from %s' % client(), None),
        ('smtp', 'connect to mx.example[203.0.113.9]:25: Connection timed out', None),
        ('smtp', '%s: host mx[203.0.113.9] said: 450 4.7.1 status=sent (x) (in reply to RCPT TO command)' % queue_id(), None),
        ('smtp', '%s: lost connection with mx[203.0.113.9] while sending RCPT TO' % queue_id(), None),
        ('anvil', 'statistics: max connection rate 1/60s for (smtp:192.0.2.1) at Nov 22 02:36:17', None),
        ('postscreen', 'PREGREET 14 after 0.05 from [198.51.100.66]:5000: EHLO reject: x\\r\\n', None),
        ('tlsproxy', 'CONNECT from [198.51.100.66]:5000', None),
        ('scache', 'statistics: start interval Nov 22 02:36:17', None),
        ('smtp', '%s: to=<%s>, relay=mx[203.0.113.9]:25, delay=1, delays=1/0/0/0, dsn=2.0.0, status=deliverable (250 ok)' % (
            queue_id(), address(False)), None))))


KINDS = ((ordinary, 40), (reused, 5), (filter_smtp, 12), (refused, 20), (screened, 6), (content, 12),
         (by_hand, 6), (proxied, 4), (from_before, 4), (noise, 10))
for _ in range(MESSAGES):
    stream = []
    R.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0](stream)
    streams.append(stream)

# The streams run side by side, a window of them at a time.
now, queue, came = calendar.timegm((2026, 11, 3, 1, 0, 0)), set(), {}
waiting, open_streams = list(reversed([s for s in streams if s])), []
while waiting or open_streams:
    while waiting and len(open_streams) < 20:
        open_streams.append(waiting.pop())
    stream = R.choice(open_streams)
    program, text, mark = stream.pop(0)
    if not stream:
        open_streams.remove(stream)
    now += R.choice((0, 0, 0, 1, 1, 7, 60 if R.random() < .1 else 2))
    g = time.gmtime(now)
    stamp = time.strftime('%Y-%m-%dT%H:%M:%S.', g) + '%06d+00:00' % R.randrange(10 ** 6) if FORM == 'iso' else \
        '%s %2d %s' % (time.strftime('%b', g), g.tm_mday, time.strftime('%H:%M:%S', g))
    sys.stdout.write('%s mx postfix/%s[%d]: %s\n' % (stamp, program, R.randrange(1, 99999), text))
    if mark:
        what, q = mark
        if what == 'gone':
            queue.discard(q)
            came.pop(q, None)
            continue
        if what == 'come':
            came[q] = now
            continue
        known = q in came
        came.setdefault(q, now)
        if what.startswith('delay'):
            came[q] = min(came[q], now - int(what[5:]))
        queue.add(q)
truth['queue'] = {'messages': len(queue), 'oldest': time.strftime(
    '%Y-%m-%dT%H:%M:%SZ', time.gmtime(min(came[q] for q in queue))) if queue else None}
json.dump({'truth': truth, 'pflogsumm': theirs, 'differences': differences}, sys.stderr)
