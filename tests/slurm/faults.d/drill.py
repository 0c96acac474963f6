"""What is broken when, and that kezekd is up whenever nobody has taken it down."""

import collections
import heapq
import os
import re
import time

import injuries

SHORT_S = 10  # --each: no step of a fault takes longer
CRASHES = re.compile(r"check failed|terminate called|Segmentation|AddressSanitizer", re.IGNORECASE)


class Keeper:
    """Breaks one thing after another, mends each in its time, and starts kezekd as systemd would
    if it ends by itself."""

    def __init__(self, stack, options, rng, say):
        self.stack, self.rng, self.say = stack, rng, say
        self.every_s, self.kinds, self.each = options.every, options.kinds, options.each
        self.longest_s = SHORT_S if self.each else min(300, max(15, options.minutes * 60 / 6))
        self.came = set()
        self.deck, self.busy, self.under_way = [], collections.Counter(), []
        self.done = collections.Counter()
        self.ended_itself, self.number, self.resumed, self.resume_at = 0, 0, 0, 0.0
        self.begun = time.monotonic()

    def clock(self):
        return f"{time.strftime('%H:%M:%S', time.gmtime())} {time.monotonic() - self.begun:7.1f} s"

    def run(self, seconds):
        """Until the end, when what is under way is mended at once; --each: once each has come."""
        self.begun = time.monotonic()
        end = self.begun + seconds
        due = self.begun + self.every_s * self.rng.uniform(0.2, 0.6)
        while time.monotonic() < end and not (self.each and self.came.issuperset(self.kinds)):
            self.mend(time.monotonic())
            self.look()
            if time.monotonic() >= due and self.harm():
                due = max(due + self.every_s * self.rng.uniform(0.6, 1.4), time.monotonic())
            time.sleep(0.1)
        while self.under_way:
            self.mend(float("inf"))
        self.look()

    def draw(self):
        """The next kind of the shuffled deck whose parts nobody else has; none: "". """
        if not self.deck:
            again = self.came.union(one[2] for one in self.under_way) if self.each else ()
            self.deck = [kind for kind in self.kinds if kind not in again]
            self.rng.shuffle(self.deck)
        for place, kind in enumerate(self.deck):
            if not any(self.busy[part] for part in injuries.FAULTS[kind][0]):
                return self.deck.pop(place)
        return ""

    def harm(self):
        kind = self.draw()
        if not kind:
            return False
        needs, function = injuries.FAULTS[kind]
        self.busy.update(needs)
        self.done[kind] += 1
        self.say(f"{self.clock()}  {kind}")
        self.go_on(kind, time.time(), function(self.stack, self.rng, self.longest_s))
        return True

    def go_on(self, kind, since, steps):
        try:
            wait = next(steps)
        except StopIteration as end:
            self.busy.subtract(injuries.FAULTS[kind][0])
            self.stack.faults.append((kind, since, time.time()))
            if end.value is not False:
                self.came.add(kind)
            self.say(f"{self.clock()}  {kind}: "
                     f"{'nothing came of it' if end.value is False else 'mended'}")
            return
        if self.each:
            wait = min(wait, SHORT_S)
        self.number += 1
        heapq.heappush(self.under_way, (time.monotonic() + wait, self.number, kind, since, steps))

    def mend(self, until):
        while self.under_way and self.under_way[0][0] <= until:
            _, _, kind, since, steps = heapq.heappop(self.under_way)
            self.go_on(kind, since, steps)

    def look(self):
        """kezekd ends itself when it may lead no more; whoever keeps it starts it again. And where
        slurmctld lost its state an admin puts nodes into service again that it drained for it."""
        if self.stack.states_lost and time.monotonic() > self.resume_at:
            self.resume_at = time.monotonic() + 5
            if not (self.busy["slurmctld"] or self.busy["munged"]):
                self.resumed += self.stack.resume_nodes()
        if self.busy["kezekd"] or self.stack.pid("kezekd"):
            return
        self.ended_itself += 1
        self.say(f"{self.clock()}  kezekd has ended by itself; it is started again")
        self.stack.start_leader()

    def alarms(self):
        """What kezekd says of itself that must not be."""
        wrong = []
        for name in ("kezekd.log", "kezekd-second.log"):
            path = self.stack.path(f"log/{name}")
            if not os.path.exists(path):
                continue
            with open(path, encoding="utf-8", errors="replace") as file:
                wrong += [f"{name}: {line.strip()}" for line in file
                          if CRASHES.search(line) or " alarm " in line]
        return wrong
