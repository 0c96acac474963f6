# shellcheck shell=bash disable=SC2154
# What tells when kezekd has committed starts and ends. To be sourced after stack.sh.

with_postgres() {
  psql -qXAt -c 'alter system set track_commit_timestamp = on'
  "$deploy/postgres" down "$DIR"
  "$deploy/postgres" up "$DIR"
}

# What was committed and when, of jobs that are no array: a JSON line for each event. A job that was
# over before anybody had seen it run has one for both.
committed() {
  server_sql <<'SQL'
select json_build_object('what', 'event', 'job', e.job_id, 'to', e.to_state,
    'slurm', a.cluster_job_id, 'commit_s', extract(epoch from pg_xact_commit_timestamp(e.xmin)))
  from events e join attempts a using (job_id, element)
  where e.element < 0 and a.number = 1 and e.to_state <> e.from_state
    and e.from_state in ('starting', 'running')
  order by e.seq;
SQL
}
