#!/bin/bash
# Counts cars in the frames of the city's cameras. At the first attempt a camera does not answer;
# the job fails, is requeued, and goes on with the cameras that are left.
#SBATCH --job-name=city-cameras
#SBATCH --gpus=4
#SBATCH --time=3
#SBATCH --requeue
#KEZEK --max-attempts 3
#SBATCH --open-mode=append
set -eu
done_file=$PWD/cameras-$KEZEK_JOB_ID.done
touch "$done_file"
nvidia-count 4
for camera in 1 2 3 4 5 6; do
  if grep -qx "$camera" "$done_file"; then continue; fi
  if [ "$camera" = 4 ] && [ "$KEZEK_ATTEMPT" = 1 ]; then
    echo "attempt 1: camera 4 does not answer"
    exit 3
  fi
  awk -v camera="$camera" 'BEGIN {
    srand(camera)
    for (frame = 0; frame < 5000; frame++) cars += int(4 * rand())
    printf "camera %d: %d cars in 5000 frames\n", camera, cars
  }'
  echo "$camera" >>"$done_file"
  sleep 3
done
echo "attempt $KEZEK_ATTEMPT: all cameras done"
