-- The queue, what runs, and what happened. Rows of the hot tables name accounts and users without
-- foreign keys: the only writer checks them, and a key's row locks would double the writes.

create table jobs (
  id bigint not null check (id > 0),
  element integer not null check (element >= -1),
  user_id bigint not null,
  project_id bigint not null,
  name text not null,
  job_class text not null,
  spec jsonb not null,
  depends_on bigint[] not null,
  state text not null check (state in ('queued', 'starting', 'running', 'succeeded', 'failed',
                                       'timed_out', 'cancelled')),
  hold text not null check (hold in ('none', 'user', 'admin', 'cluster')),
  hold_reason jsonb not null,
  pending jsonb not null,
  submitted_ms bigint not null,
  queued_since_ms bigint not null,
  not_before_ms bigint not null,
  ended_ms bigint not null,
  attempts integer not null,
  failed_runs integer not null,
  launch_failures integer not null,
  preemptions integer not null,
  reason jsonb not null,
  primary key (id, element)
);
comment on column jobs.element is '-1: the submission itself; else an element of its array';
comment on column jobs.pending is 'Of an array: [first, last, step] of what has no row of its own';
create index jobs_alive on jobs (id, element) where state in ('queued', 'starting', 'running');
create index jobs_of_user on jobs (user_id, id);
create index jobs_of_project on jobs (project_id, id);
create index jobs_ended on jobs (ended_ms, id, element) where ended_ms > 0;

create table job_payloads (
  job_id bigint primary key,
  script text not null,
  environment bytea,
  environment_key text not null default ''
);
comment on column job_payloads.environment is 'JSON; absent once the job is final';
comment on column job_payloads.environment_key is 'The key it is encrypted with; empty: it is not';

create table submission_keys (
  user_id bigint not null,
  key text not null check (key <> ''),
  request_hash bytea not null check (length(request_hash) = 32),
  job_id bigint not null,
  time_ms bigint not null,
  primary key (user_id, key)
);

create table attempts (
  job_id bigint not null,
  element integer not null,
  number integer not null check (number > 0),
  state text not null check (state in ('starting', 'running', 'ended')),
  outcome text not null,
  ending text not null,
  placement jsonb not null,
  nodes text[] not null,
  cluster_job_id bigint not null,
  released boolean not null,
  planned_ms bigint not null,
  released_ms bigint not null,
  start_ms bigint not null,
  end_ms bigint not null,
  last_seen_ms bigint not null,
  ending_since_ms bigint not null,
  signalled boolean not null,
  exit_code integer not null,
  exit_signal integer not null,
  limit_ms bigint not null,
  counted_milli bigint not null,
  rate_milli bigint not null,
  factor_milli bigint not null,
  settings_version bigint not null,
  epoch bigint not null,
  reason jsonb not null,
  settled boolean not null default false,
  primary key (job_id, element, number),
  foreign key (job_id, element) references jobs (id, element),
  check ((state = 'ended') = (outcome <> 'none'))
);
comment on column attempts.settled is 'It has ended, and nothing of it is left to charge';
create index attempts_open on attempts (job_id, element, number) where not settled;
create index attempts_alive on attempts (job_id, element, number) where state <> 'ended';

create table events (
  seq bigint primary key check (seq > 0),
  time_ms bigint not null,
  subject text not null,
  job_id bigint not null,
  element integer not null,
  attempt integer not null,
  name text not null,
  project_id bigint not null,
  user_id bigint not null,
  from_state text not null,
  to_state text not null,
  reason jsonb not null,
  actor text not null
);
comment on table events is 'What happened, numbered without gaps in the order of commits';
create index events_of_job on events (job_id, seq) where job_id > 0;

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% only grows: % is refused', tg_table_name, tg_op
    using errcode = 'insufficient_privilege';
end $$;
create trigger only_grows before update or delete on events
  for each row execute function refuse_change();
create trigger only_grows_whole before truncate on events
  for each statement execute function refuse_change();

grant select, insert, update on jobs, job_payloads, attempts to kezek_app;
grant select, insert, update, delete on submission_keys to kezek_app;
grant select, insert on events to kezek_app;
