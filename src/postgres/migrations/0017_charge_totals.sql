-- What people look at often must not walk the ledger, which only grows: a trigger keeps what each
-- user was charged in each project, and indexes serve what was booked lately.
create table charge_totals (
  project_id bigint not null,
  user_id bigint not null,
  gpu_type text not null,
  amount numeric not null,
  entries bigint not null,
  primary key (project_id, user_id, gpu_type)
);
comment on table charge_totals is
  'What the book of charges comes to, kept by a trigger: the sums of ledger where book = ''charge''';

create function keep_charge_totals() returns trigger
language plpgsql security definer set search_path = kezek, pg_catalog, pg_temp as $$
begin
  insert into charge_totals as t
    values (new.project_id, new.user_id, new.gpu_type, new.amount, 1)
    on conflict (project_id, user_id, gpu_type)
    do update set amount = t.amount + excluded.amount, entries = t.entries + 1;
  return null;
end $$;

-- First the trigger, which keeps writers away until what is there has been added up.
create trigger keeps_charges after insert on ledger
  for each row when (new.book = 'charge') execute function keep_charge_totals();
insert into charge_totals
  select project_id, user_id, gpu_type, sum(amount), count(*) from ledger where book = 'charge'
  group by project_id, user_id, gpu_type;

-- Of a forecast: what budgets have spent since a time, from the index alone.
create index ledger_spent_by_time on ledger (time_ms)
  include (budget_account_id, budget, pot, amount)
  where book = 'budget' and (pot = 'spent' or contra = 'spent');

-- Of a report: what was booked in a time, and the first and last number of it.
drop index ledger_charge_by_time;
create index ledger_charge_by_time on ledger (time_ms, seq) where book = 'charge';

grant select on charge_totals to kezek_app;
