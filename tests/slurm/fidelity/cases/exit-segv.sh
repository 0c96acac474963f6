#!/bin/bash
#SBATCH -t 5 -o out
ulimit -c 0
exec bash -c 'kill -SEGV $$'
