#include "voice/speech_queue.h"

#include <utility>

#include "base/status.h"

namespace galago {

// Between two pushes at most all that wait, and the one at hand, become spoken ones.
SpeechQueue::SpeechQueue() {
  waiting_.reserve(kMaxUtterances);
  spoken_.reserve(kMaxUtterances + 1);
}

uint64_t SpeechQueue::push(std::unique_ptr<Utterance> utterance) {
  std::vector<std::unique_ptr<Utterance>> spoken;
  spoken.reserve(kMaxUtterances + 1);
  std::lock_guard<std::mutex> lock(mutex_);
  spoken.swap(spoken_);  // freed after the lock is
  if (waiting_.size() == kMaxUtterances) {
    fail(GALAGO_E_FULL, "speak: %zu texts wait to be spoken already", kMaxUtterances);
  }
  if (!waiting_.empty() && num_waiting_phones_ + utterance->num_phones > kMaxPhones) {
    fail(GALAGO_E_FULL, "speak: texts of %zu phones wait already, this one has %zu, %zu may wait",
         num_waiting_phones_, utterance->num_phones, kMaxPhones);
  }
  const uint64_t number = last_number_.load(std::memory_order_relaxed) + 1;
  utterance->number = number;
  num_waiting_phones_ += utterance->num_phones;
  waiting_.push_back(std::move(utterance));
  last_number_.store(number, std::memory_order_release);
  num_waiting_.store(waiting_.size(), std::memory_order_release);
  return number;
}

std::unique_ptr<Utterance> SpeechQueue::take() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (waiting_.empty()) return nullptr;
  std::unique_ptr<Utterance> oldest = std::move(waiting_.front());
  waiting_.erase(waiting_.begin());
  num_waiting_phones_ -= oldest->num_phones;
  num_waiting_.store(waiting_.size(), std::memory_order_release);
  return oldest;
}

void SpeechQueue::put_back(std::unique_ptr<Utterance> spoken) {
  std::lock_guard<std::mutex> lock(mutex_);
  spoken_.push_back(std::move(spoken));
}

uint64_t SpeechQueue::clear() {
  std::lock_guard<std::mutex> lock(mutex_);
  waiting_.clear();
  num_waiting_phones_ = 0;
  num_waiting_.store(0, std::memory_order_release);
  return last_number_.load(std::memory_order_relaxed);
}

}  // namespace galago
