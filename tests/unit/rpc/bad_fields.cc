#include "tests/unit/rpc/bad_fields.h"

#include <cstdint>
#include <string>

namespace kezek::rpc {
namespace {

void Depend(v1::JobSpec& spec, int kind, const std::string& job, std::int64_t delay_ms = 0) {
  auto* dependency = spec.add_dependencies();
  dependency->set_kind(static_cast<v1::DependencyKind>(kind));
  dependency->set_job(job);
  dependency->set_delay_ms(delay_ms);
}
void Topology(v1::JobSpec& spec, int within, int prefer, int spread = 0) {
  spec.mutable_topology()->set_spread(static_cast<v1::Spread>(spread));
  spec.mutable_topology()->set_within(static_cast<v1::Domain>(within));
  spec.mutable_topology()->set_prefer(static_cast<v1::Domain>(prefer));
}
void Array(v1::JobSpec& spec, const std::string& indices, int max_running) {
  spec.mutable_array()->set_indices(indices);
  spec.mutable_array()->set_max_running(max_running);
}
void Requeue(v1::JobSpec& spec, bool enabled, int max_attempts) {
  spec.mutable_requeue()->set_enabled(enabled);
  spec.mutable_requeue()->set_max_attempts(max_attempts);
}
void Signal(v1::JobSpec& spec, const std::string& name, std::int64_t before_end_ms) {
  spec.mutable_signal()->set_name(name);
  spec.mutable_signal()->set_before_end_ms(before_end_ms);
}
void Times(int count, const std::function<void(int)>& act) {
  for (int i = 0; i < count; ++i) act(i);
}

// Fields of strings are set through references: bytes that are no UTF-8 must not crash either.
const BadField kBad[] = {
    {"name", [](auto& s) { s.set_name(std::string(201, 'x')); }},
    {"name", [](auto& s) { s.set_name("a\nb"); }},
    {"name", [](auto& s) { s.set_name(std::string("a\0b", 3)); }},
    {"name", [](auto& s) { s.set_name("\xff\xfe"); }},
    {"name", [](auto& s) { s.set_name("\xc0\xaf"); }},
    {"name", [](auto& s) { s.set_name("\xed\xa0\x80"); }},
    {"name", [](auto& s) { s.set_name("cut \xe2\x82"); }},
    {"job_class", [](auto& s) { s.set_job_class(std::string(64, 'c')); }},
    {"job_class", [](auto& s) { s.set_job_class("a\tb"); }},
    {"kind", [](auto& s) { s.set_kind(static_cast<v1::JobKind>(99)); }},
    {"kind", [](auto& s) { s.set_kind(static_cast<v1::JobKind>(-1)); }},
    {"script", [](auto& s) { s.clear_script(); }},
    {"script", [](auto& s) { s.set_script("echo no interpreter\n"); }},
    {"script", [](auto& s) { s.set_script("#!/bin/sh\n" + std::string(4096, '#')); }},
    {"script", [](auto& s) { s.set_script(std::string("#!/bin/sh\n\0", 11)); }},
    {"script", [](auto& s) { s.set_script("#!/bin/sh\r\necho\r\n"); }},
    {"script", [](auto& s) { s.set_script("#!/bin/sh\n\xff\n"); }},
    {"arguments[0]", [](auto& s) { s.add_arguments(std::string("a\0", 2)); }},
    {"arguments", [](auto& s) { for (int i = 0; i < 1001; ++i) s.add_arguments("x"); }},
    {"arguments",
     [](auto& s) { Times(3, [&](int) { s.add_arguments(std::string(60'000, 'x')); }); }},
    {"shape.gpu_type", [](auto& s) { s.mutable_shape()->set_gpu_type("tpu"); }, "NO_SUCH_GPU_TYPE"},
    {"shape.nodes", [](auto& s) { s.mutable_shape()->set_nodes(0); }},
    {"shape.gpus", [](auto& s) { s.mutable_shape()->set_gpus(13); }, "SHAPE_UNEVEN"},
    {"shape.gpus", [](auto& s) { s.mutable_shape()->set_gpus(100'000); }, "NEVER_FITS_MACHINE"},
    {"topology.within", [](auto& s) { Topology(s, 9, 0); }},
    {"topology.prefer", [](auto& s) { Topology(s, 0, -2); }},
    {"topology.spread", [](auto& s) { Topology(s, 0, 0, v1::SPREAD_LEAF); }},
    {"topology.spread", [](auto& s) { Topology(s, 0, 0, 9); }},
    {"time_limit_ms", [](auto& s) { s.set_time_limit_ms(0); }},
    {"time_limit_ms", [](auto& s) { s.set_time_limit_ms(-1); }},
    {"time_limit_ms", [](auto& s) { s.set_time_limit_ms(INT64_MAX); }},
    {"time_min_ms", [](auto& s) { s.set_time_min_ms(-1); }},
    {"time_min_ms", [](auto& s) { s.set_time_limit_ms(60'000); s.set_time_min_ms(60'001); }},
    {"begin_ms", [](auto& s) { s.set_begin_ms(-1); }},
    {"begin_ms", [](auto& s) { s.set_begin_ms(INT64_MAX); }},
    {"deadline_ms", [](auto& s) { s.set_deadline_ms(-7); }},
    {"deadline_ms", [](auto& s) { s.set_begin_ms(10); s.set_deadline_ms(10); }},
    {"dependencies[0].kind", [](auto& s) { Depend(s, 0, "5"); }},
    {"dependencies[0].kind", [](auto& s) { Depend(s, 9, "5"); }},
    {"dependencies[0].job", [](auto& s) { Depend(s, 1, ""); }},
    {"dependencies[0].job", [](auto& s) { Depend(s, 1, "5_[1-2]"); }},
    {"dependencies[0].job", [](auto& s) { Depend(s, 1, "-5"); }},
    {"dependencies[0].delay_ms", [](auto& s) { Depend(s, 4, "5", -1); }},
    {"dependencies[0].delay_ms", [](auto& s) { Depend(s, 1, "5", 1); }},
    {"array.indices", [](auto& s) { s.mutable_array(); }},
    {"array.indices", [](auto& s) { s.mutable_array()->set_indices("0-10000"); }},
    {"array.indices", [](auto& s) { s.mutable_array()->set_indices("5-3"); }},
    {"array.indices", [](auto& s) { s.mutable_array()->set_indices("0-9:0"); }},
    {"array.indices", [](auto& s) { s.mutable_array()->set_indices("1,,2"); }},
    {"array.indices", [](auto& s) { s.mutable_array()->set_indices("0-9%2"); }},
    {"array.indices", [](auto& s) { s.mutable_array()->set_indices("4000001"); }},
    {"array.indices", [](auto& s) { s.mutable_array()->set_indices("99999999999999999999"); }},
    {"array.max_running", [](auto& s) { Array(s, "0-9", -1); }},
    {"requeue.max_attempts", [](auto& s) { s.mutable_requeue()->set_max_attempts(0); }},
    {"requeue.max_attempts", [](auto& s) { s.mutable_requeue()->set_max_attempts(-3); }},
    {"requeue.max_attempts", [](auto& s) { Requeue(s, false, 2); }},
    {"signal.name", [](auto& s) { s.mutable_signal()->set_name("SIGUSR1"); }},
    {"signal.name", [](auto& s) { s.mutable_signal()->set_name("65"); }},
    {"signal.name", [](auto& s) { s.mutable_signal()->set_before_end_ms(1000); }},
    {"signal.before_end_ms", [](auto& s) { Signal(s, "USR1", -1); }},
    {"signal.grace_ms", [](auto& s) { s.mutable_signal()->set_grace_ms(-1); }},
    {"checkpoint_path", [](auto& s) { s.set_checkpoint_path(std::string(5000, 'p')); }},
    {"data_classification", [](auto& s) { s.set_data_classification("a\nb"); }},
    {"environment", [](auto& s) { (*s.mutable_environment())[""] = "x"; }},
    {"environment", [](auto& s) { (*s.mutable_environment())["A=B"] = "x"; }},
    {"environment", [](auto& s) { (*s.mutable_environment())["A"] = std::string("x\0", 2); }},
    {"environment", [](auto& s) { (*s.mutable_environment())["A"] = std::string(1024, 'x'); }},
    {"environment",
     [](auto& s) {
       Times(200, [&](int i) { (*s.mutable_environment())["V" + std::to_string(i)] = "12345"; });
     }},
    {"working_dir", [](auto& s) { s.clear_working_dir(); }},
    {"working_dir", [](auto& s) { s.set_working_dir("relative"); }},
    {"working_dir", [](auto& s) { s.set_working_dir("/a\nb"); }},
    {"stdin_path", [](auto& s) { s.set_stdin_path(std::string("a\0", 2)); }},
    {"stdout_path", [](auto& s) { s.set_stdout_path("a\rb"); }},
    {"stderr_path", [](auto& s) { s.set_stderr_path(std::string(4096, 'e')); }},
    {"open_mode", [](auto& s) { s.set_open_mode(static_cast<v1::OpenMode>(7)); }},
    {"comment", [](auto& s) { s.set_comment(std::string(4097, 'c')); }},
    {"comment", [](auto& s) { s.set_comment(std::string("\0", 1)); }},
    {"constraints[0]", [](auto& s) { s.add_constraints("a&b"); }},
    {"constraints[0]", [](auto& s) { s.add_constraints(""); }},
    {"constraints", [](auto& s) { for (int i = 0; i < 33; ++i) s.add_constraints("x"); }},
    {"nodelist[0]", [](auto& s) { s.add_nodelist("n[01-"); }},
    {"nodelist[0]", [](auto& s) { s.add_nodelist("n99"); }},
    {"nodelist[0]", [](auto& s) { s.add_nodelist(""); }},
    {"nodelist[0]", [](auto& s) { s.add_nodelist("n[0-999999999]"); }},
    {"exclude_nodes[0]", [](auto& s) { s.add_exclude_nodes("nope"); }},
    {"exclude_nodes", [](auto& s) { s.add_nodelist("n0[1-2]"); s.add_exclude_nodes("n02"); }},
    {"user_priority", [](auto& s) { s.set_user_priority(10'001); }},
    {"user_priority", [](auto& s) { s.set_user_priority(-10'001); }},
    {"container_image", [](auto& s) { s.set_container_image(std::string(1025, 'i')); }},
    {"reservation", [](auto& s) { s.set_reservation(std::string(64, 'r')); }},
    {"rlimits", [](auto& s) { (*s.mutable_rlimits())["NOFILES"] = 1024; }},
    {"rlimits", [](auto& s) { (*s.mutable_rlimits())["NOFILE"] = -2; }},
    {"umask", [](auto& s) { s.set_umask(512); }},
    {"umask", [](auto& s) { s.set_umask(-1); }},
    {"submit_host", [](auto& s) { s.set_submit_host(std::string(256, 'h')); }},
    {"submit_dir", [](auto& s) { s.set_submit_dir("a\nb"); }},
    {"ignored_options[0]", [](auto& s) { s.add_ignored_options("-p\n"); }},
    {"ignored_options", [](auto& s) { for (int i = 0; i < 101; ++i) s.add_ignored_options("-p"); }},
    {"labels", [](auto& s) { (*s.mutable_labels())[""] = "x"; }},
    {"labels", [](auto& s) { (*s.mutable_labels())[std::string(64, 'k')] = "x"; }},
    {"labels", [](auto& s) { (*s.mutable_labels())["k"] = std::string(256, 'v'); }},
    {"labels",
     [](auto& s) {
       Times(33, [&](int i) { (*s.mutable_labels())[std::to_string(i)] = "x"; });
     }},
};

}  // namespace

std::span<const BadField> BadFields() { return kBad; }

}  // namespace kezek::rpc
