// Goal: the API keeps its own rules: everything is commented, units are in names, enums start with
// an unspecified zero, ids say their cluster, no rpc comes or goes unnoticed, and Status stays
// wire-compatible with google.rpc.Status.
// Method: the rules are functions over descriptors with their source comments. Each runs over the
// descriptor set that protoc wrote, and over a small bad file that it must find fault with.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kezek/v1/status.pb.h"

namespace kezek {
namespace {

namespace pb = google::protobuf;

using Faults = std::vector<std::string>;
using FieldRule = void (*)(const pb::FieldDescriptor&, Faults*);

template <class D>
std::string Comment(const D& descriptor) {
  pb::SourceLocation location;
  return descriptor.GetSourceLocation(&location) ? location.leading_comments : std::string();
}

template <class D>
void NeedComment(const D& descriptor, Faults* faults) {
  const std::string text = Comment(descriptor);
  const auto is_word = [](unsigned char c) { return std::isalpha(c) != 0; };
  if (std::none_of(text.begin(), text.end(), is_word)) {
    faults->push_back(descriptor.full_name() + ": no comment");
  }
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool IsInteger(const pb::FieldDescriptor& field) {
  return field.cpp_type() == pb::FieldDescriptor::CPPTYPE_INT32 ||
         field.cpp_type() == pb::FieldDescriptor::CPPTYPE_INT64;
}

void CommentRule(const pb::FieldDescriptor& field, Faults* faults) { NeedComment(field, faults); }

// A unit that a name ends in is said in the comment, and a time named there is in the name.
void UnitRule(const pb::FieldDescriptor& field, Faults* faults) {
  if (!IsInteger(field)) return;
  static const std::map<std::string, std::string> units = {
      {"_mib", "MiB"}, {"_ppm", "illionths"}, {"_percent", "ercent"}};
  const std::string text = Comment(field);
  for (const auto& [end, word] : units) {
    // A row of a report may say the unit once, at its message.
    if (EndsWith(field.name(), end) && !Has(text, word) &&
        !Has(Comment(*field.containing_type()), word)) {
      faults->push_back(field.full_name() + ": comment lacks " + word);
    }
  }
  if (Has(text, "UTC milliseconds") && !EndsWith(field.name(), "_ms")) {
    faults->push_back(field.full_name() + ": a time whose name lacks _ms");
  }
  if (EndsWith(field.name(), "_ms") && field.cpp_type() != pb::FieldDescriptor::CPPTYPE_INT64) {
    faults->push_back(field.full_name() + ": milliseconds need int64");
  }
}

void NoFloatRule(const pb::FieldDescriptor& field, Faults* faults) {
  if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_DOUBLE ||
      field.cpp_type() == pb::FieldDescriptor::CPPTYPE_FLOAT) {
    faults->push_back(field.full_name() + ": floating point");
  }
}

void WalkFields(const pb::Descriptor& message, FieldRule rule, Faults* faults) {
  for (int i = 0; i < message.field_count(); ++i) rule(*message.field(i), faults);
  for (int i = 0; i < message.nested_type_count(); ++i) {
    if (!message.nested_type(i)->options().map_entry()) {
      WalkFields(*message.nested_type(i), rule, faults);
    }
  }
}

Faults FieldFaults(const pb::FileDescriptor& file, FieldRule rule) {
  Faults faults;
  for (int i = 0; i < file.message_type_count(); ++i) {
    WalkFields(*file.message_type(i), rule, &faults);
  }
  return faults;
}

// Messages, oneofs, enums, their values, services and rpcs; fields have CommentRule.
Faults CommentFaults(const pb::FileDescriptor& file) {
  Faults faults = FieldFaults(file, CommentRule);
  for (int i = 0; i < file.message_type_count(); ++i) {
    const pb::Descriptor& message = *file.message_type(i);
    NeedComment(message, &faults);
    for (int k = 0; k < message.real_oneof_decl_count(); ++k) {
      NeedComment(*message.oneof_decl(k), &faults);
    }
  }
  for (int i = 0; i < file.enum_type_count(); ++i) {
    NeedComment(*file.enum_type(i), &faults);
    for (int k = 0; k < file.enum_type(i)->value_count(); ++k) {
      NeedComment(*file.enum_type(i)->value(k), &faults);
    }
  }
  for (int i = 0; i < file.service_count(); ++i) {
    NeedComment(*file.service(i), &faults);
    for (int k = 0; k < file.service(i)->method_count(); ++k) {
      const pb::MethodDescriptor& rpc = *file.service(i)->method(k);
      NeedComment(rpc, &faults);
      const std::string text = Comment(rpc);
      if (!Has(text, "Errors: ") && !Has(text, "No errors of its own")) {
        faults.push_back(rpc.full_name() + ": does not say its errors");
      }
    }
  }
  return faults;
}

// JobState -> JOB_STATE_
std::string ValuePrefix(const std::string& name) {
  std::string prefix;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isupper(byte) != 0 && !prefix.empty()) prefix += '_';
    prefix += static_cast<char>(std::toupper(byte));
  }
  return prefix + "_";
}

