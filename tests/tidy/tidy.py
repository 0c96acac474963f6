#!/usr/bin/env python3
"""Goal: the style and the layers of docs/architecture.md hold for every file, by test.
Method: reads the tree and the DEPENDS of every CMakeLists.txt and applies the rules of rules.py;
one line per finding, exit status 1 if there is any. The self-test proves that each rule can fail.

usage: tidy.py [ROOT] [--rule NAME]   rules: the functions listed in rules.ALL"""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
import rules  # noqa: E402

SKIPPED = {".git", "build", ".demo", "node_modules", ".cache"}


def list_files(root):
    run = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root,
                         capture_output=True, text=True)
    if run.returncode == 0 and run.stdout:
        return run.stdout.splitlines()
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    return found


def check(root, only=None):
    """All findings of the tree at `root`, in order of rule, path and line."""
    tree = rules.Tree(root, list_files(root))
    findings = []
    for rule in rules.ALL:
        if only is None or rule.__name__ == only:
            findings += sorted(set(rule(tree)))
    return tree, findings


def main(arguments):
    only = None
    if "--rule" in arguments:
        at = arguments.index("--rule")
        only = arguments[at + 1]
        del arguments[at:at + 2]
    root = arguments[0] if arguments else os.getcwd()
    tree, findings = check(root, only)
    for path, line, rule, message in findings:
        print(f"{path}:{line}: {rule}: {message}")
    sources = len(tree.ending(rules.CPP))
    print(f"{sources} C++ files, {len(tree.targets)} targets, {len(findings)} findings")
    return 1 if findings or sources == 0 or not tree.targets else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
