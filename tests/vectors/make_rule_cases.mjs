// The same lines as tests/vectors/rule_cases.c, from a second implementation of the whole rule
// (verdict_rule.mjs, host_rule.mjs): random verdicts, stories of a host's log, broken login backends,
// actions. rule_cases.sha256 is the digest of 2,000 cases with seed 1.
//
//   node tests/vectors/make_rule_cases.mjs [COUNT] [SEED]
//   node tests/vectors/make_rule_cases.mjs --check     exit 1 if rule_cases.sha256 is another
import { createHash } from 'node:crypto';
import { readFileSync, writeSync } from 'node:fs';
import { Host, KIND, decide } from './host_rule.mjs';
import { judge } from './verdict_rule.mjs';

const check = process.argv[2] === '--check';
const count = check ? 2000 : Number(process.argv[2] ?? 2000);
let state = check ? 1 : Number(process.argv[3] ?? 1);

const START_S = 1800000000, NEVER = 4294967295;

function below(bound) { // xorshift32
  state ^= state << 13; state >>>= 0;
  state ^= state >>> 17;
  state ^= state << 5; state >>>= 0;
  return state % bound;
}
const oneIn = (n) => below(n) === 0;
const bit = (value) => (value ? 1 : 0);

// ---- the verdict --------------------------------------------------------------------------------

function drawPolicy() {
  const p = { tenure: 43200, full: 129600, alive: 1440, weight: 2000, votes: 16, faultSpan: 129600 };
  if (oneIn(2)) return p;
  p.tenure = below(60);
  p.full = p.tenure + below(120);
  p.alive = 1 + below(50);
  p.weight = below(6) * 500;
  p.votes = below(18);
  p.faultSpan = below(100);
  return p;
}

function drawSignals(p, now) {
  const owners = 1 + below(8), groups = 1 + below(6), faults = [null], signals = [];
  const many = below(oneIn(10) ? 25 : 10);
  for (let owner = 1; owner <= owners; owner++)
    faults.push(oneIn(8) ? now - p.faultSpan + below(50) - 20 : null);
  for (let i = 0; i < many; i++) {
    const s = { owner: 1 + below(owners) };
    s.signal = (i + 1) * 65536 + below(65536);
    if (oneIn(2)) s.signal = (s.signal ^ 0x55000000) >>> 0;
    s.group = 1 + below(groups);
    s.time = now - below(p.alive + 6);
    if (oneIn(8)) s.time = now + below(20);
    s.since = s.time - below(p.full + 11);
    if (oneIn(3)) s.since = s.time - p.tenure + below(5) - 2;
    s.revoked = oneIn(12) ? s.time + below(5) - 2 : null;
    s.fault = faults[s.owner];
    signals.push(s);
  }
  return signals;
}

function verdictCase() {
  const p = drawPolicy();
  const genesis = oneIn(2) ? 1000000 : 29990000 + below(10000);
  const now = 30000000 + below(100);
  const signals = drawSignals(p, now);
  const [name, ...rest] = judge({ ...p, votes: Math.min(p.votes, 16) }, genesis, now, signals);
  const [published, weight, owners, groups, since, until, votes] = rest;
  const drawn = [p.tenure, p.full, p.alive, p.weight, p.votes, p.faultSpan, genesis, now,
    ...signals.map((s) => [s.signal, s.owner, s.group, s.time, s.since, s.revoked ?? NEVER, s.fault ?? NEVER].join(','))];
  const found = [['unknown', 'reported', 'untrusted'].indexOf(name), published, weight, owners, groups, since,
    until ?? NEVER, ...votes.map(([signal, standing]) => `${signal}=${standing}`)];
  return `v ${drawn.join(' ')}: ${found.join(' ')}\n`;
}

// ---- the action ---------------------------------------------------------------------------------

function decided(f) {
  const verdict = { state: below(3) };
  verdict.weight = below(6) * 1000;
  verdict.groups = below(6);
  f.denyListed = oneIn(20);
  f.allowListed = oneIn(20);
  f.lockedByOwn = oneIn(10);
  f.refuseOnConsensus = oneIn(2);
  const [action, reason] = decide(f, verdict, { weight: 4000, groups: 4 });
  const set = [f.denyListed, f.allowListed, f.lockedByOwn, f.refuseOnConsensus].map(bit).join('');
  return ` ${verdict.state},${verdict.weight},${verdict.groups},${set}: ${action} ${reason}`;
}

function actionCase() {
  const f = { lockedHere: oneIn(4) };
  f.clean = oneIn(4);
  f.cleanNetwork = oneIn(2);
  f.knownHere = oneIn(2);
  f.networkKnownHere = oneIn(2);
  f.failedLately = oneIn(2);
  f.manyAccounts = oneIn(2);
  f.points = below(6);
  const set = [f.lockedHere, f.clean, f.cleanNetwork, f.knownHere, f.networkKnownHere, f.failedLately, f.manyAccounts];
  return `a ${set.map(bit).join('')} ${f.points}${decided(f)}\n`;
}

