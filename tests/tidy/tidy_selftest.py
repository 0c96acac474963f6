#!/usr/bin/env python3
"""Goal: tidy cannot pass because it looks at nothing: every rule finds its violation.
Method: for each case a small tree is written to a temporary folder, clean but for one file; tidy
must report the expected rule there, and nothing for the clean tree."""

import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import source_text  # noqa: E402
import tidy  # noqa: E402

CLEAN = {
    ".clang-format": "BasedOnStyle: Google\nColumnLimit: 100\n",
    "include/kezek/CMakeLists.txt": "kezek_library(NAME kezek_words HEADERS id.h)\n",
    "include/kezek/id.h":
        "#pragma once\n\n#include <compare>\n\nstruct Id {\n  int value = 0;\n};\n",
    "quota/CMakeLists.txt":
        "kezek_library(NAME kezek_quota SOURCES usage.cc HEADERS usage.h DEPENDS kezek_words)\n",
    "quota/usage.h": '#pragma once\n\n#include "kezek/id.h"\n\nint Usage(Id id);\n',
    "quota/usage.cc": '#include "quota/usage.h"\n\nint Usage(Id id) { return id.value; }\n',
    "scheduler/engine/CMakeLists.txt":
        "kezek_library(NAME kezek_engine SOURCES plan.cc DEPENDS kezek_words kezek_quota)\n",
    "scheduler/engine/plan.cc": '#include "quota/usage.h"\n\nint Plan() { return Usage({1}); }\n',
    "src/slurm/CMakeLists.txt":
        "kezek_library(NAME kezek_slurm SOURCES rest.cc HEADERS rest.h DEPENDS kezek_words)\n",
    "src/slurm/rest.h": "#pragma once\n\nint Rest();\n",
    "src/slurm/rest.cc": '#include "slurm/rest.h"\n\nint Rest() { return 1; }\n',
}

USAGE = '#include "quota/usage.h"\n\n'


def body(statement):
    return {"quota/usage.cc": USAGE + f"int Usage(Id id) {{ return {statement}; }}\n"}


def shell(statement):
    return {"src/slurm/rest.cc":
            f'#include "slurm/rest.h"\n\nint Rest() {{ return {statement}; }}\n'}


def including(line, path="quota/usage.cc", first=USAGE):
    return {path: first + line + "\n"}


LONG = "int Usage(Id id) {\n" + "  id.value++;\n" * 70 + "  return id.value;\n}\n"
LEFT = "TO" + "DO"
LINT = "NO" + "LINT"
OFF = "DIS" + "ABLED_"

