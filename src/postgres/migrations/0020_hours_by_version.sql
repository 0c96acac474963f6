-- Every hour of the history says by which settings it was: those of the ticks in it, first and last;
-- and what ran on nodes of one owner, which is in no guarantee.
alter table account_hours
  add column apart bigint not null default 0,
  add column first_version bigint not null default 0,
  add column last_version bigint not null default 0;
comment on column account_hours.apart is 'Ran on dedicated nodes and lanes: in no other figure';
comment on column account_hours.first_version is
  'Of the settings that the ticks of this time used; 0: not known';

-- Who was given which role, or lost it, is looked up with the history of the settings.
create index events_of_roles on events (time_ms)
  where subject = 'user' and reason -> 'fields' ->> 'field' = 'roles';
