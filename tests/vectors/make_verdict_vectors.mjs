// Makes tests/vectors/verdict.json: random cases of the verdict (SPEC 11), judged by a second
// implementation (verdict_rule.mjs). tests/unit/test_verdict_vectors.c checks the C one against it.
//
//   node tests/vectors/make_verdict_vectors.mjs [COUNT] [SEED] > tests/vectors/verdict.json
//   node tests/vectors/make_verdict_vectors.mjs --check     exit 1 if the committed file differs
//
// Integers only; all of them are far below 2^53. One case is
//   [policy, genesis, now, signals, expected]
//   policy   [tenure, full, alive, untrusted weight, most votes listed, fault]
//   signals  [[signal, owner, group, now - time, time - since, revoked - time | null,
//             fault - time | null], ...]
//   expected [state, published, weight, owners, groups, since, until | null, [[signal, standing], ...]]
// Signals and owners are numbers below 2^32; their 16 bytes are that number and twelve zeros.

import { readFileSync } from 'node:fs';
import { judge } from './verdict_rule.mjs';

const check = process.argv[2] === '--check';
const count = check ? 2000 : Number(process.argv[2] ?? 2000);
const seed = Number((check ? undefined : process.argv[3]) ?? 20261122);

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
const text = `{"seed":${seed},"cases":[\n${lines.join(',\n')}\n]}\n`;
if (!check) {
  process.stdout.write(text);
} else if (readFileSync(new URL('verdict.json', import.meta.url), 'utf8') === text) {
  console.log('verdict.json is up to date');
} else {
  console.error('verdict.json differs from what its generator makes');
  process.exit(1);
}
