#include "voice/speech_playback.h"

#include <algorithm>
#include <cstring>

namespace galago {

SpeechPlayback::SpeechPlayback(size_t num_blocks, size_t block_samples, size_t fade_samples)
    : blocks_(num_blocks), fade_samples_(fade_samples) {
  for (Block& block : blocks_) block.samples.resize(block_samples);
}

// -- the writer ---------------------------------------------------------------------------------

bool SpeechPlayback::has_room() const {
  return head_.load(std::memory_order_relaxed) - tail_.load(std::memory_order_acquire) <
         blocks_.size();
}

SpeechPlayback::Block* SpeechPlayback::writing() {
  return has_room() ? &blocks_[head_.load(std::memory_order_relaxed) % blocks_.size()] : nullptr;
}

void SpeechPlayback::publish() {
  head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

// -- the reader ---------------------------------------------------------------------------------

void SpeechPlayback::drop(const Block& block) {
  if (block.is_last) {
    sounding_ = 0;
    heard_through_.store(block.utterance, std::memory_order_release);
  }
  num_taken_ = 0;
  tail_.store(tail_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

size_t SpeechPlayback::fade(const Block& block, float* samples, size_t capacity) {
  if (sounding_ != block.utterance) return 0;  // nothing of it was heard
  const size_t num_samples =
      std::min({block.num_samples - num_taken_, num_fade_samples_, capacity});
  const float* from = block.samples.data() + num_taken_;
  const float step = 1.0f / static_cast<float>(fade_samples_);
  for (size_t i = 0; i < num_samples; ++i) {
    samples[i] = from[i] * static_cast<float>(num_fade_samples_ - i) * step;
  }
  num_taken_ += num_samples;
  num_fade_samples_ -= num_samples;
  if (num_fade_samples_ == 0) sounding_ = 0;
  return num_samples;
}

SpeechPlayback::Taken SpeechPlayback::read(float* samples, size_t capacity) {
  Taken taken;
  while (taken.num_samples < capacity) {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (head_.load(std::memory_order_acquire) == tail) {
      taken.is_underrun = sounding_ != 0 && !is_stopped(sounding_);
      break;
    }
    const Block& block = blocks_[tail % blocks_.size()];
    const size_t room = capacity - taken.num_samples;
    if (is_stopped(block.utterance)) {
      taken.num_samples += fade(block, samples + taken.num_samples, room);
      const bool is_over = num_taken_ == block.num_samples || sounding_ != block.utterance;
      if (!is_over) continue;  // no room for the rest of the fade
    } else {
      if (sounding_ != block.utterance) {
        sounding_ = block.utterance;
        num_fade_samples_ = fade_samples_;
      }
      const size_t num_samples = std::min(block.num_samples - num_taken_, room);
      std::memcpy(samples + taken.num_samples, block.samples.data() + num_taken_,
                  num_samples * sizeof(float));
      taken.num_samples += num_samples;
      num_taken_ += num_samples;
      if (num_taken_ < block.num_samples) continue;
    }
    drop(block);
    taken.has_freed = true;
  }
  return taken;
}

// -- any thread ---------------------------------------------------------------------------------

void SpeechPlayback::stop_through(uint64_t utterance) {
  uint64_t before = stopped_through_.load(std::memory_order_relaxed);
  while (before < utterance &&
         !stopped_through_.compare_exchange_weak(before, utterance, std::memory_order_acq_rel)) {
  }
}

void SpeechPlayback::clear() {
  head_.store(0, std::memory_order_relaxed);
  tail_.store(0, std::memory_order_relaxed);
  num_taken_ = 0;
  sounding_ = 0;
}

size_t SpeechPlayback::num_bytes() const {
  return blocks_.size() * (sizeof(Block) + blocks_[0].samples.size() * sizeof(float));
}

}  // namespace galago
