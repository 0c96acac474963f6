#!/bin/bash
#SBATCH -a 3 -t 5 -o out
#: printf '#!/bin/bash\n#SBATCH -t 5 -o child-out\nobserve child\n' >child.sh
submit child.sh >/dev/null
