#!/bin/bash
#SBATCH -t 5 -o out
#: export POEM="one
#: two  spaces
#: \"quoted\" 'and' \$dollar"
#: export EMPTY=
#: export EQUALS='a=b=c'
observe batch
echo "$POEM"
