-- Who leads, who is who, the account tree with its versioned settings, the machine.
-- Times are UTC milliseconds since 1970 and given by Kezek, never by the server.

create table installation (
  only_row boolean primary key default true check (only_row),
  id text not null check (id <> '')
);
comment on table installation is 'The id of this database, part of every tag in the cluster below';
insert into installation (id) values (replace(gen_random_uuid()::text, '-', ''));

create table leader (
  only_row boolean primary key default true check (only_row),
  epoch bigint not null check (epoch >= 0)
);
comment on table leader is 'Every commit holds only while the epoch is the committer''s own';
insert into leader (epoch) values (0);

create table accounts (
  id bigint primary key check (id > 0),
  parent_id bigint not null check (parent_id >= 0 and parent_id <> id),
  name text not null,
  kind text not null,
  title text not null,
  attributes jsonb not null,
  closed boolean not null,
  version bigint not null,
  unique (parent_id, name)
);
comment on column accounts.version is 'The version of its settings that holds';

create table account_settings (
  account_id bigint not null references accounts (id),
  version bigint not null,
  settings jsonb not null,
  actor_id bigint not null,
  time_ms bigint not null,
  reason text not null,
  primary key (account_id, version)
);
comment on table account_settings is 'Every version there has been; rows are only added';

insert into accounts (id, parent_id, name, kind, title, attributes, closed, version)
  values (1, 0, 'cluster', 'cluster', '', '{}', false, 1);
insert into account_settings (account_id, version, settings, actor_id, time_ms, reason)
  values (1, 1, '{}', 0, 0, 'the root of a new tree');

create table users (
  id bigint primary key check (id > 0),
  name text not null unique check (name <> ''),
  display_name text not null,
  unix_account text not null,
  unix_uid bigint not null,
  disabled boolean not null
);
create unique index users_unix_account on users (unix_account) where unix_account <> '';

create table user_roles (
  user_id bigint not null references users (id),
  role text not null,
  account_id bigint not null references accounts (id),
  primary key (user_id, role, account_id)
);

create table tokens (
  id bigint primary key check (id > 0),
  user_id bigint not null references users (id),
  label text not null,
  hash bytea not null unique check (length(hash) = 32),
  created_ms bigint not null,
  expires_ms bigint not null,
  revoked_ms bigint not null
);
comment on column tokens.hash is 'SHA-256 of the secret, which is not stored';

create table nodes (
  name text primary key check (name <> ''),
  gpu_type text not null,
  gpus integer not null,
  cpus integer not null,
  memory_mib bigint not null,
  leaf text not null,
  block text not null,
  labels jsonb not null,
  health text not null,
  health_reason text not null,
  drained_by_kezek boolean not null,
  set_aside_until_ms bigint not null,
  foreign_gpus integer not null,
  foreign_cpus integer not null,
  foreign_memory_mib bigint not null
);

grant select on installation, leader, accounts, account_settings, users, user_roles, tokens, nodes
  to kezek_app;
grant update on leader to kezek_app;
grant insert, update on accounts, users, tokens to kezek_app;
grant insert on account_settings to kezek_app;
grant insert, delete on user_roles to kezek_app;
grant insert, update, delete on nodes to kezek_app;
