-- What happened to accounts, users, nodes and the cluster is looked up among the many events of jobs.

create index events_of_others on events (seq) where subject <> 'job';