# (what, changed files, path, rule)
CASES = [
    ("a long line", {"quota/usage.cc": USAGE + "// " + "x" * 98 + "\n"}, "quota/usage.cc",
     "columns"),
    ("a long file", {"quota/usage.cc": USAGE + "\nint x;" * 450 + "\n"}, "quota/usage.cc",
     "file-length"),
    ("a long function", {"quota/usage.cc": USAGE + LONG}, "quota/usage.cc", "function-length"),
    ("no newline at the end", {"src/slurm/rest.cc": "int Rest();"}, "src/slurm/rest.cc", "newline"),
    ("a trailing blank", {"src/slurm/rest.cc": "int Rest(); \n"}, "src/slurm/rest.cc", "space"),
    ("std::chrono's clock", body("std::chrono::system_clock::now()"), "quota/usage.cc", "clock"),
    ("time()", body("time(nullptr)"), "quota/usage.cc", "clock"),
    ("std::time()", body("std::time(nullptr)"), "quota/usage.cc", "clock"),
    ("clock_gettime", body("clock_gettime(0, nullptr)"), "quota/usage.cc", "clock"),
    ("rand", body("std::rand()"), "quota/usage.cc", "random"),
    ("random_device", body("std::random_device()()"), "quota/usage.cc", "random"),
    ("getenv", body("*std::getenv(x)"), "quota/usage.cc", "environment"),
    ("a thread", body("std::thread(f)"), "quota/usage.cc", "thread"),
    ("a mutex", body("std::mutex()"), "quota/usage.cc", "thread"),
    ("a file", body("fopen(x, y)"), "quota/usage.cc", "file"),
    ("a stream", body("(std::cerr << 1, 1)"), "quota/usage.cc", "stream"),
    ("an unordered map", body("std::unordered_map<int, int>()[1]"), "quota/usage.cc", "unordered"),
    ("floating point", body("double(1) > 2"), "quota/usage.cc", "float"),
    ("a floating literal", body("id.value * 0.5 > 1"), "quota/usage.cc", "float"),
    ("sprintf", shell("sprintf(b, c)"), "src/slurm/rest.cc", "unsafe"),
    ("strcpy", shell("strcpy(b, c)"), "src/slurm/rest.cc", "unsafe"),
    ("system", shell("std::system(c)"), "src/slurm/rest.cc", "shell"),
    ("popen", shell("popen(c, d)"), "src/slurm/rest.cc", "shell"),
    ("std::cout in a shell", shell("(std::cout << 1, 1)"), "src/slurm/rest.cc", "stdout"),
    ("a note to do", {"src/slurm/rest.cc": f"// {LEFT}\n"}, "src/slurm/rest.cc", "leftover"),
    ("a silenced linter", {"src/slurm/rest.cc": f"// {LINT}\n"}, "src/slurm/rest.cc", "leftover"),
    ("a test switched off", {"src/slurm/rest.cc": f"int {OFF}x;\n"}, "src/slurm/rest.cc",
     "leftover"),
    ("a glob", {"quota/CMakeLists.txt": CLEAN["quota/CMakeLists.txt"] + "file(GLOB x *.cc)\n"},
     "quota/CMakeLists.txt", "glob"),
    ("another Boost", {"deploy/packages.txt": "build libboost-dev\n"}, "deploy/packages.txt",
     "boost"),
    ("a library that is not installed", {"src/slurm/CMakeLists.txt":
     CLEAN["src/slurm/CMakeLists.txt"].replace("kezek_words", "kezek_words ext::json")},
     "src/slurm/CMakeLists.txt", "package"),
    ("a file in no target", {"quota/lost.cc": "int lost;\n"}, "quota/lost.cc", "source"),
    ("a listed file that is not there",
     {"quota/CMakeLists.txt": CLEAN["quota/CMakeLists.txt"].replace("usage.cc", "usage.cc x.cc")},
     "quota/CMakeLists.txt", "source"),
    ("words that depend on quota", {"include/kezek/CMakeLists.txt":
     "kezek_library(NAME kezek_words HEADERS id.h DEPENDS kezek_quota)\n"},
     "include/kezek/CMakeLists.txt", "layer"),
    ("quota that depends on the engine", {"quota/CMakeLists.txt":
     CLEAN["quota/CMakeLists.txt"].replace(")", " kezek_engine)")}, "quota/CMakeLists.txt",
     "layer"),
    ("a shell that depends on the engine", {"src/slurm/CMakeLists.txt":
     CLEAN["src/slurm/CMakeLists.txt"].replace(")", " kezek_engine)")}, "src/slurm/CMakeLists.txt",
     "layer"),
    ("pure code with an outside library", {"quota/CMakeLists.txt":
     CLEAN["quota/CMakeLists.txt"].replace(")", " ext::json)")}, "quota/CMakeLists.txt", "layer"),
    ("a dependency that is no target", {"src/slurm/CMakeLists.txt":
     CLEAN["src/slurm/CMakeLists.txt"].replace(")", " kezek_lost)")}, "src/slurm/CMakeLists.txt",
     "layer"),
    ("an undeclared project header", including('#include "quota/usage.h"', "src/slurm/rest.cc", ""),
     "src/slurm/rest.cc", "include"),
    ("a shell's header in pure code", including('#include "slurm/rest.h"'), "quota/usage.cc",
     "include"),
    ("an undeclared outside library", including("#include <nlohmann/json.hpp>",
     "src/slurm/rest.cc", ""), "src/slurm/rest.cc", "include"),
    ("an undeclared API", including('#include "kezek/v1/jobs.pb.h"'), "quota/usage.cc", "include"),
    ("an unknown library", including("#include <zmq/zmq.h>", "src/slurm/rest.cc", ""),
     "src/slurm/rest.cc", "include"),
    ("the system's header in pure code", including("#include <sys/stat.h>"), "quota/usage.cc",
     "include"),
    ("a thread's header in pure code", including("#include <thread>"), "quota/usage.cc", "include"),
    ("our header in brackets", including("#include <kezek/id.h>"), "quota/usage.cc", "include"),
    ("a header that is not there", including('#include "quota/lost.h"'), "quota/usage.cc",
     "include"),
    ("a header without guard", {"src/slurm/rest.h": "int Rest();\n"}, "src/slurm/rest.h", "guard"),
    ("a link to nothing", {"README.md": "[a](docs/a.md#b)\n"}, "README.md", "link"),
    ("a page that nobody finds", {"README.md": "[a](docs/a.md)\n", "docs/a.md": "[b](http://b)\n",
     "docs/b.md": "[a](a.md)\n"}, "docs/b.md", "page"),
    ("unformatted code", {"src/slurm/rest.cc": "int   Rest( );\n"}, "src/slurm/rest.cc", "format"),
]


