"""first_steps.py GRAPEVINE CONFIG SCRIPT...: runs `grapevine setup` in a terminal of its own, and answers.

Each line of SCRIPT (a file) is "WAIT FOR THIS TEXT<tab>ANSWER": the text must appear after what was
answered before; "^C" as the answer presses Ctrl-C, "$ COMMAND" runs a command whose output (its last
line) is the answer, "& COMMAND" starts one in the background and answers nothing. What the terminal
showed goes to standard output; the exit status is that of setup, 99 when a text did not come."""
import os
import pty
import select
import signal
import subprocess
import sys
import time

program, config, script = sys.argv[1:4]
steps = [line.rstrip("\n").split("\t", 1) for line in open(script) if line.strip() and line[0] != "#"]
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    os.execv(program, [program, "--config", config, "setup"] + sys.argv[4:])

seen = b""
at = 0


def read_until(text, seconds):
    """The position behind `text`, or None when it does not come or the program ends."""
    global seen
    end = time.monotonic() + seconds
    while True:
        found = -1 if text is None else seen.find(text, at)
        if found >= 0:
            return found + len(text)
        if time.monotonic() > end:
            return None
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            some = os.read(terminal, 65536)
        except OSError:
            some = b""
        if not some:
            return None
        seen += some


def answer(what):
    if what.startswith("$ "):
        lines = subprocess.run(["bash", "-c", what[2:]], capture_output=True, text=True, timeout=60).stdout.split("\n")
        what = [line for line in lines if line][-1] if any(lines) else ""
    elif what.startswith("& "):
        subprocess.Popen(["bash", "-c", what[2:]], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, start_new_session=True)
        return
    os.write(terminal, b"\x03" if what == "^C" else what.encode() + b"\n")


missing = None
for wanted, reply in steps:
    place = read_until(wanted.encode(), 90)
    if place is None:
        missing = wanted
        os.kill(pid, signal.SIGKILL)
        break
    at = place
    answer(reply)
read_until(None, 90)
status = os.waitpid(pid, 0)[1]
sys.stdout.write(seen.decode(errors="backslashreplace").replace("\r\n", "\n"))
if missing is not None:
    print(f"\nfirst_steps.py: \"{missing}\" did not come")
    sys.exit(99)
sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
