#include "decoding/phrase_spotter.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/heap_bytes.h"
#include "base/status.h"
#include "decoding/phone_scorer.h"

namespace galago {
namespace {

constexpr int32_t kNone = -1;
constexpr float kImpossible = -std::numeric_limits<float>::infinity();
constexpr float kMinGain = 0.02f;  // a growth of the score below it does not put off the telling

struct Hypothesis {
  float score = 0.0f;           // sum of ratios and arc weights: what the search maximises
  float phone_mean_sum = 0.0f;  // of the phones, and silences, before the current one
  float current_sum = 0.0f;     // ratios in the current phone or silence
  int32_t current_rows = 0;
  int32_t num_phones = 0;  // the current one included
  uint32_t phrase = 0;     // outputs of the automaton that name it; 0: not named yet
  int64_t begin_token = 0;

  float phrase_score() const {
    const float current_mean = current_sum / static_cast<float>(std::max(current_rows, 1));
    return (phone_mean_sum + current_mean) / static_cast<float>(std::max(num_phones, 1));
  }
  void hear(float ratio) {
    score += ratio;
    current_sum += ratio;
    ++current_rows;
  }
  void begin_next(bool is_phone) {
    phone_mean_sum += current_sum / static_cast<float>(std::max(current_rows, 1));
    current_sum = 0.0f;
    current_rows = 0;
    num_phones += is_phone ? 1 : 0;
  }
};

struct ArcToken {
  uint32_t arc;
  Hypothesis hypothesis;
};

struct StateToken {
  uint32_t state;
  bool is_silent;  // already, so that it may leave but needs no new silence
  Hypothesis hypothesis;
};

struct Pending {
  bool exists = false;
  int32_t rows_since_gain = 0;
  uint32_t phrase = 0;
  float score = 0.0f;
  int64_t begin_token = 0;
  int64_t end_token = 0;
};

std::shared_ptr<const PhoneAutomaton> validate(std::shared_ptr<const PhoneAutomaton> automaton,
                                               const PhraseSpotterOptions& o) {
  const auto require = [](bool condition, const char* what) {
    if (!condition) fail(GALAGO_E_INVALID_ARGUMENT, "phrases: %s", what);
  };
  require(automaton != nullptr, "there are none");
  require(automaton->kind() == PhoneAutomaton::Kind::kPhrases, "compiled as a grammar");
  require(static_cast<size_t>(automaton->min_num_phones()) <= o.phone_log_priors.size(),
          "have phones that the bundle lacks");
  require(o.threshold < 0, "threshold must be < 0");
  require(o.confirm_tokens >= 0 && o.confirm_tokens <= 100, "confirm_tokens must be in [0, 100]");
  require(o.refractory_tokens >= 0 && o.refractory_tokens <= 1000,
          "refractory_tokens must be in [0, 1000]");
  require(o.max_pause_tokens >= 0 && o.max_pause_tokens <= 1000,
          "max_pause_tokens must be in [0, 1000]");
  require(o.beam_nats > 0, "beam_nats must be > 0");
  require(automaton->final(0).weight == kImpossible, "one of them is empty");
  for (const PhoneAutomaton::EntryGroup& group : automaton->groups(0)) {
    for (uint32_t i = group.entry_begin; i < group.entry_end; ++i) {
      const uint32_t next = automaton->arc(automaton->entry(i).arc).next_state;
      require(automaton->final(next).weight == kImpossible,
              "one of them is a single phone, which any speech holds");
    }
  }
  return automaton;
}

}  // namespace

struct PhraseSpotter::Impl {
  std::shared_ptr<const PhoneAutomaton> automaton;
  PhraseSpotterOptions options;
  PhoneScorer scorer;
  std::vector<float> scores;

  std::vector<ArcToken> arc_tokens, next_arc_tokens;
  std::vector<StateToken> silent_tokens, next_silent_tokens;
  std::vector<StateToken> exits;    // the best that can leave each state in this row
  std::vector<int32_t> arc_slot;    // [num_arcs], index in next_arc_tokens, or kNone
  std::vector<int32_t> state_slot;  // [num_states], index in exits, or kNone

