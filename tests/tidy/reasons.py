#!/usr/bin/env python3
"""Goal: a reason code stands for something: whoever reads of one in the API's contract can get it
from a server, whoever gets one finds it in the contract, and the CLI has words for no other.
Method: reads the codes out of the sources: those that servers send (literals of src/rpc, of the
readers of src/postgres, scheduler/control and quota, the table of reason_text.h), those that the
comments of the protos list as errors, those of the CLI's ways out and of the golden transcripts'
failures. One line per finding, exit status 1 if there is any; with --selftest, the proof on small
texts that each comparison can fail.

usage: reasons.py ROOT | --selftest"""

import glob
import os
import re
import sys
import unittest

CODE = r"[A-Z]+(?:_[A-Z]+)+"
ONE_WORD = {"REQUIRED", "STOPPING"}  # codes without an underscore
# What gRPC says itself, and names of variables.
STATUS = {"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION",
          "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "OUT_OF_RANGE", "DEADLINE_EXCEEDED",
          "DATA_LOSS"}
VARIABLE = re.compile(r"(?:SLURM|KEZEK|CUDA)_")
# A code that a port gives and a shell looks for.
COMPARED = re.compile(r'IsReason\(\w+, "[A-Z_]+"\)')


def codes_in(text):
    """Codes among the string literals of C++."""
    found = set(re.findall(f'"({CODE})"', COMPARED.sub("", text)))
    found |= {word for word in ONE_WORD if f'"{word}"' in text}
    return {code for code in found if not VARIABLE.match(code)} - STATUS


def table(text):
    """Codes of the table of reason_text.h."""
    return set(re.findall(r'\{k\w+, "([A-Z_]+)"', text))


def comments(text):
    """Each comment of a .proto file as one line."""
    for match in re.finditer(r"((?:^ *//[^\n]*\n)+)", text, re.MULTILINE):
        words = re.sub(r"^ *//", "", match.group(1), flags=re.MULTILINE)
        yield re.sub(r"\s+", " ", words)


def in_words(text):
    """Codes that any comment of a .proto file names."""
    words = " ".join(comments(text))
    return set(re.findall(rf"\b({CODE}|{'|'.join(sorted(ONE_WORD))})\b", words)) - STATUS


def promised(text):
    """Codes listed as errors."""
    found = set()
    for comment in comments(text):
        start = re.search(r"Errors: |may also fail with: ", comment)
        if start:
            found |= set(re.findall(rf"\b({CODE})\b", comment[start.end():]))
    return found - STATUS


def ways(text):
    """Codes at the head of the rows of a table of C++."""
    return set(re.findall(r'^ *\{"([A-Z_]+)",', text, re.MULTILINE))


def read(root, *patterns):
    names = sorted(name for pattern in patterns for name in glob.glob(os.path.join(root, pattern)))
    texts = []
    for name in names:
        with open(name, encoding="utf-8") as file:
            texts.append(file.read())
    return "\n".join(texts)


def findings(texts):
    """Sentences about what differs; `texts` has the keys of main."""
    sent = codes_in(texts["rpc"]) | codes_in(texts["control"])
    known = sent | codes_in(texts["quota"]) | table(texts["table"])
    named = in_words(texts["protos"])
    worded = {"way_out.cc": ways(texts["ways"]), "failures.cc": ways(texts["failures"])}
    for where, found in worded.items():
        yield from (f"{where}: {code}, which no server sends" for code in sorted(found - known))
    for code in sorted(promised(texts["protos"]) - known):
        yield f"proto: {code}, which no server sends"
    for code in sorted(sent | set().union(*worded.values())):
        if code not in named:
            yield f"{code} is sent, and no comment in proto/kezek/v1 names it"


def main(root):
    texts = {"protos": read(root, "proto/kezek/v1/*.proto"),
             "rpc": read(root, "src/rpc/*.h", "src/rpc/*.cc", "src/postgres/*_reader.cc"),
             "control": read(root, "scheduler/control/*.cc"),
             "quota": read(root, "quota/*.cc"),
             "table": read(root, "include/kezek/reason_text.h"),
             "ways": read(root, "src/cmd/kezek/way_out.cc"),
             "failures": read(root, "tests/golden/failures.cc")}
    empty = [name for name, text in texts.items() if not text]
    found = [f"nothing to read: {name}" for name in empty] or list(findings(texts))
    for line in found:
        print(line)
    sent = codes_in(texts["rpc"]) | codes_in(texts["control"])
    print(f"{len(sent)} codes in the shells, {len(table(texts['table']))} in the table, "
          f"{len(ways(texts['ways']))} ways out, {len(found)} findings")
    return 1 if found or not sent else 0


CLEAN = {
    "protos": ("  // Errors: NOT_FOUND JOB_GONE (field\n  // `job`), LIMIT_X.\n"
               "  rpc Get(A) returns (B);\n"
               "  // What: OTHER_WORD.\n  string a = 1;\n"),
    "rpc": 'return NotFound("JOB_GONE", "SLURM_NTASKS");\n',
    "control": "",
    "quota": "",
    "table": '    {kLimit, "LIMIT_X", "Too many."},\n',
    "ways": '    {"JOB_GONE", "Look for it"},\n',
    "failures": '    {"LIMIT_X", grpc::StatusCode::NOT_FOUND, "", "many"},\n',
}


class SelfTest(unittest.TestCase):
    def found(self, **changed):
        return list(findings({**CLEAN, **{key: CLEAN[key] + text
                                          for key, text in changed.items()}}))

    def test_what_agrees_has_no_findings(self):
        self.assertEqual(self.found(), [])

    def test_a_way_out_of_nothing_is_found(self):
        self.assertIn("way_out.cc: OLD_NAME, which no server sends",
                      self.found(ways='    {"OLD_NAME", "Wait"},\n'))
        self.assertIn("failures.cc: OLD_NAME, which no server sends",
                      self.found(failures='    {"OLD_NAME", x},\n'))

    def test_a_promise_that_nobody_keeps_is_found(self):
        text = "  // Changes.\n  // Errors: ABORTED OLD_NAME.\n  rpc Set(A) returns (B);\n"
        self.assertEqual(self.found(protos=text), ["proto: OLD_NAME, which no server sends"])

    def test_what_is_sent_and_written_nowhere_is_found(self):
        missing = "NEW_NAME is sent, and no comment in proto/kezek/v1 names it"
        self.assertEqual(self.found(rpc='Denied("NEW_NAME", "no");\n'), [missing])
        self.assertEqual(self.found(control='Problem("NEW_NAME", "no");\n'), [missing])

    def test_what_is_only_compared_is_not_sent(self):
        self.assertEqual(self.found(rpc='if (IsReason(error, "NEW_NAME")) return;\n'), [])


if __name__ == "__main__":
    if sys.argv[1:] == ["--selftest"]:
        unittest.main(argv=sys.argv[:1])
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
