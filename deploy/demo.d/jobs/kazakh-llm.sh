#!/bin/bash
# A language model in the small: four ranks count word pairs, each in its shard of a corpus; the
# first adds them up and says how surprising the corpus is.
#SBATCH --job-name=kazakh-llm
#SBATCH --nodes=4
#SBATCH --gpus-per-node=8
#SBATCH --ntasks-per-node=1
#SBATCH --time=5
#KEZEK --kind training
set -eu
out=$PWD/llm-$KEZEK_JOB_ID.$KEZEK_ATTEMPT
mkdir -p "$out"
export out
echo "job $KEZEK_JOB_ID, attempt $KEZEK_ATTEMPT, on $SLURM_JOB_NODELIST (Slurm job $SLURM_JOB_ID)"
srun --ntasks=4 --ntasks-per-node=1 bash -eu -c '
  echo "rank $SLURM_PROCID on $SLURMD_NODENAME: CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES"
  for epoch in 1 2 3 4; do
    awk -v seed="$SLURM_PROCID$epoch" "
      BEGIN {
        n = split(\"bul kitap oqu bala mektep qala dala taw ozen kun tun jaqsy ulken jana\", word)
        srand(seed)
        for (i = 0; i < 20000; i++) {
          next_word = 1 + int(n * rand() * rand())
          count[word[last] \" \" word[next_word]]++
          last = next_word
        }
        for (pair in count) print count[pair], pair
      }" >"$out/shard-$SLURM_PROCID-$epoch"
    sleep 8
  done
  echo "rank $SLURM_PROCID: $(cat "$out"/shard-"$SLURM_PROCID"-* | wc -l) pairs counted"'
cat "$out"/shard-* | awk '
  { count[$2 " " $3] += $1; from[$2] += $1; all += $1 }
  END {
    for (pair in count) {
      split(pair, w, " ")
      bits -= count[pair] * log(count[pair] / from[w[1]]) / log(2)
    }
    printf "%d word pairs of %d words, perplexity %.2f\n", length(count), all, 2 ^ (bits / all)
  }'
