"""What Slurm's parts cannot tell each other while one of them is away, by the faults that came:
their kind, since when and until when each lasted."""

LOSES_NEWS = ("slurmctld-killed", "slurmctld-fails-over", "slurmctld-cold", "slurmctld-wiped")
# Meanwhile slurmctld does not hear that a run has ended; its node tells it again soon after.
DEAF = ("slurmctld-killed", "slurmctld-frozen", "slurmctld-fails-over", "key-rotated",
        "munged-stopped", "slurmd-killed")
TOLD_AGAIN_S = 60
# What slurmctld could not tell slurmdbd it tells in so long when that is back, if it lives.
AWAY, CAUGHT_UP_S = ("slurmdbd-away", "mariadb-away"), 30
UNSAVED_S = 10  # slurmctld saves what it knows every few seconds


def heard_late(faults, ended, heard):
    """Whether slurmctld could not hear of the end, and did when it could again."""
    return any(kind in DEAF and broken - 1 < ended < mended
               and ended < heard < mended + TOLD_AGAIN_S
               for kind, broken, mended in faults)


def news_lost(faults):
    """From when until when slurmctld kept its news for a slurmdbd away, and lost them."""
    away = []
    for since, back in sorted((since, back) for kind, since, back in faults if kind in AWAY):
        if away and since < away[-1][1] + CAUGHT_UP_S:
            since = away.pop()[0]
        away.append((since, back))
    for since, back in away:
        lost = [at for kind, at, _ in faults
                if kind in LOSES_NEWS and back - 1 < at < back + CAUGHT_UP_S]
        if lost:
            yield since - UNSAVED_S, min(lost)
