"""The rules of tidy. Each takes the tree and yields findings (path, line, rule, message)."""

import json
import os
import re
import subprocess

import cmake_targets
import layers
import source_text

MAX_COLUMNS = 100
MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 70
CPP = (".h", ".cc")
CODE = CPP + (".py", ".sh", ".cmake", ".proto")

# (rule, pattern): in code with comments and literals blanked out.
BANNED_IN_PURE = (
    ("clock", r"\bstd::chrono::\w*clock\b|\b(?:system|steady|high_resolution)_clock\b"),
    ("clock", r"(?<![\w.>:])(?:::|std::)?(?:time|clock|clock_gettime|gettimeofday|localtime)\s*\("),
    ("random", r"(?<![\w.>:])(?:::|std::)?s?rand\s*\(|\brandom_device\b"),
    ("environment", r"\b(?:secure_)?getenv\s*\("),
    ("thread", r"\bstd::(?:j?thread|async|atomic\w*|\w*mutex|condition_variable\w*|\w*_lock)\b"),
    ("thread", r"\bthread_local\b|\bpthread_\w+"),
    ("file", r"\bf(?:re)?open\s*\(|\bstd::(?:[io]?fstream|filesystem)\b"),
    ("stream", r"\bstd::(?:cout|cerr|clog|cin)\b"),
    ("unordered", r"\bunordered_(?:multi)?(?:map|set)\b"),
)
# What decides is counted in integers. The simulator may report averages; elsewhere a figure that
# only people read says so in its paragraph (the lines between two empty ones): "for people".
NO_FLOAT = ("include/kezek", "quota", "scheduler/engine", "scheduler/control")
FLOAT = r"\b(?:float|double)\b|(?<![\w.])\d+\.\d+(?![\w.])|\bstd::(?:pow|exp2?|log2?|sqrt)\b"
BANNED_EVERYWHERE = (
    ("unsafe", r"\bv?sprintf\s*\(|\bstr(?:cpy|cat)\s*\("),
    ("namespace", r"\busing\s+namespace\s+std\b"),
)
BANNED_OUTSIDE_TESTS = (
    ("shell", r"(?<![\w.>])(?:::|std::)?system\s*\(|\bpopen\s*\("),
)
# Split, so that this file passes its own check.
LEFTOVERS = "|".join(("TO" "DO", "FIX" "ME", "NO" "LINT", "DIS" "ABLED_"))


class Tree:
    """The files of the repository, read once."""

    def __init__(self, root, paths):
        self.root = root
        self.paths = sorted(paths)
        self.texts = {}
        for path in self.paths:
            try:
                with open(os.path.join(root, path), encoding="utf-8") as file:
                    self.texts[path] = file.read()
            except (UnicodeDecodeError, FileNotFoundError):
                continue  # binary fixtures, deleted files
        self.targets = cmake_targets.read_all(root, [p for p in self.paths if p in self.texts])

    def ending(self, endings):
        return [p for p in self.paths if p in self.texts and p.endswith(endings)]


def in_folder(path, folders):
    return any(path.startswith(folder + "/") for folder in folders)


def sizes(tree):
    for path in tree.ending(CODE):
        lines = tree.texts[path].split("\n")
        for number, line in enumerate(lines, 1):
            if len(line) > MAX_COLUMNS:
                yield path, number, "columns", f"{len(line)} columns, at most {MAX_COLUMNS}"
            if line != line.rstrip():
                yield path, number, "space", "trailing blank"
        if len(lines) - 1 > MAX_FILE_LINES:
            yield path, 1, "file-length", f"{len(lines) - 1} lines, at most {MAX_FILE_LINES}"
        if not tree.texts[path].endswith("\n") and tree.texts[path]:
            yield path, len(lines), "newline", "no newline at the end"


def _matches(path, code, banned):
    for rule, pattern in banned:
        for match in re.finditer(pattern, code):
            number = code.count("\n", 0, match.start()) + 1
            yield path, number, rule, f"'{match.group(0).strip()}' is not used here"


def _paragraphs_for_people(text):
    """The numbers of all lines in paragraphs with the comment "for people"."""
    exempt, paragraph, marked = set(), [], False
    for number, line in enumerate(text.split("\n") + [""], 1):
        if line.strip():
            paragraph.append(number)
            marked = marked or re.search(r"//.*\bfor people\b", line, re.IGNORECASE) is not None
        else:
            exempt |= set(paragraph) if marked else set()
            paragraph, marked = [], False
    return exempt


