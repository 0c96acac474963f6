-- What a token may do less than its user, and who made it.
alter table tokens
  add column created_by bigint not null default 0,
  add column limits jsonb not null default '{}';
