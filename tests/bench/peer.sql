with new as (
  select nextval('peer_job_ids') as id, nextval('peer_event_seqs') + 1000 as seq),
into_jobs as (
  insert into jobs (id, element, user_id, project_id, name, job_class, spec, depends_on, state,
                    hold, hold_reason, pending, submitted_ms, queued_since_ms, not_before_ms,
                    ended_ms, attempts, failed_runs, launch_failures, preemptions, reason)
  select id, -1, :user_id::bigint, :project_id::bigint, :name::text, :job_class::text, :spec::jsonb,
         :depends_on::bigint[], :state::text, :hold::text, :hold_reason::jsonb, :pending::jsonb,
         :now_ms::bigint, :now_ms::bigint, 0, 0, 0, 0, 0, 0, :reason::jsonb
  from new),
into_payloads as (
  insert into job_payloads (job_id, script, environment)
  select id, :script::text, :environment::bytea from new),
into_events as (
  insert into events (seq, time_ms, subject, job_id, element, attempt, name, project_id, user_id,
                      from_state, to_state, reason, actor)
  select seq, :now_ms::bigint, :subject::text, id, -1, 0, '', :project_id::bigint,
         :user_id::bigint, '', :to_state::text, :event_reason::jsonb, :actor::text
  from new),
into_keys as (
  insert into submission_keys (user_id, key, request_hash, job_id, time_ms)
  select :user_id::bigint, :key_start::text || id, :request_hash::bytea, id, :now_ms::bigint
  from new)
select id from new;
