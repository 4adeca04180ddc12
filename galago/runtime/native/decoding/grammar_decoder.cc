#include "decoding/grammar_decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/heap_bytes.h"
#include "base/status.h"
#include "decoding/ctc_alignment.h"
#include "decoding/grammar_search.h"
#include "decoding/phone_scorer.h"

namespace galago {
namespace {

using Hypothesis = GrammarSearch::Hypothesis;
using Mark = GrammarSearch::Mark;
using Record = GrammarSearch::Record;

constexpr int32_t kNone = GrammarSearch::kNone;
constexpr float kImpossible = -std::numeric_limits<float>::infinity();
// What a word and a gap count for at least, as candidates for the worst.
constexpr int32_t kMinWordMs = 160;
constexpr int32_t kMinGapMs = 320;
constexpr size_t kMaxTextBytes = size_t{1} << 16;

struct Segment {
  Mark begin;
  Mark end;

  float mean(int32_t least_rows) const {
    const int32_t num_speech = std::max(end.num_speech - begin.num_speech, least_rows);
    return (end.ratio - begin.ratio) / static_cast<float>(num_speech);
  }
};

float confidence_of(float mean_ratio) { return std::min(1.0f, std::exp(mean_ratio)); }

// Answers the automaton, so that it can come first among the initialisers.
std::shared_ptr<const PhoneAutomaton> validate(std::shared_ptr<const PhoneAutomaton> automaton,
                                               const GrammarOptions& o) {
  const auto require = [](bool condition, const char* what) {
    if (!condition) fail(GALAGO_E_INVALID_ARGUMENT, "grammar: %s", what);
  };
  require(automaton != nullptr, "there is none");
  require(automaton->kind() == PhoneAutomaton::Kind::kGrammar, "compiled as phrases, not as one");
  require(static_cast<size_t>(automaton->min_num_phones()) <= o.phone_log_priors.size(),
          "has phones that the bundle lacks");
  require(o.accept_mean <= 0, "accept_mean must be <= 0");
  require(o.accept_worst_word <= 0, "accept_worst_word must be <= 0");
  require(!o.acceptance || (o.acceptance->threshold >= 0 && o.acceptance->threshold <= 1),
          "acceptance.threshold must be in [0, 1]");
  require(o.beam_nats > 0, "beam_nats must be > 0");
  require(o.max_active_arcs >= 16 && o.max_active_arcs <= (1 << 20),
          "max_active_arcs must be in [16, 2^20]");
  require(o.token_ms >= 1 && o.token_ms <= 1000, "token_ms must be in [1, 1000]");
  require(o.max_tokens >= 1 && o.max_tokens <= 65536, "max_tokens must be in [1, 65536]");
  return automaton;
}

}  // namespace

struct GrammarDecoder::Impl {
  std::shared_ptr<const PhoneAutomaton> automaton;
  GrammarOptions options;
  PhoneScorer scorer;
  GrammarSearch search;
  std::optional<CtcAlignment> characters;  // with an acceptance only
  std::vector<uint8_t> is_loop_silent;     // [max_tokens]: whether the free phone loop is
  std::vector<float> scores;
  bool finished = false;
  int64_t first_token = 0;
  int num_rows = 0;

  std::vector<int32_t> path;  // records of a hypothesis, first to last
  std::vector<char> text;
  size_t text_bytes = 0;
  size_t stable_bytes = 0;
  std::vector<DecodedWord> words;
  std::vector<Segment> word_segments;  // [words]
  std::vector<GrammarSlot> slots;
  std::vector<Mark> slot_begins;   // [slots]
  std::vector<size_t> open_slots;  // indices of slots
  int num_open_left_out = 0;
  GrammarResult result = {};

  Impl(std::shared_ptr<const PhoneAutomaton> a, const GrammarOptions& o)
      : automaton(validate(std::move(a), o)),
        options(o),
        scorer(o.phone_log_priors, o.prior_scale),
        search(automaton, o.beam_nats, o.max_active_arcs, o.max_tokens) {
    const size_t rows = static_cast<size_t>(o.max_tokens);
    scores.resize(o.phone_log_priors.size());
    if (o.acceptance) characters.emplace(o.tokens, o.max_tokens);
    is_loop_silent.resize(rows);
    reserve_written(rows, &path);
    text.resize(kMaxTextBytes);
    reserve_written(rows, &words);
    reserve_written(rows, &word_segments);
    reserve_written(kMaxSlots, &slots);
    reserve_written(kMaxSlots, &slot_begins);
    reserve_written(kMaxSlots, &open_slots);
  }

  void reset(int64_t token) {
    search.reset();
    if (characters) characters->reset();
    finished = false;
    first_token = token;
    num_rows = 0;
    stable_bytes = 0;
    clear_answer();
  }