def write(root, files):
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)


class TidySelfTest(unittest.TestCase):
    def findings(self, changed):
        with tempfile.TemporaryDirectory() as root:
            write(root, {**CLEAN, **changed})
            return tidy.check(root)[1]

    def test_clean_tree_has_no_findings(self):
        self.assertEqual(self.findings({}), [])

    def test_every_violation_is_found(self):
        for what, changed, path, rule in CASES:
            with self.subTest(what):
                found = [(p, r) for p, _, r, _ in self.findings(changed)]
                self.assertIn((path, rule), found)

    def test_every_rule_function_has_a_case(self):
        with tempfile.TemporaryDirectory() as root:
            write(root, CLEAN)
            words = os.path.join(root, "words")
            write(root, {"words": "usa.e\n"})
            os.environ["KEZEK_TIDY_WORDS"] = words
            try:
                rules = {r for _, _, r, _ in tidy.check(root, "words")[1]}
            finally:
                del os.environ["KEZEK_TIDY_WORDS"]
            self.assertEqual(rules, {"word"})

    def test_a_figure_for_people_may_be_a_fraction(self):
        text = CLEAN["quota/usage.h"] + "\ndouble Hours();  // for people\n"
        self.assertEqual(self.findings({"quota/usage.h": text}), [])

    def test_that_holds_for_its_paragraph_only(self):
        text = CLEAN["quota/usage.h"] + "\n// For people.\ndouble A();\n\ndouble B();\n"
        found = self.findings({"quota/usage.h": text})
        self.assertEqual([(line, rule) for _, line, rule, _ in found], [(10, "float")])

    def test_comments_and_literals_are_not_code(self):
        text = ('a("std::thread"); // std::mutex\n/* rand(\n) */ b(\'"\'); R"(time(0))";\n'
                "int n = 1'000;")
        code = source_text.code_only(text)
        self.assertNotRegex(code, "thread|mutex|rand|time")
        self.assertEqual(code.count("\n"), text.count("\n"))
        self.assertIn("int n = 1'000;", code)
        self.assertIn("b(", code)

    def test_nothing_to_look_at_fails(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tidy.py")
        with tempfile.TemporaryDirectory() as root:
            run = subprocess.run([sys.executable, script, root], capture_output=True)
        self.assertEqual(run.returncode, 1)


if __name__ == "__main__":
    unittest.main()
