#!/bin/bash
#SBATCH -t 5 -o out
if [ -z "${INNER:-}" ]; then
  echo outer
  export INNER=1
  bash "$0" child
  exec "$BASH" "$0" replaced
fi
echo "inner: $1"
