#!/usr/bin/env python3
"""scale.py [--runs FOLDER] [--bin FOLDER] [--fit N,N,...] [--sightings U,U,...] [--hours H] [--seed S] [--attackers-most A]
[--check N:U,...] [--predict N:U,...]

What a node moves in a mesh too large to be simulated: each cause of traffic as a sum of what drives it, fitted over meshes
that can be, and how far that is off where a larger one was simulated after all (SPEC 17.5). A run that is not in FOLDER yet
(nN-uU-sS.json, as grapevine-sim run --json writes it) is made there; those of --check are not made, which takes minutes to
hours, but used if they are there.

A mesh sees A new attackers an hour at most, as the small models have it; of them a fifth visits several nodes. What drives:
news, cases that are published and address records that are renewed every seven days, an hour; sightings of a node; nodes.
Each cause is a product of powers of its drivers: frames share headers the more of them there are. A run that was simulated
is told with the cases that it published, one that was not with as many as its attackers lead to. The busiest node is told
as a multiple of the mean, the largest that was seen."""
import argparse
import json
import math
import os
import subprocess
import sys

RENEWED_H = 7 * 24  # an address record (SPEC 8.5)
DRIVERS = {  # of each cause
    "sessions": ("sightings", "nodes"),
    "spread": ("news",),
    "trees": ("news",),
    "repair": ("news",),
    "whisper": ("sightings", "nodes"),
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
    return {"news": published_an_hour + nodes / RENEWED_H, "sightings": sightings, "nodes": nodes}


def solve(rows, wanted):
    """Least squares, by elimination of the normal equations."""
    count = len(rows[0])
    table = [[sum(r[i] * r[j] for r in rows) for j in range(count)] + [sum(r[i] * w for r, w in zip(rows, wanted))]
             for i in range(count)]
    for i in range(count):
        pivot = max(range(i, count), key=lambda k: abs(table[k][i]))
        table[i], table[pivot] = table[pivot], table[i]
        for k in range(count):
            if k != i:
                factor = table[k][i] / table[i][i]
                table[k] = [a - factor * b for a, b in zip(table[k], table[i])]
    return [table[i][count] / table[i][i] for i in range(count)]


def fit(runs, cause):
    """The factor, and the power of each driver."""
    rows = [[1.0] + [math.log(run["drivers"][name]) for name in DRIVERS[cause]] for run in runs]
    wanted = [math.log(max(run["bytes_by_cause_mean"][cause], 1.0)) for run in runs]
    factor, *powers = solve(rows, wanted)
    return math.exp(factor), powers


def predict(law, of):
    return {cause: factor * math.prod(of[name] ** power for name, power in zip(DRIVERS[cause], powers))
            for cause, (factor, powers) in law.items()}


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
    for cause, (factor, powers) in law.items():
        print(f"{cause}: {factor:.0f} " + " ".join(f"* {name}^{power:.2f}" for name, power in zip(DRIVERS[cause], powers)))
    worst = 0.0
    print(f"{'nodes':>7} {'U':>3} {'cases/h':>8} {'kB/h fitted':>12} {'simulated':>10} {'off':>6}")
    checked = [(n, u) for n, u in args.check if simulated(args, n, u, False)]
    for nodes, sightings in [(run["nodes"], run["sightings"]) for run in runs] + checked:
        run = simulated(args, nodes, sightings, False)
        cases = run["published"] / run["hours"]
        total = sum(predict(law, drivers(nodes, sightings, cases)).values())
        off = total / run["bytes_per_hour_mean"] - 1
        if (nodes, sightings) in checked:
            worst = max(worst, abs(off))
        print(f"{nodes:>7} {sightings:>3g} {cases:>8.0f} {total / 1e3:>12.0f} {run['bytes_per_hour_mean'] / 1e3:>10.0f} {100 * off:>+5.0f}%")
    for nodes, sightings in args.predict:
        cases = share * several_an_hour(nodes, sightings, args.attackers_most)
        parts = predict(law, drivers(nodes, sightings, cases))
        total = sum(parts.values())
        print(f"scale: {nodes} nodes, {sightings:g} sightings an hour, {cases:.0f} cases an hour: mean {total / 1e3:.0f} kB an hour "
              f"({', '.join(f'{cause} {value / 1e3:.0f}' for cause, value in parts.items())}); busiest {busiest * total / 1e3:.0f}, if it is "
              f"as far above the mean as in the worst run ({busiest:.2f} times); error where it was simulated: "
              f"{f'{100 * worst:.0f}%' if worst else 'not measured'}")


if __name__ == "__main__":
    sys.exit(main())
