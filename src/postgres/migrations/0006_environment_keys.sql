-- Environments are encrypted with keys that kezekd has from a file; here lie only their names.
create table environment_keys (
  name text primary key check (name <> ''),
  fingerprint text not null
);
comment on table environment_keys is
  'Keys that environments were ever encrypted with; a fingerprint tells whether a key is the same';
create index job_payloads_by_key on job_payloads (environment_key) where environment is not null;
grant select, insert on environment_keys to kezek_app;
