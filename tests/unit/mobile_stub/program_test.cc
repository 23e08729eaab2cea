// The program itself: how it starts, how it is ended from outside, and what it says on its way.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/time/clock.h"
#include "core/membership/label.h"
#include "mobile-stub/membership.h"
#include "tests/unit/identity/test_pki.h"
#include "tests/unit/mobile_stub/home.h"

namespace keystead::mobile {
namespace {

using keystead::testing::ReadAll;
using keystead::testing::TestPki;
using keystead::testing::WriteAll;
using ::testing::HasSubstr;
using testing::Home;
using testing::Must;
using Words = std::vector<std::string>;

bool Eventually(const std::function<bool()>& done) {
  const absl::Time deadline = absl::Now() + testing::kPatience;
  while (!done() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(10));
  return done();
}

// One run. Standard input is an open pipe that says nothing.
class Execution {
 public:
  Execution(Words words, const std::string& folder) : out_(folder + "/stdout"), err_(folder + "/stderr") {
    words.insert(words.begin(), KEYSTEAD_MOBILE_PROGRAM);
    words.push_back("--quiet");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    EXPECT_EQ(pipe2(pipe_, O_CLOEXEC), 0);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, pipe_[0], STDIN_FILENO);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    EXPECT_EQ(posix_spawn(&pid_, argv[0], &files, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&files);
  }
  ~Execution() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(pipe_[0]);
    close(pipe_[1]);
  }
  // The exit code; -1: ended by a signal, or not at all.
  int Wait() {
    int status = 0;
    bool ended = false;
    Eventually([&] { return ended = ended || waitpid(pid_, &status, WNOHANG) == pid_; });
    if (ended) pid_ = 0;
    return ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  // Once it takes signals rather than dies of them.
  void Signal(int signal) {
    EXPECT_TRUE(Eventually([&] {
      std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
      for (std::string line; std::getline(file, line);) {
        if (line.starts_with("SigBlk:"))
          return (std::stoull(line.substr(7), nullptr, 16) >> (SIGTERM - 1) & 1) != 0;
      }
      return false;
    }));
    kill(pid_, signal);
  }
  std::string out() const { return ReadAll(out_); }
  std::string err() const { return ReadAll(err_); }

 private:
  const std::string out_, err_;
  int pipe_[2] = {-1, -1};
  pid_t pid_ = 0;
};

class MobileProgramTest : public ::testing::Test {
 protected:
  MobileProgramTest() : folder_(TestPki::Shared().NewFolder()) {
    device_ = home_.NewDevice("a");
    home_.Pair({device_.get()});
  }
  Words With(Words words, const std::string& state = "") {
    Words all = {"--state", state.empty() ? home_.state_folder() : state};
    for (const std::string& option : home_.hop().AppOptions()) all.push_back(option);
    all.insert(all.end(), words.begin(), words.end());
    return all;
  }
  static Words Replaced(Words words, const std::string& option, const std::string& value) {
    *(std::ranges::find(words, option) + 1) = value;
    return words;
  }
  std::string LabelFile(const membership::Label& label) {
    const std::string path = folder_ + "/label";
    EXPECT_TRUE(membership::WriteLabelFile(path, label).ok());
    return path;
  }
  // Exit code 1, or as given, and one line that says these words.
  void ExpectFails(const Words& words, const Words& says, int code = 1) {
    Execution run(words, folder_);
    EXPECT_EQ(run.Wait(), code) << run.err();
    EXPECT_EQ(std::ranges::count(run.err(), '\n'), 1) << run.err();
    for (const std::string& word : says) EXPECT_THAT(run.err(), HasSubstr(word));
  }

