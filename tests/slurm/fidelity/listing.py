"""The documented list of differences: from what was seen to the page, and back."""

import os
import re
from collections import Counter

import reasons

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "docs", "user",
                    "slurm-differences.md")
HEAD = """# Where a script sees Kezek

The batch scripts in tests/slurm/fidelity/cases run by `sbatch` and by `kezek submit` on the same
cluster (Slurm 22.05), unchanged. Environment, limits, umask, signals, ranks, files with their modes
and contents, and how the jobs end are the same in everything that is not in this list. The list is
written by the test (`tests/slurm/fidelity/run --update`) and checked by it.

{cases} scripts, {same} of them without any difference but Kezek's own variables and the memory's.

"""


def _why(case, what):
    """The number of the rule that explains it; None: nothing does."""
    for number, (pattern, cases, _) in enumerate(reasons.RULES):
        if re.fullmatch(pattern, what) and (cases is None or re.fullmatch(cases, case)):
            return number
    return None


def _short(value):
    if value is None:
        return "–"
    text = " / ".join(value) if isinstance(value, list) else str(value)
    text = re.sub(r"\s+", " ", text).replace("|", "\\|")
    return (text[:70] + "…") if len(text) > 71 else text


def _apart(theirs, ours):
    """Of two lists what only one has."""
    if not isinstance(theirs, list) or not isinstance(ours, list):
        return theirs, ours
    left, right = Counter(theirs), Counter(ours)
    return sorted((left - right).elements()), sorted((right - left).elements())


def _plain(what):
    """Without the process or task that saw it."""
    return re.sub(r"^[\w.-]+: (?=`|limit|signals|umask|nice|groups|file descriptor)", "", what)


def page(found):
    """(the page, [what nothing explains])."""
    rows, unexplained, common = {}, [], set()
    for case, differences in sorted(found.items()):
        for what, theirs, ours in differences:
            number = _why(case, what)
            if number is not None and reasons.RULES[number][2] in reasons.BY_CHANCE:
                continue
            if number is None:
                unexplained.append((case, what, theirs, ours))
                continue
            if reasons.RULES[number][1] is not None:
                common.add(case)
            entry = rows.setdefault(number, {}).setdefault(
                _plain(what), (*_apart(theirs, ours), set()))
            entry[2].add(case)
    common |= {case for case, _ in reasons.BY_CHANCE.values()} & set(found)
    text = HEAD.format(cases=len(found), same=len(found) - len(common))
    for number, seen in sorted(rows.items()):
        text += f"## {_title(reasons.RULES[number][2])}\n\n"
        text += "| what | sbatch, for example | Kezek | scripts |\n| --- | --- | --- | --- |\n"
        for what, (theirs, ours, cases) in sorted(seen.items()):
            named = "nearly all" if len(cases) > 8 else ", ".join(sorted(cases))
            text += f"| {what} | {_short(theirs)} | {_short(ours)} | {named} |\n"
        text += "\n"
    for sentence, (case, names) in reasons.BY_CHANCE.items():
        text += (f"## {_title(sentence)}\n\nSeen by `{case}`, in all of these or some, by "
                 "chance.\n\n"
                 + "".join(f"- `{name}`\n" for name in names) + "\n")
    return text.rstrip("\n") + "\n", unexplained


def _title(sentence):
    return sentence[0].upper() + sentence[1:] + "."


def judge(found, update, part):
    text, unexplained = page(found)
    for case, what, theirs, ours in unexplained:
        print(f"fidelity: {case}: {what}: sbatch {theirs!r}, kezek {ours!r}")
    if unexplained:
        print(f"fidelity: {len(unexplained)} differences that reasons.py does not explain")
        return 1
    if part:
        print(text[text.index("##"):] if "##" in text else "fidelity: no differences")
        return 0
    if update:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(text)
        print("fidelity: the list is written")
        return 0
    with open(PAGE, encoding="utf-8") as file:
        listed = file.read()
    if listed == text:
        print(f"fidelity: {len(found)} scripts, differences as listed")
        return 0
    old, new = set(listed.splitlines()), set(text.splitlines())
    for line in sorted(old - new):
        print(f"fidelity: listed, not seen: {line}")
    for line in sorted(new - old):
        print(f"fidelity: seen, not listed: {line}")
    return 1
