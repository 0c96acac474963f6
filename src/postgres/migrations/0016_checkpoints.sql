-- What jobs say of their checkpoints: what a fault of the machine or a preemption costs goes by them.
alter table attempts add column last_checkpoint_ms bigint not null default 0;
comment on column attempts.last_checkpoint_ms is 'When it last reported one; 0: never';

alter table jobs
  add column checkpointed_ms bigint not null default 0,
  add column resume_from text not null default '';
comment on column jobs.checkpointed_ms is 'When any attempt last reported a checkpoint; 0: never';
comment on column jobs.resume_from is 'Where that checkpoint is, as the job said';
