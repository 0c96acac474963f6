#!/bin/bash
#SBATCH -J resnet-50 -N 2 --ntasks-per-node=4 -c 2 -t 1:30:00 -o out
#SBATCH --comment=baseline
#: prints 8 tasks, 2 nodes, 01:30:00
show=$(scontrol show job "$SLURM_JOB_ID")
of() { grep -oP "(?<=\b$1=)\S+" <<<"$show" | head -1; }
echo "$(of NumTasks) tasks, $(of NumNodes) nodes, $(of TimeLimit)"
for field in JobName Comment Requeue Restarts BatchFlag CPUs/Task WorkDir StdOut StdErr StdIn; do
  echo "$field $(of "$field")"
done
squeue -h -j "$SLURM_JOB_ID" -o '%j %T %D %l %u'
