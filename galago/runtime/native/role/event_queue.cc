#include "role/event_queue.h"

#include <algorithm>
#include <cstring>

namespace galago {

EventQueue::EventQueue(size_t capacity, const EventLimits& limits)
    : capacity_(capacity),
      limits_(limits),
      text_(new char[(capacity + 2) * limits.text_bytes]),
      words_(new galago_word[(capacity + 2) * limits.num_words]),
      labels_(new galago_label[(capacity + 2) * limits.num_labels]),
      values_(new float[(capacity + 2) * limits.num_values]),
      slots_(capacity + 2),
      writing_(&slots_[0]) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].text = text_.get() + i * limits.text_bytes;
    slots_[i].words = words_.get() + i * limits.num_words;
    slots_[i].labels = labels_.get() + i * limits.num_labels;
    slots_[i].values = values_.get() + i * limits.num_values;
  }
  const size_t num_written = std::min(kSlotsWritten, slots_.size());
  std::fill_n(text_.get(), num_written * limits.text_bytes, '\0');
  std::fill_n(words_.get(), num_written * limits.num_words, galago_word{});
  std::fill_n(labels_.get(), num_written * limits.num_labels, galago_label{});
  std::fill_n(values_.get(), num_written * limits.num_values, 0.0f);
  free_.reserve(slots_.size());
  waiting_.reserve(capacity_);
  clear();
}

void EventQueue::clear() {
  free_.clear();
  waiting_.clear();
  held_ = nullptr;
  next_sequence_ = 1;
  writing_ = &slots_[0];
  // The first ones on top: they are taken again before another is.
  for (size_t i = slots_.size() - 1; i > 0; --i) free_.push_back(&slots_[i]);
}

galago_event* EventQueue::begin(uint32_t type) {
  Slot* slot = writing_;
  slot->event = galago_event GALAGO_EVENT_INIT;
  slot->event.type = type;
  slot->event.text = "";
  slot->event.words = slot->words;
  slot->event.labels = slot->labels;
  slot->event.values = slot->values;
  slot->used_bytes = 0;
  return &slot->event;
}

const char* EventQueue::store(Slot* slot, std::string_view text) const {
  if (text.size() + 1 > limits_.text_bytes - slot->used_bytes) return nullptr;
  char* out = slot->text + slot->used_bytes;
  if (!text.empty()) std::memcpy(out, text.data(), text.size());
  out[text.size()] = '\0';
  slot->used_bytes += text.size() + 1;
  return out;
}

void EventQueue::set_text(std::string_view text) {
  const size_t room = limits_.text_bytes - writing_->used_bytes;
  if (text.size() + 1 > room) {
    size_t end = room - 1;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text = text.substr(0, end);
  }
  writing_->event.text = store(writing_, text);
}

bool EventQueue::add_word(std::string_view text, int64_t begin_ns, int64_t end_ns,
                          float confidence) {
  galago_event& event = writing_->event;
  if (event.num_words == limits_.num_words) return false;
  const char* stored = store(writing_, text);
  if (stored == nullptr) return false;
  writing_->words[event.num_words++] = {stored, begin_ns, end_ns, confidence, 0};
  return true;
}

bool EventQueue::add_label(std::string_view name, std::string_view value, float score) {
  galago_event& event = writing_->event;
  if (event.num_labels == limits_.num_labels) return false;
  const size_t used_before = writing_->used_bytes;
  const char* stored_name = store(writing_, name);
  const char* stored_value = stored_name == nullptr ? nullptr : store(writing_, value);
  if (stored_value == nullptr) {
    writing_->used_bytes = used_before;
    return false;
  }
  writing_->labels[event.num_labels++] = {stored_name, stored_value, score, 0};
  return true;
}

bool EventQueue::add_class(std::string_view name, float score) {
  galago_event& event = writing_->event;
  if (event.num_labels == limits_.num_labels) return false;
  const char* stored = store(writing_, name);
  if (stored == nullptr) return false;
  writing_->labels[event.num_labels++] = {stored, nullptr, score, 0};
  return true;
}

float* EventQueue::add_values(size_t num_values) {
  writing_->event.num_values = num_values;
  return writing_->values;
}

void EventQueue::publish() {
  galago_event& event = writing_->event;
  // Nothing points at storage that holds nothing.
  if (event.num_words == 0) event.words = nullptr;
  if (event.num_labels == 0) event.labels = nullptr;
  if (event.num_values == 0) event.values = nullptr;
  std::lock_guard<std::mutex> lock(mutex_);
  event.sequence = next_sequence_++;
  if (waiting_.size() == capacity_) drop_one();
  waiting_.push_back(writing_);
  writing_ = free_.back();  // never empty: there are two slots more than may wait
  free_.pop_back();
}

void EventQueue::drop_one() {
  auto victim = waiting_.begin();
  for (auto i = waiting_.begin(); i != waiting_.end(); ++i) {
    const uint32_t type = (*i)->event.type;
    if (type == GALAGO_EVENT_PARTIAL || type == GALAGO_EVENT_POSTERIORS ||
        type == GALAGO_EVENT_LABELS || type == GALAGO_EVENT_LOGITS) {
      victim = i;
      break;
    }
  }
  free_.push_back(*victim);
  waiting_.erase(victim);
}

bool EventQueue::take(galago_event* event) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (waiting_.empty()) return false;
  if (held_ != nullptr) free_.push_back(held_);
  held_ = waiting_.front();
  waiting_.erase(waiting_.begin());
  *event = held_->event;
  return true;
}

bool EventQueue::is_empty() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return waiting_.empty();
}

size_t EventQueue::num_bytes() const {
  return slots_.size() *
         (sizeof(Slot) + limits_.text_bytes + limits_.num_words * sizeof(galago_word) +
          limits_.num_labels * sizeof(galago_label) + limits_.num_values * sizeof(float));
}

}  // namespace galago
