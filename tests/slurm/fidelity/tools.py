"""What the batch scripts of the cases find on their path, the same for both ways."""

import os

OBSERVE = r"""#!/bin/bash
# observe NAME: the surroundings of whoever calls it, to seen.NAME; a task adds its rank.
{
  env -0 | sort -z | sed -z 's/\\/\\\\/g; s/\n/\\n/g' | tr '\0' '\n'
  echo '-- process'
  echo "umask $(umask)"
  ulimit -Sa | sed 's/^\(.*[^ ]\) *(\(.*\)) /limit \1 (\2) /'
  echo "nice $(nice)"
  echo "groups $(id -Gn)"
  sed -n 's/^Sig\(Blk\|Ign\):\t/signals \1 /p' /proc/self/status
  for fd in 0 4 2; do echo "fd $fd $(readlink /proc/$$/fd/$fd)"; done
} 4>&1 >"${FIDELITY_SEEN:-.}/seen.$1${SLURM_STEP_ID:+.$SLURM_PROCID}"
"""

TORCHRUN = r"""#!/usr/bin/env python3
# Stands in for torchrun: says what each worker would be started with.
import os, sys
arguments = dict(zip(sys.argv[1:-1], sys.argv[2:]))
nodes = int(arguments.get("--nnodes", 1))
devices = [d for d in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if d]
each = arguments.get("--nproc-per-node", arguments.get("--nproc_per_node", "gpu"))
each = len(devices) if each == "gpu" else int(each)
node = int(os.environ.get("SLURM_NODEID", 0))
for local in range(each):
    print(f"RANK={node * each + local} LOCAL_RANK={local} WORLD_SIZE={nodes * each} node={node} "
          f"devices={len(devices)} master={'MASTER_ADDR' in os.environ}", flush=True)
"""

SUBMIT = {
    "sbatch": "#!/bin/bash\nid=$(sbatch --parsable \"$@\" 2>>\"$FIDELITY_SEEN/warnings\")"
              " || exit\n",
    "kezek": "#!/bin/bash\nid=$(kezek submit --parsable \"$@\" 2>>\"$FIDELITY_SEEN/warnings\")"
             " || exit\n",
}
RECORD = "echo \"$id\" >>\"$FIDELITY_SEEN/jobs\"\necho \"$id\"\n"
CANCEL = {"sbatch": "#!/bin/sh\nexec scancel \"$@\"\n",
          "kezek": "#!/bin/sh\nexec kezek cancel \"$@\"\n"}
RELEASE = {"sbatch": "#!/bin/sh\nexec scontrol release \"$@\"\n",
           "kezek": "#!/bin/sh\nexec kezek release \"$@\"\n"}


def install(folder, way):
    os.makedirs(folder)
    programs = {"observe": OBSERVE, "torchrun": TORCHRUN, "submit": SUBMIT[way] + RECORD,
                "cancel": CANCEL[way], "release": RELEASE[way]}
    for name, text in programs.items():
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)