def banned(tree):
    for path in tree.ending(CPP):
        code = source_text.code_only(tree.texts[path])
        yield from _matches(path, code, BANNED_EVERYWHERE)
        if not path.startswith("tests/"):
            yield from _matches(path, code, BANNED_OUTSIDE_TESTS)
            if not path.startswith("src/cmd/"):
                yield from _matches(path, code, (("stdout", r"\bstd::cout\b"),))
        if in_folder(path, layers.PURE + ("include/kezek",)):
            for word in layers.SHARED_BETWEEN_THREADS.get(path, ()):
                code = code.replace(f"std::{word}<", "")
            yield from _matches(path, code, BANNED_IN_PURE)
        if in_folder(path, NO_FLOAT):
            exempt = _paragraphs_for_people(tree.texts[path])
            for finding in _matches(path, code, (("float", FLOAT),)):
                if finding[1] not in exempt:
                    yield finding


def leftovers(tree):
    for path in tree.ending(CODE + ("CMakeLists.txt", ".sql", ".md")):
        for number, line in enumerate(tree.texts[path].split("\n"), 1):
            match = re.search(LEFTOVERS, line)
            if match:
                yield path, number, "leftover", f"'{match.group(0)}': finish it or take it out"


def build_files(tree):
    for path in tree.ending(("CMakeLists.txt", ".cmake")):
        for number, line in enumerate(tree.texts[path].split("\n"), 1):
            if re.search(r"^\s*file\s*\(\s*GLOB", line):
                yield path, number, "glob", "source lists are explicit"
    for path in tree.ending(("packages.txt",)):
        for number, line in enumerate(tree.texts[path].split("\n"), 1):
            if re.search(r"\blibboost(?!1\.81)[\w.-]*-dev\b", line):
                yield path, number, "boost", "Boost is 1.81, by its versioned package"


def packages(tree):
    """Every outside library that a target names is installed by deploy/install-packages build."""
    table = dict(re.findall(r"^kezek_external_table\((\S+) (\S+)",
                            tree.texts.get("src/cmake/KezekExternal.cmake", ""), re.MULTILINE))
    listed = tree.texts.get("deploy/packages.txt", "")
    installed = re.findall(r"^build +(\S+)", listed, re.MULTILINE)
    for target in tree.targets:
        for name in (word.removeprefix("ext::") for word in target.depends if "ext::" in word):
            if table.get(name) not in installed:
                yield (f"{target.folder}/CMakeLists.txt", 1, "package",
                       f"the package of ext::{name} is not in group build of deploy/packages.txt")


def functions(tree):
    paths = tree.ending(CPP)
    if not paths:
        return
    run = subprocess.run(
        ["ctags", "--output-format=json", "--fields=+ne", "--languages=C++", "--langmap=C++:.h.cc",
         "--kinds-C++=f", "-L", "-", "-f", "-"],
        input="\n".join(paths), cwd=tree.root, capture_output=True, text=True, check=True)
    for line in run.stdout.split("\n"):
        if not line.startswith("{"):
            continue
        tag = json.loads(line)
        length = tag.get("end", tag.get("line", 0)) - tag.get("line", 0) + 1
        if length > MAX_FUNCTION_LINES:
            yield (tag["path"], tag["line"], "function-length",
                   f"{tag['name']} has {length} lines, at most {MAX_FUNCTION_LINES}")


def layering(tree):
    names = {target.name for target in tree.targets} | {layers.PROTO}
    for target in tree.targets:
        where = os.path.join(target.folder, "CMakeLists.txt")
        allowed = layers.allowed_depends(target.folder)
        for name in target.depends:
            if name.startswith("ext::"):
                if in_folder(target.folder + "/", layers.PURE + ("include/kezek",)):
                    yield where, 1, "layer", f"{target.name} is pure, it may not use {name}"
            elif name not in names:
                yield where, 1, "layer", f"{target.name} depends on {name}, which is no target"
            elif allowed is not None and name not in allowed:
                yield where, 1, "layer", f"{target.name} may not depend on {name}"


def resolve(tree, header):
    """The path of a project header named as in an #include line, or None."""
    for root in ("", "include/", "src/"):
        if root + header in tree.texts:
            return root + header
    return None


