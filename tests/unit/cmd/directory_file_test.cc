// Goal: users and memberships are read from groups, YAML and CSV as they are written there, and
// what is wrong is said with its line.
// Method: tables of texts.

#include "cmd/kezek/directory_file.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kezek::cli {
namespace {

using Users = std::vector<DirectoryUser>;

TEST(Groups, BecomeProjectsOfTheirMembers) {
  const std::string text = "nlp:x:5001:aizhan,bolat\n\nvision:x:5002: bolat ,\nempty:x:5003:\n";
  const GroupRules rules{.projects = {}, .account = "universities/kaznu", .institution = "kaznu"};
  const auto users = ReadGroups(text, "groups", rules);
  ASSERT_TRUE(users) << users.error().message;
  EXPECT_EQ(
      *users,
      (Users{{"aizhan@kaznu", "", "", {"universities/kaznu/nlp"}},
             {"bolat@kaznu", "", "", {"universities/kaznu/nlp", "universities/kaznu/vision"}}}));
  const auto mapped = ReadGroups(
      text, "groups",
      {.projects = {{"vision", "cv"}}, .account = "a", .institution = "k", .unix_accounts = true});
  ASSERT_TRUE(mapped);
  EXPECT_EQ(*mapped, (Users{{"bolat@k", "", "bolat", {"cv"}}}));
  for (const char* bad : {"nlp", "nlp:x:1", "a:b:c:d:e"}) {
    const auto refused = ReadGroups(std::string("ok:x:1:\n") + bad, "groups", rules);
    ASSERT_FALSE(refused) << bad;
    EXPECT_TRUE(refused.error().message.starts_with("groups line 2: ")) << refused.error().message;
  }
}

TEST(Groups, HaveMembersByPrimaryGroup) {
  const auto primary = ReadPrimaryGroups(
      "root:x:0:0:root:/root:/bin/bash\n\naizhan:x:2001:5001:Aizhan,,,:/home/a:/bin/bash\n"
      "dana:x:2002:5001::/home/d:\nsaule:x:2003:5009::/home/s:/bin/sh\n",
      "passwd");
  ASSERT_TRUE(primary) << primary.error().message;
  const auto users = ReadGroups("nlp:x:5001:aizhan,bolat\nvision:x:5002:dana\n", "groups",
                                {.account = "u", .institution = "k", .primary = *primary});
  ASSERT_TRUE(users);
  EXPECT_EQ(*users, (Users{{"aizhan@k", "", "", {"u/nlp"}},
                           {"bolat@k", "", "", {"u/nlp"}},
                           {"dana@k", "", "", {"u/nlp", "u/vision"}}}));
  for (const char* bad : {"aizhan", "a:x:1:2:c:/h", ":x:1:2:c:/h:/s", "a:x:1::c:/h:/s"}) {
    const auto refused = ReadPrimaryGroups(std::string("\n") + bad, "passwd");
    ASSERT_FALSE(refused) << bad;
    EXPECT_TRUE(refused.error().message.starts_with("passwd line 2: ")) << refused.error().message;
  }
}

TEST(Directory, IsYamlOrCsv) {
  const Users wanted = {{"aizhan@kaznu", "Aizhan, Dr.", "aizhan", {"cv", "nlp"}},
                        {"bolat@kaznu", "", "", {}}};
  for (const char* text :
       {"name,display_name,unix_account,projects\n"
        "aizhan@kaznu,\"Aizhan, Dr.\",aizhan,nlp;cv;nlp\nbolat@kaznu,,,\n",
        "projects,name,unix_account,display_name\r\n"
        "nlp; cv,aizhan@kaznu,aizhan,\"Aizhan, Dr.\"\r\n,bolat@kaznu,,\r\n\r\n",
        "users:\n  - {name: aizhan@kaznu, display_name: 'Aizhan, Dr.', unix_account: aizhan,"
        " projects: [nlp, cv]}\n  - name: bolat@kaznu\n",
        "# of the directory\nusers: [{name: aizhan@kaznu, display_name: 'Aizhan, Dr.',"
        " unix_account: aizhan, projects: [cv, nlp]}, {name: bolat@kaznu}]\n"}) {
    const auto users = ReadDirectory(text, "people");
    ASSERT_TRUE(users) << users.error().message;
    EXPECT_EQ(*users, wanted) << text;
  }
  EXPECT_EQ(*ReadDirectory("name\n\"a \"\"b\"\"\nc\"\n", "people"),
            (Users{{"a \"b\"\nc", "", "", {}}}));
}

TEST(Directory, SaysWhatIsWrongAndWhere) {
  struct Row {
    const char* text;
    const char* message;
  };
  for (const auto& row : std::vector<Row>{
           {"", "people line 1: no column ''"},
           {"name,shoe\n", "people line 1: no column 'shoe'"},
           {"projects\nnlp\n", "people line 1: the first line must name the columns"},
           {"name,projects\na@b\n", "people line 2: has 1 fields, not 2"},
           {"name,projects\n,nlp\n", "people line 2: has no name"},
           {"name\n\"a\n", "people line 2: a quote is not closed"},
           {"users: x\n", "people line 1: expected a list of users"},
           {"users:\n  - name: a\n    shoe: 3\n", "people line 3: unknown or misplaced key 'shoe'"},
           {"users:\n  - projects: [a]\n", "people line 2: has no name"},
           {"users:\n  - a\n", "people line 2: a user is a mapping"},
           {"users: [", "people line "}}) {
    const auto users = ReadDirectory(row.text, "people");
    ASSERT_FALSE(users) << row.text;
    EXPECT_EQ(users.error().code, Code::kInvalidArgument);
    EXPECT_TRUE(users.error().message.starts_with(row.message)) << users.error().message;
  }
}

}  // namespace
}  // namespace kezek::cli
