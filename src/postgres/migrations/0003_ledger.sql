-- Usage and charges. One row is one double entry: `amount` is added to the project and taken from
-- `contra`, so every book sums to zero. Balances are sums; no total is stored.

create table ledger (
  seq bigint primary key check (seq > 0),
  time_ms bigint not null,
  book text not null check (book in ('usage', 'charge')),
  kind text not null check (kind in ('piece', 'redate', 'correction', 'settlement', 'hold',
                                     'release', 'refund')),
  job_id bigint not null,
  element integer not null,
  attempt integer not null,
  project_id bigint not null,
  user_id bigint not null,
  contra text not null check (contra <> ''),
  job_class text not null,
  gpu_type text not null,
  date_ms bigint not null,
  amount bigint not null,
  settings_version bigint not null,
  budget_id bigint,
  period bigint
);
comment on column ledger.amount is 'Counted milli-GPUs x milliseconds x rate x class factor, signed';
comment on column ledger.date_ms is 'What usage decays from';
comment on column ledger.budget_id is 'Of holds, releases and settlements against a budget';
create index ledger_of_job on ledger (job_id, element) where book = 'charge';
create index ledger_usage_by_date on ledger (date_ms) where book = 'usage';
create index ledger_charge_by_time on ledger (time_ms) where book = 'charge';
create unique index ledger_settles_once
  on ledger (job_id, element, attempt, project_id, contra, coalesce(budget_id, 0))
  where kind = 'settlement' and job_id > 0;

create trigger only_grows before update or delete on ledger
  for each row execute function refuse_change();
create trigger only_grows_whole before truncate on ledger
  for each statement execute function refuse_change();

grant select, insert on ledger to kezek_app;
