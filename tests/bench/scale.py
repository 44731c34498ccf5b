#!/usr/bin/env python3
"""scale.py [--runs FOLDER] [--bin FOLDER] [--fit N,N,...] [--sightings U,U,...] [--hours H] [--seed S] [--attackers-most A]
[--check N:U,...] [--predict N:U,...]

What a node moves in a mesh too large to be simulated: each cause of traffic as a sum of what drives it, fitted over meshes
that can be, and how far that is off where a larger one was simulated after all (SPEC 17.5). A run that is not in FOLDER yet
(nN-uU-sS.json, as grapevine-sim run --json writes it) is made there; those of --check are not made, which takes minutes to
hours, but used if they are there.

A mesh sees A new attackers an hour at most, as the small models have it; of them a fifth visits several nodes. What drives:
news, cases that are published and address records that are renewed every seven days, an hour; sightings of a node; the
logarithm of the nodes. No coefficient is below zero. The busiest node is told as a multiple of the mean, the largest
that was seen."""
import argparse
import json
import math
import os
import subprocess
import sys

RENEWED_H = 7 * 24  # an address record (SPEC 8.5)
DRIVERS = {  # of each cause, besides what is always there
    "sessions": ("sightings", "log_nodes"),
    "spread": ("news",),
    "trees": ("news",),
    "repair": ("news",),
    "whisper": ("sightings",),
    "excess": (),
}


