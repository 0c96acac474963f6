#!/bin/bash
#SBATCH -t 5
observe batch
echo "hello from $(basename "$0")"
