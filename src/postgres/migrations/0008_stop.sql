-- A scheduler that has stopped itself stays so through a restart.
alter table leader add column stop text not null default '';
comment on column leader.stop is 'Why nothing may be started until an admin has looked; or empty';
