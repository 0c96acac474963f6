#!/bin/bash
#SBATCH -t 1 -n 1 --signal=USR2@20 -o out
#: prints task got USR2
# The sleeper stays: else the shell might see its end before its own signal.
srun bash -c 'trap "echo task got USR2; exit 0" USR2
  (trap "" USR2; exec sleep 100 >/dev/null 2>&1) & wait'
echo "srun ended with $?"
