// Goal: a tree is built in its promised index order, finds and inherits what it says, and refuses
// every structure or setting that does not hold, naming account and field, as
// the API's request has it.
// Method: one small national tree; each refusal changes one thing in it.
#include "quota/account_tree.h"

#include <gtest/gtest.h>

#include <functional>

#include "kezek/v1/quota.pb.h"
#include "tests/support/field_path.h"
#include "tests/unit/quota/trees.h"

namespace kezek::quota::testing {
namespace {

using Rows = std::map<AccountId, Account>;

// kazakhstan ─ universities ─ kaznu ─ nlp, vision
//            └ startups ─ asyl
Rows National() {
  return Accounts({{.name = "kazakhstan", .guarantee = 64, .kind = "cluster"},
                   {.parent = 1, .name = "universities", .guarantee = 32, .kind = "sector"},
                   {.parent = 2, .name = "kaznu", .guarantee = 32, .kind = "institution"},
                   {.parent = 1, .name = "startups", .guarantee = 16, .kind = "sector"},
                   {.parent = 3, .name = "nlp", .guarantee = 16},
                   {.parent = 4, .name = "asyl", .guarantee = 8},
                   {.parent = 3, .name = "vision", .guarantee = 8}});
}

Account& Of(Rows& rows, std::int64_t id) { return rows.at(AccountId{id}); }

TreeRules Machine() {
  TreeRules rules;
  rules.configured_milli = {{kType, 64'000}};
  for (const char* name : {"normal", "debug", "scavenger"}) rules.classes[name].name = name;
  rules.classes["debug"].nodes = {"n9"};
  for (const char* name : {"n1", "n2", "n9"}) rules.nodes[name] = {.name = name};
  for (auto& [name, node] : rules.nodes) node.gpu_type = kType;
  rules.classifications = {"public", "internal", "secret"};
  return rules;
}

TEST(AccountTree, IndicesArePreOrderWithChildrenById) {
  const AccountTree tree = AccountTree::Build(National()).value();
  ASSERT_EQ(tree.size(), 7);
  std::vector<std::string> paths;
  for (AccountIndex i = 0; i < tree.size(); ++i) paths.push_back(tree.path(i));
  EXPECT_EQ(paths, (std::vector<std::string>{"", "universities", "universities/kaznu",
                                             "universities/kaznu/nlp", "universities/kaznu/vision",
                                             "startups", "startups/asyl"}));
  EXPECT_EQ(tree.Find("universities/kaznu/vision"), tree.IndexOf(AccountId{7}));
  EXPECT_EQ(tree.Find("universities/nlp"), kNoAccount);
  EXPECT_EQ(tree.IndexOf(AccountId{8}), kNoAccount);
  EXPECT_EQ(tree.subtree_end(1), 5);
  EXPECT_EQ(tree.depth(3), 3);
  EXPECT_TRUE(tree.IsAncestor(1, 4));
  EXPECT_TRUE(tree.IsAncestor(4, 4));
  EXPECT_FALSE(tree.IsAncestor(4, 1));
  EXPECT_FALSE(tree.IsAncestor(1, 5));
  EXPECT_EQ(tree.LowestCommonAncestor(3, 4), 2);
  EXPECT_EQ(tree.LowestCommonAncestor(6, 3), kRootIndex);
  EXPECT_TRUE(tree.HoldsJobs(3));
  EXPECT_FALSE(tree.HoldsJobs(2));
}

TEST(AccountTree, SettingsAreInherited) {
  Rows rows = National();
  Of(rows, 1).settings.slurm_account = "kz";
  Of(rows, 3).settings.slurm_account = "kaznu";
  Of(rows, 2).settings.slurm_qos = "uni";
  Of(rows, 2).settings.classes = {"normal"};
  Of(rows, 1).settings.highest_classification = "internal";
  Of(rows, 2).settings.default_class = "normal";
  Of(rows, 3).settings.default_time_limit_ms = 7;
  Of(rows, 4).closed = true;
  const AccountTree tree = AccountTree::Build(rows).value();
  const AccountIndex nlp = tree.Find("universities/kaznu/nlp");
  const AccountIndex asyl = tree.Find("startups/asyl");
  ClassRules rules;
  rules.default_limit_ms = 9;
  EXPECT_EQ(tree.SlurmAccount(nlp), "kaznu");
  EXPECT_EQ(tree.SlurmAccount(asyl), "kz");
  EXPECT_EQ(tree.SlurmQos(nlp), "uni");
  EXPECT_EQ(tree.SlurmQos(asyl), "");
  EXPECT_EQ(tree.Classes(nlp), std::vector<std::string>{"normal"});
  EXPECT_TRUE(tree.Classes(asyl).empty());
  EXPECT_EQ(tree.HighestClassification(asyl), "internal");
  EXPECT_EQ(tree.DefaultClass(nlp), "normal");
  EXPECT_EQ(tree.DefaultClass(asyl), "");
  EXPECT_EQ(tree.DefaultTimeLimit(nlp, rules), 7);
  EXPECT_EQ(tree.DefaultTimeLimit(asyl, rules), 9);
  EXPECT_TRUE(tree.IsClosed(asyl));
  EXPECT_FALSE(tree.IsClosed(nlp));
  EXPECT_TRUE(tree.Validate(Machine()));
}

struct Refused {
  std::string name;
  std::function<void(Rows&)> change;
  std::string field;  // with the account before it
  std::string reason;
};

void ExpectRefused(const Refused& refused) {
  SCOPED_TRACE(refused.name);
  Rows rows = National();
  refused.change(rows);
  Result<AccountTree> tree = AccountTree::Build(rows);
  const Result<void> checked = tree ? tree->Validate(Machine()) : Result<void>(tree.error());
  ASSERT_FALSE(checked.has_value());
  EXPECT_EQ(checked.error().code, Code::kInvalidArgument);
  ASSERT_EQ(checked.error().details.size(), 1U);
  const FieldError& detail = checked.error().details[0];
  EXPECT_EQ(detail.values.at("account") + ": " + detail.field, refused.field);
  EXPECT_TRUE(IsFieldPath(*v1::AccountChange::descriptor(), detail.field)) << detail.field;
  EXPECT_EQ(checked.error().details[0].reason, refused.reason);
  EXPECT_FALSE(checked.error().details[0].message.empty());
}

TEST(AccountTree, RefusesBadStructure) {
  const std::vector<Refused> all = {
      {"no root", [](Rows& r) { r.erase(kRootAccount); }, "#1: path", "NO_ROOT"},
      {"root below", [](Rows& r) { Of(r, 1).parent = AccountId{2}; }, "kazakhstan: path",
       "ROOT_HAS_PARENT"},
      {"orphan", [](Rows& r) { Of(r, 5).parent = AccountId{99}; }, "nlp: path", "NO_SUCH_ACCOUNT"},
      {"no parent", [](Rows& r) { Of(r, 5).parent = {}; }, "nlp: path", "NO_SUCH_ACCOUNT"},
      {"cycle", [](Rows& r) { Of(r, 2).parent = AccountId{3}; }, "universities: path", "CYCLE"},
      {"below a project", [](Rows& r) { Of(r, 7).parent = AccountId{5}; }, "vision: path",
       "BELOW_PROJECT"},
      {"name taken", [](Rows& r) { Of(r, 7).name = "nlp"; }, "universities/kaznu/nlp: path",
       "NAME_TAKEN"},
      {"name empty", [](Rows& r) { Of(r, 7).name = ""; }, "#7: path", "BAD_NAME"},
      {"name upper", [](Rows& r) { Of(r, 7).name = "NLP"; }, "NLP: path", "BAD_NAME"},
      {"name slash", [](Rows& r) { Of(r, 7).name = "a/b"; }, "a/b: path", "BAD_NAME"},
      {"name dash", [](Rows& r) { Of(r, 7).name = "-a"; }, "-a: path", "BAD_NAME"},
      {"kind", [](Rows& r) { Of(r, 7).kind = "9"; }, "vision: kind", "BAD_KIND"},
  };
  for (const Refused& refused : all) ExpectRefused(refused);
}

TEST(AccountTree, AClosedAccountGivesItsGuaranteeBackUntilItIsOpened) {
  Rows rows = National();
  Of(rows, 5).settings.shares[kType].guarantee_milli = 32'000;
  Of(rows, 7).closed = true;
  EXPECT_TRUE(AccountTree::Build(rows)->Validate(Machine()).has_value());
  Of(rows, 7).closed = false;
  const Error refused = AccountTree::Build(rows)->Validate(Machine()).error();
  EXPECT_EQ(refused.details.at(0).reason, "ABOVE_PARENT");
  EXPECT_EQ(refused.details.at(0).message,
            "the guarantees below universities/kaznu come to 40 GPUs, and it has 32: nlp 32, "
            "vision 8");
}

TEST(AccountTree, DedicatedNodesHaveOneOwnerAndAreInNoGuarantee) {
  const auto nodes = [](Rows& r, std::int64_t id) -> std::vector<std::string>& {
    return Of(r, id).settings.dedicated_nodes;
  };
  const std::string field = ": settings.dedicated_nodes";
  const std::vector<Refused> all = {
      {"unknown", [&](Rows& r) { nodes(r, 5) = {"n3"}; }, "universities/kaznu/nlp" + field,
       "NO_SUCH_NODE"},
      {"a lane's", [&](Rows& r) { nodes(r, 5) = {"n9"}; }, "universities/kaznu/nlp" + field,
       "NODE_TAKEN"},
      {"a sibling's", [&](Rows& r) { nodes(r, 5) = nodes(r, 7) = {"n1"}; },
       "universities/kaznu/vision" + field, "NODE_TAKEN"},
      {"another branch's", [&](Rows& r) { nodes(r, 2) = nodes(r, 5) = nodes(r, 4) = {"n1"}; },
       "startups" + field, "NODE_TAKEN"},
  };
  for (const Refused& refused : all) ExpectRefused(refused);
  Rows rows = National();
  nodes(rows, 2) = {"n1", "n2"};
  nodes(rows, 5) = {"n1"};
  EXPECT_TRUE(AccountTree::Build(rows).value().Validate(Machine())) << "given on";
  nodes(rows, 4) = {"n2"};
  Of(rows, 4).closed = true;
  EXPECT_TRUE(AccountTree::Build(rows).value().Validate(Machine())) << "closed: owns nothing";
  TreeRules rules = Machine();
  for (auto& [name, node] : rules.nodes) node.gpus = 8;
  const auto above = AccountTree::Build(rows).value().Validate(rules);
  ASSERT_FALSE(above.has_value());
  EXPECT_EQ(above.error().details.at(0).reason, "ABOVE_MACHINE");
  EXPECT_EQ(above.error().details.at(0).values.at("machine"), "40") << "64 less three nodes of 8";
  rules.configured_milli[kType] = 88'000;
  EXPECT_TRUE(AccountTree::Build(rows).value().Validate(rules));
}

TEST(AccountTree, RefusesBadSettings) {
  const auto share = [](Rows& r, std::int64_t id) -> Share& {
    return Of(r, id).settings.shares[kType];
  };
  const std::string nlp = "universities/kaznu/nlp: settings.";
  const std::vector<Refused> all = {
      {"root above machine", [&](Rows& r) { share(r, 1).guarantee_milli = 64'001; },
       ": settings.shares[h200].guarantee_milli_gpus", "ABOVE_MACHINE"},
      {"above parent", [&](Rows& r) { share(r, 7).guarantee_milli = 16'001; },
       "universities/kaznu/vision: settings.shares[h200].guarantee_milli_gpus", "ABOVE_PARENT"},
      {"no overflow", [&](Rows& r) { share(r, 5).guarantee_milli = INT64_MAX; },
       nlp + "shares[h200].guarantee_milli_gpus", "ABOVE_PARENT"},
      {"negative guarantee", [&](Rows& r) { share(r, 5).guarantee_milli = -1; },
       nlp + "shares[h200].guarantee_milli_gpus", "OUT_OF_RANGE"},
      {"weight 0", [&](Rows& r) { share(r, 5).weight_milli = 0; },
       nlp + "shares[h200].weight_milli", "OUT_OF_RANGE"},
      {"borrow", [&](Rows& r) { share(r, 5).borrow_max_milli = -1; },
       nlp + "shares[h200].borrow_max_milli_gpus", "OUT_OF_RANGE"},
      {"lend", [&](Rows& r) { share(r, 5).lend_max_milli = kMaxMilliGpus + 1; },
       nlp + "shares[h200].lend_max_milli_gpus", "OUT_OF_RANGE"},
      {"targets",
       [&](Rows& r) {
         share(r, 5).target_ppm = 600'000;
         share(r, 7).target_ppm = 400'001;
       },
       "universities/kaznu/vision: settings.shares[h200].target_ppm", "TARGETS_ABOVE_WHOLE"},
      {"type", [](Rows& r) { Of(r, 5).settings.shares["b200"] = {}; }, nlp + "shares[b200]",
       "NO_SUCH_GPU_TYPE"},
      {"limit", [](Rows& r) { Of(r, 5).settings.user_limits.jobs_running = -1; },
       nlp + "user_limits.jobs_running", "OUT_OF_RANGE"},
      {"class", [](Rows& r) { Of(r, 5).settings.classes = {"urgent"}; }, nlp + "job_classes",
       "NO_SUCH_CLASS"},
      {"class above",
       [](Rows& r) {
         Of(r, 2).settings.classes = {"normal"};
         Of(r, 5).settings.classes = {"normal", "debug"};
       },
       nlp + "job_classes", "CLASS_NOT_ALLOWED"},
      {"default class", [](Rows& r) { Of(r, 5).settings.default_class = "x"; },
       nlp + "default_class", "NO_SUCH_CLASS"},
      {"default class that is not allowed",
       [](Rows& r) {
         Of(r, 2).settings.classes = {"debug"};
         Of(r, 5).settings.default_class = "normal";
       },
       nlp + "default_class", "CLASS_NOT_ALLOWED"},
      {"classification", [](Rows& r) { Of(r, 5).settings.highest_classification = "x"; },
       nlp + "highest_classification", "NO_SUCH_CLASSIFICATION"},
      {"classification above",
       [](Rows& r) {
         Of(r, 1).settings.highest_classification = "internal";
         Of(r, 5).settings.highest_classification = "secret";
       },
       nlp + "highest_classification", "ABOVE_PARENT"},
      {"time", [](Rows& r) { Of(r, 5).settings.default_time_limit_ms = -1; },
       nlp + "default_time_limit_ms", "OUT_OF_RANGE"},
      {"endless", [](Rows& r) { Of(r, 5).settings.default_time_limit_ms = INT64_MAX; },
       nlp + "default_time_limit_ms", "OUT_OF_RANGE"},
  };
  for (const Refused& refused : all) ExpectRefused(refused);
}

TEST(AccountTree, DepthIsBounded) {
  std::vector<Row> rows{{.name = "root", .kind = "cluster"}};
  for (std::int64_t i = 1; i <= kMaxDepth; ++i) {
    rows.push_back({.parent = i, .name = "a", .kind = "unit"});
  }
  EXPECT_TRUE(AccountTree::Build(Accounts(rows)).has_value());
  rows.push_back({.parent = kMaxDepth + 1, .name = "a"});
  const Result<AccountTree> deeper = AccountTree::Build(Accounts(rows));
  ASSERT_FALSE(deeper.has_value());
  EXPECT_EQ(deeper.error().details[0].reason, "TOO_DEEP");
}

}  // namespace
}  // namespace kezek::quota::testing
