// Speaking, stepping, playing and stopping at once, as the header allows. Under ThreadSanitizer
// this is where a race would show; without it, where a lost wake-up or sample would.
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "check.h"
#include "session/session_fixture.h"
#include "voice/scripted_voice.h"

using namespace galago;

namespace {

constexpr int32_t kHangsMs = 600'000;  // a guard: on any machine, something comes sooner

// A session with a worker, a thread that plays, and the numbers of ends that were told.
class Played {
 public:
  Played()
      : session_({nullptr, nullptr, &quiet_.opened},
                 with_room(SessionFixture::with_flags(GALAGO_SESSION_WORKER))),
        playing_([this] { play(); }) {}
  ~Played() {
    is_done_.store(true);
    playing_.join();
  }

  Session& session() { return session_; }
  const ScriptedVoice& voice() const { return quiet_; }
  // The end of an utterance can be told before the read that took its last samples has returned:
  // what it took is counted when one more read is over.
  size_t num_played() const {
    const size_t num_reads = num_reads_.load();
    while (num_reads_.load() == num_reads) std::this_thread::yield();
    return num_played_.load();
  }

  // Waits until the end of this utterance is told.
  void await_end(uint64_t utterance) {
    while (ended_.count(utterance) == 0) {
      CHECK_EQ(session_.wait(kHangsMs), GALAGO_OK);
      galago_event event;
      while (session_.next_event(&event) == GALAGO_OK) {
        if (event.type == GALAGO_EVENT_SPEAK_STOP) CHECK(ended_.insert(event.utterance).second);
      }
    }
  }
  size_t num_ended() const { return ended_.size(); }

 private:
  static galago_session_options with_room(galago_session_options options) {
    options.event_capacity = 8192;
    return options;
  }
  void play() {
    float samples[16];
    while (!is_done_.load()) {
      size_t num_read = 0;
      session_.read_speech(samples, 16, &num_read);
      num_played_.fetch_add(num_read);
      num_reads_.fetch_add(1);
      if (num_read == 0) std::this_thread::yield();
    }
  }

  struct Quiet : ScriptedVoice {
    Quiet() { script.records = false; }
  };
  Quiet quiet_;
  Session session_;
  std::set<uint64_t> ended_;
  std::atomic<bool> is_done_{false};
  std::atomic<size_t> num_played_{0};
  std::atomic<size_t> num_reads_{0};
  std::thread playing_;
};

// Waits where the queue is full.
uint64_t speak(Session* session, const std::string& text) {
  for (;;) {
    try {
      return session->speak(text);
    } catch (const Error& error) {
      CHECK_EQ(error.status(), GALAGO_E_FULL);
      std::this_thread::yield();
    }
  }
}

}  // namespace

TEST(every_sample_of_what_several_threads_say_is_played) {
  constexpr size_t kEach = 40;
  Played played;
  const auto talk = [&played] {
    for (size_t i = 0; i < kEach; ++i) speak(&played.session(), "Hello, world.");
  };
  std::thread first(talk), second(talk);
  for (uint64_t utterance = 1; utterance <= 2 * kEach; ++utterance) played.await_end(utterance);
  first.join();
  second.join();
  CHECK_EQ(played.num_ended(), 2 * kEach);
  CHECK_EQ(played.num_played(),
           2 * kEach * played.voice().sound("^ HH AH0 L OW1 , W ER1 L D .").size());
  CHECK_EQ(played.session().metrics().speech_samples, played.num_played());
}

TEST(stops_from_another_thread_lose_no_end) {
  constexpr uint64_t kNumTexts = 300;
  Played played;
  std::atomic<bool> is_done{false};
  std::thread stopping([&] {
    while (!is_done.load()) {
      played.session().stop_speech();
      played.session().metrics();
      std::this_thread::yield();
    }
  });
  std::thread talking([&] {
    for (uint64_t i = 0; i < kNumTexts; ++i) speak(&played.session(), "Hello, world. One dog.");
  });
  for (uint64_t utterance = 1; utterance <= kNumTexts; ++utterance) played.await_end(utterance);
  is_done.store(true);
  stopping.join();
  talking.join();
  CHECK_EQ(played.num_ended(), kNumTexts);
  // And the voice still speaks.
  const size_t before = played.num_played();
  played.await_end(played.session().speak("One."));
  CHECK_EQ(played.num_played() - before, played.voice().sound("^ W AH1 N .").size());
}