  void assign(const Impl& other) {
    search.assign(other.search);
    if (characters) characters->reset();
    finished = other.finished;
    first_token = other.first_token;
    num_rows = other.num_rows;
    stable_bytes = other.stable_bytes;
    update_answer();
  }

  void advance(const float* log_probs, int rows, int stride) {
    if (finished || rows <= 0) return;
    for (int row = 0; row < rows && num_rows < options.max_tokens; ++row, ++num_rows) {
      const int filler =
          scorer.score(log_probs + static_cast<std::ptrdiff_t>(row) * stride, scores.data());
      is_loop_silent[static_cast<size_t>(num_rows)] = filler == kSilencePhone;
      search.advance(scores.data(), filler == kSilencePhone);
    }
    update_answer();
  }

  void update_answer() {
    clear_answer();
    const Hypothesis best = search.best();
    trace_back(best.history);
    stable_bytes = std::max(stable_bytes, write_words(best, 0, search.find_shared_record()));
  }

  void finish() {
    if (finished) return;
    finished = true;
    clear_answer();
    Hypothesis best;
    uint32_t final_outputs = 0;
    result.complete = search.find_best_final(&best, &final_outputs);
    if (!result.complete) best = search.best();
    trace_back(best.history);
    write_words(best, final_outputs, kNone);
    stable_bytes = text_bytes;
    if (result.complete) judge(best, final_outputs);
  }

  void clear_answer() {
    words.clear();
    word_segments.clear();
    slots.clear();
    slot_begins.clear();
    open_slots.clear();
    num_open_left_out = 0;
    text_bytes = 0;
    text[0] = '\0';
    result = {};
    result.mean_ratio = result.worst_word_ratio = kImpossible;
  }

  void trace_back(int32_t history) {
    path.clear();
    for (int32_t r = history; r != kNone; r = search.record(r).previous) path.push_back(r);
    std::reverse(path.begin(), path.end());
  }

  int64_t token_at(const Mark& mark) const { return first_token + mark.row; }

  // Answers where the text of the path up to the record `shared` ends.
  size_t write_words(const Hypothesis& hypothesis, uint32_t final_outputs, int32_t shared) {
    size_t shared_bytes = 0;
    for (const int32_t index : path) {
      const Record& record = search.record(index);
      begin_words(record.outputs, record.begin, record.phone_end);
      if (index == shared) shared_bytes = text_bytes;
    }
    begin_words(final_outputs, hypothesis.now, hypothesis.phone_end);
    end_word(hypothesis.phone_end);
    return shared_bytes;
  }

  // The words put out at `begin`, behind a phone that ended at `phone_end`.
  void begin_words(uint32_t outputs, const Mark& begin, const Mark& phone_end) {
    for (const PhoneAutomaton::Output& output : automaton->outputs(outputs)) {
      if (output.kind != PhoneAutomaton::OutputKind::kWord) continue;
      end_word(phone_end);
      begin_word(output.text, begin);
    }
  }

  void begin_word(std::string_view spelled, const Mark& at) {
    const size_t needed = spelled.size() + 2;  // a space before, a NUL behind
    if (words.size() == words.capacity() || text.size() - text_bytes < needed) return;
    if (text_bytes > 0) text[text_bytes++] = ' ';
    words.push_back({static_cast<uint32_t>(text_bytes), static_cast<uint32_t>(spelled.size()),
                     token_at(at), token_at(at), 1.0f});
    word_segments.push_back({at, at});
    std::memcpy(text.data() + text_bytes, spelled.data(), spelled.size());
    text_bytes += spelled.size();
    text[text_bytes] = '\0';
  }

  // The last word, if it has any phone, reaches to `at`. A word without one stays empty.
  void end_word(const Mark& at) {
    if (words.empty() || at.row < word_segments.back().begin.row) return;
    Segment& segment = word_segments.back();
    segment.end = at;
    words.back().end_token = token_at(at);
    words.back().confidence = confidence_of(segment.mean(1));
  }

  void judge(const Hypothesis& best, uint32_t final_outputs) {
    result.mean_ratio = Segment{{}, best.now}.mean(1);
    if (options.acceptance) {
      result.evidence = weigh(best);
      result.confidence = options.acceptance->probability(result.evidence);
    } else {
      result.confidence = confidence_of(result.mean_ratio);
    }
    float worst = 0.0f;
    Mark gap_begin = {};
    const int32_t min_word_rows = std::max(1, kMinWordMs / options.token_ms);
    const int32_t min_gap_rows = std::max(1, kMinGapMs / options.token_ms);
    for (const Segment& word : word_segments) {
      worst = std::min(worst, Segment{gap_begin, word.begin}.mean(min_gap_rows));
      worst = std::min(worst, word.mean(min_word_rows));
      gap_begin = word.end;
    }
    result.worst_word_ratio = std::min(worst, Segment{gap_begin, best.now}.mean(min_gap_rows));
    for (const int32_t index : path) {
      const Record& record = search.record(index);
      read_meaning(record.outputs, record.begin, record.phone_end);
    }
    read_meaning(final_outputs, best.now, best.phone_end);
    for (const size_t slot : open_slots) slots[slot].end_token = token_at(best.phone_end);
    result.slots = slots.data();
    result.num_slots = slots.size();
    const bool fits = options.acceptance ? result.confidence >= options.acceptance->threshold
                                         : result.mean_ratio >= options.accept_mean &&
                                               result.worst_word_ratio >= options.accept_worst_word;
    result.accepted = !words.empty() && fits;
  }

