// The verdict (SPEC 11), a second time: written from the rule alone, looking at every minute by
// itself, with no sorting and no bisection. Integers only; all of them are far below 2^53.
//
//   p        tenure, full, alive, weight, votes, faultSpan
//   signals  [{signal, owner, group, time, since, revoked | null, fault | null}, ...]
//   judge    [state, published, weight, owners, groups, since, until | null, [[signal, standing], ...]]

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

export function judge(p, genesis, now, signals) {
  const votes = votesAt(p, genesis, signals, now);
  const t = tally(p, genesis, votes, now);
  t.best.sort((a, b) => b.standing - a.standing || a.signal - b.signal);
  const known = t.state !== 'unknown';
  return [t.state, t.published ? 1 : 0, t.weight, t.owners, t.groups,
    known ? sinceOf(p, genesis, votes, now, t.state) : 0,
    known ? untilOf(p, genesis, signals, now, t.state) : null,
    t.best.slice(0, p.votes).map((b) => [b.signal, b.standing])];
}
