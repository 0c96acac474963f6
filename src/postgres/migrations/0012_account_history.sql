-- Every version of the settings says where its account hung and what it was called, so that any
-- state of the tree can be shown and brought back. For versions before this migration that is not
-- known: they get what held when it ran.
alter table account_settings
  add column parent_id bigint,
  add column name text,
  add column kind text,
  add column title text,
  add column attributes jsonb,
  add column closed boolean;

update account_settings s
set parent_id = a.parent_id, name = a.name, kind = a.kind, title = a.title,
    attributes = a.attributes, closed = a.closed
from accounts a where a.id = s.account_id;

alter table account_settings
  alter column parent_id set not null,
  alter column name set not null,
  alter column kind set not null,
  alter column title set not null,
  alter column attributes set not null,
  alter column closed set not null;

create trigger only_grows before update or delete on account_settings
  for each row execute function refuse_change();
create trigger only_grows_whole before truncate on account_settings
  for each statement execute function refuse_change();

-- Accounts may exchange their names within one version.
alter table accounts
  drop constraint accounts_parent_id_name_key,
  add constraint accounts_parent_id_name_key unique (parent_id, name)
    deferrable initially deferred;
