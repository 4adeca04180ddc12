#include "decoding/word_lattice.h"

#include <algorithm>

#include "base/heap_bytes.h"

namespace galago {

WordLattice::WordLattice(size_t max_texts, size_t max_words, size_t max_alternatives)
    : max_texts_(max_texts + 1), max_words_(max_words), max_alternatives_(max_alternatives) {
  // Written once: memory that is only reserved would be the process's growth at its first long
  // utterance.
  texts_.resize(max_texts_);
  detours_.resize(max_texts_);
  size_t num_slots = 1;
  while (num_slots < 2 * max_texts_) num_slots *= 2;
  slots_.resize(num_slots);
  alternatives_.resize(max_alternatives + 1);
  behind_.resize(max_words + 1);
  clear();
}

void WordLattice::clear() {
  texts_.clear();
  texts_.push_back({kNoText, kNone, 0, {}});
  detours_.clear();
  std::fill(slots_.begin(), slots_.end(), kNone);
  alternatives_.clear();
  behind_.clear();
}

// Where it is, or where it would be.
uint32_t WordLattice::slot_of(int32_t before, uint16_t word) const {
  const auto mask = static_cast<uint32_t>(slots_.size() - 1);
  const uint64_t key = static_cast<uint64_t>(before) << 16 | word;
  auto at = static_cast<uint32_t>(key * 0x9E3779B97F4A7C15u >> 32) & mask;
  for (; slots_[at] != kNone; at = (at + 1) & mask) {
    const Text& held = texts_[static_cast<size_t>(slots_[at])];
    if (held.before == before && held.word.word == word) break;
  }
  return at;
}

int32_t WordLattice::append(int32_t text, const HeardWord& word) {
  if (text == kNoText) return kNoText;
  int32_t& slot = slots_[slot_of(text, word.word)];
  if (slot == kNone) {
    const uint32_t num_words = texts_[static_cast<size_t>(text)].num_words + 1;
    if (texts_.size() == max_texts_ || num_words > max_words_) return kNoText;
    slot = static_cast<int32_t>(texts_.size());
    texts_.push_back({text, kNone, num_words, word});
    return slot;
  }
  HeardWord& held = texts_[static_cast<size_t>(slot)].word;
  if (held.begin_row == word.begin_row && held.end_row < word.end_row) held = word;
  return slot;
}

void WordLattice::add_detour(int32_t text, int32_t other, float cost) {
  if (text == other || text == kNoText || other == kNoText) return;
  int32_t& first = texts_[static_cast<size_t>(text)].first_detour;
  for (int32_t at = first; at != kNone; at = detours_[static_cast<size_t>(at)].next) {
    Detour& held = detours_[static_cast<size_t>(at)];
    if (held.other != other) continue;
    held.cost = std::min(held.cost, cost);
    return;
  }
  if (detours_.size() == max_texts_) return;
  detours_.push_back({first, other, cost});
  first = static_cast<int32_t>(detours_.size() - 1);
}

void WordLattice::offer(const Alternative& alternative) {
  const auto is_behind = [](const Alternative& a, const Alternative& b) {
    return a.score > b.score;
  };
  if (alternatives_.size() == max_alternatives_ && !is_behind(alternative, alternatives_.back()))
    return;
  if (alternative.text != kNoText) {
    const auto same =
        std::find_if(alternatives_.begin(), alternatives_.end(),
                     [&](const Alternative& held) { return held.text == alternative.text; });
    if (same != alternatives_.end()) {
      if (!is_behind(alternative, *same)) return;
      alternatives_.erase(same);
    }
  }
  alternatives_.insert(
      std::upper_bound(alternatives_.begin(), alternatives_.end(), alternative, is_behind),
      alternative);
  if (alternatives_.size() > max_alternatives_) alternatives_.pop_back();
}

bool WordLattice::begins_with(int32_t text, int32_t beginning) const {
  while (text != beginning && text != kNoText) text = texts_[static_cast<size_t>(text)].before;
  return text == beginning;
}

void WordLattice::take_detours(int32_t settled) {
  if (settled == kNoText) return;
  // No text behind a detour is better than the one before it: what is inserted comes later.
  for (size_t i = 0; i < alternatives_.size(); ++i) {
    const Alternative from = alternatives_[i];
    behind_.clear();
    for (int32_t at = from.text; at != kNoText && at != settled;
         at = texts_[static_cast<size_t>(at)].before) {
      for (int32_t d = texts_[static_cast<size_t>(at)].first_detour; d != kNone;
           d = detours_[static_cast<size_t>(d)].next) {
        const Detour detour = detours_[static_cast<size_t>(d)];
        const float score = from.score - detour.cost;
        if (alternatives_.size() == max_alternatives_ && !(score > alternatives_.back().score))
          continue;
        if (!begins_with(detour.other, settled)) continue;
        int32_t text = detour.other;
        for (auto behind = behind_.rbegin(); behind != behind_.rend(); ++behind)
          text = append(text, HeardWord(texts_[static_cast<size_t>(*behind)].word));
        if (text != kNoText) offer({score, text, kNoText});
      }
      behind_.push_back(at);
    }
  }
}

void WordLattice::append_reversed(int32_t text, std::vector<HeardWord>* words) const {
  for (; text != kEmpty; text = texts_[static_cast<size_t>(text)].before)
    words->push_back(texts_[static_cast<size_t>(text)].word);
}

size_t WordLattice::num_bytes() const {
  return heap_bytes(texts_, detours_, slots_, alternatives_, behind_);
}

}  // namespace galago
