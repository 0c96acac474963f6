-- When a job first ran: what others wait for by `after:ID+minutes`. Of an array's row, when the last
-- of its elements first did.
alter table jobs add column started_ms bigint not null default 0;

update jobs j set started_ms = a.first_ms
from (select job_id, element, min(start_ms) as first_ms from attempts where start_ms > 0
      group by job_id, element) a
where a.job_id = j.id and a.element = j.element;

update jobs j set started_ms = e.last_ms
from (select id, max(started_ms) as last_ms from jobs where element >= 0 group by id) e
where e.id = j.id and j.element = -1 and e.last_ms > 0;
