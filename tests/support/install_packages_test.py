#!/usr/bin/env python3
"""Goal: deploy/install-packages installs what is missing and only that, keeps services from
starting while it does, and leaves the site's own policy-rc.d as it found it, also when apt fails.
Method: the real script with apt-get, dpkg-query and sudo replaced by stand-ins that record."""

import os
import subprocess
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/install-packages")
PACKAGES = """build alpha # a comment
build beta sh
run gamma
run delta no-such-command-here
run alpha
"""
DPKG = '#!/bin/sh\ngrep -qx "$4" "$FAKE/installed" && echo "install ok installed"\n'
APT = """#!/bin/sh
echo "$*" >> "$FAKE/calls"
case " $* " in *" install "*)
  "$KEZEK_POLICY_RC"; echo "policy $?" >> "$FAKE/calls"
  [ -e "$FAKE/broken" ] && exit 100
  for word in "$@"; do echo "$word" >> "$FAKE/installed"; done;;
esac
"""
SITE_POLICY = "#!/bin/sh\n# the site's own\nexit 0\n"


class InstallPackagesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.fake = folder.name
        for name, text in (("dpkg-query", DPKG), ("apt-get", APT), ("sudo", SUDO)):
            self.write(name, text, 0o755)
        self.write("installed", "")
        self.write("calls", "")
        self.write("packages.txt", PACKAGES)
        self.policy = os.path.join(self.fake, "policy-rc.d")

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.fake, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def read(self, name):
        with open(os.path.join(self.fake, name), encoding="utf-8") as file:
            return file.read()

    def run_script(self, *arguments):
        environment = dict(os.environ, FAKE=self.fake, KEZEK_POLICY_RC=self.policy,
                           KEZEK_PACKAGES=os.path.join(self.fake, "packages.txt"),
                           PATH=self.fake + ":" + os.environ["PATH"])
        return subprocess.run([SCRIPT, *arguments], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)

    def test_lists_what_is_missing_and_changes_nothing(self):
        run = self.run_script("--list", "build", "run")
        self.assertEqual(run.stdout.split(), ["alpha", "gamma", "delta"])
        self.assertEqual(self.read("calls"), "")

    def test_installs_with_services_forbidden(self):
        run = self.run_script("build")
        self.assertEqual(run.returncode, 0, run.stderr)
        calls = self.read("calls")
        self.assertIn("policy 101", calls)
        self.assertEqual(calls.count(" update"), 1)
        self.assertIn("alpha", self.read("installed"))
        self.assertNotIn("gamma", self.read("installed"))
        self.assertFalse(os.path.exists(self.policy))

    def test_second_run_does_nothing(self):
        self.run_script("build")
        before = self.read("calls")
        self.assertEqual(self.run_script("build").returncode, 0)
        self.assertEqual(self.read("calls"), before)

    def test_keeps_the_sites_policy(self):
        self.write("policy-rc.d", SITE_POLICY, 0o750)
        self.assertEqual(self.run_script("build").returncode, 0)
        self.assertIn("policy 101", self.read("calls"))
        self.assertEqual(self.read("policy-rc.d"), SITE_POLICY)
        self.assertEqual(os.stat(self.policy).st_mode & 0o777, 0o750)

    def test_restores_after_a_failure(self):
        self.write("policy-rc.d", SITE_POLICY, 0o755)
        self.write("broken", "")
        run = self.run_script("build")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("apt-get install failed", run.stderr)
        self.assertEqual(self.read("policy-rc.d"), SITE_POLICY)

    def test_repairs_an_interrupted_run(self):
        self.write("policy-rc.d.kezek-saved", SITE_POLICY, 0o755)
        self.write("policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        self.assertEqual(self.run_script("build").returncode, 0)
        self.assertEqual(self.read("policy-rc.d"), SITE_POLICY)
        self.assertFalse(os.path.exists(self.policy + ".kezek-saved"))

    def test_refuses_unknown_groups_and_options(self):
        self.assertIn("no group 'nope'", self.run_script("nope").stderr)
        self.assertEqual(self.run_script("--nope").returncode, 2)
        self.assertEqual(self.run_script().returncode, 2)
        self.assertEqual(self.read("calls"), "")


SUDO = '#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n'

if __name__ == "__main__":
    unittest.main()
