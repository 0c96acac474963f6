#!/bin/bash
#SBATCH -t 5 -o out
trap 'echo got TERM; sleep 1; echo done; exit 9' TERM
#: id=$(submit job.sh)
#: until [ -e started ]; do sleep 0.2; done
#: cancel "$id"
touch started
# The sleeper stays: else the shell might see its end before its own signal.
(trap '' TERM; exec sleep 200) &
wait
