// Makes tests/vectors/verdict.json: random cases of the verdict (SPEC 11), judged by a second
// implementation that was written from the rule alone and looks at every minute by itself, with no
// sorting and no bisection. tests/unit/test_verdict_vectors.c checks the C one against it.
//
//   node tests/vectors/make_verdict_vectors.mjs [COUNT] [SEED] > tests/vectors/verdict.json
//
// Integers only; all of them are far below 2^53. One case is
//   [policy, genesis, now, signals, expected]
//   policy   [tenure, full, alive, untrusted weight, most votes listed, fault]
//   signals  [[signal, owner, group, now - time, time - since, revoked - time | null,
//             fault - time | null], ...]
//   expected [state, published, weight, owners, groups, since, until | null, [[signal, standing], ...]]
// Signals and owners are numbers below 2^32; their 16 bytes are that number and twelve zeros.

const count = Number(process.argv[2] ?? 2000);
const seed = Number(process.argv[3] ?? 20261122);

// ---- the rule -----------------------------------------------------------------------------------

const div = (a, b) => Math.floor(a / b);

function standing(p, genesis, since, time) {
  if (time < genesis || time < since) return 0;
  const tenure = Math.min(p.tenure, div(time - genesis, 2));
  const full = Math.min(p.full, div(3 * (time - genesis), 4));
  const age = time - since;
  if (age < tenure) return 0;
  if (full <= tenure) return 1000;
  return 500 + div(500 * Math.min(age - tenure, full - tenure), full - tenure);
}

// Standing at a moment: nothing while the owner is at fault, or when revoked before the signal.
function standingAt(p, genesis, s, now) {
  if (s.fault !== null && now < s.fault + p.faultSpan) return 0;
  if (s.revoked !== null && s.revoked <= s.time) return 0;
  return standing(p, genesis, s.since, s.time);
}

function alive(p, genesis, s, now) {
  return s.time <= now && now <= s.time + p.alive && standingAt(p, genesis, s, now) > 0;
}

// One vote an owner: its newest signal alive; of two as new, the larger.
function votesAt(p, genesis, signals, now) {
  const votes = new Map();
  for (const s of signals) {
    if (!alive(p, genesis, s, now)) continue;
    const held = votes.get(s.owner);
    if (!held || s.time > held.time || (s.time === held.time && s.signal > held.signal))
      votes.set(s.owner, s);
  }
  return [...votes.values()];
}

function bestOfGroups(p, genesis, votes, now) {
  const best = new Map();
  for (const v of votes) {
    const rank = { signal: v.signal, standing: standingAt(p, genesis, v, now) };
    const held = best.get(v.group);
    if (!held || rank.standing > held.standing ||
        (rank.standing === held.standing && rank.signal < held.signal))
      best.set(v.group, rank);
  }
  return [...best.values()];
}

function tally(p, genesis, votes, now) {
  const best = bestOfGroups(p, genesis, votes, now);
  const weight = best.reduce((sum, b) => sum + b.standing, 0);
  const published = votes.length >= 2 && best.length >= 2;
  const state = votes.length === 0 ? 'unknown'
    : published && weight >= p.weight ? 'untrusted' : 'reported';
  return { state, published, weight, owners: votes.length, groups: best.length, best };
}

const stateAt = (p, genesis, signals, now) =>
  tally(p, genesis, votesAt(p, genesis, signals, now), now).state;

const begins = (p, s) => (s.fault === null ? s.time : Math.max(s.time, s.fault + p.faultSpan));

// The earliest minute at which today's votes, as far as they counted by then, gave this state.
function sinceOf(p, genesis, votes, now, state) {
  const minutes = votes.map((v) => begins(p, v)).sort((a, b) => a - b);
  return minutes.find((m) =>
    tally(p, genesis, votes.filter((v) => begins(p, v) <= m), now).state === state);
}

