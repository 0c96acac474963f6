#!/usr/bin/env python3
"""Counts test results: ctest's own report, with each GoogleTest program replaced by its test cases.

usage: count_results.py [--steps FAILED_STEPS] FOLDER...
Each folder holds the reports of ctest (--output-junit, *.xml), one for each run of it, and one
NAME.json per GoogleTest program that ran. A program that ctest calls failed although its file
names no failed case (it crashed, or ran out of time) counts as one failure. A folder without a
report is a failure. A build step that failed and left no failed test behind counts as one. The last
line is 'N passed, N failed, N skipped'; exit status 0 only if something passed and nothing
failed."""

import glob
import json
import os
import sys
import xml.etree.ElementTree as ElementTree


def count_cases(path):
    """(passed, failed, skipped) of one GoogleTest result file."""
    passed = failed = skipped = 0
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    for suite in report.get("testsuites", []):
        for case in suite.get("testsuite", []):
            if case.get("failures"):
                failed += 1
            elif case.get("result") == "SKIPPED":
                skipped += 1
            elif case.get("status") == "RUN":
                passed += 1
    return passed, failed, skipped


def count_program(folder, case):
    """(passed, failed, skipped) of one line of ctest's report."""
    status = case.get("status")
    results = os.path.join(folder, case.get("name") + ".json")
    try:
        passed, failed, skipped = count_cases(results)
    except (OSError, ValueError):
        return {"run": (1, 0, 0), "notrun": (0, 0, 1)}.get(status, (0, 1, 0))
    if status != "run" and failed == 0:
        failed = 1
    return passed, failed, skipped


def count_report(folder, path):
    """(passed, failed, skipped) of one run of ctest."""
    try:
        report = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as problem:
        print(f"{path}: no report: {problem}")
        return 0, 1, 0
    counts = [count_program(folder, case) for case in report.iter("testcase")]
    if not counts:
        print(f"{path}: no test ran")
        return 0, 1, 0
    return tuple(map(sum, zip(*counts)))


def count_folder(folder):
    paths = sorted(glob.glob(os.path.join(folder, "*.xml")))
    if not paths:
        print(f"{folder}: no report")
        return 0, 1, 0
    return tuple(map(sum, zip(*(count_report(folder, path) for path in paths))))


def main(arguments):
    steps = 0
    if arguments[:1] == ["--steps"]:
        steps = int(arguments[1])
        arguments = arguments[2:]
    totals = [0, 0, 0]
    for folder in arguments:
        counts = count_folder(folder)
        print(f"{folder}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped")
        totals = [total + number for total, number in zip(totals, counts)]
    if steps and totals[1] == 0:
        totals[1] = steps
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return 0 if totals[0] > 0 and totals[1] == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
