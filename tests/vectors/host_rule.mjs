// The host's own log and the action (SPEC 12), a second time, written from SPEC.md: plain lists of
// everything that happened, looked through anew at each question, where the C one keeps counters and
// rings in 188 bytes. Times are whole seconds and never go back.

const MINUTE = 60, HOUR = 3600, DAY = 24 * HOUR, WEEK = 7 * DAY;
const div = (a, b) => Math.floor(a / b);

export const KIND = { unspecified: 1, unknown: 2, password: 4, mechanism: 8, aborted: 16, protocol: 32 };

const bucket = (n) => {
  let best = 1;
  for (let ten = 1; ten <= 100000; ten *= 10)
    for (const step of [1, 2, 5]) if (step * ten <= n && step * ten <= 100000) best = step * ten;
  return best;
};

// ---- logins -------------------------------------------------------------------------------------

// Over at least 7 days, the last within 30; a gap of over 30 days begins anew.
function loginsOverAWeek(logins, now) {
  if (logins.length === 0) return false;
  let first = logins[0].t;
  for (let i = 1; i < logins.length; i++)
    if (logins[i].t - logins[i - 1].t > 30 * DAY) first = logins[i].t;
  const last = logins.at(-1).t;
  return now - last <= 30 * DAY && last - first >= WEEK;
}

const twoAccounts = (logins, now) =>
  new Set(logins.filter((l) => l.account !== 0 && now - l.t <= 72 * HOUR).map((l) => l.account)).size >= 2;

// ---- one address --------------------------------------------------------------------------------

class Address {
  logins = [];
  failures = []; // {t, o}: one each attempt
  visits = []; // times of visits since the last login; points is theirs
  points = 0;
  lastVisit = null; // login or not
  visitUnknown = false; // this visit has its point for an unknown account
  abortedBefore = false; // its connection was seen with aborted attempts only
  lockedUntil = 0;
  signalled = null;
  run = []; // failures (by line) since the last login, or since a week without any
  runStart = null; // first failure after a week without any
  days = []; // [{from, services, kinds}]: the last two days on which something failed
  lastFailure = null;
  hourClean = false;

  pointsAt(now) {
    return this.lastVisit !== null && now - this.lastVisit < 72 * HOUR ? this.points : 0;
  }
  cleanAt(now) {
    return loginsOverAWeek(this.logins, now) || (this.pointsAt(now) === 0 && twoAccounts(this.logins, now));
  }
  burst(now) { // within 10 minutes, times in steps of 3 s
    const n = this.failures.filter((f) => div(now, 3) - div(f.t, 3) <= 200).length;
    return Math.min(n, 20);
  }
  visitsOfWeek(now) { // to the hour
    return Math.min(this.visits.filter((t) => div(now, HOUR) - div(t, HOUR) <= 168).length, 20);
  }
  locked(now) { return now < this.lockedUntil; }
}

// ---- 12.4: one client that repeats one old password ----------------------------------------------

function evenRhythm(run) {
  const polls = []; // {t, attempts}
  for (const { t, o } of run) {
    const poll = polls.at(-1);
    if (poll && t - poll.t < 30) poll.attempts += o.attempts;
    else polls.push({ t, attempts: o.attempts });
  }
  if (polls.some((p) => p.attempts > 4)) return false;
  let period = 0, even = 0, odd = 0;
  for (let i = 1; i < polls.length; i++) {
    const gap = polls[i].t - polls[i - 1].t;
    if (gap < MINUTE) odd++;
    else if (period === 0) period = gap;
    else {
      const near = Math.max(div(period, 8), 5);
      if ([1, 2, 3].some((k) => Math.abs(gap - k * period) <= near && div(gap + div(period, 2), period) === k)) even++;
      else odd++;
    }
  }
  return even >= 1 && even >= 3 * odd;
}

// The two accounts that logged in last, each with its last time.
function lastTwo(logins) {
  const latest = new Map();
  for (const { t, account } of logins)
    if (account !== 0) {
      latest.delete(account);
      latest.set(account, t);
    }
  return [...latest].slice(-2);
}

function severalAccounts(run) {
  const accounts = new Set(run.map((f) => f.o.account));
  return accounts.size > 1 || accounts.has(0);
}

function oldPassword(run, logins) {
  if (run.length === 0 || severalAccounts(run)) return false;
  const accounts = new Set(run.map((f) => f.o.account));
  if (lastTwo(logins).some(([account, t]) => accounts.has(account) && run.at(-1).t - t <= 30 * DAY)) return true;
  const given = run.map((f) => f.o.password).filter((p) => p !== 0);
  if (new Set(given).size > 1) return false;
  if (given.length === run.length) return true;
  return run.every((f) => f.o.kind === KIND.password || f.o.kind === KIND.unspecified) && evenRhythm(run);
}

