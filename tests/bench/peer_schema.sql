-- What a plain client of these tables needs besides: numbers.
set search_path = kezek;
create sequence peer_job_ids;
create sequence peer_event_seqs;
grant usage on peer_job_ids, peer_event_seqs to kezek_app;
