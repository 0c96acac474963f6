#include "postgres/environments.h"

#include <cstdint>
#include <vector>

#include "postgres/bulk.h"
#include "postgres/rows.h"

namespace kezek::postgres {
namespace {

Error Refused(const std::string& message) { return Error{Code::kFailedPrecondition, message, {}}; }

Result<void> CheckFingerprints(pqxx::transaction_base& work, const Cipher& cipher) {
  for (const auto& [name, fingerprint] : cipher.fingerprints()) {
    work.exec_params0(
        "insert into environment_keys (name, fingerprint) values ($1, $2)"
        " on conflict (name) do nothing",
        name, fingerprint);
    const auto row =
        work.exec_params1("select fingerprint from environment_keys where name = $1", name);
    if (row[0].as<std::string>() == fingerprint) continue;
    return Refused("environment key '" + name +
                   "' is another than the one of that name that this database knows: put the "
                   "right key file back, or give a new key a new name");
  }
  return {};
}

Result<void> CheckNeeded(pqxx::transaction_base& work, const Cipher& cipher) {
  for (const auto& row : work.exec("select environment_key, count(*) from job_payloads"
                                   " where environment is not null group by 1 order by 1")) {
    const auto name = row[0].as<std::string>();
    if (name.empty() || cipher.fingerprints().contains(name)) continue;
    return Refused("the environments of " + row[1].as<std::string>() +
                   " job(s) are encrypted with key '" + name +
                   "', which the key file does not hold: put it back, above the newer ones");
  }
  return {};
}

// Up to 500 of those that the newest key has not sealed. False: there are none.
Result<bool> SealAnew(pqxx::transaction_base& work, const Cipher& cipher) {
  const auto rows = work.exec_params(
      "select p.job_id, j.user_id, p.environment_key, p.environment from job_payloads p"
      " join jobs j on j.id = p.job_id and j.element = -1"
      " where p.environment is not null and p.environment_key <> $1 limit 500",
      cipher.newest());
  Bulk anew(3);
  for (const auto& row : rows) {
    RowCursor cursor(row);
    const std::int64_t job = cursor.Int();
    const UserId user{cursor.Int()};
    const std::string key = cursor.String();
    const auto plain = OpenEnvironment(&cipher, {key, cursor.Bytes()}, user);
    if (!plain) {
      return Refused("the environment of job " + std::to_string(job) + " " + plain.error().message);
    }
    const Sealed sealed = SealEnvironment(&cipher, *plain, user);
    anew.Int(job)
        .Text(sealed.key)
        .Bytes({reinterpret_cast<const std::uint8_t*>(sealed.bytes.data()), sealed.bytes.size()});
  }
  if (rows.empty()) return false;
  std::vector<std::string> params;
  anew.AddTo(params);
  work.exec_params0(
      "update job_payloads p set environment = n.bytes, environment_key = n.key"
      " from unnest($1::bigint[], $2::text[], $3::bytea[]) as n(job_id, key, bytes)"
      " where p.job_id = n.job_id and p.environment is not null",
      pqxx::prepare::make_dynamic_params(params));
  return true;
}

}  // namespace

std::string EnvironmentContext(UserId user) {
  return "environment of user " + std::to_string(user.value);
}

Sealed SealEnvironment(const Cipher* cipher, std::string_view json, UserId user) {
  if (cipher == nullptr) return {"", std::string(json)};
  return cipher->Seal(json, EnvironmentContext(user));
}

Result<std::string> OpenEnvironment(const Cipher* cipher, const Sealed& sealed, UserId user) {
  if (sealed.key.empty()) return sealed.bytes;
  if (cipher == nullptr) return Error{Code::kNotFound, "is sealed, and there is no key", {}};
  return cipher->Open(sealed, EnvironmentContext(user));
}

Result<void> PrepareEnvironments(pqxx::connection& connection, const Cipher& cipher) {
  {
    pqxx::work work(connection);
    auto checked = CheckFingerprints(work, cipher);
    if (checked) checked = CheckNeeded(work, cipher);
    if (!checked) return checked;
    work.commit();
  }
  for (bool more = true; more;) {
    pqxx::work work(connection);
    const auto sealed = SealAnew(work, cipher);
    if (!sealed) return sealed.error();
    more = *sealed;
    work.commit();
  }
  return {};
}

}  // namespace kezek::postgres