// ---- 12.3: when a host signals -------------------------------------------------------------------

function signalOf(a, now, stranger) {
  const no = { repeats: 0, signal: null };
  if (a.signalled !== null && now - a.signalled < 12 * HOUR) return no;
  const ofRun = a.failures.filter((f) => f.t >= a.runStart);
  const enough = (span) => {
    const inside = ofRun.filter((f) => now - f.t <= span);
    const unknown = inside.some((f) => f.o.kind === KIND.unknown);
    const need = unknown ? (stranger ? 1 : 2) : 3;
    return inside.length >= need ? need : 0;
  };
  let span = DAY, need = enough(DAY);
  const login = a.logins.at(-1);
  if (need === 0 && !(login && now - login.t <= WEEK)) need = enough(span = WEEK);
  if (need === 0) return no;
  if (oldPassword(a.run, a.logins)) return { repeats: 1, signal: null };

  const hourOf = (t) => div(t, HOUR);
  const ofDay = a.failures.filter((f) => hourOf(now) - hourOf(f.t) < 25);
  let count = Math.max(need, ofDay.length), first = now;
  if (span === DAY) {
    for (const f of ofDay) {
      const hour = hourOf(f.t) * HOUR;
      if (now - hour <= DAY) first = Math.min(first, hour);
    }
  } else {
    count = Math.max(count, a.visitsOfWeek(now));
    const recent = a.visits.filter((t) => hourOf(a.lastVisit) - hourOf(t) <= 168).slice(-20);
    for (const t of recent) first = Math.min(first, hourOf(t) * HOUR);
  }
  first = Math.min(first, ofRun.at(-need).t); // of those that made it, exactly
  first = Math.max(first, a.runStart, now - span);
  const bits = (name) => a.days.reduce((all, d) => all | d[name], 0);
  return { repeats: 0, signal: [Math.min(div(first, MINUTE), div(now, MINUTE)), div(now, MINUTE), bucket(count),
    bits('services'), bits('kinds')] };
}

// ---- one host ------------------------------------------------------------------------------------

export class Host {
  addresses = new Map();

  // network: a name, the same for all addresses of one network
  constructor(networkOf) { this.networkOf = networkOf; }

  find(who) { return this.addresses.get(who); }
  row(who) {
    if (!this.addresses.has(who)) this.addresses.set(who, new Address());
    return this.addresses.get(who);
  }
  members(who) {
    return [...this.addresses].filter(([n]) => this.networkOf(n) === this.networkOf(who)).map(([, a]) => a);
  }
  networkLogins(who) {
    return this.members(who).flatMap((a) => a.logins).sort((x, y) => x.t - y.t || x.order - y.order);
  }
  networkClean(who, now) {
    const logins = this.networkLogins(who);
    if (loginsOverAWeek(logins, now)) return true;
    // A visit counts until a login from the network comes after it.
    const last = logins.at(-1);
    const visited = this.members(who).flatMap((a) => a.allVisits ?? [])
      .some((v) => last && v.order > last.order && now - v.t < 72 * HOUR);
    return !visited && twoAccounts(logins, now);
  }

  // 12.5: of at least 10 addresses that failed in the last hour more than a fifth were clean before.
  broken(now) {
    const failing = [...this.addresses.values()]
      .filter((a) => a.lastFailure !== null && div(now, MINUTE) - div(a.lastFailure, MINUTE) < 60);
    return failing.length >= 10 && 5 * failing.filter((a) => a.hourClean).length > failing.length;
  }

  order = 0;

  // strict: 0 no, 1 the mesh's word, 2 own hosts'. Returns [locked now, broken, repeats, signal | null].
  observe(now, who, o, strict, share) {
    const nothing = [0, 0, 0, null];
    const order = ++this.order;
    if (o.refused) return nothing;
    if (o.success) {
      const a = this.row(who);
      a.points = 0;
      a.visits = [];
      a.visitUnknown = false;
      a.run = [];
      a.logins.push({ t: now, account: o.account, order });
      return nothing;
    }
    if (o.kind === KIND.aborted) {
      const a = this.find(who);
      if (a && o.newVisit) a.abortedBefore = true;
      if (a && a.days.length > 0 && a.lastFailure !== null && now - a.lastFailure <= DAY) a.days.at(-1).kinds |= KIND.aborted;
      return nothing;
    }
    return this.fail(now, who, o, strict, share, order);
  }