  int64_t next_token = 0;
  int64_t quiet_until = 0;  // nothing begins before this token
  Pending pending;
  std::vector<SpottedPhrase> detections;

  Impl(std::shared_ptr<const PhoneAutomaton> a, const PhraseSpotterOptions& o)
      : automaton(validate(std::move(a), o)),
        options(o),
        scorer(o.phone_log_priors, o.prior_scale) {
    scores.resize(o.phone_log_priors.size());
    reserve_written(automaton->num_arcs(), &arc_tokens);
    reserve_written(automaton->num_arcs(), &next_arc_tokens);
    reserve_written(automaton->num_states(), &silent_tokens);
    reserve_written(automaton->num_states(), &next_silent_tokens);
    reserve_written(automaton->num_states(), &exits);
    arc_slot.assign(automaton->num_arcs(), kNone);
    state_slot.assign(automaton->num_states(), kNone);
    reserve_written(kMaxDetections, &detections);
  }

  void reset(int64_t first_token) {
    forget();
    next_token = quiet_until = first_token;
    detections.clear();
  }

  void forget() {
    arc_tokens.clear();
    silent_tokens.clear();
    pending = {};
  }

  void advance(const float* log_probs, int num_rows, int stride) {
    detections.clear();
    for (int row = 0; row < num_rows; ++row) {
      scorer.score(log_probs + static_cast<std::ptrdiff_t>(row) * stride, scores.data());
      search_row();
      ++next_token;
      find_ends();
      if (pending.exists && pending.rows_since_gain >= options.confirm_tokens) tell();
    }
  }

  void finish() {
    detections.clear();
    if (pending.exists) tell();
  }

  // -- one row of the search ------------------------------------------------

  void offer_exit(uint32_t state, bool is_silent, const Hypothesis& hypothesis) {
    int32_t& slot = state_slot[state];
    if (slot == kNone) {
      slot = static_cast<int32_t>(exits.size());
      exits.push_back({state, is_silent, hypothesis});
    } else if (hypothesis.score > exits[static_cast<size_t>(slot)].hypothesis.score) {
      exits[static_cast<size_t>(slot)] = {state, is_silent, hypothesis};
    }
  }

  void search_row() {
    exits.clear();
    if (next_token >= quiet_until) {
      Hypothesis fresh;
      fresh.begin_token = next_token;
      offer_exit(0, true, fresh);
    }
    for (const StateToken& token : silent_tokens) offer_exit(token.state, true, token.hypothesis);
    for (const ArcToken& token : arc_tokens)
      offer_exit(automaton->arc(token.arc).next_state, false, token.hypothesis);
    for (const StateToken& exit : exits) state_slot[exit.state] = kNone;

    next_arc_tokens.clear();
    for (const ArcToken& token : arc_tokens) {
      ArcToken next = token;
      next.hypothesis.hear(scores[automaton->arc(token.arc).phone]);
      arc_slot[token.arc] = static_cast<int32_t>(next_arc_tokens.size());
      next_arc_tokens.push_back(next);
    }
    next_silent_tokens.clear();
    for (const StateToken& exit : exits) {
      enter_arcs(exit);
      stay_silent(exit);
    }
    for (const ArcToken& token : next_arc_tokens) arc_slot[token.arc] = kNone;
    const auto is_hopeless = [this](const auto& token) {
      return token.hypothesis.score < -options.beam_nats;
    };
    next_arc_tokens.erase(
        std::remove_if(next_arc_tokens.begin(), next_arc_tokens.end(), is_hopeless),
        next_arc_tokens.end());
    next_silent_tokens.erase(
        std::remove_if(next_silent_tokens.begin(), next_silent_tokens.end(), is_hopeless),
        next_silent_tokens.end());
    arc_tokens.swap(next_arc_tokens);
    silent_tokens.swap(next_silent_tokens);
  }

