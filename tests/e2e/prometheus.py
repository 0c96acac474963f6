"""A real Prometheus reads the demo's kezekd with the configuration of deploy/prometheus, and its
answers are what Kezek and Slurm say."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

import harness

CONFIG = os.path.join(harness.ROOT, "deploy", "prometheus")


def get(url, token=None):
    """(status, text)"""
    request = urllib.request.Request(url)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def reader_token(cluster):
    """The token of a user who may read metrics and nothing else."""
    def admin(*arguments):
        with open(f"{cluster.folder}/kezek/admin.token", encoding="utf-8") as file:
            env = dict(os.environ, KEZEK_CONFIG="/dev/null", KEZEK_TOKEN=file.read().strip(),
                       KEZEK_ENDPOINT=cluster.endpoint)
        return subprocess.run([f"{cluster.folder}/bin/kezek", "admin", *arguments], env=env,
                              check=True, text=True, stdout=subprocess.PIPE).stdout.strip()

    admin("user", "create", "prometheus@alem", "--role", "metrics-reader")
    return admin("token", "create", "--user", "prometheus@alem", "--label", "e2e", "-o", "name")


def check_access(cluster, token):
    """Who may read, and what /livez and /readyz say to anybody."""
    metrics = f"{cluster.http}/metrics"
    with open(os.path.join(cluster.home("daulet"), ".kezek-token"), encoding="utf-8") as file:
        researcher = file.read().strip()
    for who, wanted in ((None, 401), ("kzk_wrong", 401), (researcher, 403), (token, 200)):
        status, text = get(metrics, who)
        assert status == wanted, f"/metrics: {status}, expected {wanted}"
        assert ("universities" in text) == (wanted == 200), f"/metrics says to {wanted}: {text}"
    for path, lines in (("livez", ("controller", "committer", "follower")),
                        ("readyz", ("leader", "controller", "database"))):
        status, text = get(f"{cluster.http}/{path}")
        assert (status, text) == (200, "".join(f"{line}: ok\n" for line in lines)), (path, text)


def check_text(cluster, token):
    """promtool finds nothing to mend in what a live kezekd exposes."""
    text = get(f"{cluster.http}/metrics", token)[1]
    lint = subprocess.run(["promtool", "check", "metrics"], input=text, check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert lint.returncode == 0 and not lint.stdout, f"promtool check metrics: {lint.stdout}"


class Prometheus:
    """A Prometheus of its own, in a temporary folder; a context that ends it."""

    def __init__(self, cluster, token):
        self.folder = tempfile.mkdtemp(prefix="kezek-prometheus-", dir="/tmp")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        with open(os.path.join(CONFIG, "prometheus.yml"), encoding="utf-8") as file:
            text = file.read()
        text = text.replace("127.0.0.1:7480", cluster.http.removeprefix("http://"))
        text = re.sub(r"_interval: \w+", "_interval: 1s", text)
        for name, content in (("prometheus.yml", text), ("kezek.token", token)):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                file.write(content)
        shutil.copy(os.path.join(CONFIG, "alerts.yml"), self.folder)
        self.process = None

    def __enter__(self):
        with open(os.path.join(self.folder, "log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                 f"--web.listen-address={self.address}"], cwd=self.folder, stdout=log, stderr=log)
        return self

    def __exit__(self, kind, problem, trace):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        if kind is not None:
            with open(os.path.join(self.folder, "log"), encoding="utf-8") as file:
                print("prometheus: " + file.read()[-2000:])
        shutil.rmtree(self.folder, ignore_errors=True)

    def value(self, query):
        """The one value of a query; None while there is none."""
        url = f"http://{self.address}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        try:
            result = json.loads(get(url)[1])["data"]["result"]
        except (OSError, ValueError, KeyError):
            return None
        return float(result[0]["value"][1]) if len(result) == 1 else None


def agrees(cluster):
    """The whole check."""
    token = reader_token(cluster)
    check_access(cluster, token)
    check_text(cluster, token)
    with Prometheus(cluster, token) as prometheus:
        def until(query, wanted):
            cluster.until(f"{query} = {wanted}, not {prometheus.value(query)}",
                          lambda: prometheus.value(query) == wanted, 60)

        gpus = 8 * cluster.nodes
        until('up{job="kezek"}', 1)
        until("kezek_leader", 1)
        until("sum(kezek_nodes)", cluster.nodes)
        until("sum(kezek_gpus)", gpus)
        until('kezek_account_guarantee_gpus{account="/"}', gpus)
        charged = 'kezek_account_charged_gpu_seconds_total{account="universities/kaznu/nlp"}'
        runs = 'kezek_job_wait_seconds_count{class="normal"}'
        before, runs_before = prometheus.value(charged) or 0, prometheus.value(runs) or 0
        held = 'kezek_queue_jobs{class="normal",reason="HELD_BY_USER"}'
        held_before = prometheus.value(held) or 0
        waiting = cluster.submit("daulet", "--gpus", "2", "--hold", "--", "true")
        job = cluster.submit("daulet", "--gpus", "3", "--time", "5m", "--", "sleep", "8")
        until('kezek_account_allocated_gpus{account="universities/kaznu/nlp"}', 3)
        until('kezek_gpus{state="allocated"}', 3)
        until('kezek_gpus{state="free"}', gpus - 3)
        until(held, held_before + 1)
        until(runs, runs_before + 1)
        assert cluster.kezek("daulet", "wait", job)[0] == 0
        attempt = cluster.job("daulet", job)["attempts"][0]
        seconds = (int(attempt["end_ms"]) - int(attempt["start_ms"])) / 1000
        until(charged, before + 3 * seconds)
        until('kezek_gpus{state="allocated"}', 0)
        assert cluster.kezek("daulet", "cancel", waiting)[0] == 0
        submits = prometheus.value(
            'sum(kezek_rpc_requests_total{method="kezek.v1.JobService/Submit",code="OK"})')
        assert submits >= 2, f"{submits} submissions counted"
        listings = prometheus.value('kezek_slurm_requests_total{call="jobs",outcome="answered"}')
        assert listings > 0, "no listing of Slurm's jobs counted"
        until("kezek_slurm_follower_lag_seconds < bool 30", 1)
        until("count(ALERTS{alertstate=\"firing\"}) or vector(0)", 0)