Faults EnumFaults(const pb::FileDescriptor& file) {
  Faults faults;
  for (int i = 0; i < file.enum_type_count(); ++i) {
    const pb::EnumDescriptor& type = *file.enum_type(i);
    const std::string prefix = ValuePrefix(type.name());
    if (type.value(0)->number() != 0 || type.value(0)->name() != prefix + "UNSPECIFIED") {
      faults.push_back(type.full_name() + ": no " + prefix + "UNSPECIFIED = 0");
    }
    for (int k = 0; k < type.value_count(); ++k) {
      if (type.value(k)->name().rfind(prefix, 0) != 0) {
        faults.push_back(type.full_name() + ": " + type.value(k)->name() + " lacks its prefix");
      }
    }
  }
  return faults;
}

// Requests of the services whose ids belong to a cluster name it in field 1. SubmitMany carries
// SubmitRequests, which do.
Faults ClusterFaults(const pb::FileDescriptor& file) {
  Faults faults;
  for (int i = 0; i < file.service_count(); ++i) {
    for (int k = 0; k < file.service(i)->method_count(); ++k) {
      const pb::MethodDescriptor& rpc = *file.service(i)->method(k);
      if (rpc.name() == "SubmitMany") continue;
      const pb::FieldDescriptor* first = rpc.input_type()->FindFieldByNumber(1);
      if (first == nullptr || first->name() != "cluster") {
        faults.push_back(rpc.full_name() + ": request without cluster = 1");
      }
    }
  }
  return faults;
}

std::string Joined(const Faults& faults) {
  std::string text;
  for (const std::string& fault : faults) text += fault + "\n";
  return text;
}

class ApiShape : public testing::Test {
 protected:
  void SetUp() override {
    std::ifstream in(KEZEK_DESCRIPTORS, std::ios::binary);
    ASSERT_TRUE(set_.ParseFromIstream(&in)) << KEZEK_DESCRIPTORS;
    for (const pb::FileDescriptorProto& file : set_.file()) {
      const pb::FileDescriptor* built = pool_.BuildFile(file);
      ASSERT_NE(built, nullptr) << file.name();
      if (built->package() == "kezek.v1") files_.push_back(built);
    }
    ASSERT_FALSE(files_.empty());
  }

  template <class Rule>
  std::string AllFaults(Rule rule) const {
    Faults all;
    for (const pb::FileDescriptor* file : files_) {
      const Faults some = rule(*file);
      all.insert(all.end(), some.begin(), some.end());
    }
    return Joined(all);
  }

  // A file descriptor in text format, built in a pool of its own.
  const pb::FileDescriptor* Parsed(const std::string& text) {
    pb::FileDescriptorProto file;
    EXPECT_TRUE(pb::TextFormat::ParseFromString(text, &file));
    return bad_pool_.BuildFile(file);
  }

  pb::FileDescriptorSet set_;
  pb::DescriptorPool pool_;
  pb::DescriptorPool bad_pool_;
  std::vector<const pb::FileDescriptor*> files_;
};

TEST_F(ApiShape, EverythingIsCommentedAndRpcsSayTheirErrors) {
  EXPECT_EQ(AllFaults(CommentFaults), "");
}

TEST_F(ApiShape, UnitsAreInNamesAndComments) {
  EXPECT_EQ(AllFaults([](const pb::FileDescriptor& f) { return FieldFaults(f, UnitRule); }), "");
}

TEST_F(ApiShape, NothingIsFloatingPoint) {
  EXPECT_EQ(AllFaults([](const pb::FileDescriptor& f) { return FieldFaults(f, NoFloatRule); }), "");
}

TEST_F(ApiShape, EnumsStartUnspecifiedAndValuesBearTheirPrefix) {
  EXPECT_EQ(AllFaults(EnumFaults), "");
}

TEST_F(ApiShape, RequestsNameTheirCluster) {
  // Users and tokens belong to the installation, not to a cluster.
  EXPECT_EQ(AllFaults([](const pb::FileDescriptor& file) {
              return EndsWith(file.name(), "access.proto") ? Faults() : ClusterFaults(file);
            }),
            "");
}