def include_problem(tree, owners, target, path, opening, header):
    """What is wrong with one #include of a file of `target`, or None."""
    if re.match(r"kezek/v1/.*\.pb\.h$", header):
        return None if layers.PROTO in target.depends else f"{header} needs {layers.PROTO}"
    project = resolve(tree, header)
    if project is not None:
        if opening == "<":
            return f"{header} is ours: use quotes"
        homes = owners.get(project, [])
        if any(home is target or home.name in target.depends for home in homes):
            return None
        if not homes:
            return f"{project} is in no target"
        return f"{header} needs {homes[0].name} in DEPENDS of {target.name}"
    if opening == '"':
        return f"{header} does not exist"
    name = layers.external_name(header)
    pure = in_folder(path, layers.PURE + ("include/kezek",))
    if name is not None:
        known = name in target.depends
        return None if known else f"{header} needs {name} in DEPENDS of {target.name}"
    if header.startswith(layers.SYSTEM_FOLDERS) or re.match(r"\w+\.h$", header):
        return f"<{header}> is not for pure code" if pure else None
    if "/" in header:
        return f"<{header}>: unknown library, see tests/tidy/layers.py"
    if header in layers.SHARED_BETWEEN_THREADS.get(path, ()):
        return None
    if pure and header in layers.IMPURE_STANDARD:
        return f"<{header}> is not for pure code"
    return None


def includes(tree):
    owners = {}
    for target in tree.targets:
        for path in target.files:
            owners.setdefault(path, []).append(target)
            if path not in tree.texts:
                where = os.path.join(target.folder, "CMakeLists.txt")
                yield where, 1, "source", f"{target.name} lists {path}, which does not exist"
    for path in tree.ending(CPP):
        if path == "tests/fuzz/replay.cc":
            continue  # added to every fuzz target by kezek_fuzz
        homes = owners.get(path, [])
        if not homes:
            yield path, 1, "source", "is in no target's SOURCES or HEADERS"
        for number, opening, header in source_text.includes(tree.texts[path]):
            for target in homes:
                problem = include_problem(tree, owners, target, path, opening, header)
                if problem:
                    yield path, number, "include", problem


def headers(tree):
    for path in tree.ending((".h",)):
        first = tree.texts[path].lstrip()
        if not re.search(r"^#pragma once$", first, re.MULTILINE):
            yield path, 1, "guard", "header without #pragma once"


def formatting(tree):
    paths = tree.ending(CPP)
    if not paths:
        return
    run = subprocess.run(["clang-format-14", "--dry-run", "-Werror", "--style=file"] + paths,
                         cwd=tree.root, capture_output=True, text=True)
    seen = set()
    for match in re.finditer(r"^(\S+?):(\d+):\d+: error: ", run.stderr, re.MULTILINE):
        if match.group(1) not in seen:
            seen.add(match.group(1))
            yield match.group(1), int(match.group(2)), "format", "not formatted by clang-format-14"
    if run.returncode != 0 and not seen:
        yield ".clang-format", 1, "format", run.stderr.strip()[:200]


def words(tree):
    """Words a site does not want to see, one regular expression per line of the named file."""
    name = os.environ.get("KEZEK_TIDY_WORDS")
    if not name:
        return
    with open(name, encoding="utf-8") as file:
        patterns = [line.strip() for line in file if line.strip()]
    for path in tree.paths:
        for number, line in enumerate(tree.texts.get(path, "").split("\n"), 1):
            for pattern in patterns:
                if re.search(pattern, line, re.IGNORECASE):
                    yield path, number, "word", "holds a word that does not belong here"


def links(tree):
    """Files that pages point to are there, and every page of docs/ is reached from README.md."""
    reached, waiting = set(), ["README.md"]
    points = {}
    for path in tree.ending((".md",)):
        points[path] = []
        for number, line in enumerate(tree.texts[path].split("\n"), 1):
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
                if re.match(r"\w+:", target):
                    continue
                full = os.path.normpath(os.path.join(os.path.dirname(path), target))
                points[path].append(full)
                if not os.path.exists(os.path.join(tree.root, full)):
                    yield path, number, "link", f"there is no {full}"
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += points.get(page, [])
    for path in points:
        if in_folder(path, ("docs",)) and path not in reached:
            yield path, 1, "page", "no way leads here from README.md"


ALL = (sizes, banned, leftovers, build_files, packages, functions, layering, includes, headers,
       formatting, links, words)
