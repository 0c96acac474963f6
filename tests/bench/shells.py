"""N callers, each starting a command again and again for so long: shells.py N SECONDS COMMAND…
Prints one line of JSON: how many calls succeeded, and how many per second."""

import json
import subprocess
import sys
import threading
import time


class Caller(threading.Thread):
    def __init__(self, command, end):
        super().__init__()
        self.command, self.end = command, end
        self.good = self.failed = 0
        self.error = ""

    def run(self):
        while time.monotonic() < self.end:
            done = subprocess.run(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL, check=False)
            if done.returncode == 0 and done.stdout.strip():
                self.good += 1
            else:
                self.failed += 1
                self.error = done.stderr.decode(errors="replace").strip()


def main():
    count, seconds, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    began = time.monotonic()
    callers = [Caller(command, began + seconds) for _ in range(count)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    took = time.monotonic() - began
    good = sum(caller.good for caller in callers)
    failed = sum(caller.failed for caller in callers)
    if good == 0:
        sys.exit("no call succeeded: " + next((c.error for c in callers if c.error), ""))
    print(json.dumps({"per_s": round(good / took, 1), "good": good, "failed": failed}))


if __name__ == "__main__":
    main()