def mean_victims(nodes):
    """Of an attacker: four in five visit one node, the others as sim/workload.c draws them."""
    most, low, high, left, several = max(nodes // 3, 2), 2, 3, 1.0, 0.0
    step = 0
    while low < most:
        on = (41943, 47756)[step % 2] / 65536
        several += left * (1 - on) * min((low + high - 1) / 2, most)
        left *= on
        low, high, step = high, 2 * low, step + 1
    return 0.8 + 0.2 * (several + left * most)


def several_an_hour(nodes, sightings, most):
    """Attackers an hour that visit more than one node."""
    return 0.2 * min(nodes * sightings / mean_victims(nodes), most)


def simulated(args, nodes, sightings, make):
    path = os.path.join(args.runs, f"n{nodes}-u{sightings:g}-s{args.seed}.json")
    if not os.path.exists(path):
        if not make:
            return None
        command = [os.path.join(args.bin, "grapevine-sim"), "run", "--known", "--nodes", str(nodes), "--hours", str(args.hours),
                   "--seed", str(args.seed), "--sightings", f"{sightings:g}", "--attackers-most", str(args.attackers_most),
                   "--json", path + ".new"]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        os.replace(path + ".new", path)
    with open(path, encoding="utf-8") as file:
        run = json.load(file)
    run["sightings"] = sightings
    return run


def drivers(nodes, sightings, published_an_hour):
    return {"news": published_an_hour + nodes / RENEWED_H, "sightings": sightings, "log_nodes": math.log10(nodes)}


def solve(rows, wanted):
    """Least squares, each relative to its size, by elimination of the normal equations."""
    count = len(rows[0])
    table = [[sum(r[i] * r[j] / w ** 2 for r, w in zip(rows, wanted)) for j in range(count)] +
             [sum(r[i] / w for r, w in zip(rows, wanted))] for i in range(count)]
    for i in range(count):
        table[i][i] += 1e-12
        pivot = max(range(i, count), key=lambda k: abs(table[k][i]))
        table[i], table[pivot] = table[pivot], table[i]
        for k in range(count):
            if k != i and table[i][i] != 0:
                factor = table[k][i] / table[i][i]
                table[k] = [a - factor * b for a, b in zip(table[k], table[i])]
    return [table[i][count] / table[i][i] if table[i][i] else 0.0 for i in range(count)]


def fit(runs, cause):
    """Coefficients by name; the worst that is below zero is left out, until none is."""
    names = ["always", *DRIVERS[cause]]
    wanted = [max(run["bytes_by_cause_mean"][cause], 1.0) for run in runs]
    while names:
        rows = [[run["drivers"].get(name, 1.0) for name in names] for run in runs]
        found = solve(rows, wanted)
        if min(found) >= 0:
            return dict(zip(names, found))
        names.pop(found.index(min(found)))
    return {}


def predict(law, of):
    return {cause: sum(value * of.get(name, 1.0) for name, value in law[cause].items()) for cause in law}


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pairs = lambda text: [(int(n), float(u)) for n, u in (pair.split(":") for pair in text.split(",") if pair)]
    parser.add_argument("--runs", default="scale-runs")
    parser.add_argument("--bin", default=os.environ.get("GV_BIN", "build/bin"))
    parser.add_argument("--fit", type=lambda text: [int(n) for n in text.split(",")], default=[100, 300, 1000, 3000])
    parser.add_argument("--sightings", type=lambda text: [float(u) for u in text.split(",")], default=[1.0, 8.0])
    parser.add_argument("--hours", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--attackers-most", type=int, default=4000)
    parser.add_argument("--check", type=pairs, default=pairs("10000:1,10000:8"))
    parser.add_argument("--predict", type=pairs, default=pairs("10000:8,100000:8"))
    return parser.parse_args()


def main():
    args = options()
    os.makedirs(args.runs, exist_ok=True)
    runs, published, busiest = [], [], 1.0
    for nodes in args.fit:
        for sightings in args.sightings:
            run = simulated(args, nodes, sightings, True)
            run["published_h"] = run["published"] / run["hours"]
            run["drivers"] = drivers(nodes, sightings, run["published_h"])
            published.append((run["published_h"], several_an_hour(nodes, sightings, args.attackers_most)))
            busiest = max(busiest, run["bytes_per_hour_max"] / run["bytes_per_hour_mean"])
            runs.append(run)
    # Of those who visit several nodes some end before they are reported, and a run has a calm at its end.
    share = sum(is_ for is_, _ in published) / sum(of for _, of in published)
    law = {cause: fit(runs, cause) for cause in DRIVERS}
    for cause, terms in law.items():
        print(f"{cause}: " + (" + ".join(f"{value:.0f}{'' if name == 'always' else ' ' + name}" for name, value in terms.items()) or "0"))

    def told(nodes, sightings):
        cases = share * several_an_hour(nodes, sightings, args.attackers_most)
        parts = predict(law, drivers(nodes, sightings, cases))
        return cases, parts, sum(parts.values())

    worst = 0.0
    print(f"{'nodes':>7} {'U':>3} {'cases/h':>8} {'kB/h fitted':>12} {'simulated':>10} {'off':>6}")
    cells = [(run["nodes"], run["sightings"], run) for run in runs]
    cells += [(n, u, simulated(args, n, u, False)) for n, u in args.check]
    for nodes, sightings, run in cells:
        cases, _, total = told(nodes, sightings)
        if run is None:
            continue
        off = total / run["bytes_per_hour_mean"] - 1
        if (nodes, sightings) in args.check:
            worst = max(worst, abs(off))
        print(f"{nodes:>7} {sightings:>3g} {cases:>8.0f} {total / 1e3:>12.0f} {run['bytes_per_hour_mean'] / 1e3:>10.0f} {100 * off:>+5.0f}%")
    for nodes, sightings in args.predict:
        cases, parts, total = told(nodes, sightings)
        print(f"scale: {nodes} nodes, {sightings:g} sightings an hour, {cases:.0f} cases an hour: mean {total / 1e3:.0f} kB an hour "
              f"({', '.join(f'{cause} {value / 1e3:.0f}' for cause, value in parts.items())}); busiest {busiest * total / 1e3:.0f}, if it is "
              f"as far above the mean as in the worst run ({busiest:.2f} times); error where it was simulated: "
              f"{f'{100 * worst:.0f}%' if worst else 'not measured'}")


if __name__ == "__main__":
    sys.exit(main())
