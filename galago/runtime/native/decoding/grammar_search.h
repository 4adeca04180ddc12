// Token passing over a phone automaton: the search inside GrammarDecoder.
//
// A hypothesis is in a phone arc or, between two phones, silent at a state. A row takes it
//
//   phone arc a  -> a again            | a phone arc that follows a's state | silent there
//   silent at s  -> silent at s again  | a phone arc that follows s
//
// and of all that meet in one place the best goes on. Only live places cost anything.
#ifndef GALAGO_NATIVE_DECODING_GRAMMAR_SEARCH_H_
#define GALAGO_NATIVE_DECODING_GRAMMAR_SEARCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "decoding/phone_automaton.h"

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
  // Goes on from where `other`, over the same automaton, stands. Allocates nothing.
  void assign(const GrammarSearch& other);

  // scores: of PhoneScorer, [num_phones]; at most max_rows rows between two resets.
  void advance(const float* scores, bool filler_is_silent);

  Hypothesis best() const;

  // The best hypothesis that ends a sentence, its score with the final weight. False: none does.
  bool find_best_final(Hypothesis* hypothesis, uint32_t* outputs) const;

  const Record& record(int32_t index) const { return records_[static_cast<size_t>(index)]; }

  // The last record that all hypotheses share; kNone: none.
  int32_t find_shared_record();

  // Phone arcs with a hypothesis, some of which the next row drops.
  int num_active_arcs() const { return static_cast<int>(arc_tokens_.size); }

 private:
  // Hypotheses in their places, a field an array: a row reads and writes them all, in order. The
  // row is the same for all; in a phone, phone_end is now.
  struct Tokens {
    explicit Tokens(size_t capacity);
    void clear() { size = 0; }
    void copy(size_t to, size_t from);
    void assign(const Tokens& other);

    size_t size = 0;
    std::vector<uint32_t> place;  // phone arc, or state
    std::vector<float> score;
    std::vector<float> ratio;
    std::vector<int32_t> num_speech;
    std::vector<int32_t> history;
    std::vector<Mark> phone_end;  // of silent ones only; empty otherwise
  };

  // A state that can be left in this row, and the best token to leave it.
  struct Exit {
    uint32_t state;
    float score;
    int32_t source;  // index in arc_tokens_, or ~index in silent_tokens_
  };

  void collect_exits_and_stay(const float* scores);
  void offer_exit(uint32_t state, float score, int32_t source);
  void fall_silent(const Exit& exit, float ratio, int32_t is_speech);
  void enter_arcs(const Exit& exit, const float* scores);
  void keep_best(Tokens* tokens, size_t limit);
  Hypothesis hypothesis_of(int32_t source) const;

  bool add_record(const Hypothesis& from, uint32_t outputs, int32_t replaced, int32_t* index);
  void compact_records();

  const std::shared_ptr<const PhoneAutomaton> automaton_;
  const float beam_nats_;
  const size_t max_active_;
  const size_t max_candidates_;  // arc tokens of a row before pruning
  const size_t max_silent_;

  int32_t num_rows_ = 0;
  Tokens arc_tokens_, next_arc_tokens_;
  Tokens silent_tokens_, next_silent_tokens_;
  std::vector<Exit> exits_;
  // Where a place may stand in next_arc_tokens_ or exits_: true only if it does stand there.
  std::vector<uint32_t> arc_slot_;    // [num_arcs]
  std::vector<uint32_t> state_slot_;  // [num_states]
  float best_score_ = 0.0f;           // of the row under way
  float threshold_;                   // tokens with a lower score are dropped by the next row
  float candidate_floor_;             // of the row under way, once its candidates were too many
  std::vector<float> cut_scores_;

  std::vector<Record> records_;
  size_t max_records_;
  size_t first_new_record_ = 0;    // those behind were added in the row under way
  std::vector<int32_t> moved_to_;  // [max_records], scratch
  std::vector<int32_t> chain_;     // [max_rows], scratch
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_GRAMMAR_SEARCH_H_
