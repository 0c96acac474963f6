-- How accounts stood hour by hour: what reports of entitlement are made from. Milli-GPUs integrated
-- over time, in milli-GPU-milliseconds. Hours older than is configured are put together to days.
create table account_hours (
  from_ms bigint not null check (from_ms % 3600000 = 0),
  account_id bigint not null,
  gpu_type text not null,
  due bigint not null,
  entitled bigint not null,
  held bigint not null,
  demanded bigint not null,
  borrowed bigint not null,
  lent bigint not null,
  no_demand bigint not null,
  by_limits bigint not null,
  by_budgets bigint not null,
  unfit bigint not null,
  taken bigint not null,
  away bigint not null,
  primary key (from_ms, account_id, gpu_type)
);
comment on table account_hours is 'By the hour, UTC; only where a figure is not 0';
comment on column account_hours.due is 'What it were entitled to if everybody asked for all it may';

alter table leader
  add column history_until_ms bigint not null default 0,
  add column history_days_before_ms bigint not null default 0;
comment on column leader.history_until_ms is 'All time before is in account_hours, as far as known';
comment on column leader.history_days_before_ms is 'Hours before are put together to days';

grant select, insert, update, delete on account_hours to kezek_app;

-- What reports look for.
create index jobs_started on jobs (started_ms) where started_ms > 0;
create index attempts_lost on attempts (end_ms) where outcome in ('preempted', 'node_failed');
create index events_of_overrides on events (time_ms)
  where subject = 'job' and reason ->> 'code' in ('HELD_BY_ADMIN', 'UPDATED');
