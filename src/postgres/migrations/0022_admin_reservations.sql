-- What admins have reserved: a row for each reservation that stands, past ones until they are
-- deleted. Who made, changed and deleted it, and why, is in the events.

create table admin_reservations (
  name text primary key,
  start_ms bigint not null,
  duration_ms bigint not null check (duration_ms > 0),
  repeat_every_ms bigint not null,
  repeat_until_ms bigint not null,
  nodes jsonb not null,
  node_count integer not null,
  gpu_type text not null,
  accounts bigint[] not null,
  users bigint[] not null,
  reason text not null,
  actor text not null,
  version bigint not null
);
comment on table admin_reservations is 'Nodes that admins keep for somebody, or for maintenance';
comment on column admin_reservations.repeat_every_ms is '0: once';
comment on column admin_reservations.repeat_until_ms is 'Last beginning; 0: without end';
comment on column admin_reservations.node_count is 'As asked for; 0: nodes were named';
comment on column admin_reservations.accounts is
  'Accounts that may use it, with all below them; with users empty as well: nobody, maintenance';

grant select, insert, update, delete on admin_reservations to kezek_app;
