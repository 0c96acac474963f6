#!/bin/bash
#SBATCH -N 1
#SBATCH --time=tomorrow
