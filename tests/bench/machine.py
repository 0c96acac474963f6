"""Prints the facts of the machine that figures depend on, as JSON: machine.py FOLDER COMMIT SLURM.
FOLDER lies where the databases lie: the cost of a flush is measured there. SLURM is the version as
`sbatch --version` prints it, empty where none runs."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time


def first_line(path, key):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(key):
                return line.split(":", 1)[1].strip()
    return ""


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def flush_us(folder, times=200):
    """Median time of writing 8 KiB over a file and flushing it."""
    took = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        number = file.fileno()
        os.pwrite(number, b"x" * 8192 * times, 0)
        os.fsync(number)
        for i in range(times):
            began = time.perf_counter()
            os.pwrite(number, b"y" * 8192, 8192 * i)
            os.fdatasync(number)
            took.append((time.perf_counter() - began) * 1e6)
    return round(statistics.median(took))


def main():
    folder, commit, slurm = sys.argv[1:]
    facts = {
        "commit": commit,
        "cpu": first_line("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_mib": int(first_line("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "kernel": platform.release(),
        "file_system": output_of("findmnt", "-n", "-o", "FSTYPE", "-T", folder),
        "flush_8k_us": flush_us(folder),
        "load_at_start": round(os.getloadavg()[0], 2),
        "postgresql": output_of("psql", "-XAt", "-c", "show server_version"),
        "synchronous_commit": output_of("psql", "-XAt", "-c", "show synchronous_commit"),
        "fsync": output_of("psql", "-XAt", "-c", "show fsync"),
        "slurm": slurm.replace("slurm-wlm ", "").replace("slurm ", ""),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
