-- Budgets. Every entry of the book 'budget' moves hours of one budget from the pot `contra` to the
-- pot `pot`, so that whatever is added up comes to nothing. A trigger keeps what each pot comes to
-- and refuses an entry that would leave one below zero: no budget is overshot, whoever writes.

alter table attempts add column as_scavenger boolean not null default false;
comment on column attempts.as_scavenger is 'A budget did not hold it and let it go on so';

drop index ledger_settles_once;
alter table ledger
  drop column budget_id,
  drop column period,
  drop constraint ledger_book_check,
  drop constraint ledger_kind_check,
  add column budget_account_id bigint not null default 0,
  add column budget text not null default '',
  add column pot text not null default '',
  add column reason jsonb not null default '{}',
  add column actor text not null default '',
  add column correction bigint not null default 0,
  add constraint ledger_book_check check (book in ('usage', 'charge', 'budget')),
  add constraint ledger_kind_check check (
    kind in ('piece', 'redate', 'correction', 'settlement', 'refund', 'adjustment')
    or book = 'budget' and kind in ('hold', 'release', 'grant', 'carry_over', 'expiry')),
  add constraint ledger_moves_between_pots check (
    book <> 'budget' and budget = '' and pot = '' and budget_account_id = 0
    or book = 'budget' and budget <> '' and budget_account_id > 0 and amount >= 0
       and (kind, contra, pot) in (
         ('grant', 'grants', 'left'), ('grant', 'left', 'grants'),
         ('hold', 'left', 'held'), ('release', 'held', 'left'), ('settlement', 'held', 'spent'),
         ('refund', 'spent', 'left'), ('refund', 'spent', 'carried'),
         ('carry_over', 'left', 'carried'), ('carry_over', 'carried', 'left'),
         ('expiry', 'left', 'expired'),
         ('adjustment', 'left', 'spent'), ('adjustment', 'spent', 'left'),
         ('adjustment', 'spent', 'carried')));
comment on column ledger.pot is 'Of the budget, what the amount is added to; contra: taken from';
comment on column ledger.budget is 'Name of a budget of the account budget_account_id';
comment on column ledger.reason is 'Of refunds and adjustments, with the evidence';
comment on column ledger.correction is 'The decision of two people behind it';
create unique index ledger_settles_once
  on ledger (job_id, element, attempt, project_id, contra, budget_account_id, budget)
  where kind = 'settlement' and job_id > 0;
create index ledger_of_budget on ledger (budget_account_id, budget, time_ms)
  where book = 'budget';
create index ledger_of_correction on ledger (correction) where correction > 0;

-- Both sides of every entry: what an auditor adds up.
create view budget_postings as
  select seq, time_ms, budget_account_id, budget, kind, pot, amount from ledger
    where book = 'budget'
  union all
  select seq, time_ms, budget_account_id, budget, kind, contra, -amount from ledger
    where book = 'budget';
comment on view budget_postings is 'The sum over all of them is 0, for each entry and in all';

create view budget_balances as
  select budget_account_id, budget,
    coalesce(sum(amount) filter (where pot = 'left'), 0) as left_amount,
    coalesce(sum(amount) filter (where pot = 'held'), 0) as held,
    coalesce(sum(amount) filter (where pot = 'spent'), 0) as spent,
    coalesce(sum(amount) filter (where pot = 'expired'), 0) as expired,
    coalesce(-sum(amount) filter (where pot = 'grants'), 0) as granted,
    coalesce(-sum(amount) filter (where pot = 'carried' and amount < 0), 0) as carried_in,
    coalesce(sum(amount) filter (where pot = 'carried' and amount > 0), 0) as carried_out,
    coalesce(sum(amount) filter (where kind = 'refund' and amount < 0), 0) * -1 as refunded,
    bool_or(kind = 'expiry') as closed
  from budget_postings
  group by budget_account_id, budget;
comment on view budget_balances is 'Every budget''s balance, from the ledger alone';

create table budget_totals (
  account_id bigint not null check (account_id > 0),
  name text not null check (name <> ''),
  left_amount bigint not null check (left_amount >= 0),
  held bigint not null check (held >= 0),
  spent bigint not null check (spent >= 0),
  expired bigint not null check (expired >= 0),
  granted bigint not null,
  carried_in bigint not null check (carried_in >= 0),
  carried_out bigint not null check (carried_out >= 0),
  refunded bigint not null check (refunded >= 0),
  closed boolean not null,
  primary key (account_id, name),
  check (granted + carried_in = left_amount + held + spent + carried_out + expired)
);
comment on table budget_totals is
  'What budget_balances comes to, kept by a trigger: read at start, and the guard of every entry';

create function keep_budget_totals() returns trigger
language plpgsql security definer set search_path = kezek, pg_catalog, pg_temp as $$
declare
  due constant bigint := new.amount;
begin
  insert into budget_totals
    values (new.budget_account_id, new.budget, 0, 0, 0, 0, 0, 0, 0, 0, false)
    on conflict do nothing;
  update budget_totals t set
      left_amount = t.left_amount + case 'left' when new.pot then due when new.contra then -due
                                    else 0 end,
      held = t.held + case 'held' when new.pot then due when new.contra then -due else 0 end,
      spent = t.spent + case 'spent' when new.pot then due when new.contra then -due else 0 end,
      expired = t.expired + case 'expired' when new.pot then due else 0 end,
      granted = t.granted + case 'grants' when new.contra then due when new.pot then -due
                            else 0 end,
      carried_in = t.carried_in + case 'carried' when new.contra then due else 0 end,
      carried_out = t.carried_out + case 'carried' when new.pot then due else 0 end,
      refunded = t.refunded + case when new.kind = 'refund' then due else 0 end,
      closed = t.closed or new.kind = 'expiry'
    where t.account_id = new.budget_account_id and t.name = new.budget;
  return null;
end $$;

create trigger keeps_totals after insert on ledger
  for each row when (new.book = 'budget') execute function keep_budget_totals();

create table budget_warnings (
  account_id bigint not null,
  name text not null,
  percent integer not null,
  time_ms bigint not null,
  primary key (account_id, name, percent)
);
comment on table budget_warnings is 'Given once each';

create table corrections (
  id bigint primary key check (id > 0),
  account_id bigint not null,
  budget text not null,
  gpu_type text not null,
  amount bigint not null,
  job_id bigint not null,
  element integer not null,
  user_id bigint not null,
  reason text not null,
  state text not null check (state in ('proposed', 'booked', 'declined')),
  proposed_by text not null,
  proposed_ms bigint not null,
  decided_by text not null,
  decided_ms bigint not null,
  decision text not null,
  check (state <> 'booked' or decided_by <> proposed_by)
);
comment on table corrections is 'Two people: who proposed one does not approve it';

grant select on budget_postings, budget_balances, budget_totals, budget_warnings, corrections
  to kezek_app;
grant insert on budget_warnings to kezek_app;
grant insert, update on corrections to kezek_app;
