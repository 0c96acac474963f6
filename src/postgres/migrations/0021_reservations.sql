-- What is promised to jobs that wait: a row for each that has a reservation, as long as it has one.
-- What became of it is in the events.

create table reservations (
  job_id bigint not null,
  element integer not null,
  from_ms bigint not null,
  limit_ms bigint not null,
  shape jsonb not null,
  placement jsonb not null,
  counted_milli bigint not null,
  inside boolean not null,
  given_ms bigint not null,
  victims jsonb not null,
  primary key (job_id, element),
  foreign key (job_id, element) references jobs (id, element)
);
comment on table reservations is 'Nodes that are kept for jobs that wait';
comment on column reservations.element is '-1: the job, or the next element of an array';
comment on column reservations.from_ms is 'The nodes are its own from then on';
comment on column reservations.inside is 'Its job was inside its guarantee';
comment on column reservations.victims is
  'Attempts that are ended for it: [job, element, number]; not empty: a reclaim under way';

grant select, insert, update, delete on reservations to kezek_app;

alter table attempts
  add column preempted_for_job bigint not null default 0,
  add column preempted_for_element integer not null default -1,
  add column ends_by_ms bigint not null default 0,
  add column warned boolean not null default false;
comment on column attempts.preempted_for_job is 'The job it made room for; 0: none';
comment on column attempts.ends_by_ms is 'Preempted, it has time until then';
comment on column attempts.warned is 'The cluster has confirmed the signal of its preemption';
