#!/bin/bash
#SBATCH -t 5 -o out
trap 'echo got TERM; sleep 1; echo done; exit 9' TERM
#: id=$(submit job.sh)
#: until [ -e started ]; do sleep 0.2; done
#: cancel "$id"
touch started
sleep 200 &
wait
