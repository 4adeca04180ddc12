#include "grammar_search.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

#include "phone_scorer.h"

namespace galago {
namespace {

constexpr float kImpossible = -std::numeric_limits<float>::infinity();

// Keeps, in their order, the `limit` best of the tokens that are not below threshold; of equals
// the earlier ones. Answers the least score that stayed possible.
template <typename Token, typename Drop>
float keep_best(std::vector<Token>* tokens, size_t limit, float threshold,
                std::vector<float>* scores, const Drop& drop) {
  size_t num_ties = limit;  // tokens at exactly the threshold that have room
  if (tokens->size() > limit) {
    scores->clear();
    for (const Token& token : *tokens) scores->push_back(token.hypothesis.score);
    const auto cut = scores->begin() + static_cast<std::ptrdiff_t>(limit) - 1;
    std::nth_element(scores->begin(), cut, scores->end(), std::greater<float>());
    if (*cut >= threshold) {
      threshold = *cut;
      for (auto better = scores->begin(); better != cut; ++better)
        if (*better > threshold) --num_ties;
    }
  }
  size_t num_kept = 0;
  for (size_t i = 0; i < tokens->size(); ++i) {
    const Token token = (*tokens)[i];
    const bool is_tie = token.hypothesis.score == threshold;
    if (token.hypothesis.score > threshold || (is_tie && num_ties > 0)) {
      if (is_tie) --num_ties;
      (*tokens)[num_kept++] = token;
    } else {
      drop(token);
    }
  }
  tokens->resize(num_kept);
  return threshold;
}

}  // namespace

GrammarSearch::GrammarSearch(std::shared_ptr<const PhoneAutomaton> automaton, float beam_nats,
                             int max_active, int max_rows)
    : automaton_(std::move(automaton)), beam_nats_(beam_nats) {
  const size_t num_arcs = automaton_->num_arcs();
  const size_t num_states = automaton_->num_states();
  max_active_ = std::min(static_cast<size_t>(max_active), std::max<size_t>(num_arcs, 1));
  max_candidates_ = std::min(2 * max_active_, std::max<size_t>(num_arcs, 1));
  const size_t max_silent = std::min(max_active_, num_states);
  const size_t max_exits = std::min(max_active_ + max_silent, num_states);
  arc_tokens_.reserve(max_candidates_);
  next_arc_tokens_.reserve(max_candidates_);
  silent_tokens_.reserve(max_exits);
  next_silent_tokens_.reserve(max_exits);
  exits_.reserve(max_exits);
  arc_slot_.assign(num_arcs, kNone);
  state_slot_.assign(num_states, kNone);
  cut_scores_.reserve(std::max(max_candidates_, max_exits));
  // One hypothesis alone needs a record a row at most; the rest is for company.
  const size_t rows = static_cast<size_t>(max_rows);
  records_.reserve(4 * rows + 8 * max_active_);
  moved_to_.resize(records_.capacity());
  chain_.reserve(rows + 1);
  reset();
}

void GrammarSearch::reset() {
  arc_tokens_.clear();
  silent_tokens_.assign(1, {0, {}});
  records_.clear();
}

void GrammarSearch::offer_exit(uint32_t state, const Hypothesis& hypothesis) {
  int32_t& slot = state_slot_[state];
  if (slot == kNone) {
    slot = static_cast<int32_t>(exits_.size());
    exits_.push_back({state, hypothesis});
  } else if (hypothesis.score > exits_[static_cast<size_t>(slot)].hypothesis.score) {
    exits_[static_cast<size_t>(slot)].hypothesis = hypothesis;
  }
}

void GrammarSearch::collect_exits() {
  exits_.clear();
  for (const StateToken& token : silent_tokens_) offer_exit(token.state, token.hypothesis);
  for (const ArcToken& token : arc_tokens_)
    offer_exit(automaton_->arc(token.arc).next_state, token.hypothesis);
  for (const StateToken& exit : exits_) state_slot_[exit.state] = kNone;
}

void GrammarSearch::advance(const float* scores, bool filler_is_silent) {
  const auto hear = [](Hypothesis* hypothesis, float score, bool is_speech) {
    hypothesis->score += score;
    hypothesis->now.ratio += score;
    hypothesis->now.row += 1;
    hypothesis->now.num_speech += is_speech ? 1 : 0;
  };
  collect_exits();
  best_score_ = kImpossible;
  next_arc_tokens_.clear();
  for (const ArcToken& token : arc_tokens_) {
    ArcToken next = {token.arc, 0, kNone, token.hypothesis};
    hear(&next.hypothesis, scores[automaton_->arc(token.arc).phone], true);
    next.hypothesis.phone_end = next.hypothesis.now;
    arc_slot_[token.arc] = static_cast<int32_t>(next_arc_tokens_.size());
    next_arc_tokens_.push_back(next);
    best_score_ = std::max(best_score_, next.hypothesis.score);
  }
  next_silent_tokens_.clear();
  for (const StateToken& exit : exits_) {
    StateToken next = exit;
    hear(&next.hypothesis, scores[kSilencePhone], !filler_is_silent);
    next_silent_tokens_.push_back(next);
    best_score_ = std::max(best_score_, next.hypothesis.score);
  }
  enter_arcs(scores);
  prune();
  record_outputs();
  for (const ArcToken& token : next_arc_tokens_) arc_slot_[token.arc] = kNone;
  arc_tokens_.swap(next_arc_tokens_);
  silent_tokens_.swap(next_silent_tokens_);
}

void GrammarSearch::enter_arcs(const float* scores) {
  float floor = kImpossible;  // of the candidates, once there were too many
  const auto drop = [this](const ArcToken& token) { arc_slot_[token.arc] = kNone; };
  for (size_t e = 0; e < exits_.size(); ++e) {
    const Hypothesis& from = exits_[e].hypothesis;
    for (const PhoneAutomaton::EntryGroup& group : automaton_->groups(exits_[e].state)) {
      const float reached = from.score + scores[group.phone];
      if (reached + group.max_weight < std::max(floor, worst_allowed())) continue;
      for (uint32_t i = group.entry_begin; i < group.entry_end; ++i) {
        const PhoneAutomaton::Entry& entry = automaton_->entry(i);
        const float score = reached + entry.weight;
        int32_t slot = arc_slot_[entry.arc];
        if (slot == kNone) {
          if (score < floor || score < worst_allowed()) continue;
          if (next_arc_tokens_.size() == max_candidates_) {
            // Room is made by half, so that this happens rarely.
            floor = keep_best(&next_arc_tokens_, max_active_, worst_allowed(), &cut_scores_, drop);
            for (size_t k = 0; k < next_arc_tokens_.size(); ++k)
              arc_slot_[next_arc_tokens_[k].arc] = static_cast<int32_t>(k);
            if (score < floor) continue;
          }
          slot = arc_slot_[entry.arc] = static_cast<int32_t>(next_arc_tokens_.size());
          next_arc_tokens_.emplace_back();
        } else if (score <= next_arc_tokens_[static_cast<size_t>(slot)].hypothesis.score) {
          continue;
        }
        ArcToken& token = next_arc_tokens_[static_cast<size_t>(slot)];
        token = {entry.arc, entry.outputs, static_cast<int32_t>(e), from};
        token.hypothesis.score = score;
        token.hypothesis.now.ratio += scores[group.phone];
        token.hypothesis.now.row += 1;
        token.hypothesis.now.num_speech += 1;
        token.hypothesis.phone_end = token.hypothesis.now;
        best_score_ = std::max(best_score_, score);
      }
    }
  }
}

void GrammarSearch::prune() {
  const auto drop_arc = [this](const ArcToken& token) { arc_slot_[token.arc] = kNone; };
  const auto drop_state = [](const StateToken&) {};
  keep_best(&next_arc_tokens_, max_active_, worst_allowed(), &cut_scores_, drop_arc);
  keep_best(&next_silent_tokens_, max_active_, worst_allowed(), &cut_scores_, drop_state);
}

void GrammarSearch::record_outputs() {
  size_t num_new = 0;
  for (const ArcToken& token : next_arc_tokens_) num_new += token.outputs != 0 ? 1 : 0;
  make_room_for_records(num_new);
  for (ArcToken& token : next_arc_tokens_) {
    if (token.outputs == 0) continue;
    // The exit's sums are those before this row; its history may have been compacted since.
    const Hypothesis& from = exits_[static_cast<size_t>(token.exit)].hypothesis;
    const int32_t index = static_cast<int32_t>(records_.size());
    records_.push_back({token.hypothesis.history, token.outputs, from.now, from.phone_end});
    token.hypothesis.history = index;
    token.outputs = 0;
  }
}

void GrammarSearch::make_room_for_records(size_t num_new) {
  if (records_.capacity() - records_.size() >= num_new) return;
  compact_records();
  // Still no room: a grammar of countless short words. The better half goes on.
  while (records_.capacity() - records_.size() < next_arc_tokens_.size()) {
    const auto drop_arc = [this](const ArcToken& token) { arc_slot_[token.arc] = kNone; };
    const size_t limit = std::max<size_t>(1, next_arc_tokens_.size() / 2);
    keep_best(&next_arc_tokens_, limit, kImpossible, &cut_scores_, drop_arc);
    const size_t silent_limit = std::max<size_t>(1, next_silent_tokens_.size() / 2);
    keep_best(&next_silent_tokens_, silent_limit, kImpossible, &cut_scores_,
              [](const StateToken&) {});
    compact_records();
  }
}

// Mark what the hypotheses of the next row still need, then slide it to the front: a record
// always stands behind the one before it, and keeps doing so.
void GrammarSearch::compact_records() {
  std::fill(moved_to_.begin(), moved_to_.end(), kNone);
  const auto mark = [this](int32_t index) {
    while (index != kNone && moved_to_[static_cast<size_t>(index)] == kNone) {
      moved_to_[static_cast<size_t>(index)] = 0;
      index = records_[static_cast<size_t>(index)].previous;
    }
  };
  for (const ArcToken& token : next_arc_tokens_) mark(token.hypothesis.history);
  for (const StateToken& token : next_silent_tokens_) mark(token.hypothesis.history);
  const auto moved = [this](int32_t index) {
    return index == kNone ? kNone : moved_to_[static_cast<size_t>(index)];
  };
  size_t num_kept = 0;
  for (size_t i = 0; i < records_.size(); ++i) {
    if (moved_to_[i] == kNone) continue;
    Record record = records_[i];
    record.previous = moved(record.previous);
    moved_to_[i] = static_cast<int32_t>(num_kept);
    records_[num_kept++] = record;
  }
  records_.resize(num_kept);
  for (ArcToken& token : next_arc_tokens_)
    token.hypothesis.history = moved(token.hypothesis.history);
  for (StateToken& token : next_silent_tokens_)
    token.hypothesis.history = moved(token.hypothesis.history);
}

const GrammarSearch::Hypothesis& GrammarSearch::best() const {
  const Hypothesis* best = nullptr;
  for (const ArcToken& token : arc_tokens_)
    if (best == nullptr || token.hypothesis.score > best->score) best = &token.hypothesis;
  for (const StateToken& token : silent_tokens_)
    if (best == nullptr || token.hypothesis.score > best->score) best = &token.hypothesis;
  return *best;  // pruning keeps the best one, so there always is one
}

bool GrammarSearch::find_best_final(Hypothesis* hypothesis, uint32_t* outputs) const {
  float best_score = kImpossible;
  const auto offer = [&](uint32_t state, const Hypothesis& candidate) {
    const PhoneAutomaton::Final& final = automaton_->final(state);
    if (!(candidate.score + final.weight > best_score)) return;
    best_score = candidate.score + final.weight;
    *hypothesis = candidate;
    hypothesis->score = best_score;
    *outputs = final.outputs;
  };
  for (const StateToken& token : silent_tokens_) offer(token.state, token.hypothesis);
  for (const ArcToken& token : arc_tokens_)
    offer(automaton_->arc(token.arc).next_state, token.hypothesis);
  return best_score > kImpossible;
}

int32_t GrammarSearch::find_shared_record() {
  // moved_to_[i] becomes 1 + the place in chain_, root first, of the last record of the best
  // hypothesis that record i comes from; 0: it comes from none.
  constexpr int32_t kUnknown = -1;
  chain_.clear();
  for (int32_t r = best().history; r != kNone; r = record(r).previous) chain_.push_back(r);
  std::reverse(chain_.begin(), chain_.end());
  std::fill(moved_to_.begin(), moved_to_.begin() + static_cast<std::ptrdiff_t>(records_.size()),
            kUnknown);
  for (size_t i = 0; i < chain_.size(); ++i)
    moved_to_[static_cast<size_t>(chain_[i])] = static_cast<int32_t>(i) + 1;
  const auto joins_at = [this](int32_t index) {
    int32_t at = index;
    while (at != kNone && moved_to_[static_cast<size_t>(at)] == kUnknown) at = record(at).previous;
    const int32_t joined = at == kNone ? 0 : moved_to_[static_cast<size_t>(at)];
    for (at = index; at != kNone && moved_to_[static_cast<size_t>(at)] == kUnknown;
         at = record(at).previous)
      moved_to_[static_cast<size_t>(at)] = joined;
    return joined;
  };
  int32_t num_shared = static_cast<int32_t>(chain_.size());
  for (size_t i = 0; i < silent_tokens_.size() && num_shared > 0; ++i)
    num_shared = std::min(num_shared, joins_at(silent_tokens_[i].hypothesis.history));
  for (size_t i = 0; i < arc_tokens_.size() && num_shared > 0; ++i)
    num_shared = std::min(num_shared, joins_at(arc_tokens_[i].hypothesis.history));
  return num_shared == 0 ? kNone : chain_[static_cast<size_t>(num_shared) - 1];
}

}  // namespace galago
