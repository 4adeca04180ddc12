// Token passing over a phone automaton: the search inside GrammarDecoder.
//
// A hypothesis is in a phone arc or, between two phones, silent at a state. A row takes it
//
//   phone arc a  -> a again            | a phone arc that follows a's state | silent there
//   silent at s  -> silent at s again  | a phone arc that follows s
//
// and of all that meet in one place the best goes on. Only live places cost anything.
#ifndef GALAGO_GRAMMAR_SEARCH_H_
#define GALAGO_GRAMMAR_SEARCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "phone_automaton.h"

namespace galago {

class GrammarSearch {
 public:
  static constexpr int32_t kNone = -1;

  // A point of a path, and the sums over all rows before `row`.
  struct Mark {
    int32_t row = 0;         // of the utterance
    int32_t num_speech = 0;  // rows where the path or the free phone loop is not silent
    float ratio = 0.0f;      // log-likelihood ratio against the free phone loop
  };

  struct Hypothesis {
    float score = 0.0f;       // ratio and arc weights: what the search maximises
    int32_t history = kNone;  // index of its last Record
    Mark now;
    Mark phone_end;  // after its last row in a phone
  };

  // What a path put out where it entered a phone. Immutable; hypotheses share their pasts.
  struct Record {
    int32_t previous;
    uint32_t outputs;  // PhoneAutomaton::outputs()
    Mark begin;
    Mark phone_end;  // of the phone before, which a silence may separate from begin
  };

  // Allocates everything. max_active: [16, 2^20]; beam_nats > 0; max_rows >= 1.
  GrammarSearch(std::shared_ptr<const PhoneAutomaton> automaton, float beam_nats, int max_active,
                int max_rows);

  void reset();

  // scores: of PhoneScorer, [num_phones]; at most max_rows rows between two resets.
  void advance(const float* scores, bool filler_is_silent);

  const Hypothesis& best() const;

  // The best hypothesis that ends a sentence, its score with the final weight. False: none does.
  bool find_best_final(Hypothesis* hypothesis, uint32_t* outputs) const;

  const Record& record(int32_t index) const { return records_[static_cast<size_t>(index)]; }

  // The last record that all hypotheses share; kNone: none.
  int32_t find_shared_record();

  int num_active_arcs() const { return static_cast<int>(arc_tokens_.size()); }

 private:
  struct ArcToken {
    uint32_t arc;
    uint32_t outputs;  // not yet recorded; 0: none
    int32_t exit;      // index of the exit it came from in this row; kNone: it stayed
    Hypothesis hypothesis;
  };
  struct StateToken {
    uint32_t state;
    Hypothesis hypothesis;
  };

  void collect_exits();
  void offer_exit(uint32_t state, const Hypothesis& hypothesis);
  void enter_arcs(const float* scores);
  void prune();
  void record_outputs();
  void make_room_for_records(size_t num_new);
  void compact_records();
  float worst_allowed() const { return best_score_ - beam_nats_; }

  std::shared_ptr<const PhoneAutomaton> automaton_;
  float beam_nats_;
  size_t max_active_;
  size_t max_candidates_;  // arc tokens of a row before pruning

  std::vector<ArcToken> arc_tokens_, next_arc_tokens_;
  std::vector<StateToken> silent_tokens_, next_silent_tokens_;
  std::vector<StateToken> exits_;    // the best that can leave each state in this row
  std::vector<int32_t> arc_slot_;    // [num_arcs], index in next_arc_tokens_, or kNone
  std::vector<int32_t> state_slot_;  // [num_states], index in exits_, or kNone
  float best_score_ = 0.0f;          // of the row under way
  std::vector<float> cut_scores_;

  std::vector<Record> records_;
  std::vector<int32_t> moved_to_;  // [capacity of records_], scratch
  std::vector<int32_t> chain_;     // [max_rows], scratch
};

}  // namespace galago

#endif  // GALAGO_GRAMMAR_SEARCH_H_
