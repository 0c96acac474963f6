#!/bin/bash
#SBATCH -t 5 -i in-x%x -o out -J feed
#: printf 'line one\nline two\n' >in-xfeed
while read -r line; do echo "got $line"; done
