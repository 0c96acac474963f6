#!/bin/bash
#SBATCH -t 5 -o out
kill -KILL $$