// ---- stories ------------------------------------------------------------------------------------

const kinds = [KIND.password, KIND.unknown, KIND.unspecified, KIND.protocol];
const networkOf = (who) => (who < 2 ? 'one' : who);

function drawGap(pace) {
  const style = pace.style === 3 ? below(3) : pace.style;
  if (!pace.polls) return below([400, 8 * 3600, 5 * 86400][style]);
  const times = oneIn(6) ? 1 + below(4) : 1;
  return oneIn(9) ? below(40) : times * pace.period + below(Math.floor(pace.period / 6) + 1);
}

function drawObservation(pace) {
  let what = below(20);
  const o = { account: below(4), success: false, refused: false };
  o.attempts = oneIn(3) ? 1 + below(6) : 1;
  if (oneIn(12)) o.attempts = 15 + below(10);
  o.password = oneIn(2) ? 0 : 1 + below(2);
  o.kind = kinds[below(4)];
  o.service = 1 << below(6);
  o.newVisit = !oneIn(4);
  if (pace.polls) {
    o.account = oneIn(20) ? 2 : 1;
    o.password = pace.password === 2 ? below(2) : pace.password;
    o.kind = oneIn(20) ? KIND.protocol : KIND.password;
    o.attempts = oneIn(20) ? 5 : 1;
    what = oneIn(20) ? 0 : 19;
  }
  if (what < 5) Object.assign(o, { success: true, attempts: 0, kind: KIND.unspecified });
  else if (what === 5) o.kind = KIND.aborted;
  else if (what === 6) o.refused = true;
  return o;
}

const followed = ([locked, broken, repeats, signal]) =>
  `: 0 ${locked}${broken}${repeats}${bit(signal)}${signal ? ` ${signal.join(',')}` : ''}`;

function makeClean(host, who, now) {
  for (const day of [10, 1]) host.observe(now - day * 86400, who, { account: 9, success: true }, 0, true);
}

function storyCase() {
  const host = new Host(networkOf);
  const pace = { polls: oneIn(3) };
  let now = START_S + below(86400);
  pace.style = below(4);
  pace.period = 45 + below(3000);
  pace.password = below(3);
  const clean = oneIn(3);
  let line = `h${bit(clean)}`;
  if (clean) makeClean(host, 0, now);
  for (let steps = 2 + below(16); steps > 0; steps--) {
    now += drawGap(pace);
    const who = pace.polls ? 0 : [0, 0, 0, 0, 1, 2][below(6)];
    const o = drawObservation(pace);
    const strict = below(3);
    const share = !oneIn(8);
    line += ` / ${now} ${who} ${o.account},${o.password},${o.attempts},${o.service},${o.kind},` +
      `${bit(o.success)}${bit(o.newVisit)}${bit(o.refused)},${strict}${bit(share)}`;
    line += followed(host.observe(now, who, o, strict, share));
    const asked = below(3);
    now += oneIn(4) ? below(100000) : 0;
    const f = host.facts(asked, now);
    const set = [f.failedLately, f.manyAccounts, f.lockedHere, f.clean, f.cleanNetwork, f.knownHere, f.networkKnownHere];
    line += ` | ${f.points} ${set.map(bit).join('')}${decided(f)}`;
  }
  return `${line}\n`;
}

function crowdCase() {
  const host = new Host((who) => who);
  const users = 6 + below(15), shareClean = below(101);
  let now = START_S + 10 * 86400 + below(86400), line = `b ${users}`;
  for (let user = 0; user < users; user++) {
    const clean = below(100) < shareClean;
    line += ` ${bit(clean)}`;
    if (clean) makeClean(host, user, now);
  }
  for (let steps = 4 * users; steps > 0; steps--) {
    now += below(200);
    const user = below(users);
    const o = { account: 1 + below(3), password: 0, attempts: 1, service: 8, kind: KIND.password, newVisit: true };
    line += ` / ${now} ${user},${o.account}${followed(host.observe(now, user, o, 0, true))}`;
  }
  return `${line}\n`;
}

// ---- all of them --------------------------------------------------------------------------------

const hash = createHash('sha256');
for (let i = 0; i < count; i++) {
  const lines = verdictCase() + actionCase() + storyCase() + (i % 16 === 0 ? crowdCase() : '');
  if (check) hash.update(lines);
  else writeSync(1, lines);
}
if (check) {
  const digest = hash.digest('hex');
  if (readFileSync(new URL('rule_cases.sha256', import.meta.url), 'utf8').trim() !== digest) {
    console.error(`rule_cases.sha256 differs from what its generator makes: ${digest}`);
    process.exit(1);
  }
  console.log('rule_cases.sha256 is up to date');
}