  Home home_;
  std::unique_ptr<testing::TestDevice> device_;
  const std::string folder_;
};

TEST_F(MobileProgramTest, StartUpErrorsAreOneLineThatSaysWhatAndWhere) {
  const Words status = With({"status", "--wait", "1"});
  ExpectFails(Replaced(status, "--tls-chain", folder_ + "/nowhere.pem"), {"nowhere.pem"});
  const CertificateFiles other = TestPki::Shared().Leaf(keystead::testing::kAcme, Role::kApp, "app-other");
  ExpectFails(Replaced(status, "--tls-key", other.key), {"does not match"});
  ExpectFails(Replaced(Replaced(status, "--tls-key", other.key), "--tls-chain", other.chain),
              {"belongs to", "app-home", "app-other"});
  const CertificateFiles old =
      TestPki::Shared().Leaf(keystead::testing::kAcme, Role::kApp, "app-old",
                             "--not-before 2020-01-01T00:00:00Z --not-after 2020-01-02T00:00:00Z");
  ExpectFails(Replaced(Replaced(status, "--tls-key", old.key), "--tls-chain", old.chain), {"expired"});
  const std::string member = home_.state_folder() + "/member";
  const std::string good = ReadAll(member);
  WriteAll(member, good.substr(0, good.size() - 1));
  ExpectFails(status, {member, "is damaged", "put the folder back"});
  std::string newer = good;
  newer[1] = 2;
  WriteAll(member, newer);
  ExpectFails(status, {member, "format 2", "newer program"});
  WriteAll(member, good);
  const auto locked = Must(Must(AppState::Open(home_.state_folder())).LockChanges());
  ExpectFails(With({"remove", "a"}), {home_.state_folder(), "another process", "try again"});
}

TEST_F(MobileProgramTest, EveryVerbEndsAtASignal) {
  const auto stranger = home_.NewDevice("stranger");  // never announces itself
  const std::string label = LabelFile(stranger->Label());
  device_->mute = true;
  const auto locked = Must(Must(AppState::Open(home_.state_folder())).LockChanges());
  const Words nowhere = Replaced(With({}), "--next-hop", "127.0.0.1:1");
  const auto at_nowhere = [&](Words words) {
    Words all = nowhere;
    all.insert(all.end(), words.begin(), words.end());
    return all;
  };
  Home fresh;
  Words founding = {"--state",        folder_ + "/new", "pair",         "--wait", "60",
                    "--recovery-out", folder_ + "/key", "--label-file", label};
  for (const std::string& option : fresh.hop().AppOptions()) founding.push_back(option);
  const std::vector<Words> runs = {
      founding,
      With({"pair", "--label-file", "-"}),
      With({"remove", "a"}),  // waits for the lock
      With({"send", "a", "on", "--timeout", "60"}),
      at_nowhere({"status", "--wait", "60"}),
      at_nowhere({"watch", "--once", "--duration", "60"}),
      at_nowhere({"raw", "--wait", "60"}),
      at_nowhere({"verify-binding", "--wait", "60"}),
  };
  for (const Words& words : runs) {
    for (const int signal : {SIGINT, SIGTERM}) {
      Execution run(words, folder_);
      run.Signal(0);
      if (&words == &runs.front()) {
        EXPECT_TRUE(Eventually([&] { return std::filesystem::exists(folder_ + "/new/owner"); }));
      }
      absl::SleepFor(absl::Milliseconds(300));  // somewhere in its waiting
      const absl::Time begun = absl::Now();
      run.Signal(signal);
      EXPECT_EQ(run.Wait(), 1) << run.err();
      EXPECT_LT(absl::Now() - begun, absl::Seconds(3));
      EXPECT_THAT(run.err(), HasSubstr("stopped by a signal: ")) << words.back();
      EXPECT_TRUE(run.err().ends_with("\n"));
    }
  }
  // What it made on the way is whole: an owner, and its recovery key.
  EXPECT_TRUE(Must(AppState::Open(folder_ + "/new")).LoadMember().ok());
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/key"));
  for (const auto& file : std::filesystem::directory_iterator(folder_ + "/new")) {
    EXPECT_NE(file.path().extension(), ".new") << file.path();
  }
}

TEST_F(MobileProgramTest, RecoveryKeyGoesToATerminalOrAFileOnly) {
  const auto other = home_.NewDevice("b");
  const std::string label = LabelFile(other->Label());
  const std::string state = folder_ + "/new";
  ExpectFails(With({"pair", "--wait", "1", "--label-file", label}, state), {"--recovery-out"}, 2);
  EXPECT_FALSE(std::filesystem::exists(state + "/owner"));
  // There is an owner: its key was shown long ago.
  Execution run(With({"pair", "--wait", "1", "--label-file", label, "--recovery-out", folder_ + "/key"}),
                folder_);
  EXPECT_EQ(run.Wait(), 1);
  EXPECT_THAT(run.err(), HasSubstr("nothing was written to " + folder_ + "/key"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/key"));
}

TEST_F(MobileProgramTest, RequestsThatCannotBeMeantAreRefused) {
  const std::string label = LabelFile(device_->Label());
  ExpectFails(With({"pair", "--label-file", label, "--label-file", label}), {"named by an earlier one"}, 2);
  ExpectFails(With({"send", "a", "on", "--ttl", "3601"}), {"--ttl"}, 2);
}

// What a short verb meets on its way is told, and left for a later `watch` all the same.
TEST_F(MobileProgramTest, ShortVerbsSwallowNoAlarm) {
  device_->SkipReading(1);
  device_->SendReading(2, true);
  for (int i = 0; i < 2; ++i) {
    Execution status(With({"send", "a", "on"}), folder_);
    EXPECT_EQ(status.Wait(), 0) << status.err();
  }
  const auto engine = home_.App();
  testing::Witness witness;
  const auto session = Must(WatchSession::Start(*engine, &witness, {}));
  witness.Await([](const testing::Witness& w) { return !w.missing().empty() && !w.readings().empty(); },
                "the gap and the reading");
  ASSERT_TRUE(session->Stop().ok());
}

TEST_F(MobileProgramTest, StatusTellsAlarmsOnStandardError) {
  device_->SendReading(2, true);
  GroupHeaderCache headers;
  const GroupView view = Must(GroupView::Parse(*device_->last_group(), headers));
  GroupBuilder broken(view.header());
  Bytes cose = ToBytes(view.records().front().cose);
  cose.back() ^= 1;
  ASSERT_TRUE(broken.Append(view.records().front().sequence, cose).ok());
  home_.Inject(broken.Take());
  for (int i = 0; i < 2; ++i) {
    Execution run(With({"status", "--wait", "10"}), folder_);
    EXPECT_EQ(run.Wait(), 0) << run.err();
    EXPECT_THAT(run.err(), HasSubstr("ALARM open_failed")) << "run " << i;
    EXPECT_THAT(run.out(), HasSubstr("alarm open_failed: 1")) << "run " << i;
  }
}

TEST_F(MobileProgramTest, LinesOfWatchSayLaterWhatWasConfirmed) {
  Execution run(With({"watch"}), folder_);
  device_->SendReading(2);
  EXPECT_TRUE(Eventually([&] { return run.out().find(" temperature 2 ") != std::string::npos; }))
      << run.out();
  device_->SendReading(3, true);
  EXPECT_TRUE(Eventually([&] { return run.out().find("confirmed a stream") != std::string::npos; }))
      << run.out();
  run.Signal(SIGTERM);
  EXPECT_EQ(run.Wait(), 0) << run.err();
}

// A change of which a hop only claims that it was made.
TEST_F(MobileProgramTest, RemovalIsNotClaimedBeforeItIsSeen) {
  home_.registry().Lies(100, {.store = false, .answer = grpc::StatusCode::OK});
  {
    Execution run(With({"remove", "a"}), folder_);
    EXPECT_EQ(run.Wait(), 1);
    EXPECT_THAT(run.err(), HasSubstr("not confirmed yet"));
    EXPECT_THAT(run.out(), ::testing::Not(HasSubstr("removed")));
  }
  // A running watch hands it over again.
  Execution watch(With({"watch"}), folder_);
  home_.registry().BeHonest();
  EXPECT_TRUE(Eventually([&] { return watch.out().find("epoch 2") != std::string::npos; })) << watch.out();
  watch.Signal(SIGTERM);
  EXPECT_EQ(watch.Wait(), 0) << watch.err();
  EXPECT_EQ(Must(home_.App()->state().LoadMember()).chain().epoch(), 2u);
}

}  // namespace
}  // namespace keystead::mobile
