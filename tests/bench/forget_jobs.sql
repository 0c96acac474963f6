-- Empties the tables of jobs of a database that is about to become a template.
set search_path = kezek;
set session_replication_role = replica;
delete from submission_keys;
delete from job_payloads;
delete from attempts;
delete from jobs;
delete from ledger;
delete from events where subject = 'job';
set session_replication_role = origin;
vacuum full analyze;