  fail(now, who, o, strict, share, order) {
    const a = this.row(who);
    const was = {
      clean: a.cleanAt(now),
      familiar: a.logins.length > 0 || this.networkClean(who, now),
      stranger: this.networkLogins(who).length === 0,
      untrusted: strict !== 0,
      suspicious: strict === 2 || a.pointsAt(now) >= 2,
    };
    const minutesBefore = a.lastFailure === null ? 60 : div(now, MINUTE) - div(a.lastFailure, MINUTE);
    a.hourClean = was.clean || (minutesBefore < 60 && a.hourClean);
    const visit = this.enter(a, now, o, order);
    const broken = this.broken(now);
    const tell = !broken && !was.clean && share;

    const unknown = o.kind === KIND.unknown;
    let strike = false;
    if (!was.clean && (was.untrusted || was.suspicious)) {
      strike = visit && (was.suspicious || !was.familiar || unknown);
      strike ||= was.untrusted && was.familiar && a.burst(now) >= 2;
    }
    const limit = was.clean ? 20 : 5;
    let lockedNow = 0;
    if (strike || a.burst(now) >= limit || a.visitsOfWeek(now) >= limit) {
      lockedNow = a.locked(now) ? 0 : 1;
      a.lockedUntil = now + HOUR;
    }
    const said = tell ? signalOf(a, now, was.stranger) : { repeats: 0, signal: null };
    if (said.signal) a.signalled = now;
    return [lockedNow, broken ? 1 : 0, said.repeats, said.signal];
  }

  // Enters a failure; returns whether it made a visit.
  enter(a, now, o, order) {
    if (a.lastFailure !== null && now - a.lastFailure > WEEK) {
      a.run = [];
      a.runStart = null;
      a.days = [];
    }
    a.runStart ??= now;
    if (a.days.length === 0 || now - a.days.at(-1).from >= DAY) a.days = [...a.days.slice(-1), { from: now, services: 0, kinds: 0 }];
    a.days.at(-1).services |= o.service;
    a.days.at(-1).kinds |= o.kind;
    for (let i = 0; i < o.attempts; i++) a.failures.push({ t: now, o });
    a.lastFailure = now;
    a.run.push({ t: now, o });
    const visit = o.newVisit || a.abortedBefore || a.lastVisit === null || now - a.lastVisit > HOUR;
    if (visit) {
      if (a.pointsAt(now) === 0) a.points = 0;
      a.visits.push(now);
      (a.allVisits ??= []).push({ t: now, order });
      a.lastVisit = now;
      a.visitUnknown = a.abortedBefore = false;
      a.points++;
    }
    if (o.kind === KIND.unknown && !a.visitUnknown) {
      a.visitUnknown = true;
      a.points++;
    }
    return visit;
  }

  facts(who, now) {
    const a = this.find(who);
    return {
      points: a ? a.pointsAt(now) : 0,
      failedLately: !!a && a.lastVisit !== null && now - a.lastVisit < 6 * HOUR,
      manyAccounts: !!a && severalAccounts(a.run),
      lockedHere: !!a && a.locked(now),
      clean: !!a && a.cleanAt(now),
      cleanNetwork: this.networkClean(who, now),
      knownHere: !!a && a.logins.length > 0,
      networkKnownHere: this.networkLogins(who).length > 0,
    };
  }
}

// ---- 12.2: the action ----------------------------------------------------------------------------

const ALLOW = 0, ONE_STRIKE = 1, REFUSE = 2;

// verdict: {state: 0 unknown, 1 reported, 2 untrusted; weight, groups}. Returns [action, reason], the
// reason as the line of the table: its number in enum gv_reason.
export function decide(f, verdict, consensus) {
  const untrusted = verdict.state === 2, stranger = !f.knownHere && !f.networkKnownHere;
  const table = [
    [f.denyListed, REFUSE, 1],
    [f.allowListed, ALLOW, 2],
    [f.lockedHere, REFUSE, 3],
    [f.clean, ALLOW, 4],
    [f.lockedByOwn, REFUSE, 5],
    [untrusted && f.points >= 2 && f.failedLately && stranger, REFUSE, 6],
    [f.points >= 4 && f.manyAccounts && f.failedLately && stranger, REFUSE, 10],
    [f.refuseOnConsensus && untrusted && verdict.weight >= consensus.weight &&
      verdict.groups >= consensus.groups && stranger, REFUSE, 9],
    [untrusted, ONE_STRIKE, 7],
    [f.points >= 2, ONE_STRIKE, 8],
  ];
  const line = table.find(([holds]) => holds);
  return line ? line.slice(1) : [ALLOW, 0];
}
