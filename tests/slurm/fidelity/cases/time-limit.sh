#!/bin/bash
#SBATCH -t 1 -o out
#: prints got TERM
trap 'echo "got TERM"; exit 0' TERM
# The sleeper stays: else the shell might see its end before its own signal.
(trap '' TERM; exec sleep 300) &
wait
