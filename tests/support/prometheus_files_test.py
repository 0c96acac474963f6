"""Goal: the files of deploy/prometheus are good, their alerts ring when they should, and they speak
of no metric that is not in docs/metrics.md. Method: promtool, and the names in the expressions."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILES = os.path.join(ROOT, "deploy", "prometheus")


def promtool(folder, *arguments):
    done = subprocess.run(["promtool", *arguments], cwd=folder, check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout, end="")
    return done.returncode == 0


def unknown_names():
    with open(os.path.join(ROOT, "docs", "metrics.md"), encoding="utf-8") as file:
        known = set(re.findall(r"^\| `(kezek_\w+)` \|", file.read(), re.MULTILINE))
    assert len(known) > 20, "docs/metrics.md has no table"
    with open(os.path.join(FILES, "alerts.yml"), encoding="utf-8") as file:
        used = set(re.findall(r"\bkezek_\w+", file.read()))
    return {name for name in used
            if name not in known and re.sub(r"_(bucket|sum|count)$", "", name) not in known}


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("prometheus.yml", "alerts.yml"):
            shutil.copy(os.path.join(FILES, name), folder)
        shutil.copy(os.path.join(ROOT, "tests", "support", "prometheus_alerts.yml"), folder)
        with open(os.path.join(folder, "kezek.token"), "w", encoding="utf-8") as file:
            file.write("kzk_x\n")
        good = promtool(folder, "check", "config", "prometheus.yml")
        good = promtool(folder, "test", "rules", "prometheus_alerts.yml") and good
        # The check can fail: a rule that is none is found.
        with open(os.path.join(folder, "alerts.yml"), "a", encoding="utf-8") as file:
            file.write("      - {alert: Broken, expr: 'sum(('}\n")
        if promtool(folder, "check", "rules", "alerts.yml"):
            print("promtool takes a broken rule")
            good = False
    unknown = unknown_names()
    if unknown:
        print(f"alerts of metrics that are not in docs/metrics.md: {sorted(unknown)}")
    return 0 if good and not unknown else 1


if __name__ == "__main__":
    sys.exit(main())
