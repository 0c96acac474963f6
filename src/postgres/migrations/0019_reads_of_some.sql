-- Who asks for some accounts' figures must not read everybody's: the spending of single budgets, and
-- the last entries of an account, of its budgets, or of a user.

drop index ledger_spent_by_time;
create index ledger_spent_of_budget on ledger (budget_account_id, budget, time_ms)
  include (pot, amount)
  where book = 'budget' and (pot = 'spent' or contra = 'spent');

create index ledger_of_project on ledger (project_id, seq);
create index ledger_of_budget_account on ledger (budget_account_id, seq) where book = 'budget';
create index ledger_of_user on ledger (user_id, seq);
