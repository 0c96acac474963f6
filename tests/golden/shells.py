#!/usr/bin/env python3
"""Goal: completion works in real shells, and the manual pages are sound.

Method: the scripts that `kezek completion` prints are loaded into bash, zsh and fish, which are
asked what they would offer; bash also gets a line typed on a terminal. No server runs, so this also
shows that completion says nothing then. The pages that the hidden `kezek __man` writes go through
groff and mandoc, whose warnings fail the test. A shell or checker that is not installed fails it,
too: they are in the group test of deploy/packages.txt.

    tests/golden/shells.py build/dev/bin/kezek
"""

import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

KEZEK = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else "kezek"

# What is typed, and what must be offered; "!" stands before what must not be.
LINES = (
    ("kezek qu", ["queue"]),
    ("kezek w", ["whoami", "why", "wait", "!queue"]),
    ("kezek queue --stat", ["--state"]),
    ("kezek queue --state r", ["running", "!queued"]),
    ("kezek queue --state=r", ["running"]),
    ("kezek queue --state running,fa", ["failed"]),
    ("kezek -o j", ["json"]),
    ("kezek admin node d", ["drain"]),
    ("kezek submit --within ", ["leaf", "block"]),
    ("kezek --context ", ["demo", "test"]),
    ("kezek --context=te", ["test", "!demo"]),
    ("kezek config use-context ", ["demo", "test"]),
    ("kezek logs ", ["!queue"]),
)


class Home(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="kezek-shells-")
        self.addCleanup(shutil.rmtree, self.home)
        folder = os.path.join(self.home, ".config", "kezek")
        os.makedirs(folder)
        path = os.path.join(folder, "config.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("current: demo\ncontexts:\n"
                       "  demo: {endpoint: '127.0.0.1:1'}\n  test: {endpoint: '127.0.0.1:1'}\n")
        os.chmod(path, 0o600)
        self.env = {"HOME": self.home, "LC_ALL": "C.UTF-8", "TERM": "dumb", "ZDOTDIR": self.home,
                    "PATH": os.path.dirname(KEZEK) + ":/usr/bin:/bin"}

    def need(self, program):
        path = shutil.which(program)
        self.assertIsNotNone(path, f"{program} is not installed")
        return path

    def script(self, shell):
        path = os.path.join(self.home, "kezek." + shell)
        with open(path, "w", encoding="utf-8") as file:
            subprocess.run([KEZEK, "completion", shell], stdout=file, env=self.env, check=True)
        return path

    def check(self, shell, setup, asks):
        """asks: for each of LINES what makes the shell print what it offers, a candidate a line."""
        text = setup + "".join(ask + "\necho @@@@\n" for ask in asks)
        run = subprocess.run(shell, input=text, env=self.env, capture_output=True, text=True,
                             timeout=120, check=False)
        self.assertEqual(run.stderr, "")
        answers = run.stdout.split("@@@@\n")
        self.assertEqual(len(answers), len(LINES) + 1, run.stdout)
        for (line, wanted), answer in zip(LINES, answers):
            offered = [each.split("\t")[0].split(":")[0] for each in answer.split("\n")]
            # Whole words, or only what follows a break: as the shell likes it.
            offered += [each.split("=")[-1].split(",")[-1] for each in offered]
            for word in wanted:
                if word.startswith("!"):
                    self.assertNotIn(word[1:], offered, line)
                else:
                    self.assertIn(word, offered, line)


class Bash(Home):
    def test_offers(self):
        bash = self.need("bash")
        self.check([bash, "--norc", "--noprofile"], f"source {self.script('bash')}\n",
                   [f"COMP_LINE='{line}'; COMP_POINT={len(line)}; _kezek\n"
                    "printf '%s\\n' \"${COMPREPLY[@]}\"" for line, _ in LINES])

    def test_typed(self):
        bash = self.need("bash")
        script = self.script("bash")
        shell, terminal = pty.openpty()
        child = subprocess.Popen([bash, "--norc", "--noprofile", "-i"], stdin=terminal,
                                 stdout=terminal, stderr=terminal, close_fds=True,
                                 start_new_session=True, env=self.env)
        os.close(terminal)
        try:
            self.type(shell, f"source {script}; PS1='ready>'\n", b"\nready>", b"\rready>")
            # The word is completed, and so is the value, and the line runs.
            seen = self.type(shell, "kezek conf\tget-c\t-o na\t\n", b"test\r\n")
            self.assertIn(b"get-contexts", seen)
            self.assertIn(b"demo\r\n", seen)
        finally:
            child.kill()
            child.wait()
            os.close(shell)

    def type(self, shell, keys, *until):
        os.write(shell, keys.encode())
        seen = b""
        end = time.monotonic() + 60
        while not any(text in seen for text in until):
            self.assertLess(time.monotonic(), end, seen)
            if select.select([shell], [], [], 1)[0]:
                seen += os.read(shell, 4096)
        return seen


class Fish(Home):
    def test_offers(self):
        fish = self.need("fish")
        self.check([fish, "--no-config"], f"source {self.script('fish')}\n",
                   [f"complete -C '{line}'" for line, _ in LINES])


class Zsh(Home):
    # compadd tells what it is given instead of offering it.
    SPY = """
autoload -Uz compinit && compinit -u -d "$HOME/dump"
source SCRIPT
_describe() { local name=${@[-1]}; print -rl -- ${(P)name}; }
_files() { print -r -- files; }
"""

    def test_offers(self):
        zsh = self.need("zsh")
        spy = self.SPY.replace("SCRIPT", self.script("zsh"))
        asks = []
        for line, _ in LINES:
            words = line.split(" ")
            quoted = " ".join("'" + word + "'" for word in words)
            asks.append(f"words=({quoted}); CURRENT={len(words)}; _kezek")
        self.check([zsh, "-f"], spy, asks)


class Manual(Home):
    def setUp(self):
        super().setUp()
        self.folder = os.path.join(self.home, "man1")
        subprocess.run([KEZEK, "__man", self.folder], env=self.env, check=True)
        self.pages = sorted(os.listdir(self.folder))

    def lint(self, command):
        for page in self.pages:
            run = subprocess.run(command + [os.path.join(self.folder, page)], env=self.env,
                                 capture_output=True, text=True, check=False)
            self.assertEqual((run.returncode, run.stderr), (0, ""), page + run.stdout[-2000:])

    def test_there_is_one_for_each_command(self):
        for page in ("kezek.1", "kezek-submit.1", "kezek-queue.1", "kezek-admin-node-drain.1"):
            self.assertIn(page, self.pages)
        self.assertGreater(len(self.pages), 40)
        self.assertNotIn("kezek-__man.1", self.pages)

    def test_groff_has_no_complaint(self):
        self.need("groff")
        self.lint(["groff", "-man", "-ww", "-Kutf8", "-Tutf8", "-z"])

    def test_mandoc_has_no_complaint(self):
        self.need("mandoc")
        self.lint(["mandoc", "-T", "lint", "-W", "warning"])


if __name__ == "__main__":
    unittest.main()
