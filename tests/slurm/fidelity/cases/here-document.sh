#!/bin/bash
#SBATCH -t 5 -o out
cat <<'END' >config.yaml
name: "$NOT_EXPANDED"
list: [1, 2]
END
cat <<END
job $SLURM_JOB_NAME	with a tab, a \$ and a \\
END
python3 - <<'PY'
print("from a here-document")
PY
