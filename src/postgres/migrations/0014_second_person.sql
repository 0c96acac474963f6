-- Corrections are two people's, whoever writes: one is proposed, then decided once by somebody else,
-- and never changed after that; and the ledger has an adjustment only of one that is booked.

create function guard_corrections() returns trigger
language plpgsql set search_path = kezek, pg_catalog, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    if new.state <> 'proposed' or new.decided_by <> '' or new.decided_ms <> 0
       or new.proposed_by = '' then
      raise exception 'correction %: begins as proposed', new.id using errcode = 'check_violation';
    end if;
    return null;
  end if;
  if new is not distinct from old then
    return null;
  end if;
  if old.state <> 'proposed' then
    raise exception 'correction %: is decided', old.id using errcode = 'check_violation';
  end if;
  if (new.id, new.account_id, new.budget, new.gpu_type, new.amount, new.job_id, new.element,
      new.user_id, new.reason, new.proposed_by, new.proposed_ms)
     is distinct from
     (old.id, old.account_id, old.budget, old.gpu_type, old.amount, old.job_id, old.element,
      old.user_id, old.reason, old.proposed_by, old.proposed_ms) then
    raise exception 'correction %: what was proposed stays', old.id
      using errcode = 'check_violation';
  end if;
  if new.state = 'proposed' or new.decided_by = '' then
    raise exception 'correction %: somebody decides it', old.id using errcode = 'check_violation';
  end if;
  return null;
end $$;
-- After, so that a row that is replaced counts as updated, not as inserted.
create trigger two_people after insert or update on corrections
  for each row execute function guard_corrections();

alter table ledger
  add constraint ledger_adjusts_by_corrections check (
    case when kind = 'adjustment' then correction > 0
         else correction = 0 or correction > 0 and book = 'budget'
              and kind in ('carry_over', 'expiry') end);
comment on constraint ledger_adjusts_by_corrections on ledger is
  'What an adjustment of a period that is over gives back is carried over, or expires';
create unique index ledger_corrects_once on ledger (correction, book)
  where kind = 'adjustment';

-- At the end of the transaction: the entries and the decision are written in one.
create function guard_adjustments() returns trigger
language plpgsql set search_path = kezek, pg_catalog, pg_temp as $$
begin
  perform from corrections c
    where c.id = new.correction and c.state = 'booked' and c.account_id = new.project_id
      and case
            when new.book <> 'budget' then c.amount = new.amount
            when new.kind <> 'adjustment' then new.amount <= abs(c.amount)
            else c.budget = new.budget and c.account_id = new.budget_account_id
                 and abs(c.amount) = new.amount and (c.amount > 0) = (new.pot = 'spent')
          end;
  if not found then
    raise exception 'ledger: % of correction % is not what two people decided',
      new.kind, new.correction using errcode = 'check_violation';
  end if;
  return null;
end $$;
create constraint trigger two_people after insert on ledger
  deferrable initially deferred
  for each row when (new.correction > 0) execute function guard_adjustments();