// The first later minute at which the same signals give another state.
function untilOf(p, genesis, signals, now, state) {
  const minutes = signals.flatMap((s) => [begins(p, s), s.time + p.alive + 1])
    .filter((m) => m > now).sort((a, b) => a - b);
  return minutes.find((m) => stateAt(p, genesis, signals, m) !== state);
}

function judge(p, genesis, now, signals) {
  const votes = votesAt(p, genesis, signals, now);
  const t = tally(p, genesis, votes, now);
  t.best.sort((a, b) => b.standing - a.standing || a.signal - b.signal);
  const known = t.state !== 'unknown';
  return [t.state, t.published ? 1 : 0, t.weight, t.owners, t.groups,
    known ? sinceOf(p, genesis, votes, now, t.state) : 0,
    known ? untilOf(p, genesis, signals, now, t.state) : null,
    t.best.slice(0, p.votes).map((b) => [b.signal, b.standing])];
}

// ---- random cases -------------------------------------------------------------------------------

let random = seed >>> 0;
function next() { // xorshift32
  random ^= random << 13; random >>>= 0;
  random ^= random >>> 17;
  random ^= random << 5; random >>>= 0;
  return random;
}
if (random === 0) random = 1;
const below = (n) => next() % n;
const between = (low, high) => low + below(high - low + 1);
const oneIn = (n) => below(n) === 0;
const pick = (list) => list[below(list.length)];

function policy() {
  if (oneIn(2)) // as in the descriptor
    return { tenure: 43200, full: 129600, alive: 1440, weight: pick([2000, 3000]), votes: 16,
      faultSpan: 129600 };
  if (oneIn(4)) // a lab
    return { tenure: 0, full: 0, alive: 1440, weight: 2000, votes: 16, faultSpan: 129600 };
  const tenure = below(60);
  return { tenure, full: tenure + below(120), alive: between(1, 50), weight: below(6) * 500,
    votes: below(18), faultSpan: below(100) };
}

function signal(p, now, owners, groups) {
  const owner = between(1, owners);
  const time = now - between(oneIn(8) ? -20 : 0, oneIn(8) ? p.alive + 5 : p.alive);
  const age = oneIn(3) ? p.tenure + between(-2, 2) : between(0, p.full + 10);
  // Faults are the owner's, so they hang on its number alone; most have none.
  return { signal: oneIn(10) ? between(1, 3) : between(1, 4294967295), owner,
    group: between(1, groups), time, since: time - Math.max(age, oneIn(30) ? -1 : 0),
    revoked: oneIn(12) ? time + between(-2, 2) : null };
}

function makeCase() {
  const p = policy();
  const genesis = oneIn(2) ? 1000000 : between(29990000, 30000000);
  const now = oneIn(2) ? 30000000 : between(30000000, 30000100);
  const owners = between(1, 8), groups = between(1, 6);
  const faults = new Map();
  for (let owner = 1; owner <= owners; owner++)
    faults.set(owner, oneIn(8) ? now - p.faultSpan + between(-20, 30) : null);
  const signals = [];
  for (let n = between(0, oneIn(10) ? 24 : 9); n > 0; n--) {
    const s = signal(p, now, owners, groups);
    s.fault = faults.get(s.owner);
    // One signal has one content: a number that came up twice is the same signal again.
    signals.push(signals.find((held) => held.signal === s.signal) ?? s);
  }
  return [[p.tenure, p.full, p.alive, p.weight, p.votes, p.faultSpan], genesis, now,
    signals.map((s) => [s.signal, s.owner, s.group, now - s.time, s.time - s.since,
      s.revoked === null ? null : s.revoked - s.time, s.fault === null ? null : s.fault - s.time]),
    judge({ ...p, votes: Math.min(p.votes, 16) }, genesis, now, signals)];
}

const lines = [];
for (let i = 0; i < count; i++) lines.push(JSON.stringify(makeCase()));
process.stdout.write(`{"seed":${seed},"cases":[\n${lines.join(',\n')}\n]}\n`);
