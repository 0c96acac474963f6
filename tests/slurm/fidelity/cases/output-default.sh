#!/bin/bash
#SBATCH -t 5
echo one
echo two >&2
