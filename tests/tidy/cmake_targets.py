"""Reads the declarations of kezek_library, kezek_executable, kezek_test and kezek_fuzz out of every
CMakeLists.txt: which files belong to which target, and what each target says it depends on."""

import os
import re

KEYWORDS = {"NAME", "SOURCES", "HEADERS", "DEPENDS", "PCH", "LABELS", "TIMEOUT", "LOCK", "ARGS",
            "CORPUS", "COMMAND"}
CALL = re.compile(r"\bkezek_(library|executable|test|fuzz)\s*\(([^()]*)\)")


class Target:
    def __init__(self, name, kind, folder, files, depends):
        self.name = name
        self.kind = kind
        self.folder = folder
        self.files = files      # paths relative to the root
        self.depends = depends  # as declared, in order


def parse(folder, text):
    """The targets declared in the text of one CMakeLists.txt in `folder`."""
    targets = []
    text = re.sub(r"#.*", "", text)
    for match in CALL.finditer(text):
        fields = {}
        current = None
        for word in match.group(2).split():
            if word in KEYWORDS:
                current = fields.setdefault(word, [])
            elif current is not None:
                current.append(word)
        files = [os.path.normpath(os.path.join(folder, name))
                 for name in fields.get("SOURCES", []) + fields.get("HEADERS", [])]
        name = (fields.get("NAME") or ["?"])[0]
        targets.append(Target(name, match.group(1), folder, files, fields.get("DEPENDS", [])))
    return targets


def read_all(root, paths):
    targets = []
    for path in paths:
        if os.path.basename(path) == "CMakeLists.txt":
            with open(os.path.join(root, path), encoding="utf-8") as file:
                targets += parse(os.path.dirname(path), file.read())
    return targets
