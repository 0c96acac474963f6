"""The documented list of differences: from what was seen to the page, and back."""
import sys


def judge(found, update, part):
    for case, rows in sorted(found.items()):
        for row in rows:
            print(case, "|", *[str(x)[:300] for x in row], sep=" | ")
    return 1
