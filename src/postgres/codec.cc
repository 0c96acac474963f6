#include "postgres/codec.h"

#include <array>
#include <charconv>
#include <concepts>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "kezek/names.h"
#include "kezek/reason_text.h"
#include "postgres/array_literal.h"

namespace kezek::postgres {
namespace {

using Json = nlohmann::json;

// --- The members of every struct, once, for both directions ---

void Visit(auto& f, auto& value) requires
    std::same_as<std::remove_const_t<std::remove_reference_t<decltype(value)>>, Shape> {
  f("nodes", value.nodes);
  f("gpus_per_node", value.gpus_per_node);
  f("gpu_type", value.gpu_type);
  f("cpus_per_node", value.cpus_per_node);
  f("memory_mib_per_node", value.memory_mib_per_node);
  f("exclusive", value.exclusive);
}

void Visit(auto& f, auto& value) requires
    std::same_as<std::remove_const_t<std::remove_reference_t<decltype(value)>>, Dependency> {
  f("kind", value.kind);
  f("on", value.on);
  f("delay_ms", value.delay_ms);
}

void Visit(auto& f, auto& value) requires
    std::same_as<std::remove_const_t<std::remove_reference_t<decltype(value)>>, ArraySpec> {
  f("indices", value.indices);
  f("max_running", value.max_running);
}

void Visit(auto& f, auto& value) requires
    std::same_as<std::remove_const_t<std::remove_reference_t<decltype(value)>>, EndSignal> {
  f("name", value.name);
  f("before_end_ms", value.before_end_ms);
  f("batch_shell_only", value.batch_shell_only);
}

void Visit(auto& f, auto& value) requires
    std::same_as<std::remove_const_t<std::remove_reference_t<decltype(value)>>, NodeGrant> {
  f("node", value.node);
  f("gpus", value.gpus);
  f("gpu_indices", value.gpu_indices);
}

void Visit(auto& f, auto& value) requires
    std::same_as<std::remove_const_t<std::remove_reference_t<decltype(value)>>, Reason> {
  f("code", value.code);
  f("fields", value.fields);
}

void Visit(auto& f, auto& value) requires
    std::same_as<std::remove_const_t<std::remove_reference_t<decltype(value)>>, Share> {
  f("weight_milli", value.weight_milli);
  f("guarantee_milli", value.guarantee_milli);
  f("borrow_max_milli", value.borrow_max_milli);
  f("lend_max_milli", value.lend_max_milli);
  f("target_ppm", value.target_ppm);
}

void Visit(auto& f, auto& value) requires
    std::same_as<std::remove_const_t<std::remove_reference_t<decltype(value)>>, Limits> {
  f("running_milli", value.running_milli);
  f("jobs_running", value.jobs_running);
  f("jobs_queued", value.jobs_queued);
  f("job_milli", value.job_milli);
  f("time_limit_ms", value.time_limit_ms);
}

void Visit(auto& f, auto& value) requires
    std::same_as<std::remove_const_t<std::remove_reference_t<decltype(value)>>, BudgetSpec> {
  f("name", value.name);
  f("gpu_type", value.gpu_type);
  f("milli_gpu_hours", value.milli_gpu_hours);
  f("start_ms", value.start_ms);
  f("end_ms", value.end_ms);
  f("at_exhaustion", value.at_exhaustion);
  f("carry_over_percent", value.carry_over_percent);
}

void Visit(auto& f, auto& value) requires
    std::same_as<std::remove_const_t<std::remove_reference_t<decltype(value)>>, AccountSettings> {
  f("shares", value.shares);
  f("account_limits", value.account_limits);
  f("user_limits", value.user_limits);
  f("classes", value.classes);
  f("highest_classification", value.highest_classification);
  f("default_class", value.default_class);
  f("default_time_limit_ms", value.default_time_limit_ms);
  f("rule", value.rule);
  f("budgets", value.budgets);
  f("slurm_account", value.slurm_account);
  f("slurm_qos", value.slurm_qos);
  f("dedicated_nodes", value.dedicated_nodes);
}

void Visit(auto& f, auto& value) requires
    std::same_as<std::remove_const_t<std::remove_reference_t<decltype(value)>>, TokenLimits> {
  f("scopes", value.scopes);
  f("projects", value.projects);
  f("job_milli", value.job_milli);
}

void Visit(auto& f, auto& value) requires
    std::same_as<std::remove_const_t<std::remove_reference_t<decltype(value)>>, JobSpec> {
  f("name", value.name);
  f("project", value.project);
  f("job_class", value.job_class);
  f("kind", value.kind);
  f("shape", value.shape);
  f("ntasks", value.ntasks);
  f("ntasks_per_node", value.ntasks_per_node);
  f("cpus_per_task", value.cpus_per_task);
  f("within", value.within);
  f("prefer", value.prefer);
  f("spread", value.spread);
  f("time_limit_ms", value.time_limit_ms);
  f("time_min_ms", value.time_min_ms);
  f("begin_ms", value.begin_ms);
  f("deadline_ms", value.deadline_ms);
  f("dependencies", value.dependencies);
  f("kill_on_invalid_dependency", value.kill_on_invalid_dependency);
  f("array", value.array);
  f("requeue", value.requeue);
  f("max_attempts", value.max_attempts);
  f("signal", value.signal);
  f("grace_ms", value.grace_ms);
  f("checkpoint_path", value.checkpoint_path);
  f("classification", value.classification);
  f("working_directory", value.working_directory);
  f("arguments", value.arguments);
  f("stdin_path", value.stdin_path);
  f("stdout_path", value.stdout_path);
  f("stderr_path", value.stderr_path);
  f("append_output", value.append_output);
  f("comment", value.comment);
  f("constraints", value.constraints);
  f("nodes", value.nodes);
  f("exclude_nodes", value.exclude_nodes);
  f("reservation", value.reservation);
  f("user_priority", value.user_priority);
  f("container_image", value.container_image);
  f("umask", value.umask);
  f("labels", value.labels);
}

// --- Writing: straight into text, since every submission is written so ---

struct NoMembers {
  template <class T>
  void operator()(const char*, T&) {}
};

template <class T>
concept Struct = requires(NoMembers& f, T& value) {
  Visit(f, value);
};

void PutWord(std::string& out, std::string_view word) {
  out += '"';
  out += word;
  out += '"';
}

void PutControl(std::string& out, char c) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += "\\u00";
  out += kHex[static_cast<unsigned char>(c) >> 4U];
  out += kHex[static_cast<unsigned char>(c) & 0x0FU];
}

void Put(std::string& out, const std::string& text) {
  out += '"';
  for (const char c : text) {
    if (c > 0 && c < ' ') {
      PutControl(out, c);
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}
void Put(std::string& out, bool value) { out += value ? "true" : "false"; }
void Put(std::string& out, std::int64_t value) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  out.append(digits.data(), end.ptr);
}
void Put(std::string& out, std::int32_t value) { Put(out, std::int64_t{value}); }
void Put(std::string& out, ReasonCode code) { PutWord(out, WireName(code)); }
template <class E>
requires std::is_enum_v<E>
void Put(std::string& out, E value) { PutWord(out, NameOf(value)); }
template <class Tag>
void Put(std::string& out, const Id<Tag>& id) {
  Put(out, id.value);
}
void PutNumbers(std::string& out, std::initializer_list<std::int64_t> numbers) {
  char before = '[';
  for (const std::int64_t number : numbers) {
    out += before;
    Put(out, number);
    before = ',';
  }
  out += ']';
}
void Put(std::string& out, const JobRef& ref) { PutNumbers(out, {ref.id.value, ref.element}); }
void Put(std::string& out, const AttemptRef& ref) {
  PutNumbers(out, {ref.job.id.value, ref.job.element, ref.number});
}
void Put(std::string& out, const IndexRange& range) {
  PutNumbers(out, {range.first, range.last, range.step});
}
template <Struct T>
void Put(std::string& out, const T& value);
template <class T>
void Put(std::string& out, const std::vector<T>& list);
template <class T>
void Put(std::string& out, const std::map<std::string, T>& map);

// Members that are empty or zero are left out.
struct Writer {
  std::string& out;
  bool first = true;

  void Name(const char* name) {
    if (!first) out += ',';
    first = false;
    PutWord(out, name);
    out += ':';
  }
  template <class T>
  void operator()(const char* name, const T& value) {
    if constexpr (!Struct<T>) {
      if (value == T{}) return;
    }
    const std::size_t before = out.size();
    const bool was_first = first;
    Name(name);
    const std::size_t start = out.size();
    Put(out, value);
    if (!Struct<T> || out.size() > start + 2) return;
    out.resize(before);  // {}
    first = was_first;
  }
  template <class T>
  void operator()(const char* name, const std::optional<T>& value) {
    if (!value) return;
    Name(name);
    Put(out, *value);
  }
};

template <Struct T>
void Put(std::string& out, const T& value) {
  out += '{';
  Writer writer{out};
  Visit(writer, value);
  out += '}';
}

template <class T>
void Put(std::string& out, const std::vector<T>& list) {
  out += '[';
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out += ',';
    Put(out, list[i]);
  }
  out += ']';
}

template <class T>
void Put(std::string& out, const std::map<std::string, T>& map) {
  out += '{';
  bool first = true;
  for (const auto& [key, item] : map) {
    if (!first) out += ',';
    first = false;
    Put(out, key);
    out += ':';
    Put(out, item);
  }
  out += '}';
}

// --- Reading: throws nlohmann's exceptions or std::runtime_error, caught by Decode ---

[[noreturn]] void Wrong(const std::string& what) { throw std::runtime_error(what); }

void Get(const Json& json, std::string& text) { text = json.get_ref<const std::string&>(); }
void Get(const Json& json, bool& value) { value = json.get_ref<const bool&>(); }
void Get(const Json& json, std::int64_t& value) {
  if (!json.is_number_integer()) Wrong("expected an integer, found " + json.dump());
  value = json.get<std::int64_t>();
}
void Get(const Json& json, std::int32_t& value) {
  std::int64_t wide = 0;
  Get(json, wide);
  if (wide < std::numeric_limits<std::int32_t>::min() ||
      wide > std::numeric_limits<std::int32_t>::max()) {
    Wrong("out of range: " + json.dump());
  }
  value = static_cast<std::int32_t>(wide);
}
void Get(const Json& json, ReasonCode& code) {
  const auto found = ReasonFromWire(json.get_ref<const std::string&>());
  if (!found) Wrong("unknown reason " + json.dump());
  code = *found;
}
template <class E>
requires std::is_enum_v<E>
void Get(const Json& json, E& value) {
  const auto found = FromName<E>(json.get_ref<const std::string&>());
  if (!found) Wrong("unknown name " + json.dump());
  value = *found;
}
template <class Tag>
void Get(const Json& json, Id<Tag>& id) {
  Get(json, id.value);
}
void Get(const Json& json, JobRef& ref) {
  if (!json.is_array() || json.size() != 2) Wrong("expected [id, element]");
  Get(json[0], ref.id);
  Get(json[1], ref.element);
}
void Get(const Json& json, AttemptRef& ref) {
  if (!json.is_array() || json.size() != 3) Wrong("expected [job, element, attempt]");
  Get(json[0], ref.job.id);
  Get(json[1], ref.job.element);
  Get(json[2], ref.number);
}
void Get(const Json& json, IndexRange& range) {
  if (!json.is_array() || json.size() != 3) Wrong("expected [first, last, step]");
  Get(json[0], range.first);
  Get(json[1], range.last);
  Get(json[2], range.step);
}
template <Struct T>
void Get(const Json& json, T& value);
template <class T>
void Get(const Json& json, std::vector<T>& list);
template <class T>
void Get(const Json& json, std::map<std::string, T>& map);

struct ObjectReader {
  const Json& object;
  std::size_t seen = 0;

