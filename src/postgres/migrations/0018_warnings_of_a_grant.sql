-- A budget that is raised or cut is warned of anew: each warning belongs to what was granted then.

alter table budget_warnings add column granted bigint;
update budget_warnings w set granted =
  coalesce((select t.granted from budget_totals t
              where t.account_id = w.account_id and t.name = w.name), 0);
alter table budget_warnings
  alter column granted set not null,
  drop constraint budget_warnings_pkey,
  add primary key (account_id, name, granted, percent);
comment on table budget_warnings is 'Given once each for what is granted';
