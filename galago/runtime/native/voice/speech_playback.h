// What is spoken, from the thread that computes it to the one that plays it, without locks.
//
// Blocks of samples, one for each chunk, each with the number of its utterance. The writer fills a
// block in place; the reader takes samples out of the oldest. Whoever stops speech only raises a
// number: the reader drops the blocks of utterances up to it, whenever they come.
//
//   [ 7 7 7 ] [ 7 7 7 ] [ 7 last ] [ 8 8 8 ]      stop_through(7): 8 is the next that is heard
#ifndef GALAGO_NATIVE_VOICE_SPEECH_PLAYBACK_H_
#define GALAGO_NATIVE_VOICE_SPEECH_PLAYBACK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace galago {

class SpeechPlayback {
 public:
  struct Block {
    uint64_t utterance = 0;
    size_t num_samples = 0;  // of those that there is room for
    bool is_last = false;    // of its utterance
    std::vector<float> samples;
  };

  struct Taken {
    size_t num_samples = 0;
    bool has_freed = false;  // a block: the writer may go on, or an utterance was heard to its end
    bool is_underrun = false;  // there was too little in the middle of an utterance
  };

  // A sound that is cut off clicks; over `fade_samples` it does not.
  SpeechPlayback(size_t num_blocks, size_t block_samples, size_t fade_samples);

  // The writer, one thread at a time. A block to fill, the same until publish; NULL: no room.
  Block* writing();
  bool has_room() const;
  void publish();
  // The utterance that was heard to its end last. From any thread.
  uint64_t heard_through() const { return heard_through_.load(std::memory_order_acquire); }

  // The reader, one thread at a time; real-time safe. Up to `capacity` samples.
  Taken read(float* samples, size_t capacity);

  // Utterances up to this number are not to be heard any more. From any thread; never goes back.
  void stop_through(uint64_t utterance);
  bool is_stopped(uint64_t utterance) const {
    return utterance <= stopped_through_.load(std::memory_order_acquire);
  }

  // Forgets the blocks. Neither writer nor reader may be inside.
  void clear();

  size_t num_bytes() const;

 private:
  // What of a stopped utterance's block may still be heard: the end of its fade.
  size_t fade(const Block& block, float* samples, size_t capacity);
  void drop(const Block& block);

  std::vector<Block> blocks_;
  const size_t fade_samples_;
  std::atomic<uint64_t> stopped_through_{0};

  // The writer's.
  alignas(64) std::atomic<uint64_t> head_{0};

  // The reader's.
  alignas(64) std::atomic<uint64_t> tail_{0};
  std::atomic<uint64_t> heard_through_{0};
  size_t num_taken_ = 0;         // samples of the oldest block
  uint64_t sounding_ = 0;        // the utterance that we are in the middle of; 0: none
  size_t num_fade_samples_ = 0;  // that are left if it is stopped now
};

}  // namespace galago

#endif  // GALAGO_NATIVE_VOICE_SPEECH_PLAYBACK_H_