// Breaks every rule. Comments are found by path: 4 messages, 2 fields.
constexpr char kBadFile[] = R"(
  name: "bad.proto" package: "bad" syntax: "proto3"
  message_type {
    name: "A"
    field { name: "x" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL }
    field { name: "room_mib" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL }
    field { name: "start" number: 3 type: TYPE_INT64 label: LABEL_OPTIONAL }
    field { name: "wait_ms" number: 4 type: TYPE_INT32 label: LABEL_OPTIONAL }
    field { name: "part" number: 5 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
    field { name: "y" number: 6 type: TYPE_INT32 label: LABEL_OPTIONAL oneof_index: 0 }
    oneof_decl { name: "o" }
  }
  enum_type {
    name: "JobKind"
    value { name: "ZERO" number: 0 }
    value { name: "JOB_KIND_ONE" number: 1 }
  }
  service { name: "S" method { name: "Do" input_type: ".bad.A" output_type: ".bad.A" } }
  source_code_info {
    location { path: [4, 0, 2, 1] span: [1, 0, 9] leading_comments: "Memory." }
    location { path: [4, 0, 2, 2] span: [2, 0, 9] leading_comments: "Start, UTC milliseconds." }
    location { path: [4, 0, 2, 3] span: [3, 0, 9] leading_comments: "Milliseconds." }
    location { path: [4, 0, 2, 4] span: [4, 0, 9] leading_comments: "Part." }
    location { path: [4, 0, 2, 5] span: [5, 0, 9] leading_comments: "Said." }
  })";

TEST_F(ApiShape, RulesFindFault) {
  const pb::FileDescriptor* bad = Parsed(kBadFile);
  ASSERT_NE(bad, nullptr);
  EXPECT_EQ(Joined(CommentFaults(*bad)),
            "bad.A.x: no comment\nbad.A: no comment\nbad.A.o: no comment\n"
            "bad.JobKind: no comment\nbad.ZERO: no comment\nbad.JOB_KIND_ONE: no comment\n"
            "bad.S: no comment\nbad.S.Do: no comment\nbad.S.Do: does not say its errors\n");
  EXPECT_EQ(Joined(FieldFaults(*bad, UnitRule)),
            "bad.A.room_mib: comment lacks MiB\nbad.A.start: a time whose name lacks _ms\n"
            "bad.A.wait_ms: milliseconds need int64\n");
  EXPECT_EQ(Joined(FieldFaults(*bad, NoFloatRule)), "bad.A.part: floating point\n");
  EXPECT_EQ(Joined(EnumFaults(*bad)),
            "bad.JobKind: no JOB_KIND_UNSPECIFIED = 0\nbad.JobKind: ZERO lacks its prefix\n");
  EXPECT_EQ(Joined(ClusterFaults(*bad)), "bad.S.Do: request without cluster = 1\n");
}

TEST_F(ApiShape, ServicesAreTheseAndHaveTheseRpcs) {
  const std::map<std::string, std::set<std::string>> expected = {
      {"JobService",
       {"Submit", "SubmitMany", "Get", "List", "Watch", "Cancel", "Update", "Requeue",
        "ReportCheckpoint", "Logs", "Explain"}},
      {"QuotaService",
       {"GetAccount", "ListAccounts", "ApplyAccounts", "ListChanges", "RevertAccounts", "GetUsage",
        "GetEntitlement", "ListBudgets", "ProposeCorrection", "DecideCorrection", "ListCorrections",
        "ListLedger", "ReportUsage", "ReportEquity", "ExplainShare", "ReportReconcile"}},
      {"ClusterService",
       {"GetCluster", "ListNodes", "GetNodes", "DrainNodes", "ResumeNodes", "GetTopology",
        "GetCapacity", "ListReservations", "PutReservation", "DeleteReservation", "ListEvents",
        "GetStatus", "Doctor", "Snapshot", "ApplySlurmAccounts", "ResumeScheduling"}},
      {"AccessService",
       {"WhoAmI", "Login", "ListUsers", "CreateUser", "UpdateUser", "SetUnixAccount", "ChangeRoles",
        "CreateToken", "ListTokens", "RevokeToken", "SyncUsers"}},
  };
  std::map<std::string, std::set<std::string>> found;
  std::set<std::string> streams;
  for (const pb::FileDescriptor* file : files_) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int k = 0; k < file->service(i)->method_count(); ++k) {
        const pb::MethodDescriptor& rpc = *file->service(i)->method(k);
        found[rpc.service()->name()].insert(rpc.name());
        EXPECT_FALSE(rpc.client_streaming()) << rpc.full_name();
        if (rpc.server_streaming()) streams.insert(rpc.name());
      }
    }
  }
  EXPECT_EQ(found, expected);
  EXPECT_EQ(streams, (std::set<std::string>{"Watch", "Logs", "Snapshot"}));
}

TEST(StatusWire, ReadsWhatGoogleRpcStatusWrites) {
  // code 5, message "no", one Any with type_url "t" and value "v", written out by hand.
  const std::string wire("\x08\x05\x12\x02no\x1a\x06\x0a\x01t\x12\x01v", 14);
  v1::Status status;
  ASSERT_TRUE(status.ParseFromString(wire));
  EXPECT_EQ(status.code(), 5);
  EXPECT_EQ(status.message(), "no");
  ASSERT_EQ(status.details_size(), 1);
  EXPECT_EQ(status.details(0).type_url(), "t");
  EXPECT_EQ(status.details(0).value(), "v");
  EXPECT_EQ(status.SerializeAsString(), wire);
}

}  // namespace
}  // namespace kezek
