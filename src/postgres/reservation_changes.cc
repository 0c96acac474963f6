#include "postgres/reservation_changes.h"

#include <array>

#include "postgres/bulk.h"

namespace kezek::postgres {
namespace {

constexpr auto kColumns = std::to_array<Column>({{"job_id", "bigint"},
                                                 {"element", "integer"},
                                                 {"from_ms", "bigint"},
                                                 {"limit_ms", "bigint"},
                                                 {"shape", "jsonb"},
                                                 {"placement", "jsonb"},
                                                 {"counted_milli", "bigint"},
                                                 {"inside", "boolean"},
                                                 {"given_ms", "bigint"},
                                                 {"victims", "jsonb"}});

}  // namespace

std::vector<Call> ReservationCalls(const Changes& changes) {
  Bulk rows(kColumns.size());
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
  return calls;
}

void ForEachReservationStatement(
    const std::function<void(const char* name, const std::string& sql)>& take) {
  take("end_reservations",
       "delete from reservations r using unnest($1::bigint[], $2::integer[]) u(job_id, element)"
       " where r.job_id = u.job_id and r.element = u.element");
  take("put_reservations", InsertSql("reservations", kColumns, "job_id, element"));
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

}  // namespace kezek::postgres
