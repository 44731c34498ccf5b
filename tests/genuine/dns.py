"""The name server of the namespace: `dns.py NAMES`. NAMES has lines "ADDRESS NAME [lying]": whoever
owns an address chooses its name. The name leads back to the address unless the line says lying;
everything below ex.test exists, nothing else does."""
import ipaddress
import socket
import struct
import sys

A, PTR, MX, AAAA = 1, 12, 15, 28


def known(path):
    try:
        with open(path, encoding="utf-8") as file:
            return [line.split() for line in file if line.strip()]
    except FileNotFoundError:
        return []


def encode(name):
    labels = [part.encode()[:63] for part in name.split(".") if part]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def question(packet):
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("utf-8", "replace"))
        at += 1 + packet[at]
    return ".".join(labels), struct.unpack_from("!H", packet, at + 1)[0], packet[12 : at + 5]


def answers(path, name, kind):
    """(the name exists, the data of its records of that kind)"""
    entries = known(path)
    name = name.lower()
    if name.endswith(".arpa"):
        data = [encode(e[1]) for e in entries if ipaddress.ip_address(e[0]).reverse_pointer == name]
        return bool(data), data if kind == PTR else []
    found = [ipaddress.ip_address(e[0]) for e in entries if e[1].lower().rstrip(".") == name and len(e) < 3]
    if not found and (name == "ex.test" or name.endswith(".ex.test")):
        found = [ipaddress.ip_address("198.51.100.250")]
    if kind == MX:
        return bool(found), [b"\0\x0a" + encode(name)] if found else []
    return bool(found), [a.packed for a in found if a.version == {A: 4, AAAA: 6}.get(kind)]


def main():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    while True:
        packet, peer = server.recvfrom(4096)
        try:
            name, kind, asked = question(packet)
            exists, data = answers(sys.argv[1], name, kind)
        except (IndexError, struct.error):
            continue
        reply = packet[:2] + struct.pack("!HHHHH", 0x8580 | (0 if exists else 3), 1, len(data), 0, 0) + asked
        for record in data:
            reply += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 5, len(record)) + record
        server.sendto(reply, peer)


if __name__ == "__main__":
    main()
