#include "decoding/grammar_search.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

#include "base/heap_bytes.h"
#include "decoding/phone_scorer.h"

namespace galago {
namespace {

constexpr float kImpossible = -std::numeric_limits<float>::infinity();

size_t at_least_one(size_t count) { return std::max<size_t>(count, 1); }

}  // namespace

GrammarSearch::Tokens::Tokens(size_t capacity)
    : place(capacity), score(capacity), ratio(capacity), num_speech(capacity), history(capacity) {}

void GrammarSearch::Tokens::copy(size_t to, size_t from) {
  place[to] = place[from];
  score[to] = score[from];
  ratio[to] = ratio[from];
  num_speech[to] = num_speech[from];
  history[to] = history[from];
  if (!phone_end.empty()) phone_end[to] = phone_end[from];
}

void GrammarSearch::Tokens::assign(const Tokens& other) {
  size = other.size;
  std::copy_n(other.place.begin(), size, place.begin());
  std::copy_n(other.score.begin(), size, score.begin());
  std::copy_n(other.ratio.begin(), size, ratio.begin());
  std::copy_n(other.num_speech.begin(), size, num_speech.begin());
  std::copy_n(other.history.begin(), size, history.begin());
  if (!phone_end.empty()) std::copy_n(other.phone_end.begin(), size, phone_end.begin());
}

GrammarSearch::GrammarSearch(std::shared_ptr<const PhoneAutomaton> automaton, float beam_nats,
                             int max_active, int max_rows)
    : automaton_(std::move(automaton)),
      beam_nats_(beam_nats),
      max_active_(std::min(static_cast<size_t>(max_active), at_least_one(automaton_->num_arcs()))),
      max_candidates_(std::min(2 * max_active_, at_least_one(automaton_->num_arcs()))),
      max_silent_(std::min<size_t>(max_active_ + max_candidates_, automaton_->num_states())),
      arc_tokens_(max_candidates_),
      next_arc_tokens_(max_candidates_),
      silent_tokens_(max_silent_),
      next_silent_tokens_(max_silent_),
      arc_slot_(automaton_->num_arcs(), 0),
      state_slot_(automaton_->num_states(), 0) {
  silent_tokens_.phone_end.resize(max_silent_);
  next_silent_tokens_.phone_end.resize(max_silent_);
  reserve_written(max_silent_, &exits_);
  reserve_written(std::max(max_candidates_, max_silent_), &cut_scores_);
  // A lone hypothesis adds at most a record a row. A row of many adds one for each candidate.
  const size_t rows = static_cast<size_t>(max_rows);
  max_records_ = 2 * rows + 8 * max_active_;
  reserve_written(max_records_, &records_);
  moved_to_.resize(max_records_);
  reserve_written(rows + 1, &chain_);
  reset();
}

void GrammarSearch::reset() {
  num_rows_ = 0;
  threshold_ = kImpossible;
  records_.clear();
  arc_tokens_.clear();
  next_arc_tokens_.clear();
  next_silent_tokens_.clear();
  // Before the first row: silent at the start, at no cost.
  silent_tokens_.size = 1;
  silent_tokens_.place[0] = 0;
  silent_tokens_.score[0] = silent_tokens_.ratio[0] = 0.0f;
  silent_tokens_.num_speech[0] = 0;
  silent_tokens_.history[0] = kNone;
  silent_tokens_.phone_end[0] = {};
}

void GrammarSearch::assign(const GrammarSearch& other) {
  num_rows_ = other.num_rows_;
  arc_tokens_.assign(other.arc_tokens_);
  silent_tokens_.assign(other.silent_tokens_);
  threshold_ = other.threshold_;
  records_ = other.records_;
}

void GrammarSearch::advance(const float* scores, bool filler_is_silent) {
  if (max_records_ - records_.size() < max_candidates_) compact_records();
  first_new_record_ = records_.size();
  best_score_ = candidate_floor_ = kImpossible;
  collect_exits_and_stay(scores);
  for (const Exit& exit : exits_) {
    fall_silent(exit, scores[kSilencePhone], filler_is_silent ? 0 : 1);
    enter_arcs(exit, scores);
  }
  std::swap(arc_tokens_, next_arc_tokens_);
  std::swap(silent_tokens_, next_silent_tokens_);
  next_arc_tokens_.clear();
  next_silent_tokens_.clear();
  ++num_rows_;
  threshold_ = best_score_ - beam_nats_;
  if (arc_tokens_.size > max_active_) keep_best(&arc_tokens_, max_active_);
  if (silent_tokens_.size > max_active_) keep_best(&silent_tokens_, max_active_);
}

void GrammarSearch::offer_exit(uint32_t state, float score, int32_t source) {
  const uint32_t slot = state_slot_[state];
  if (slot >= exits_.size() || exits_[slot].state != state) {
    state_slot_[state] = static_cast<uint32_t>(exits_.size());
    exits_.push_back({state, score, source});
  } else if (score > exits_[slot].score) {
    exits_[slot].score = score;
    exits_[slot].source = source;
  }
}

void GrammarSearch::collect_exits_and_stay(const float* scores) {
  exits_.clear();
  for (size_t i = 0; i < silent_tokens_.size; ++i) {
    if (silent_tokens_.score[i] < threshold_) continue;
    offer_exit(silent_tokens_.place[i], silent_tokens_.score[i], ~static_cast<int32_t>(i));
  }
  Tokens& next = next_arc_tokens_;
  size_t num_next = 0;
  for (size_t i = 0; i < arc_tokens_.size; ++i) {
    const float score_before = arc_tokens_.score[i];
    if (score_before < threshold_) continue;
    const uint32_t arc_index = arc_tokens_.place[i];
    const PhoneAutomaton::Arc& arc = automaton_->arc(arc_index);
    offer_exit(arc.next_state, score_before, static_cast<int32_t>(i));
    const float ratio = scores[arc.phone];
    next.place[num_next] = arc_index;
    next.score[num_next] = score_before + ratio;
    next.ratio[num_next] = arc_tokens_.ratio[i] + ratio;
    next.num_speech[num_next] = arc_tokens_.num_speech[i] + 1;
    next.history[num_next] = arc_tokens_.history[i];
    arc_slot_[arc_index] = static_cast<uint32_t>(num_next);
    ++num_next;
    best_score_ = std::max(best_score_, score_before + ratio);
  }
  next.size = num_next;
}

void GrammarSearch::fall_silent(const Exit& exit, float ratio, int32_t is_speech) {
  Tokens& next = next_silent_tokens_;
  const size_t to = next.size++;
  const bool was_silent = exit.source < 0;
  const size_t from = static_cast<size_t>(was_silent ? ~exit.source : exit.source);
  const Tokens& source = was_silent ? silent_tokens_ : arc_tokens_;
  next.place[to] = exit.state;
  next.score[to] = exit.score + ratio;
  next.ratio[to] = source.ratio[from] + ratio;
  next.num_speech[to] = source.num_speech[from] + is_speech;
  next.history[to] = source.history[from];
  next.phone_end[to] = was_silent ? source.phone_end[from]
                                  : Mark{num_rows_, source.num_speech[from], source.ratio[from]};
  best_score_ = std::max(best_score_, exit.score + ratio);
}

void GrammarSearch::enter_arcs(const Exit& exit, const float* scores) {
  const bool was_silent = exit.source < 0;
  const size_t from = static_cast<size_t>(was_silent ? ~exit.source : exit.source);
  const Tokens& source = was_silent ? silent_tokens_ : arc_tokens_;
  for (const PhoneAutomaton::EntryGroup& group : automaton_->groups(exit.state)) {
    const float ratio = scores[group.phone];
    const float reached = exit.score + ratio;
    if (reached + group.max_weight < std::max(candidate_floor_, best_score_ - beam_nats_)) continue;
    for (uint32_t i = group.entry_begin; i < group.entry_end; ++i) {
      const PhoneAutomaton::Entry& entry = automaton_->entry(i);
      const float score = reached + entry.weight;
      Tokens& next = next_arc_tokens_;
      uint32_t slot = arc_slot_[entry.arc];
      const bool is_new = slot >= next.size || next.place[slot] != entry.arc;
      if (is_new) {
        if (score < std::max(candidate_floor_, best_score_ - beam_nats_)) continue;
        if (next.size == max_candidates_) {
          keep_best(&next, max_active_);
          candidate_floor_ = *std::min_element(
              next.score.begin(), next.score.begin() + static_cast<std::ptrdiff_t>(next.size));
          for (size_t k = 0; k < next.size; ++k)
            arc_slot_[next.place[k]] = static_cast<uint32_t>(k);
          if (score <= candidate_floor_) continue;
        }
        slot = static_cast<uint32_t>(next.size);
      } else if (score <= next.score[slot]) {
        continue;
      }
      int32_t history = source.history[from];
      if (entry.outputs != 0) {
        const int32_t replaced = is_new ? kNone : next.history[slot];
        if (!add_record(hypothesis_of(exit.source), entry.outputs, replaced, &history)) continue;
      }
      if (is_new) {
        arc_slot_[entry.arc] = slot;
        next.place[slot] = entry.arc;
        ++next.size;
      }
      next.score[slot] = score;
      next.ratio[slot] = source.ratio[from] + ratio;
      next.num_speech[slot] = source.num_speech[from] + 1;
      next.history[slot] = history;
      best_score_ = std::max(best_score_, score);
    }
  }
}

// Keeps the `limit` best, of equals the earlier ones, in their order.
void GrammarSearch::keep_best(Tokens* tokens, size_t limit) {
  cut_scores_.assign(tokens->score.begin(),
                     tokens->score.begin() + static_cast<std::ptrdiff_t>(tokens->size));
  const auto cut = cut_scores_.begin() + static_cast<std::ptrdiff_t>(limit) - 1;
  std::nth_element(cut_scores_.begin(), cut, cut_scores_.end(), std::greater<float>());
  const float least = *cut;
  size_t num_ties = limit;  // tokens of exactly the least score that have room
  for (auto better = cut_scores_.begin(); better != cut; ++better)
    if (*better > least) --num_ties;
  size_t num_kept = 0;
  for (size_t i = 0; i < tokens->size; ++i) {
    if (tokens->score[i] < least) continue;
    if (tokens->score[i] == least && num_ties-- == 0) {
      num_ties = 0;
      continue;
    }
    tokens->copy(num_kept++, i);
  }
  tokens->size = num_kept;
}

// -- histories ---------------------------------------------------------------

// False: no room, which only grammars of countless words come to; the way is given up.
bool GrammarSearch::add_record(const Hypothesis& from, uint32_t outputs, int32_t replaced,
                               int32_t* index) {
  const Record record = {from.history, outputs, from.now, from.phone_end};
  // What a better way into the same arc replaces in the same row, nobody else has seen.
  if (replaced != kNone && static_cast<size_t>(replaced) >= first_new_record_) {
    records_[static_cast<size_t>(replaced)] = record;
    *index = replaced;
    return true;
  }
  if (records_.size() == max_records_) return false;
  *index = static_cast<int32_t>(records_.size());
  records_.push_back(record);
  return true;
}

// Mark what live tokens need, then slide it to the front: a record always stands behind the one
// before it, and keeps doing so.
void GrammarSearch::compact_records() {
  std::fill(moved_to_.begin(), moved_to_.end(), kNone);
  const auto mark_all = [this](const Tokens& tokens) {
    for (size_t i = 0; i < tokens.size; ++i) {
      int32_t r = tokens.history[i];
      for (; r != kNone && moved_to_[static_cast<size_t>(r)] == kNone; r = record(r).previous)
        moved_to_[static_cast<size_t>(r)] = 0;
    }
  };
  mark_all(arc_tokens_);
  mark_all(silent_tokens_);
  const auto moved = [this](int32_t r) {
    return r == kNone ? kNone : moved_to_[static_cast<size_t>(r)];
  };
  size_t num_kept = 0;
  for (size_t i = 0; i < records_.size(); ++i) {
    if (moved_to_[i] == kNone) continue;
    records_[i].previous = moved(records_[i].previous);
    moved_to_[i] = static_cast<int32_t>(num_kept);
    records_[num_kept++] = records_[i];
  }
  records_.resize(num_kept);
  for (Tokens* tokens : {&arc_tokens_, &silent_tokens_})
    for (size_t i = 0; i < tokens->size; ++i) tokens->history[i] = moved(tokens->history[i]);
}

// -- answers -----------------------------------------------------------------

GrammarSearch::Hypothesis GrammarSearch::hypothesis_of(int32_t source) const {
  const bool is_silent = source < 0;
  const size_t i = static_cast<size_t>(is_silent ? ~source : source);
  const Tokens& tokens = is_silent ? silent_tokens_ : arc_tokens_;
  const Mark now = {num_rows_, tokens.num_speech[i], tokens.ratio[i]};
  return {tokens.score[i], tokens.history[i], now, is_silent ? tokens.phone_end[i] : now};
}

GrammarSearch::Hypothesis GrammarSearch::best() const {
  float best_score = kImpossible;
  int32_t best = ~0;
  for (size_t i = 0; i < silent_tokens_.size; ++i) {
    if (!(silent_tokens_.score[i] > best_score)) continue;
    best_score = silent_tokens_.score[i];
    best = ~static_cast<int32_t>(i);
  }
  for (size_t i = 0; i < arc_tokens_.size; ++i) {
    if (!(arc_tokens_.score[i] > best_score)) continue;
    best_score = arc_tokens_.score[i];
    best = static_cast<int32_t>(i);
  }
  return hypothesis_of(best);
}

bool GrammarSearch::find_best_final(Hypothesis* hypothesis, uint32_t* outputs) const {
  float best_score = kImpossible;
  int32_t best = 0;
  const auto offer = [&](uint32_t state, float score, int32_t source) {
    const PhoneAutomaton::Final& final = automaton_->final(state);
    if (!(score + final.weight > best_score)) return;
    best_score = score + final.weight;
    best = source;
    *outputs = final.outputs;
  };
  for (size_t i = 0; i < silent_tokens_.size; ++i)
    offer(silent_tokens_.place[i], silent_tokens_.score[i], ~static_cast<int32_t>(i));
  for (size_t i = 0; i < arc_tokens_.size; ++i)
    offer(automaton_->arc(arc_tokens_.place[i]).next_state, arc_tokens_.score[i],
          static_cast<int32_t>(i));
  if (best_score == kImpossible) return false;
  *hypothesis = hypothesis_of(best);
  hypothesis->score = best_score;
  return true;
}

int32_t GrammarSearch::find_shared_record() {
  // moved_to_[r] becomes the number of records of the best hypothesis that record r comes from,
  // itself included.
  constexpr int32_t kUnknown = -1;
  chain_.clear();
  for (int32_t r = best().history; r != kNone; r = record(r).previous) chain_.push_back(r);
  std::reverse(chain_.begin(), chain_.end());
  std::fill(moved_to_.begin(), moved_to_.begin() + static_cast<std::ptrdiff_t>(records_.size()),
            kUnknown);
  for (size_t i = 0; i < chain_.size(); ++i)
    moved_to_[static_cast<size_t>(chain_[i])] = static_cast<int32_t>(i) + 1;
  const auto num_shared_by = [this](int32_t history) {
    int32_t r = history;
    while (r != kNone && moved_to_[static_cast<size_t>(r)] == kUnknown) r = record(r).previous;
    const int32_t num_shared = r == kNone ? 0 : moved_to_[static_cast<size_t>(r)];
    for (r = history; r != kNone && moved_to_[static_cast<size_t>(r)] == kUnknown;
         r = record(r).previous)
      moved_to_[static_cast<size_t>(r)] = num_shared;
    return num_shared;
  };
  int32_t num_shared = static_cast<int32_t>(chain_.size());
  for (const Tokens* tokens : {&silent_tokens_, &arc_tokens_}) {
    for (size_t i = 0; i < tokens->size && num_shared > 0; ++i) {
      if (tokens->score[i] < threshold_) continue;
      num_shared = std::min(num_shared, num_shared_by(tokens->history[i]));
    }
  }
  return num_shared == 0 ? kNone : chain_[static_cast<size_t>(num_shared) - 1];
}

}  // namespace galago
