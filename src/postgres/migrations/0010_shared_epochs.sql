-- An epoch may be both issued here and accepted: a copy made and restored under one leadership
-- shares its last epoch with the database that was lost.

alter table epochs drop constraint epochs_pkey, add primary key (epoch, issued);
comment on column epochs.issued is
  'False: attempts of it that this database lacks were seen, and an admin decided to go on';