  AcceptanceEvidence weigh(const Hypothesis& best) {
    const CtcAlignment::Fit fit = characters->align({text.data(), text_bytes});
    const float num_characters = static_cast<float>(std::max(fit.num_characters, 1));
    // While somebody speaks: by the sentence, or by the free phone loop.
    float doubt = 0.0f;
    size_t word = 0;
    const int32_t rows = std::min(num_rows, characters->num_rows());
    for (int32_t row = 0; row < rows; ++row) {
      while (word < word_segments.size() && word_segments[word].end.row <= row) ++word;
      const bool in_word = word < word_segments.size() && word_segments[word].begin.row <= row;
      if (in_word || !is_loop_silent[static_cast<size_t>(row)]) doubt -= characters->peak(row);
    }
    return {best.now.ratio / num_characters, fit.ratio / num_characters, doubt / num_characters};
  }

  // Intent and slots put out at `begin`, behind a phone that ended at `phone_end`.
  void read_meaning(uint32_t outputs, const Mark& begin, const Mark& phone_end) {
    for (const PhoneAutomaton::Output& output : automaton->outputs(outputs)) {
      switch (output.kind) {
        case PhoneAutomaton::OutputKind::kIntent:
          result.intent = output.text;
          break;
        case PhoneAutomaton::OutputKind::kSlotBegin:
          if (slots.size() == kMaxSlots) {
            ++num_open_left_out;
            break;
          }
          open_slots.push_back(slots.size());
          slots.push_back({output.text, {}, result.confidence, token_at(begin), token_at(begin)});
          slot_begins.push_back(begin);
          break;
        case PhoneAutomaton::OutputKind::kSlotEnd: {
          if (num_open_left_out > 0) {  // the innermost are the ones that had no room
            --num_open_left_out;
            break;
          }
          if (open_slots.empty()) break;
          const size_t index = open_slots.back();
          open_slots.pop_back();
          GrammarSlot& slot = slots[index];
          slot.value = output.text;
          if (phone_end.row <= slot_begins[index].row) break;  // nothing was said for it
          slot.end_token = token_at(phone_end);
          slot.score = confidence_of(Segment{slot_begins[index], phone_end}.mean(1));
          break;
        }
        case PhoneAutomaton::OutputKind::kWord:
        case PhoneAutomaton::OutputKind::kPhrase:
          break;
      }
    }
  }
};

GrammarDecoder::GrammarDecoder(std::shared_ptr<const PhoneAutomaton> automaton,
                               const GrammarOptions& options)
    : impl_(std::make_unique<Impl>(std::move(automaton), options)) {
  impl_->reset(0);
}
GrammarDecoder::~GrammarDecoder() = default;
GrammarDecoder::GrammarDecoder(GrammarDecoder&&) noexcept = default;
GrammarDecoder& GrammarDecoder::operator=(GrammarDecoder&&) noexcept = default;

void GrammarDecoder::reset(int64_t first_token) { impl_->reset(first_token); }
void GrammarDecoder::assign(const GrammarDecoder& other) { impl_->assign(*other.impl_); }
void GrammarDecoder::advance(const float* phone_log_probs, int num_rows, int stride) {
  impl_->advance(phone_log_probs, num_rows, stride);
}
void GrammarDecoder::advance_tokens(const float* token_log_probs, int num_rows, int stride) {
  if (impl_->characters && !impl_->finished)
    impl_->characters->advance(token_log_probs, num_rows, stride);
}
const GrammarResult& GrammarDecoder::finish() {
  impl_->finish();
  return impl_->result;
}
const GrammarResult& GrammarDecoder::result() const { return impl_->result; }

const char* GrammarDecoder::text() const { return impl_->text.data(); }
size_t GrammarDecoder::text_bytes() const { return impl_->text_bytes; }
size_t GrammarDecoder::stable_bytes() const { return impl_->stable_bytes; }
const DecodedWord* GrammarDecoder::words() const { return impl_->words.data(); }
size_t GrammarDecoder::num_words() const { return impl_->words.size(); }
int64_t GrammarDecoder::next_token() const { return impl_->first_token + impl_->num_rows; }
int GrammarDecoder::num_active_arcs() const { return impl_->search.num_active_arcs(); }

}  // namespace galago
