"""What the daemon tells grapevine-firewall, said by hand (SPEC 18.7), and clients for its rules.

firewall.py tell UID SOCKET WORD...
                                  as that user: begin, add NET SECONDS, drop NET, allow NET, commit, wait SECONDS,
                                  raw HEX, many COUNT (adds so many addresses), hello VERSION;
                                  prints each answer: RESULT IN-PLACE NOT-TAKEN, or "gone"
firewall.py serve ADDRESS PORT... accepts and hangs up
firewall.py try FROM TO PORT      prints "open" or "closed"
"""
import ipaddress
import os
import selectors
import socket
import struct
import sys
import time

HELLO, BEGIN, ADD, DROP, ALLOW, COMMIT = range(1, 7)


def record(op, net=None, number=0):
    if net is None:
        return struct.pack(">BBBBI16x", op, 0, 0, 0, number)
    net = ipaddress.ip_network(net)
    return struct.pack(">BBBBI16s", op, net.version, net.prefixlen, 0, number,
                       net.network_address.packed)


def answer(line):
    data = b""
    while len(data) < 24:
        try:
            piece = line.recv(24 - len(data))
        except ConnectionResetError:
            piece = b""
        if not piece:
            return "gone"
        data += piece
    _, result, number, in_place, not_taken = struct.unpack(">BBxxIII8x", data)
    return f"{('ok', 'partly', 'kernel')[result]} {in_place} {not_taken}"


def tell(uid, path, words):
    os.setgroups([])
    os.setresuid(uid, uid, uid)
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(60)
    line.connect(path)
    words = list(words)
    out = b"" if words[0] == "hello" else record(HELLO, number=2)
    while words:
        word = words.pop(0)
        if word == "hello":
            out += record(HELLO, number=int(words.pop(0)))
        elif word == "begin":
            out += record(BEGIN)
        elif word == "add":
            out += record(ADD, words.pop(0), int(words.pop(0)))
        elif word == "drop":
            out += record(DROP, words.pop(0))
        elif word == "allow":
            out += record(ALLOW, words.pop(0))
        elif word == "raw":
            out += bytes.fromhex(words.pop(0))
        elif word == "many":
            first = int(ipaddress.ip_address("100.64.0.0"))
            out += b"".join(record(ADD, first + i, 3000) for i in range(int(words.pop(0))))
        elif word == "wait":
            line.sendall(out)
            out = b""
            time.sleep(float(words.pop(0)))
        elif word == "commit":
            try:
                line.sendall(out + record(COMMIT, number=7))
                print(answer(line), flush=True)
            except (BrokenPipeError, ConnectionResetError):
                print("gone", flush=True)
            out = b""
        else:
            sys.exit("what is " + word)


def serve(address, ports):
    poll = selectors.DefaultSelector()
    for port in ports:
        one = socket.create_server((address, int(port)), family=socket.AF_INET6 if ":" in address
                                   else socket.AF_INET, backlog=64)
        poll.register(one, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in poll.select():
            key.fileobj.accept()[0].close()


def attempt(source, target, port):
    try:
        socket.create_connection((target, int(port)), 1.5, (source, 0)).close()
        print("open")
    except OSError:
        print("closed")


if __name__ == "__main__":
    if sys.argv[1] == "tell":
        tell(int(sys.argv[2]), sys.argv[3], sys.argv[4:])
    elif sys.argv[1] == "serve":
        serve(sys.argv[2], sys.argv[3:])
    else:
        attempt(*sys.argv[2:])
