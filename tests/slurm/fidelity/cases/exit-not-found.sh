#!/bin/bash
#SBATCH -t 5 -o out
set -e
no-such-command-at-all
