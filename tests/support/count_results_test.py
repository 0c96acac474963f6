#!/usr/bin/env python3
"""Goal: the last line of tests/run tells the truth; what failed, is missing or empty is no pass.
Method: writes reports as ctest and GoogleTest write them and reads the count."""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import count_results  # noqa: E402


def gtest_case(name, result="COMPLETED", failed=False):
    case = {"name": name, "status": "RUN", "result": result}
    if failed:
        case["failures"] = [{"failure": "x"}]
    return case


class CountTest(unittest.TestCase):
    def count(self, programs, cases=None, steps=0):
        """Exit status and last line for {program: ctest status} and {program: GoogleTest cases}."""
        with tempfile.TemporaryDirectory() as folder:
            rows = "".join(f'<testcase name="{n}" status="{s}"/>' for n, s in programs.items())
            with open(os.path.join(folder, "ctest.xml"), "w", encoding="utf-8") as file:
                file.write(f"<testsuite>{rows}</testsuite>")
            for name, listed in (cases or {}).items():
                with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as file:
                    json.dump({"testsuites": [{"testsuite": listed}]}, file)
            return self.run_main(["--steps", str(steps), folder])

    def run_main(self, arguments):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = count_results.main(arguments)
        return status, output.getvalue().strip().split("\n")[-1]

    def test_scripts_count_once(self):
        self.assertEqual(self.count({"a": "run", "b": "run"}), (0, "2 passed, 0 failed, 0 skipped"))

    def test_programs_count_their_cases(self):
        cases = {"a": [gtest_case("x"), gtest_case("y"), gtest_case("z", "SKIPPED")]}
        self.assertEqual(self.count({"a": "run"}, cases), (0, "2 passed, 0 failed, 1 skipped"))

    def test_every_report_of_a_folder_counts(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, status in (("ctest", "run"), ("slurm", "fail")):
                with open(os.path.join(folder, name + ".xml"), "w", encoding="utf-8") as file:
                    file.write(f'<testsuite><testcase name="a" status="{status}"/></testsuite>')
            self.assertEqual(self.run_main([folder]), (1, "1 passed, 1 failed, 0 skipped"))

    def test_failed_case(self):
        cases = {"a": [gtest_case("x"), gtest_case("y", failed=True)]}
        self.assertEqual(self.count({"a": "fail"}, cases), (1, "1 passed, 1 failed, 0 skipped"))

    def test_crash_without_a_report(self):
        self.assertEqual(self.count({"a": "fail", "b": "run"}),
                         (1, "1 passed, 1 failed, 0 skipped"))

    def test_crash_after_the_last_case(self):
        self.assertEqual(self.count({"a": "fail"}, {"a": [gtest_case("x")]}),
                         (1, "1 passed, 1 failed, 0 skipped"))

    def test_only_skipped_is_no_success(self):
        self.assertEqual(self.count({"a": "notrun"}), (1, "0 passed, 0 failed, 1 skipped"))

    def test_no_test_at_all(self):
        self.assertEqual(self.count({}), (1, "0 passed, 1 failed, 0 skipped"))

    def test_failed_build_step(self):
        self.assertEqual(self.count({"a": "run"}, steps=1), (1, "1 passed, 1 failed, 0 skipped"))

    def test_missing_report(self):
        self.assertEqual(self.run_main(["/nonexistent"]), (1, "0 passed, 1 failed, 0 skipped"))

    def test_no_folder(self):
        self.assertEqual(self.run_main([]), (1, "0 passed, 0 failed, 0 skipped"))


if __name__ == "__main__":
    unittest.main()
