#!/usr/bin/env python3
"""Goal: the pure libraries know no clock, environment, thread, file, socket, stream or random
device, not even through a library they call.
Method: lists the undefined symbols of their archives with nm and fails on any that reaches outside
the process. What an archive defines itself is no outside symbol. `--selftest` compiles small
violations and proves that each is found.

usage: purity.py ARCHIVE...   |   purity.py --selftest [COMPILER]"""

import os
import re
import subprocess
import sys
import tempfile

FORBIDDEN = (
    ("clock", r"(clock_gettime|clock_getres|clock|gettimeofday|time|times|nanosleep|usleep|sleep"
              r"|localtime(_r)?|gmtime(_r)?|mktime|timer_create)$|std::chrono::.*::now\b"),
    ("environment", r"(secure_getenv|getenv|setenv|putenv|unsetenv|environ)$"),
    ("thread", r"pthread_|thrd_|sem_(wait|post|init)|std::(thread|jthread|mutex|condition_variable"
               r"|_V2::condition|__future_base|this_thread)|(fork|vfork|clone)$|__emutls_"
               r"|__gthread"),
    ("file", r"(f?open(64|at|at64)?|creat|freopen(64)?|fdopen|read|write|p(read|write)(64)?|unlink"
             r"|stat(64)?|mmap(64)?|tmpfile|mkstemp)$|std::(__cxx11::)?basic_[io]?f(stream|ilebuf)"
             r"|std::filesystem::"),
    ("stream", r"std::(cout|cin|cerr|clog|ios_base::Init)\b|(printf|puts|putchar)$"),
    ("socket", r"(socket|connect|bind|listen|accept4?|send(to|msg)?|recv(from|msg)?|getaddrinfo"
               r"|gethostname|poll|epoll_\w+)$"),
    ("random", r"std::(__cxx11::)?random_device|(s?rand(om)?(_r)?|[dlm]rand48|getrandom|getentropy"
               r"|arc4random\w*)$"),
    ("process", r"(system|popen|exec\w+|posix_spawnp?|dlopen|syscall|kill|raise|signal"
                r"|sigaction)$"),
)

# Each must be found in an archive of its own.
IMPURE = {
    "clock": "#include <chrono>\nlong f() {\n"
             "  return std::chrono::steady_clock::now().time_since_epoch().count();\n}\n",
    "clock ": "#include <ctime>\nlong f() { return time(nullptr); }\n",
    "environment": "#include <cstdlib>\nchar* f() { return std::getenv(\"X\"); }\n",
    "thread": "#include <thread>\nvoid f() { std::thread([] {}).join(); }\n",
    "thread ": "#include <mutex>\nstd::mutex m;\nvoid f() { m.lock(); }\n",
    "file": "#include <cstdio>\nvoid* f() { return std::fopen(\"x\", \"r\"); }\n",
    "file ": "#include <fstream>\nvoid f() { std::ofstream x(\"x\"); }\n",
    "file  ": "#include <fcntl.h>\nint f() { return open(\"x\", O_RDONLY); }\n",
    "stream": "#include <iostream>\nvoid f() { std::cout << 1; }\n",
    "socket": "#include <sys/socket.h>\nint f() { return socket(1, 1, 0); }\n",
    "random": "#include <random>\nunsigned f() { return std::random_device()(); }\n",
    "random ": "#include <cstdlib>\nint f() { return std::rand(); }\n",
    "process": "#include <cstdlib>\nint f() { return std::system(\"x\"); }\n",
}
PURE = ("#include <map>\n#include <memory>\n#include <string>\n#include <vector>\n"
        "#include <algorithm>\n#include <cstdio>\n#include <cstdlib>\n"
        "std::string f(std::vector<int> v, std::map<int, std::shared_ptr<int>> m) {\n"
        "  std::sort(v.begin(), v.end());\n"
        "  if (m.empty()) { std::fprintf(stderr, \"%d\", 1); std::abort(); }\n"
        "  return std::to_string(v.at(0)) + std::to_string(*m.begin()->second);\n}\n")


def symbols(archive):
    """(undefined, defined, number of objects) of an archive, demangled."""
    run = subprocess.run(["nm", "-C", archive], capture_output=True, text=True, check=True)
    undefined, defined = set(), set()
    objects = len(re.findall(r"^\S+\.o:$", run.stdout, re.MULTILINE))
    for line in run.stdout.split("\n"):
        match = re.match(r"^(?:[0-9a-f]+| +) ([A-Za-z]) (.*)$", line)
        if match:
            (undefined if match.group(1) in "Uw" else defined).add(match.group(2))
    return undefined, defined, objects


def judge(undefined):
    """(kind, symbol) of each symbol that pure code must not know."""
    found = []
    for symbol in sorted(undefined):
        name = symbol.split("@")[0]
        for kind, pattern in FORBIDDEN:
            if re.match(pattern, name) or re.match(pattern, name.removeprefix("std::")):
                found.append((kind, symbol))
                break
    return found


def check(archives):
    undefined, defined, failures = set(), set(), 0
    for archive in archives:
        missing, known, objects = symbols(archive)
        print(f"{os.path.basename(archive)}: {objects} objects, {len(missing)} outside symbols")
        if objects == 0 or not known:
            print(f"{archive}: holds nothing to look at")
            failures += 1
        defined |= known
        undefined |= missing
    for kind, symbol in judge(undefined - defined):
        print(f"{kind}: {symbol}")
        failures += 1
    return failures


def archive_of(folder, compiler, text):
    source, target = os.path.join(folder, "x.cc"), os.path.join(folder, "x.o")
    archive = os.path.join(folder, "libx.a")
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    subprocess.run([compiler, "-std=c++20", "-O1", "-c", source, "-o", target], check=True)
    subprocess.run(["ar", "rcs", archive, target], check=True)
    return archive


def selftest(compiler):
    failures = 0
    for kind, text in list(IMPURE.items()) + [("", PURE)]:
        with tempfile.TemporaryDirectory() as folder:
            undefined, defined, objects = symbols(archive_of(folder, compiler, text))
        found = {name for name, _ in judge(undefined - defined)}
        wanted = {kind.strip()} if kind else set()
        if objects != 1 or not wanted <= found or (not kind and found):
            print(f"wanted {wanted}, found {found} in:\n{text}{sorted(undefined)}")
            failures += 1
    with tempfile.TemporaryDirectory() as folder:
        empty = os.path.join(folder, "libempty.a")
        subprocess.run(["ar", "rcs", empty], check=True)
        failures += 0 if check([empty]) == 1 else 1
    print(f"{len(IMPURE) + 2} cases, {failures} failures")
    return failures


def main(arguments):
    if arguments and arguments[0] == "--selftest":
        return 1 if selftest(arguments[1] if len(arguments) > 1 else "g++") else 0
    if not arguments:
        print("no archive given")
        return 1
    return 1 if check(arguments) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
