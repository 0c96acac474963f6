-- What ran in the cluster beside Kezek is charged to the account that the configuration names: a
-- row for each run and GPU type. Its ledger entries draw on no budget.
create table foreign_runs (
  cluster_job_id bigint not null check (cluster_job_id > 0),
  start_ms bigint not null check (start_ms > 0),
  gpu_type text not null,
  end_ms bigint not null check (end_ms > start_ms),
  unix_account text not null,
  nodes text[] not null,
  counted_milli bigint not null,
  rate_milli bigint not null,
  project_id bigint not null,
  settings_version bigint not null,
  primary key (cluster_job_id, start_ms, gpu_type)
);
comment on table foreign_runs is
  'Runs of jobs that are not Kezek''s, charged once each: ids come round, with the start they do not';
create index foreign_runs_by_end on foreign_runs (end_ms);
create trigger only_grows before update or delete on foreign_runs
  for each row execute function refuse_change();
create trigger only_grows_whole before truncate on foreign_runs
  for each statement execute function refuse_change();
grant select, insert on foreign_runs to kezek_app;

alter table leader
  add column foreign_since_ms bigint not null default 0,
  add column foreign_until_ms bigint not null default 0;
comment on column leader.foreign_since_ms is
  'What ended beside Kezek before is charged to nobody; 0: nothing is charged';
comment on column leader.foreign_until_ms is
  'What ended before, as far as slurmdbd knew when it was read, is charged';

alter table ledger
  add column foreign_job bigint not null default 0,
  drop constraint ledger_kind_check,
  add constraint ledger_kind_check check (
    kind in ('piece', 'redate', 'correction', 'settlement', 'refund', 'adjustment')
    or book = 'budget' and kind in ('hold', 'release', 'grant', 'carry_over', 'expiry')
    or book <> 'budget' and kind = 'foreign'),
  add constraint ledger_names_foreign_jobs check ((kind = 'foreign') = (foreign_job > 0));
comment on column ledger.foreign_job is
  'Of what ran beside Kezek: Slurm''s id; of a charge, date_ms is the start in foreign_runs';
create unique index ledger_charges_foreign_once on ledger (foreign_job, date_ms, gpu_type, book)
  where kind = 'foreign';

-- Whether a run of Slurm's is Kezek's is asked by Slurm's id.
create index attempts_of_cluster_job on attempts (cluster_job_id) where cluster_job_id > 0;
