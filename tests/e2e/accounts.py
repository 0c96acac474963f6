"""Goal: accounts are ruled by a file that comes back as it went in, nothing changes by asking, what
was changed can be taken back, and the reports of a time are those of the ledger. Method: on a
cluster that has run jobs, one weight is changed and changed back; figures are added up in SQL."""

import csv
import io
import json
import os
import subprocess


def settings_of(cluster):
    """The version, and the file without the lines that name it."""
    _, version, rest = cluster.admin("admin", "export").split("\n", 2)
    assert version.startswith("version: "), version
    return int(version.removeprefix("version: ")), rest


def changes_and_reverts(cluster):
    version, before = settings_of(cluster)
    said = cluster.admin("admin", "apply", "-f", "-", "--reason", "as it is", script=before)
    assert "are as the file has them" in said, said
    changed = before.replace("weight: 30", "weight: 33")
    for asking in ("--plan", "--what-if"):
        said = cluster.admin("admin", "apply", "-f", "-", asking, script=changed)
        assert "30 → 33" in said, said
    cluster.admin("admin", "apply", "-f", "-", "--yes", script=changed, status=2)
    cluster.admin("admin", "apply", "-f", "-", "--reason", "not said yes to", script=changed,
                  status=2)
    assert settings_of(cluster) == (version, before), "asking has changed something"
    cluster.admin("admin", "apply", "-f", "-", "--yes", "--reason", "order 7", script=changed)
    assert settings_of(cluster) == (version + 1, changed), "what was applied is not there"
    assert "order 7" in cluster.admin("admin", "history", "--since", "1h")
    status, _, errors = cluster.kezek("daulet", "admin", "revert", str(version), "--reason", "mine")
    assert status == 5, f"somebody without a role reverts: {status} {errors}"
    said = cluster.admin("admin", "revert", str(version), "--what-if")
    assert "33 → 30" in said, said
    cluster.admin("admin", "revert", str(version), "--yes", "--reason", "order 7 is withdrawn")
    assert settings_of(cluster) == (version + 2, before), "the revert has not brought it back"
    old = f"version: {version}\n"
    said = cluster.admin("admin", "apply", "-f", "-", "--plan", script=old + before)
    assert "are as the file has them" in said, "what is as the file has it overrules nobody"
    said = cluster.admin("admin", "apply", "-f", "-", "--yes", "--reason", "order 7 again",
                         script=old + changed, status=3)
    assert "take the line 'version' out" in said, said
    assert settings_of(cluster) == (version + 2, before), "an old file has overruled a later change"


def reports_what_the_ledger_has(cluster):
    def rows(*arguments):
        text = cluster.admin("report", *arguments, "-o", "csv")
        return list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))

    charged, = cluster.sql("select coalesce(sum(amount), 0) from ledger where book = 'charge'")[0]
    assert int(charged) > 0, "nothing has run"
    for by in ("institution", "user", "class", "day"):
        used = rows("usage", "--by", by, "--since", "1d")
        reported = sum(int(row["charged_milli_gpu_ms"]) - int(row["refunded_milli_gpu_ms"])
                       for row in used)
        assert reported == int(charged), f"by {by}: {reported} reported, {charged} in the ledger"
    assert len(rows("equity", "--by", "sector")) == 5
    named = cluster.admin("report", "equity", "--by", "institution", "-o", "json")
    public = cluster.admin("report", "equity", "--by", "institution", "--public", "-o", "json")
    assert "kaznu" in named and "kaznu" not in public, "the public report names institutions"
    page = json.loads(cluster.admin("admin", "explain-share", "universities/kaznu", "--since",
                                    "1d", "-o", "json"))
    assert page["account"]["group"] == ["universities/kaznu"], page


def a_snapshot_is_replayed(cluster):
    """The site's own jobs as a trace: the simulator runs all of them that ran here."""
    text = cluster.admin("admin", "snapshot", "--since", "1d")
    rows = list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))
    ran, = cluster.sql("select count(*) from attempts "
                       "where outcome = 'succeeded' and end_ms - start_ms >= 1000")[0]
    assert "# gpus: " in text and len(rows) >= int(ran) > 0, f"{len(rows)} rows, {ran} ran"
    path = os.path.join(cluster.folder, "site.csv")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    simulator = os.path.join(cluster.env["KEZEK_DEMO_BIN"], "kezek-sim")
    done = subprocess.run([simulator, "replay", "--trace", path, "--policy", "kezek",
                           "--estimates", "user", "--json"], capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    policy, = json.loads(done.stdout)["policies"]
    with_gpus = sum(1 for row in rows if row["duration_s"] and row["gpus"] != "0")
    assert policy["jobs"] == with_gpus, f"{policy['jobs']} replayed of {with_gpus}"


def run(cluster):
    changes_and_reverts(cluster)
    reports_what_the_ledger_has(cluster)
    a_snapshot_is_replayed(cluster)
