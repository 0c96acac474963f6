#!/bin/bash
#SBATCH -t 5 -o out
sleep 300 &
echo leaving
