-- What admins put in the place of the rules is known by a field of an event's reason, whatever its
-- code: the index is of that field, and reports look for it in these very words.
drop index events_of_overrides;
create index events_of_overrides on events (time_ms) where reason -> 'fields' ? 'override';
