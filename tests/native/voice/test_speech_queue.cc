// Texts that wait to be spoken.
#include "voice/speech_queue.h"

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/status.h"
#include "check.h"

using namespace galago;

namespace {

std::unique_ptr<Utterance> utterance(size_t num_phones = 1) {
  auto made = std::make_unique<Utterance>();
  made->num_phones = num_phones;
  return made;
}

}  // namespace

TEST(texts_are_numbered_and_taken_in_order) {
  SpeechQueue queue;
  CHECK_EQ(queue.last_number(), 0u);
  CHECK(!queue.has_waiting());
  CHECK(queue.take() == nullptr);
  CHECK_EQ(queue.push(utterance()), 1u);
  CHECK_EQ(queue.push(utterance()), 2u);
  CHECK_EQ(queue.last_number(), 2u);
  for (uint64_t number : {1u, 2u}) {
    std::unique_ptr<Utterance> taken = queue.take();
    CHECK_EQ(taken->number, number);
    queue.put_back(std::move(taken));
  }
  CHECK(!queue.has_waiting());
  CHECK_EQ(queue.push(utterance()), 3u);
}

TEST(a_full_queue_refuses_and_takes_nothing) {
  SpeechQueue queue;
  for (size_t i = 0; i < SpeechQueue::kMaxUtterances; ++i) queue.push(utterance());
  CHECK_THROWS(queue.push(utterance()), "32 texts wait");
  CHECK_EQ(queue.last_number(), SpeechQueue::kMaxUtterances);
  queue.put_back(queue.take());
  CHECK_EQ(queue.push(utterance()), SpeechQueue::kMaxUtterances + 1);
}

TEST(the_phones_that_may_wait_are_bounded_but_one_text_always_may) {
  SpeechQueue queue;
  queue.push(utterance(SpeechQueue::kMaxPhones + 1));
  CHECK_THROWS(queue.push(utterance(1)), "may wait");
  queue.put_back(queue.take());
  queue.push(utterance(SpeechQueue::kMaxPhones));
  CHECK_THROWS(queue.push(utterance(1)), "may wait");
}

TEST(clearing_forgets_what_waits_and_goes_on_counting) {
  SpeechQueue queue;
  queue.push(utterance(100));
  queue.push(utterance(SpeechQueue::kMaxPhones - 100));
  CHECK_EQ(queue.clear(), 2u);
  CHECK(!queue.has_waiting());
  CHECK(queue.take() == nullptr);
  CHECK_EQ(queue.push(utterance(SpeechQueue::kMaxPhones)), 3u);
}

// Under ThreadSanitizer this is where a race would show.
TEST(several_threads_speak_while_one_takes) {
  constexpr uint64_t kEach = 500;
  SpeechQueue queue;
  const auto speak = [&queue] {
    for (uint64_t i = 0; i < kEach;) {
      try {
        queue.push(utterance(3));
        ++i;
      } catch (const Error& error) {
        CHECK_EQ(error.status(), GALAGO_E_FULL);
        std::this_thread::yield();
      }
    }
  };
  std::thread first(speak), second(speak);
  for (uint64_t number = 1; number <= 2 * kEach;) {
    std::unique_ptr<Utterance> taken = queue.take();
    if (taken == nullptr) {
      std::this_thread::yield();
      continue;
    }
    CHECK_EQ(taken->number, number++);
    queue.put_back(std::move(taken));
  }
  first.join();
  second.join();
  CHECK(!queue.has_waiting());
}
