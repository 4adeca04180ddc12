// One of the ways that the search for words hears an utterance, as far as it has come.
#ifndef GALAGO_NATIVE_DECODING_WORD_HYPOTHESIS_H_
#define GALAGO_NATIVE_DECODING_WORD_HYPOTHESIS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "decoding/hotwords.h"
#include "decoding/word_lattice.h"
#include "decoding/word_model.h"

namespace galago {

// Where a hypothesis stands. `last_phone` is what may be repeated: the node's own, and at the root
// that of the word before, 0 where there is none.
struct WordPlace {
  uint32_t node;
  WordModel::History before;  // the complete words
  uint8_t last_phone;

  bool operator==(const WordPlace& other) const {
    return node == other.node && before == other.before && last_phone == other.last_phone;
  }
  uint32_t hash() const {
    uint64_t mixed = static_cast<uint64_t>(node) << 32 | before.context;
    mixed = mixed * 0x9E3779B97F4A7C15u ^ (uint32_t{before.word} << 8 | last_phone);
    return static_cast<uint32_t>(mixed * 0x9E3779B97F4A7C15u >> 32);
  }
};

struct WordHypothesis {
  WordPlace place;
  float log_blank;     // of all paths that end with a blank
  float log_nonblank;  // of all that end with last_phone
  float language;      // of the complete words, and of what may become the next one
  float score;         // all together: the order of the beam
  // Of the likeliest path.
  int32_t link;           // the last complete word; kNone: there is none
  int32_t begin_row;      // of the word that has begun; at the root, of the last one
  float phone_log_probs;  // of its phones but the last one, summed
  float last_log_prob;    // of the last one: the highest of its rows
  uint16_t num_phones;
  uint16_t complete;            // a word that this row completed and that has no link yet; 0: none
  HotwordGraph::State hotword;  // after the last complete word

  // The word that this row completed.
  HeardWord completed(int32_t row) const {
    const float mean = (phone_log_probs + last_log_prob) / static_cast<float>(num_phones);
    return {complete, begin_row, row + 1, std::min(1.0f, std::exp(mean))};
  }
};

// The order of the beam; the same on every machine.
inline bool is_better(const WordHypothesis& a, const WordHypothesis& b) {
  if (a.score != b.score) return a.score > b.score;
  if (a.place.node != b.place.node) return a.place.node < b.place.node;
  if (a.place.before.word != b.place.before.word) return a.place.before.word < b.place.before.word;
  if (a.place.before.context != b.place.before.context)
    return a.place.before.context < b.place.before.context;
  return a.place.last_phone < b.place.last_phone;
}

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_WORD_HYPOTHESIS_H_
