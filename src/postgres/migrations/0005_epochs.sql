-- Every epoch there has been: what the tags of the cluster's jobs are compared with. A tag of an
-- epoch that is not here shows that the database is an older copy of itself.

create table epochs (
  epoch bigint primary key check (epoch > 0),
  time_ms bigint not null,
  host text not null,
  issued boolean not null
);
comment on table epochs is 'Every epoch there has been; rows are only added';
comment on column epochs.time_ms is 'When it was issued, or accepted; 0: before this was recorded';
comment on column epochs.host is 'Of the daemon that leads in it';
comment on column epochs.issued is 'False: seen in the cluster, and an admin decided to go on';

insert into epochs (epoch, time_ms, host, issued)
  select e, 0, '', true from leader, generate_series(1, leader.epoch) e;

create trigger only_grows before update or delete on epochs
  for each row execute function refuse_change();
create trigger only_grows_whole before truncate on epochs
  for each statement execute function refuse_change();
grant select, insert on epochs to kezek_app;

alter table leader add column address text not null default '';
comment on column leader.address is 'Where the leader of this epoch answers';