  template <class T>
  void operator()(const char* name, T& value) {
    const auto at = object.find(name);
    if (at != object.end()) {
      ++seen;
      Get(*at, value);
    } else if constexpr (Struct<T>) {
      Get(Json::object(), value);
    } else {
      value = T{};
    }
  }
  template <class T>
  void operator()(const char* name, std::optional<T>& value) {
    value.reset();
    if (object.contains(name)) (*this)(name, value.emplace());
  }
};

template <Struct T>
void Get(const Json& json, T& value) {
  if (!json.is_object()) Wrong("expected an object, found " + json.dump());
  ObjectReader reader{json};
  Visit(reader, value);
  if (reader.seen != json.size()) Wrong("a member that is not known in " + json.dump());
}

template <class T>
void Get(const Json& json, std::vector<T>& list) {
  if (!json.is_array()) Wrong("expected an array, found " + json.dump());
  list.clear();
  for (const Json& item : json) Get(item, list.emplace_back());
}

template <class T>
void Get(const Json& json, std::map<std::string, T>& map) {
  if (!json.is_object()) Wrong("expected an object, found " + json.dump());
  map.clear();
  for (const auto& [key, item] : json.items()) Get(item, map[key]);
}

}  // namespace

template <class T>
std::string Encode(const T& value) {
  std::string text;
  Put(text, value);
  return text;
}

template <class T>
Result<T> Decode(std::string_view json) {
  try {
    T value;
    Get(Json::parse(json), value);
    return value;
  } catch (const std::exception& problem) {
    return Error{Code::kDataLoss, std::string("stored JSON cannot be read: ") + problem.what(), {}};
  }
}

template std::string Encode(const JobSpec&);
template std::string Encode(const Reason&);
template std::string Encode(const Placement&);
template std::string Encode(const Shape&);
template std::string Encode(const AttemptRefs&);
template std::string Encode(const IndexRanges&);
template std::string Encode(const AccountSettings&);
template std::string Encode(const TokenLimits&);
template std::string Encode(const TextMap&);
template std::string Encode(const TextList&);
template Result<JobSpec> Decode(std::string_view);
template Result<Reason> Decode(std::string_view);
template Result<Placement> Decode(std::string_view);
template Result<Shape> Decode(std::string_view);
template Result<AttemptRefs> Decode(std::string_view);
template Result<IndexRanges> Decode(std::string_view);
template Result<AccountSettings> Decode(std::string_view);
template Result<TokenLimits> Decode(std::string_view);
template Result<TextMap> Decode(std::string_view);
template Result<TextList> Decode(std::string_view);

}  // namespace kezek::postgres
