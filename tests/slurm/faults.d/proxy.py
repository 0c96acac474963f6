"""Between kezekd and slurmrestd: requests are passed on, and while a trouble is set, some of them
suffer it. It knows HTTP/1.1 as slurmrestd speaks it: lengths, no chunks, connections that are
kept."""

import collections
import random
import socket
import threading
import time

TROUBLES = ("answer-lost", "answer-late", "delivered-late", "delivered-twice", "delivered-again",
            "refused")
CONNECT_S, ANSWER_S = 3, 120


class Broken(Exception):
    """A connection ended, or what came over it is no HTTP."""


class Message:
    """A request or an answer: first line and headers as they came, and the body."""

    def __init__(self, head, body):
        self.head, self.body = head, body
        self.first = head.split(b"\r\n", 1)[0].decode("latin-1")

    def bytes(self):
        return self.head + b"\r\n\r\n" + self.body

    def method(self):
        return self.first.split(" ", 1)[0]

    def closes(self):
        return b"\r\nconnection: close" in self.head.lower()


def header(head, name):
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""


def receive(connection, kept):
    """The next message, and what came after it; None where the other side is done."""
    while b"\r\n\r\n" not in kept:
        part = connection.recv(65536)
        if not part:
            if kept:
                raise Broken("ended inside the headers")
            return None, b""
        kept += part
    head, _, kept = kept.partition(b"\r\n\r\n")
    length = int(header(head, b"content-length") or 0)
    parts, have = [kept], len(kept)
    while have < length:
        part = connection.recv(min(1 << 20, length - have))
        if not part:
            raise Broken("ended inside the body")
        parts.append(part)
        have += len(part)
    whole = b"".join(parts)
    return Message(head, whole[:length]), whole[length:]


class Proxy:
    """Listens on a free port of 127.0.0.1 until it is closed."""

    def __init__(self, upstream, timeout_s, seed):
        self.upstream, self.timeout_s = upstream, timeout_s
        self.rng = random.Random(seed)
        self.lock = threading.Lock()
        self.trouble, self.share = "", 0.0
        self.suffered = collections.Counter()
        self.requests = collections.Counter()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.open = True
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.open = False
        self.listener.close()

    def set(self, trouble="", share=0.0):
        """From now on this share of what changes something suffers it, a tenth of what reads."""
        with self.lock:
            self.trouble, self.share = trouble, share

    def accept(self):
        while self.open:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        kept = b""
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            upstream = None
            try:
                while True:
                    request, kept = receive(connection, kept)
                    if request is None:
                        return
                    if upstream is None:
                        upstream = self.connect()
                    answer = self.suffer(request, upstream)
                    if answer is None:
                        return
                    connection.sendall(answer.bytes())
                    if answer.closes() or request.closes():
                        return
            except (OSError, Broken, ValueError):
                return
            finally:
                if upstream is not None:
                    upstream.close()

    def connect(self):
        upstream = socket.create_connection(self.upstream, timeout=CONNECT_S)
        upstream.settimeout(ANSWER_S)
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return upstream

    def choose(self, request):
        """The trouble that this request meets, and how long a delay is."""
        with self.lock:
            self.requests[request.method()] += 1
            share = self.share if request.method() != "GET" else self.share / 10
            hit = self.trouble != "" and self.rng.random() < share
            trouble = self.trouble if hit else ""
            if trouble.startswith("delivered") and request.method() == "GET":
                trouble = ""
            if trouble:
                self.suffered[f"{trouble} {request.method()}"] += 1
            return trouble, self.rng.random()

    def suffer(self, request, upstream):
        """The answer that is passed on; None: the connection is to end instead."""
        trouble, chance = self.choose(request)
        if trouble == "refused":
            return None
        if trouble == "delivered-late":  # but sooner than Slurm's own time-out after ours
            time.sleep(self.timeout_s + 0.5 + 5 * chance)
        answer = self.ask(request, upstream)
        if trouble in ("answer-lost", "delivered-late"):
            return None
        if trouble == "answer-late":
            time.sleep(self.timeout_s + 0.5 + 5 * chance)
        if trouble == "delivered-twice":
            answer = self.ask_anew(request)
        if trouble == "delivered-again":
            timer = threading.Timer(0.2 + 10 * chance, self.ask_quietly, [request])
            timer.daemon = True
            timer.start()
        return answer

    def ask(self, request, upstream):
        upstream.sendall(request.bytes())
        answer, _ = receive(upstream, b"")
        if answer is None:
            raise Broken("no answer")
        return answer

    def ask_anew(self, request):
        upstream = self.connect()
        with upstream:
            return self.ask(request, upstream)

    def ask_quietly(self, request):
        try:
            self.ask_anew(request)
        except (OSError, Broken, ValueError):
            pass
