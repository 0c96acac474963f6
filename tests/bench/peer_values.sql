-- The values of one submission as Kezek stored it, a line each: name and value in base64, for
-- pgbench's -D. Values that are numbers of a row's own come from sequences instead.
select v.name || ' ' || translate(encode(convert_to(v.value, 'UTF8'), 'base64'), E'\n', '')
from jobs j
join job_payloads p on p.job_id = j.id
join submission_keys k on k.job_id = j.id
join events e on e.job_id = j.id and e.to_state = 'queued'
cross join lateral (values
  ('user_id', j.user_id::text), ('project_id', j.project_id::text), ('name', j.name),
  ('job_class', j.job_class), ('spec', j.spec::text), ('depends_on', j.depends_on::text),
  ('hold', j.hold), ('hold_reason', j.hold_reason::text), ('pending', j.pending::text),
  ('now_ms', j.submitted_ms::text), ('reason', j.reason::text), ('script', p.script),
  ('environment', p.environment::text), ('key_start', left(k.key, length(k.key) - 3)),
  ('request_hash', k.request_hash::text), ('actor', e.actor), ('event_reason', e.reason::text),
  ('state', j.state), ('subject', e.subject), ('to_state', e.to_state)
) as v(name, value)
where j.id = (select max(id) from jobs);
