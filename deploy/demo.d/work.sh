# shellcheck shell=bash
# The demo's jobs, and the view of the queue. Sourced by `demo`.
# shellcheck disable=SC2154

# submit UNIX ARGUMENTS…: through the command line, as that user, from the user's home. What an
# earlier try of this round submitted is left out: jobs.new has a line for each. One whose answer
# that try never got is known by its key, as long as nothing else differs: the terminal may.
submit() {
  made=$((made + 1))
  if [ "$made" -le "$known" ]; then return 0; fi
  as_person "$1" env TERM=dumb kezek submit --key "$round-$made" -o name "${@:2}" |
    tee -a "$DIR/jobs.new"
}

# A round is one submission of all the jobs. It goes on where one that failed has ended.
begin_round() {
  if [ ! -s "$DIR/round" ]; then
    : >"$DIR/jobs.new"
    echo "demo-$(date +%s)" >"$DIR/round"
  fi
  round=$(cat "$DIR/round")
  known=$(wc -l <"$DIR/jobs.new")
  made=0
}

copy_scripts() {
  local unix rest
  while read -r unix rest; do
    install -m 755 "$deploy"/demo.d/jobs/*.sh "$DIR/home/$unix/"
  done < <(tree_rows user)
}

# More GPUs than there are: who comes first is Kezek's to say. A gang as wide as half the machine.
submit_all() {
  local i gang=4 round known made
  copy_scripts
  begin_round
  if [ "$nodes" -lt 4 ]; then gang=$nodes; fi
  submit kz-aizhan --nodes "$gang" kazakh-llm.sh
  for ((i = 1; i <= 24; i++)); do submit kz-daulet tokenise.sh "$i" $((10 + i % 7)); done
  for ((i = 25; i <= 40; i++)); do submit kz-madina tokenise.sh "$i" $((10 + i % 5)); done
  submit kz-timur city-cameras.sh
  submit kz-saule dictation.sh
  submit kz-ruslan wildfire.sh
  for ((i = 0; i < 4; i++)); do submit kz-gulnar textbooks.sh; done
  for ((i = 0; i < 3; i++)); do submit kz-yerlan real-estate.sh; done
  for ((i = 0; i < 4; i++)); do submit kz-asel sports.sh; done
  submit kz-timur --job-name first-look --gpus 1 --time 1m --class debug -- nvidia-count 1
  rm "$DIR/round"
  touch "$DIR/filled"
}

# The queue until it is empty, for five minutes at most: on a terminal redrawn in place.
show_queue() {
  local deadline=$((SECONDS + 300)) left
  say
  while [ $SECONDS -lt $deadline ]; do
    if [ -t 1 ]; then
      printf '\033[H\033[2J'
      say "The queue as the cluster's admin sees it (kezek queue --all):"
      as_admin queue --all --limit 30
    fi
    left=$(python3 -B "$deploy/demo.d/report.py" line "$DIR")
    say "$left"
    case $left in *" 0 queued, 0 starting, 0 running"*) return 0 ;; esac
    sleep 4
  done
  say "Some jobs still run; the figures below are of those that are over."
}