  void enter_arcs(const StateToken& exit) {
    for (const PhoneAutomaton::EntryGroup& group : automaton->groups(exit.state)) {
      const float reached = exit.hypothesis.score + scores[group.phone];
      if (reached + group.max_weight < -options.beam_nats) continue;
      for (uint32_t i = group.entry_begin; i < group.entry_end; ++i) {
        const PhoneAutomaton::Entry& entry = automaton->entry(i);
        const float score = reached + entry.weight;
        int32_t& slot = arc_slot[entry.arc];
        if (slot == kNone) {
          slot = static_cast<int32_t>(next_arc_tokens.size());
          next_arc_tokens.push_back({entry.arc, {}});
        } else if (score <= next_arc_tokens[static_cast<size_t>(slot)].hypothesis.score) {
          continue;
        }
        Hypothesis& next = next_arc_tokens[static_cast<size_t>(slot)].hypothesis;
        next = exit.hypothesis;
        next.begin_next(true);
        next.hear(scores[group.phone]);
        next.score = score;
        if (names_phrase(entry.outputs)) next.phrase = entry.outputs;
      }
    }
  }

  void stay_silent(const StateToken& exit) {
    if (exit.hypothesis.num_phones == 0) return;  // before a phrase the free phone loop is silent
    StateToken next = exit;
    if (!exit.is_silent) next.hypothesis.begin_next(false);
    if (next.hypothesis.current_rows >= options.max_pause_tokens) return;
    next.is_silent = true;
    next.hypothesis.hear(scores[kSilencePhone]);
    next_silent_tokens.push_back(next);
  }

  bool names_phrase(uint32_t outputs) const {
    for (const PhoneAutomaton::Output& output : automaton->outputs(outputs))
      if (output.kind == PhoneAutomaton::OutputKind::kPhrase) return true;
    return false;
  }

  std::string_view phrase_name(uint32_t outputs) const {
    for (const PhoneAutomaton::Output& output : automaton->outputs(outputs))
      if (output.kind == PhoneAutomaton::OutputKind::kPhrase) return output.text;
    return std::string_view("", 0);
  }

  // -- detections -----------------------------------------------------------

  void find_ends() {
    ++pending.rows_since_gain;
    for (const ArcToken& token : arc_tokens) {
      const PhoneAutomaton::Final& final = automaton->final(automaton->arc(token.arc).next_state);
      if (final.weight == kImpossible) continue;
      const Hypothesis& hypothesis = token.hypothesis;
      const float score = hypothesis.phrase_score();
      if (score < options.threshold || (pending.exists && score < pending.score)) continue;
      if (!pending.exists || score >= pending.score + kMinGain) pending.rows_since_gain = 0;
      pending.exists = true;
      pending.score = score;
      pending.phrase = names_phrase(final.outputs) ? final.outputs : hypothesis.phrase;
      pending.begin_token = hypothesis.begin_token;
      pending.end_token = next_token;
    }
  }

  void tell() {
    if (detections.size() < kMaxDetections)
      detections.push_back({phrase_name(pending.phrase), pending.begin_token, pending.end_token,
                            std::min(1.0f, std::exp(pending.score))});
    quiet_until = std::max(quiet_until, pending.end_token + options.refractory_tokens);
    forget();
  }
};

PhraseSpotter::PhraseSpotter(std::shared_ptr<const PhoneAutomaton> automaton,
                             const PhraseSpotterOptions& options)
    : impl_(std::make_unique<Impl>(std::move(automaton), options)) {}
PhraseSpotter::~PhraseSpotter() = default;
PhraseSpotter::PhraseSpotter(PhraseSpotter&&) noexcept = default;
PhraseSpotter& PhraseSpotter::operator=(PhraseSpotter&&) noexcept = default;

void PhraseSpotter::reset(int64_t first_token) { impl_->reset(first_token); }
void PhraseSpotter::advance(const float* phone_log_probs, int num_rows, int stride) {
  impl_->advance(phone_log_probs, num_rows, stride);
}
void PhraseSpotter::finish() { impl_->finish(); }
const SpottedPhrase* PhraseSpotter::detections() const { return impl_->detections.data(); }
size_t PhraseSpotter::num_detections() const { return impl_->detections.size(); }

}  // namespace galago
