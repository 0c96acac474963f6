"""Goal: the ways in are there on real parts: munge gives a token on a host of the cluster and
nobody else's; a sync with a directory shuts a leaver out and lets who returns back in; with TLS the
command line, HTTP and a foreign client are served, new certificates are taken without a restart,
and calls above the rate are put off.

Method: the demo's cluster. TLS is spoken by a second kezekd over the same database, which leads
once the demo's own has ended. Every check undoes what would stand in the way of the next."""

import os
import shutil
import ssl
import subprocess
import time
import traceback
import urllib.error
import urllib.request

import harness
import standby

PROJECTS = {"aizhan": "research/national-ai-centre/alem-llm", "daulet": "universities/kaznu/nlp"}
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def expect(found, wanted, what):
    assert found == wanted, f"{what}: {found!r}, expected {wanted!r}"


def refuses(result, words):
    status, output, errors = result
    assert status != 0 and words in errors, f"{status} {output!r} {errors!r}, not {words!r}"


class Stranger:
    """kezek as somebody's Unix user, without any file of theirs: munge is all there is."""

    def __init__(self, cluster, unix):
        self.cluster, self.unix = cluster, unix
        self.home = os.path.join(cluster.folder, "strangers", unix)
        os.makedirs(self.home, exist_ok=True)
        shutil.chown(self.home, unix, unix if unix != "nobody" else "nogroup")

    def kezek(self, *arguments, munge=True):
        socket = f"{self.cluster.folder}/slurm/munge/munge.sock" if munge else "/nonexistent"
        env = dict(self.cluster.client_env, PATH="/usr/bin:/bin", HOME=self.home, LC_ALL="C.UTF-8",
                   KEZEK_ENDPOINT=self.cluster.endpoint, KEZEK_MUNGE_SOCKET=socket)
        done = subprocess.run([f"{self.cluster.folder}/bin/kezek", *arguments], env=env, text=True,
                              cwd=self.home, user=self.unix, extra_groups=[], timeout=180,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
        return done.returncode, done.stdout, done.stderr


def admin(cluster, *arguments, script=None):
    """(exit status, output, errors) of the command as the cluster's admin."""
    with open(f"{cluster.folder}/kezek/admin.token", encoding="utf-8") as file:
        env = dict(os.environ, **cluster.client_env, KEZEK_CONFIG="/dev/null",
                   KEZEK_TOKEN=file.read().strip(), KEZEK_ENDPOINT=cluster.endpoint)
    done = subprocess.run([f"{cluster.folder}/bin/kezek", *arguments], env=env, text=True,
                          input=script, timeout=180, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout, done.stderr


def token_of(cluster, user):
    with open(f"{cluster.home(user)}/.kezek-token", encoding="utf-8") as file:
        return file.read().strip()


@check
def signs_in_by_munge(cluster):
    timur = Stranger(cluster, "kz-timur")
    refuses(timur.kezek("whoami", munge=False), "token")
    for _ in range(2):  # the second time with the token of the first
        status, output, errors = timur.kezek("whoami", "-o", "json")
        assert status == 0 and '"timur@satbayev"' in output, f"{status} {output!r} {errors!r}"
    status, output, _ = timur.kezek("token", "list", "-o", "json")
    expect((status, output.count('"munge sign-in"')), (0, 1), "tokens of one sign-in")
    refuses(Stranger(cluster, "nobody").kezek("whoami"), "belongs to no user")
    refuses(Stranger(cluster, "root").kezek("whoami"), "system account")


def list_of(*names):
    return "name,projects\n" + "".join(f"{name},universities/kaznu/nlp\n" for name in names)


@check
def syncs_with_a_directory(cluster):
    def sync(people, *more):
        return admin(cluster, "admin", "sync", "universities/kaznu", "--file", "-", *more,
                     script=people)

    def why():
        return admin(cluster, "why", waiting)[1]

    whole = cluster.submit("aizhan", "--nodes", str(cluster.nodes), "--gpus-per-node", "8",
                           "--time", "10m", "--", "sleep", "500")
    cluster.until("its start", lambda: cluster.state("aizhan", whole) == "running", 180)
    waiting = cluster.submit("daulet", "--gpus", "1", "--time", "5m", "--", "true")
    status, output, errors = sync(list_of("madina@kaznu"))
    assert status == 0 and "daulet@kaznu" in output and "Nothing was changed" in errors, errors
    expect(cluster.kezek("daulet", "whoami")[0], 0, "before it is applied")
    status, output, errors = sync(list_of("madina@kaznu"), "--yes")
    assert status == 0 and "Applied." in output, f"{status} {output!r} {errors!r}"
    refuses(cluster.kezek("daulet", "whoami"), "token")
    refuses(Stranger(cluster, "kz-daulet").kezek("whoami"), "has no access")
    expect(cluster.kezek("aizhan", "cancel", whole)[0], 0, "cancel")
    cluster.until("the hold of a leaver's job", lambda: "daulet@kaznu has no access" in why())
    status, output, _ = admin(cluster, "show", "-o", "json", waiting)
    assert status == 0 and '"JOB_STATE_QUEUED"' in output, output
    status, output, errors = sync(list_of("madina@kaznu", "daulet@kaznu"), "--yes")
    assert status == 0 and "Applied." in output, f"{status} {output!r} {errors!r}"
    refuses(cluster.kezek("daulet", "whoami"), "token")
    daulet = Stranger(cluster, "kz-daulet")
    expect(daulet.kezek("wait", waiting)[0], 0, "the job of who is back")


class Certificates:
    """An authority of its own and a server's certificate, replaced together."""

    def __init__(self, cluster):
        self.folder = os.path.join(cluster.folder, "tls")
        os.makedirs(self.folder, exist_ok=True)
        self.certificate = os.path.join(self.folder, "server.crt")
        self.key = os.path.join(self.folder, "server.key")

    def issue(self, name):
        """The path of a new authority's certificate, which has issued the server's."""
        authority = os.path.join(self.folder, name)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self._openssl(*key, "-keyout", f"{authority}.key", "-out", f"{authority}.crt",
                      "-subj", f"/CN={name}")
        self._openssl(*key, "-keyout", f"{self.key}.new", "-out", f"{self.certificate}.new",
                      "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key",
                      "-subj", "/CN=server",
                      "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                      "-addext", "basicConstraints=critical,CA:FALSE")
        shutil.chown(f"{self.key}.new", "kezek", "kezek")
        os.chmod(f"{self.key}.new", 0o400)
        os.chmod(f"{authority}.crt", 0o644)
        os.chmod(f"{self.certificate}.new", 0o644)
        os.replace(f"{self.key}.new", self.key)
        os.replace(f"{self.certificate}.new", self.certificate)
        return f"{authority}.crt"

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", "req", "-x509", "-days", "2", *arguments], check=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def live(port, authority):
    """Whether the HTTP server proves itself with this authority and says it lives."""
    try:
        context = ssl.create_default_context(cafile=authority)
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/livez", timeout=20,
                                    context=context) as answer:
            return answer.status == 200
    except urllib.error.URLError:
        return False


def calls_as_a_foreign_client(cluster, authority):
    env = dict(os.environ, KEZEK_TOKEN=token_of(cluster, "aizhan"), KEZEK_CA_FILE=authority)
    client = os.path.join(harness.ROOT, "tests", "e2e", "foreign_client.py")
    done = subprocess.run([client, cluster.endpoint, PROJECTS["aizhan"], "--until-put-off"],
                          env=env, text=True, check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=400)
    expect(done.returncode, 0, f"the exit status of foreign_client.py, which says: {done.stdout}")


@check
def speaks_tls(cluster):
    certificates = Certificates(cluster)
    first = certificates.issue("first")
    http = standby.free_port()
    settings = (f"tls: {{certificate: {certificates.certificate}, key: {certificates.key}}}\n"
                "limits: {calls_per_second: 2, calls_burst: 100}\n")
    with standby.Second(cluster, http=f"127.0.0.1:{http}", more=settings) as second:
        cluster.stop_kezekd()
        cluster.endpoint, cluster.client_env = second.endpoint, {"KEZEK_CA_FILE": first}
        cluster.until("the one with TLS to lead", lambda: admin(cluster, "usage")[0] == 0)
        job = cluster.submit("aizhan", "--gpus", "1", "--time", "5m", "--", "echo", "encrypted")
        expect(cluster.kezek("aizhan", "wait", job)[0], 0, "a job through TLS")
        expect(cluster.kezek("aizhan", "logs", job)[1], "encrypted\n", "its output")
        expect(Stranger(cluster, "kz-timur").kezek("whoami")[0], 0, "munge through TLS")
        cluster.client_env = {}
        refuses(cluster.kezek("aizhan", "whoami"), second.endpoint)
        assert live(http, first), "/livez over https"
        calls_as_a_foreign_client(cluster, first)

        other = certificates.issue("other")
        cluster.client_env = {"KEZEK_CA_FILE": other}
        cluster.until("the new certificate", lambda: cluster.kezek("timur", "whoami")[0] == 0)
        cluster.until("the new certificate over HTTP", lambda: live(http, other))
        assert not live(http, first), "the old authority is trusted no more"
        cluster.client_env = {"KEZEK_CA_FILE": first}
        refuses(cluster.kezek("timur", "whoami"), second.endpoint)
        assert second.process.poll() is None, "it has been restarted"
    cluster.client_env = {}


def run(cluster):
    """Runs all checks; the exit status."""
    failed = 0
    for one in CHECKS:
        start = time.monotonic()
        try:
            one(cluster)
            print(f"ok     {one.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception:  # every check runs
            failed += 1
            print(f"FAILED {one.__name__}\n{traceback.format_exc(limit=-2)}", flush=True)
    print(f"{len(CHECKS) - failed} of {len(CHECKS)} checks passed")
    if failed:
        print(cluster.tail_of_log())
    return 1 if failed else 0
