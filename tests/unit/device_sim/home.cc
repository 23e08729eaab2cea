#include "tests/unit/device_sim/home.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "core/membership/signed_object.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::testing {

Home::Home()
    : hop_({&rendezvous_}),
      owner_(std::make_unique<TestOwner>()),
      folder_(::testing::TempDir() + "/home_" + RandomSource::System().NewId<LogId>().ToHex()) {
  std::filesystem::create_directories(folder_);
  owner_->Commit({}, &hop_);
}

Home::~Home() { std::filesystem::remove_all(folder_); }

device_sim::Options Home::OptionsFor(const std::string& id, const std::string& kind) {
  TestPki::Shared().Leaf(kAcme, Role::kDevice, id);
  device_sim::Options options;
  options.state = folder_ + "/state";
  options.id = id;
  options.kind = kind;
  options.certs = TestPki::Shared().tenant_folder(kAcme) + "/device";
  options.roots = TestPki::Shared().provider_roots();
  options.next_hop = hop_.address();
  options.next_hop_id = MemberHop::spiffe_id();
  options.interval_seconds = 0.02;
  return options;
}

device_sim::Options Home::OptionsForMany(const std::string& prefix, size_t count) {
  Run(absl::StrCat(CertsCommand("issue"), " --out ", TestPki::Shared().folder(), " --tenant ", kAcme,
                   " --role device --id-prefix ", prefix, " --count ", count));
  device_sim::Options options = OptionsFor(prefix + "0", "temperature");
  options.id.clear();
  options.id_prefix = prefix;
  options.count = count;
  return options;
}

std::vector<std::string> Home::ArgumentsFor(const device_sim::Options& o) const {
  std::vector<std::string> out = {"--state",       o.state,
                                  "--certs",       o.certs,
                                  "--roots",       o.roots,
                                  "--next-hop",    o.next_hop,
                                  "--next-hop-id", o.next_hop_id,
                                  "--kind",        o.kind,
                                  "--interval",    absl::StrCat(o.interval_seconds)};
  if (!o.id.empty()) out.insert(out.end(), {"--id", o.id});
  if (!o.label_out.empty()) out.insert(out.end(), {"--label-out", o.label_out});
  return out;
}

size_t Home::AnnouncementsOf(const membership::Label& label) const {
  return rendezvous_.Box(Must(AnnouncementBox(label.setup_code)).ToString()).size();
}

std::string Home::LastAnnouncementOf(const membership::Label& label) const {
  return rendezvous_.Box(Must(AnnouncementBox(label.setup_code)).ToString()).back();
}

JoinInitiator Home::Claim(TestOwner& owner, const membership::Label& label) {
  const std::string box = Must(AnnouncementBox(label.setup_code)).ToString();
  EXPECT_TRUE(Eventually([&] { return !rendezvous_.Box(box).empty(); })) << label.device_id;
  JoinInitiator join =
      owner.StartJoin(label, AsBytes(rendezvous_.Box(box).back()), RandomSource::System().NewId<MemberId>());
  rendezvous_.Drop(join.m1_box().ToString(), ToString(join.m1()));
  return join;
}

JoinedMember Home::AwaitM2(const JoinInitiator& join) {
  const std::string box = join.m2_box().ToString();
  EXPECT_TRUE(Eventually([&] { return !rendezvous_.Box(box).empty(); }));
  return Must(join.Finish(AsBytes(rendezvous_.Box(box).back())));
}

std::vector<MemberId> Home::PairAll(const std::vector<const membership::Label*>& labels) {
  std::vector<MemberId> members;
  std::vector<JoinInitiator> joins;
  for (const membership::Label* label : labels) {
    const std::string box = Must(AnnouncementBox(label->setup_code)).ToString();
    EXPECT_TRUE(Eventually([&] { return !rendezvous_.Box(box).empty(); })) << label->device_id;
    members.push_back(RandomSource::System().NewId<MemberId>());
    joins.push_back(owner_->StartJoin(*label, AsBytes(rendezvous_.Box(box).back()), members.back()));
    rendezvous_.Drop(joins.back().m1_box().ToString(), ToString(joins.back().m1()));
  }
  std::vector<JoinedMember> joined;
  for (const JoinInitiator& join : joins) {
    const std::string box = join.m2_box().ToString();
    EXPECT_TRUE(Eventually([&] { return !rendezvous_.Box(box).empty(); }));
    joined.push_back(Must(join.Finish(AsBytes(rendezvous_.Box(box).back()))));
  }
  owner_->AddAll(joined, &hop_);
  return members;
}

Freshness Home::AwaitWord(const MemberId& device, const BootId& not_boot) {
  Freshness word;
  EXPECT_TRUE(Eventually([&] {
    const auto read = owner_->Read(hop_, {Topic::Of(TopicKind::kTelemetry, device)});
    for (const OwnerReader::Seen& seen : read->records) {
      if (seen.kind == kinds::kOpening) word = Must(ParseOpening(AsBytes(seen.body))).freshness;
      if (seen.kind == kinds::kCheckpoint) word = Must(ParseCheckpoint(AsBytes(seen.body))).freshness;
    }
    return word.boot != BootId() && word.boot != not_boot;
  }));
  return word;
}

std::vector<Answer> Home::AwaitAnswers(const MemberId& device, size_t count) {
  std::vector<Answer> answers;
  EXPECT_TRUE(Eventually([&] {
    answers.clear();
    const auto read = owner_->Read(hop_, {Topic::Of(TopicKind::kState, device)});
    for (const std::string& body : read->BodiesOf(kinds::kAnswer))
      answers.push_back(Must(ParseAnswer(AsBytes(body))));
    return answers.size() >= count;
  })) << answers.size()
      << " answers";
  return answers;
}

}  // namespace keystead::testing
