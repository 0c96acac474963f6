#!/bin/bash
#SBATCH -N 1 -n 2 -c 2 --gres=gpu:1 -t 5 -J parent -o out
#: printf '#!/bin/bash\n#SBATCH -t 5 -J child -o child-out\nobserve child\n' >child.sh
observe parent
submit child.sh >/dev/null
