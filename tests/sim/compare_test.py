#!/usr/bin/env python3
"""Goal: `kezek-sim compare` and `replay` as people call them: figures, files, errors, statuses.
Method: runs the program on a trace of a few jobs whose waits are worked out here."""

import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

PROGRAM = os.path.join(os.environ.get("KEZEK_BIN_DIR", "build/dev/bin"), "kezek-sim")
# Four GPUs: the second waits for the first; the third would fit beside it.
TRACE = """trace,job_id,submit_s,duration_s,gpus,nodes,user,vc,status,queue_delay_s,req_walltime_s
t,a,0,10,3,,ann,x,,0,20
t,b,1,10,2,,bob,y,,9,20
t,c,2,5,1,,ann,x,,,5
"""


class Compare(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        with gzip.open(self.path("few.csv.gz"), "wt", encoding="utf-8") as file:
            file.write(TRACE)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def run_sim(self, *arguments):
        environment = dict(os.environ, KEZEK_TRACES=self.folder.name)
        return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60,
                              env=environment, check=False)

    def compare(self, *arguments):
        run = self.run_sim("compare", "--trace", "few", "--capacity", "4", "--gpus-per-node", "4",
                           "--json", *arguments)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def test_waits_of_each_policy(self):
        figures = {p["policy"]: p for p in self.compare()["policies"]}
        self.assertEqual(list(figures)[0], "fifo")
        self.assertEqual(list(figures)[-1], "kezek")
        self.assertAlmostEqual(figures["fifo"]["mean_wait_s"], (0 + 9 + 8) / 3)
        self.assertAlmostEqual(figures["easy"]["mean_wait_s"], 3)
        self.assertAlmostEqual(figures["easy"]["mean_completion_s"], 3 + 25 / 3)
        self.assertEqual(figures["easy"]["longest_wait_s"], 9)
        self.assertEqual([g["group"] for g in figures["easy"]["by_group"]], ["x", "y"])
        self.assertEqual([s["gpus"] for s in figures["easy"]["by_size"]], ["1", "2-4"])
        self.assertNotIn("groups_that_wait_less_than_under_easy", figures["easy"])
        self.assertEqual(figures["fifo"]["groups_that_wait_less_than_under_easy"], 0)
        self.assertEqual(figures["fifo"]["groups_that_wait_more_than_under_easy"], 1)
        self.assertEqual(figures["multifactor"]["parameters"]["PriorityFlags"], "FAIR_TREE")

    def test_the_same_twice(self):
        def without_ticks(result):
            for policy in result["policies"]:
                for name in ("tick_ms_p50", "tick_ms_p99", "tick_ms_max"):
                    del policy[name]
            return result

        options = ("--estimates", "noisy", "--seed", "7")
        first, second = (without_ticks(self.compare(*options)) for _ in range(2))
        self.assertEqual(first, second)

    def test_choice_of_policies_and_jobs(self):
        result = self.compare("--policies", "easy,fifo", "--vc", "x=1", "--from", "1")
        self.assertEqual([p["policy"] for p in result["policies"]], ["easy", "fifo"])
        self.assertEqual(result["jobs"], 1)
        self.assertEqual(result["left_out"], [{"why": "are of groups without nodes", "jobs": 1}])

    def test_groups_kept_apart(self):
        run = self.run_sim("compare", "--trace", "few", "--capacity", "8", "--gpus-per-node", "4",
                           "--vc", "x=1,y=1", "--split", "--json", "--policies", "fifo,kezek")
        self.assertEqual(run.returncode, 0, run.stderr)
        for policy in json.loads(run.stdout)["policies"]:
            self.assertEqual(policy["mean_wait_s"], 0)

    def test_files(self):
        run = self.run_sim("replay", "--trace", self.path("few.csv.gz"), "--capacity", "4",
                           "--gpus-per-node", "4", "--policy", "easy", "--svg", self.path("plots"),
                           "--jobs-csv", self.path("jobs.csv"))
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("few.csv.gz: 3 jobs on 1 nodes of 4 (4 GPUs)", run.stdout)
        with open(self.path("jobs.csv"), encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(r["job_id"], r["start_s"], r["end_s"]) for r in rows],
                         [("a", "0", "10"), ("b", "10", "20"), ("c", "2", "7")])
        for name in ("waits.svg", "utilisation.svg"):
            root = xml.etree.ElementTree.parse(os.path.join(self.path("plots"), name)).getroot()
            self.assertTrue(root.tag.endswith("svg"))

    def test_errors(self):
        with open(self.path("bad.csv"), "w", encoding="utf-8") as file:
            file.write("submit_s,duration_s,gpus\n0,1,1\n0,one,1\n")
        for arguments, status, words in (
                (("compare", "--trace", "bad", "--capacity", "8"), 2, "bad.csv: line 3: duration"),
                (("compare", "--trace", "none", "--capacity", "8"), 2, "there are bad, few"),
                (("compare", "--trace", "few", "--capacity", "9"), 2, "no whole number of nodes"),
                (("compare", "--trace", "few", "--capacity", "8", "--vc", "x"), 2, "GROUP=NODES"),
                (("compare", "--trace", "few", "--capacity", "8", "--policies", "best"), None,
                 "best not in"),
                (("replay", "--trace", "few", "--capacity", "8", "--jobs-csv", "/no/such/place"), 2,
                 "cannot be written")):
            run = self.run_sim(*arguments)
            self.assertIn(words, run.stderr)
            self.assertNotEqual(run.returncode, 0)
            if status is not None:
                self.assertEqual(run.returncode, status)
            self.assertEqual(run.stdout, "")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
