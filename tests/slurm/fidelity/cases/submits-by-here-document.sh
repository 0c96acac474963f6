#!/bin/bash
#SBATCH -t 5 -J parent -o out
#: prints step 1 of evaluation, run by evaluation
step=1
submit <<JOB >/dev/null
#!/bin/bash
#SBATCH -t 5 -J evaluation -o child-out
echo "step $step of evaluation, run by \$SLURM_JOB_NAME"
JOB
