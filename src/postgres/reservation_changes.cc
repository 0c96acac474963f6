#include "postgres/reservation_changes.h"

#include <array>
#include <string_view>
#include <utility>

#include "postgres/bulk.h"

namespace kezek::postgres {
namespace {

constexpr auto kReservationColumns = std::to_array<Column>({{"job_id", "bigint"},
                                                            {"element", "integer"},
                                                            {"from_ms", "bigint"},
                                                            {"limit_ms", "bigint"},
                                                            {"shape", "jsonb"},
                                                            {"placement", "jsonb"},
                                                            {"counted_milli", "bigint"},
                                                            {"inside", "boolean"},
                                                            {"given_ms", "bigint"},
                                                            {"victims", "jsonb"}});

constexpr auto kAdminColumns = std::to_array<Column>({{"name", "text"},
                                                      {"start_ms", "bigint"},
                                                      {"duration_ms", "bigint"},
                                                      {"repeat_every_ms", "bigint"},
                                                      {"repeat_until_ms", "bigint"},
                                                      {"nodes", "jsonb"},
                                                      {"node_count", "integer"},
                                                      {"gpu_type", "text"},
                                                      {"accounts", "bigint[]"},
                                                      {"users", "bigint[]"},
                                                      {"reason", "text"},
                                                      {"actor", "text"},
                                                      {"version", "bigint"}});

template <class Id>
std::string ArrayOf(const std::vector<Id>& ids) {
  ArrayLiteral array;
  for (const Id& id : ids) array.AddInt(id.value);
  return array.Text();
}

// "{1,2}"
template <class Id>
std::vector<Id> IdsOf(std::string_view text) {
  std::vector<Id> ids;
  std::int64_t value = 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] >= '0' && text[i] <= '9') {
      value = value * 10 + (text[i] - '0');
    } else if (text[i - 1] != '{') {
      ids.push_back(Id{std::exchange(value, 0)});
    }
  }
  return ids;
}

void AddAdminCalls(const Changes& changes, std::vector<Call>& calls) {
  Bulk rows(kAdminColumns.size());
  for (const AdminReservation& one : changes.admin_reservations) {
    rows.Text(one.name).Int(one.start_ms).Int(one.duration_ms);
    rows.Int(one.repeat_every_ms).Int(one.repeat_until_ms).Text(Encode(one.nodes));
    rows.Int(one.node_count).Text(one.gpu_type).Text(ArrayOf(one.accounts));
    rows.Text(ArrayOf(one.users)).Text(one.reason).Text(one.actor).Int(one.version);
  }
  Bulk ended(1);
  for (const std::string& name : changes.admin_reservations_ended) ended.Text(name);
  AddIfAny("end_admin_reservations", ended, calls);
  AddIfAny("put_admin_reservations", rows, calls);
}

}  // namespace

std::vector<Call> ReservationCalls(const Changes& changes) {
  Bulk rows(kReservationColumns.size());
  for (const Reservation& promise : changes.reservations) {
    rows.Int(promise.row.id.value).Int(promise.row.element).Int(promise.from_ms);
    rows.Int(promise.limit_ms).Text(Encode(promise.shape)).Text(Encode(promise.placement));
    rows.Int(promise.counted_milli).Bool(promise.inside).Int(promise.given_ms);
    rows.Text(Encode(promise.victims));
  }
  Bulk ended(2);
  for (const JobRef& row : changes.reservations_ended) {
    ended.Int(row.id.value).Int(row.element);
  }
  std::vector<Call> calls;
  AddIfAny("end_reservations", ended, calls);
  AddIfAny("put_reservations", rows, calls);
  AddAdminCalls(changes, calls);
  return calls;
}

void ForEachReservationStatement(
    const std::function<void(const char* name, const std::string& sql)>& take) {
  take("end_reservations",
       "delete from reservations r using unnest($1::bigint[], $2::integer[]) u(job_id, element)"
       " where r.job_id = u.job_id and r.element = u.element");
  take("put_reservations", InsertSql("reservations", kReservationColumns, "job_id, element"));
  take("end_admin_reservations", "delete from admin_reservations where name = any($1::text[])");
  take("put_admin_reservations", InsertSql("admin_reservations", kAdminColumns, "name"));
}

const char* const kReservationsSql =
    "select job_id, element, from_ms, limit_ms, shape, placement, counted_milli, inside, given_ms,"
    " victims from reservations order by job_id, element";

Reservation ReadReservation(RowCursor& row) {
  Reservation promise;
  promise.row.id.value = row.Int();
  promise.row.element = row.Int32();
  promise.from_ms = row.Int();
  promise.limit_ms = row.Int();
  promise.shape = row.Json<Shape>();
  promise.placement = row.Json<Placement>();
  promise.counted_milli = row.Int();
  promise.inside = row.Bool();
  promise.given_ms = row.Int();
  promise.victims = row.Json<AttemptRefs>();
  return promise;
}

const char* const kAdminReservationsSql =
    "select name, start_ms, duration_ms, repeat_every_ms, repeat_until_ms, nodes, node_count,"
    " gpu_type, accounts, users, reason, actor, version from admin_reservations order by name";

AdminReservation ReadAdminReservation(RowCursor& row) {
  AdminReservation one;
  one.name = row.String();
  one.start_ms = row.Int();
  one.duration_ms = row.Int();
  one.repeat_every_ms = row.Int();
  one.repeat_until_ms = row.Int();
  one.nodes = row.Json<TextList>();
  one.node_count = row.Int32();
  one.gpu_type = row.String();
  one.accounts = IdsOf<AccountId>(row.Text());
  one.users = IdsOf<UserId>(row.Text());
  one.reason = row.String();
  one.actor = row.String();
  one.version = row.Int();
  return one;
}

}  // namespace kezek::postgres
