-- All of a job's entries are shown, usage too, so the index must not be of charges alone.
drop index ledger_of_job;
create index ledger_of_job on ledger (job_id, element);
