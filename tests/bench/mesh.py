"""mesh.py SCRATCH NODES MESSAGES RATE DRAIN PUBLISHER...: has PUBLISHER... publish to the real nodes in SCRATCH (mesh.sh),
measures from outside, and prints one JSON object. Three rounds of MESSAGES, RATE a second, and DRAIN seconds each: single
signals and cases of two votes, in which nobody asks the nodes anything and the kernel's counters are read (bytes of the
loopback interface, with headers and acknowledgements, and processor time of the nodes); and cases once more, in
which each node's `changes` is followed on its control socket (which answers 50 ms after a change, SPEC 18.4:
that is in the times)."""
import asyncio
import glob
import json
import subprocess
import sys
import time

scratch, nodes, messages, rate, drain = sys.argv[1], *map(int, sys.argv[2:6])
settle = 30  # links to members beyond eight are ended in the minute after the start
pids = [int(pid) for pid in open(f"{scratch}/pids").read().split()]
WARM = 64  # messages before: eight trees form, and everybody learns of the publishers


def wire():
    for line in open("/proc/net/dev"):
        if line.strip().startswith("lo:"):
            return int(line.split(":")[1].split()[0])


def spent():  # seconds on a processor, to the nanosecond
    return sum(int(open(file).read().split()[0]) for pid in pids for file in glob.glob(f"/proc/{pid}/task/*/schedstat")) / 1e9


def private(pid):  # MB that nobody shares with it
    kinds = ("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:")
    return sum(int(line.split()[1]) for line in open(f"/proc/{pid}/smaps_rollup") if line.startswith(kinds)) / 1e3


async def ask(node, path):
    reader, writer = await asyncio.open_unix_connection(f"{scratch}/node{node}/control.sock")
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    if b" 200 " not in head.split(b"\r\n")[0]:
        sys.exit(f"mesh.py: node {node}: {path}: {head[:200]} {body[:300]}")
    return json.loads(body)


async def judged(node, votes):  # the addresses
    answer = await ask(node, f"/api/v1/list?verdict={'untrusted' if votes > 1 else 'reported'}&limit=10000")
    return {row["subject"] for row in answer["subjects"]}


async def follow(node, seen):
    serial = (await ask(node, "/api/v1/changes"))["serial"]
    while True:
        answer = await ask(node, f"/api/v1/changes?since={serial}&wait=30")
        now = time.clock_gettime(time.CLOCK_MONOTONIC)
        serial = answer["serial"]
        for change in answer.get("changes", []):
            if "untrusted" in change["is"]:
                seen.setdefault((node, change["subject"]), now)


class Publisher:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.line("ready")

    def line(self, wanted):
        line = self.process.stdout.readline().strip()
        if not line or (wanted and line != wanted):
            sys.exit(f"mesh.py: the publisher says {line!r}")
        return line

    async def publish(self, count, votes):  # address -> when, by the steady clock, and at which node
        self.process.stdin.write(f"{count} {rate} {votes}\n")
        self.process.stdin.flush()
        told = {}
        while (line := await asyncio.to_thread(self.line, None)) != "done":
            address, microseconds, node = line.split()
            told[address] = (int(microseconds) / 1e6, node)
        return told


async def all_hold(told, votes):
    held = await asyncio.gather(*(judged(node, votes) for node in range(1, nodes + 1)))
    missed = {address: sum(address not in have for have in held) for address in told}
    for address, count in missed.items():
        if count:
            print(f"{address}, published at node {told[address][1]}: {count} nodes do not have it", file=sys.stderr)
    return sum(len(have & told.keys()) for have in held)


async def causes():  # what the nodes themselves counted, in and out: total by cause
    total = {}
    for answer in await asyncio.gather(*(ask(node, "/api/v1/traffic") for node in range(1, nodes + 1))):
        for row in answer["causes"]:
            total[row["cause"]] = total.get(row["cause"], 0) + row["total_in"] + row["total_out"]
    return total


async def measured(publisher, votes, idle):
    before = await causes()
    bytes0, cpu0, began = wire(), spent(), time.monotonic()
    told = await publisher.publish(messages, votes)
    await asyncio.sleep(drain)
    took, total, cpu = time.monotonic() - began, wire() - bytes0, spent() - cpu0
    delivered = await all_hold(told, votes)
    after = await causes()
    return told, {
        "by_cause": {cause: round((after[cause] - before[cause]) / 2 / max(delivered, 1)) for cause in after},
        "delivered": delivered,
        "wire_bytes_per_delivery": round(total / max(delivered, 1), 1),
        "minus_idle_per_delivery": round((total - idle[0] * took) / max(delivered, 1), 1),
        "cpu_ms_per_delivery": round(cpu * 1000 / max(delivered, 1), 4),
        "cpu_ms_minus_idle_per_delivery": round((cpu - idle[1] * took) * 1000 / max(delivered, 1), 4)}


def share(times, part):
    return round(times[min(len(times) - 1, int(part * len(times)))], 1) if times else None


async def main():
    publisher = Publisher(sys.argv[6:])
    told = await publisher.publish(WARM, 2)
    for _ in range(120):
        held = await asyncio.gather(*(judged(node, 2) for node in range(1, nodes + 1)))
        if all(told.keys() <= have for have in held):
            break
        await asyncio.sleep(1)
    else:
        sys.exit("mesh.py: not all nodes have the first messages after two minutes")
    await asyncio.sleep(settle)
    bytes0, cpu0, began = wire(), spent(), time.monotonic()
    await asyncio.sleep(drain)
    took = time.monotonic() - began
    idle = ((wire() - bytes0) / took, (spent() - cpu0) / took)
    _, signal = await measured(publisher, 1, idle)
    _, case = await measured(publisher, 2, idle)
    memory = sorted(map(private, pids))

    seen = {}
    watchers = [asyncio.create_task(follow(node, seen)) for node in range(1, nodes + 1)]
    await asyncio.sleep(3)
    told, timed = await measured(publisher, 2, idle)
    times = sorted((when - told[address][0]) * 1000 for (_, address), when in seen.items() if address in told)
    for watcher in watchers:
        watcher.cancel()
    publisher.process.stdin.close()
    publisher.process.wait()
    print(json.dumps({
        "nodes": nodes, "messages": messages, "rate": rate, "expected": nodes * messages, "case": case, "signal": signal,
        "timed": len(times), "timed_wire_bytes_per_delivery": timed["wire_bytes_per_delivery"], "idle_cpu_ms_per_node_s": round(idle[1] * 1000 / nodes, 3),
        "idle_kB_per_node_h": round(idle[0] * 3.6 / nodes, 1),
        "p50_ms": share(times, 0.5), "p99_ms": share(times, 0.99), "max_ms": share(times, 1),
        "private_MB_median": round(memory[len(memory) // 2], 1), "private_MB_most": round(memory[-1], 1)}))


asyncio.run(main())
