#!/bin/bash
#SBATCH -t 5 -o out
#: umask 002
touch made
mkdir folder
observe batch
