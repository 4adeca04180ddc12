#include "decoding/ctc_decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/heap_bytes.h"
#include "base/status.h"
#include "decoding/log_sum.h"

namespace galago {
namespace {

constexpr int32_t kNone = -1;
constexpr int32_t kRoot = 0;

// One token of a hypothesis and when it was heard. Immutable, so hypotheses share their pasts.
struct Emission {
  int32_t previous;  // index in the pool; kNone: the first
  int32_t token;
  int32_t begin_row;  // of the utterance
  int32_t end_row;
  float log_prob;  // the largest of these rows
};

// A text, as its last token after the text without it. All prefixes of an utterance are a tree.
struct Prefix {
  int32_t parent;
  int32_t token;
  int32_t depth;
  int32_t first_child;
  int32_t next_sibling;
  int32_t hypothesis;  // index of the live hypothesis that stands here, or kNone
  HotwordGraph::State hotword;
};

struct Hypothesis {
  int32_t prefix;
  int32_t emission;    // of the prefix's last token, on the likeliest path
  float log_blank;     // of all paths that end with a blank
  float log_nonblank;  // of all that end with the prefix's last token
};

// A hypothesis of the next row, before it is known whether the beam has room for it.
struct Candidate {
  float score;     // with hotword bonus: the order of the beam
  int32_t parent;  // index of the hypothesis that it continues
  int32_t token;   // that it adds; kNone: the prefix stays
  float log_blank;
  float log_nonblank;
  Emission emission;  // new last emission, if is_new_emission
  bool is_new_emission;
};

}  // namespace

struct CtcDecoder::Impl {
  std::vector<std::string> tokens;
  CtcOptions options;
  int32_t word_separator = kNone;

  std::shared_ptr<const HotwordGraph> hotwords;
  CtcMethod method = CtcMethod::kGreedy;
  bool finished = false;
  int64_t first_token = 0;
  int32_t num_rows = 0;

  // Greedy.
  int32_t previous_token = kNone;

  // Beam: pools that one utterance fills from the front.
  std::vector<Emission> emissions;
  std::vector<Prefix> prefixes;
  std::vector<Hypothesis> hypotheses;
  std::vector<Hypothesis> next_hypotheses;
  std::vector<Candidate> candidates;
  std::vector<float> row_log_probs;
  std::vector<int32_t> row_tokens;  // that the beam tries, without the blank
  int32_t shared_prefix = kRoot;    // of all hypotheses

  // The answer.
  std::vector<Emission> path;
  std::vector<char> text;
  size_t text_bytes = 0;
  size_t stable_bytes = 0;
  std::vector<DecodedWord> words;

  Impl(const std::vector<std::string>& token_texts, const CtcOptions& o)
      : tokens(token_texts), options(o) {
    validate();
    const size_t width = static_cast<size_t>(o.beam_width);
    const size_t rows = static_cast<size_t>(o.max_tokens);
    size_t max_bytes = 1;
    for (const std::string& token : tokens) max_bytes = std::max(max_bytes, token.size());
    // A row adds at most one emission and one prefix to each hypothesis that it leaves.
    reserve_written(rows * width, &emissions);
    reserve_written(rows * width + 1, &prefixes);
    reserve_written(width, &hypotheses);
    reserve_written(width, &next_hypotheses);
    reserve_written(width * (tokens.size() + 1), &candidates);
    row_log_probs.resize(tokens.size());
    reserve_written(tokens.size(), &row_tokens);
    reserve_written(rows, &path);
    text.resize(rows * max_bytes + 1);
    reserve_written(rows, &words);
  }

  void validate() {
    const auto require = [](bool condition, const char* what) {
      if (!condition) fail(GALAGO_E_INVALID_ARGUMENT, "text decoder: %s", what);
    };
    require(tokens.size() >= 3 && tokens.size() <= 65536, "tokens must be 3 to 65536");
    require(options.blank >= 0 && static_cast<size_t>(options.blank) < tokens.size(),
            "blank is not one of the tokens");
    require(options.beam_width >= 1 && options.beam_width <= 64, "beam_width must be in [1, 64]");
    require(options.max_tokens >= 1 && options.max_tokens <= 65536,
            "max_tokens must be in [1, 65536]");
    require(options.token_beam_nats > 0, "token_beam_nats must be > 0");
    for (size_t i = 0; i < tokens.size(); ++i)
      if (tokens[i] == " ") word_separator = static_cast<int32_t>(i);
    require(word_separator != kNone && word_separator != options.blank,
            "\" \", which separates words, is not one of the tokens");
  }

  void reset(int64_t token) {
    method = hotwords ? CtcMethod::kBeam : options.method;
    finished = false;
    first_token = token;
    num_rows = 0;
    previous_token = kNone;
    emissions.clear();
    prefixes.clear();
    prefixes.push_back({kNone, kNone, 0, kNone, kNone, 0, start_of_hotwords()});
    hypotheses.clear();
    hypotheses.push_back({kRoot, kNone, 0.0f, kImpossible});
    shared_prefix = kRoot;
    path.clear();
    stable_bytes = 0;
    write_text(0);
  }

  void assign(const Impl& other) {
    method = other.method;
    finished = other.finished;
    first_token = other.first_token;
    num_rows = other.num_rows;
    previous_token = other.previous_token;
    emissions = other.emissions;
    prefixes = other.prefixes;
    hypotheses = other.hypotheses;
    shared_prefix = other.shared_prefix;
    path = other.path;
    std::copy_n(other.text.data(), other.text_bytes + 1, text.data());
    text_bytes = other.text_bytes;
    stable_bytes = other.stable_bytes;
    words = other.words;
  }

  HotwordGraph::State start_of_hotwords() const {
    return hotwords ? hotwords->start() : HotwordGraph::State{};
  }

  void set_hotwords(std::shared_ptr<const HotwordGraph> graph) {
    hotwords = std::move(graph);
    if (num_rows == 0) {
      const bool was_finished = finished;
      reset(first_token);
      finished = was_finished;
      return;
    }
    // A bonus depends on the text alone: give every text its place in the new graph.
    prefixes[kRoot].hotword = start_of_hotwords();
    for (size_t i = 1; i < prefixes.size(); ++i) {
      Prefix& prefix = prefixes[i];
      prefix.hotword = advance_hotword(prefixes[static_cast<size_t>(prefix.parent)], prefix.token);
    }
  }

  HotwordGraph::State advance_hotword(const Prefix& parent, int32_t token) const {
    return hotwords ? hotwords->advance(parent.hotword, token) : HotwordGraph::State{};
  }

  float bonus(HotwordGraph::State state) const { return hotwords ? hotwords->bonus(state) : 0.0f; }

  // -- greedy ---------------------------------------------------------------

  void advance_greedy(const float* log_probs) {
    int32_t best_token = options.blank;
    float best = clean(log_probs[options.blank]);
    for (int32_t token = 0; token < static_cast<int32_t>(tokens.size()); ++token) {
      const float log_prob = clean(log_probs[token]);
      if (log_prob > best) {
        best = log_prob;
        best_token = token;
      }
    }
    if (best_token != options.blank) {
      if (best_token == previous_token) {
        path.back().end_row = num_rows + 1;
        path.back().log_prob = std::max(path.back().log_prob, best);
      } else {
        path.push_back({kNone, best_token, num_rows, num_rows + 1, best});
      }
    }
    previous_token = best_token;
  }

  // -- beam -----------------------------------------------------------------

  Prefix& prefix_of(const Hypothesis& hypothesis) {
    return prefixes[static_cast<size_t>(hypothesis.prefix)];
  }

  // The child of a prefix by a token, or kNone.
  int32_t find_child(const Prefix& prefix, int32_t token) const {
    int32_t child = prefix.first_child;
    while (child != kNone && prefixes[static_cast<size_t>(child)].token != token)
      child = prefixes[static_cast<size_t>(child)].next_sibling;
    return child;
  }

  int32_t make_child(int32_t parent, int32_t token) {
    const int32_t child = static_cast<int32_t>(prefixes.size());
    const Prefix& from = prefixes[static_cast<size_t>(parent)];
    prefixes.push_back({parent, token, from.depth + 1, kNone, from.first_child, kNone,
                        advance_hotword(from, token)});
    prefixes[static_cast<size_t>(parent)].first_child = child;
    return child;
  }

  // A separator where no word ends adds nothing to the text: it is a blank there.
  bool separates_nothing(const Prefix& prefix, int32_t token) const {
    return token == word_separator && (prefix.token == word_separator || prefix.token == kNone);
  }

  // False for a row that says nothing.
  bool read_row(const float* log_probs) {
    float best = kImpossible;
    for (size_t i = 0; i < tokens.size(); ++i) {
      row_log_probs[i] = clean(log_probs[i]);
      best = std::max(best, row_log_probs[i]);
    }
    if (best == kImpossible) return false;
    row_tokens.clear();
    for (int32_t token = 0; token < static_cast<int32_t>(tokens.size()); ++token) {
      const float log_prob = row_log_probs[static_cast<size_t>(token)];
      if (token != options.blank && log_prob != kImpossible &&
          log_prob >= best - options.token_beam_nats)
        row_tokens.push_back(token);
    }
    return true;
  }

  // Paths of a hypothesis that one more token can continue: after itself only with a blank between.
  float extendable(const Hypothesis& hypothesis, int32_t token) {
    return prefix_of(hypothesis).token == token
               ? hypothesis.log_blank
               : log_sum(hypothesis.log_blank, hypothesis.log_nonblank);
  }

  Candidate stay(int32_t index) {
    const Hypothesis& hypothesis = hypotheses[static_cast<size_t>(index)];
    const Prefix& prefix = prefix_of(hypothesis);
    const float blank = row_log_probs[static_cast<size_t>(options.blank)];
    float log_blank = log_sum(hypothesis.log_blank, hypothesis.log_nonblank) + blank;
    if (separates_nothing(prefix, word_separator))
      log_blank = log_sum(
          log_blank, hypothesis.log_blank + row_log_probs[static_cast<size_t>(word_separator)]);
    Candidate candidate = {0.0f, index, kNone, log_blank, kImpossible, {}, false};
    if (prefix.token != kNone) {
      const float log_prob = row_log_probs[static_cast<size_t>(prefix.token)];
      const float repeated = hypothesis.log_nonblank + log_prob;
      float emitted = kImpossible;
      const int32_t parent = prefixes[static_cast<size_t>(prefix.parent)].hypothesis;
      if (parent != kNone)
        emitted = extendable(hypotheses[static_cast<size_t>(parent)], prefix.token) + log_prob;
      candidate.log_nonblank = log_sum(repeated, emitted);
      // When the last token was heard: on the likeliest way to end this row.
      if (emitted > std::max(repeated, log_blank)) {
        candidate.emission = {hypotheses[static_cast<size_t>(parent)].emission, prefix.token,
                              num_rows, num_rows + 1, log_prob};
        candidate.is_new_emission = true;
      } else if (repeated > log_blank) {
        candidate.emission = emissions[static_cast<size_t>(hypothesis.emission)];
        candidate.emission.end_row = num_rows + 1;
        candidate.emission.log_prob = std::max(candidate.emission.log_prob, log_prob);
        candidate.is_new_emission = true;
      }
    }
    candidate.score = log_sum(candidate.log_blank, candidate.log_nonblank) + bonus(prefix.hotword);
    return candidate;
  }

  void add_extensions(int32_t index) {
    const Hypothesis& hypothesis = hypotheses[static_cast<size_t>(index)];
    const Prefix& prefix = prefix_of(hypothesis);
    for (const int32_t token : row_tokens) {
      if (separates_nothing(prefix, token)) continue;
      const int32_t child = find_child(prefix, token);
      if (child != kNone && prefixes[static_cast<size_t>(child)].hypothesis != kNone)
        continue;  // that hypothesis takes these paths in, in stay()
      const float log_prob = row_log_probs[static_cast<size_t>(token)];
      const float log_nonblank = extendable(hypothesis, token) + log_prob;
      if (log_nonblank == kImpossible) continue;
      const float score = log_nonblank + bonus(advance_hotword(prefix, token));
      candidates.push_back({score,
                            index,
                            token,
                            kImpossible,
                            log_nonblank,
                            {hypothesis.emission, token, num_rows, num_rows + 1, log_prob},
                            true});
    }
  }

  void advance_beam(const float* log_probs) {
    if (!read_row(log_probs)) return;
    candidates.clear();
    for (int32_t i = 0; i < static_cast<int32_t>(hypotheses.size()); ++i) {
      const Candidate candidate = stay(i);
      if (candidate.score != kImpossible) candidates.push_back(candidate);
      add_extensions(i);
    }
    if (candidates.empty()) return;  // no live text can go on with this row: as if it said nothing
    const auto better = [](const Candidate& a, const Candidate& b) {
      if (a.score != b.score) return a.score > b.score;
      return a.parent != b.parent ? a.parent < b.parent : a.token < b.token;
    };
    const size_t num_kept = std::min(candidates.size(), static_cast<size_t>(options.beam_width));
    std::partial_sort(candidates.begin(),
                      candidates.begin() + static_cast<std::ptrdiff_t>(num_kept), candidates.end(),
                      better);

    for (const Hypothesis& hypothesis : hypotheses) prefix_of(hypothesis).hypothesis = kNone;
    // Only differences count: measured from the best one, the sums keep their precision.
    const float reference = log_sum(candidates[0].log_blank, candidates[0].log_nonblank);
    next_hypotheses.clear();
    for (size_t i = 0; i < num_kept; ++i) {
      const Candidate& candidate = candidates[i];
      const Hypothesis& parent = hypotheses[static_cast<size_t>(candidate.parent)];
      Hypothesis next = {parent.prefix, parent.emission, candidate.log_blank - reference,
                         candidate.log_nonblank - reference};
      if (candidate.token != kNone) {
        next.prefix = find_child(prefix_of(parent), candidate.token);
        if (next.prefix == kNone) next.prefix = make_child(parent.prefix, candidate.token);
      }
      if (candidate.is_new_emission) {
        next.emission = static_cast<int32_t>(emissions.size());
        emissions.push_back(candidate.emission);
      }
      prefix_of(next).hypothesis = static_cast<int32_t>(i);
      next_hypotheses.push_back(next);
    }
    hypotheses.swap(next_hypotheses);
  }

  // The deepest prefix that all hypotheses share. It only ever grows, since all that is to come
  // grows from them.
  void update_shared_prefix() {
    int32_t shared = hypotheses[0].prefix;
    for (size_t i = 1; i < hypotheses.size(); ++i) {
      int32_t other = hypotheses[i].prefix;
      while (shared != other) {
        const bool shared_is_deeper = prefixes[static_cast<size_t>(shared)].depth >=
                                      prefixes[static_cast<size_t>(other)].depth;
        int32_t& deeper = shared_is_deeper ? shared : other;
        deeper = prefixes[static_cast<size_t>(deeper)].parent;
      }
    }
    shared_prefix = shared;
  }

  void trace_back(const Hypothesis& hypothesis) {
    path.clear();
    for (int32_t e = hypothesis.emission; e != kNone;
         e = emissions[static_cast<size_t>(e)].previous)
      path.push_back(emissions[static_cast<size_t>(e)]);
    std::reverse(path.begin(), path.end());
  }

  // -- answers --------------------------------------------------------------

  // path -> text and words; answers where the text of its first num_shared tokens ends.
  size_t write_text(size_t num_shared) {
    words.clear();
    text_bytes = 0;
    size_t shared_bytes = 0;
    float log_prob_sum = 0.0f;
    int num_in_word = 0;
    const auto end_word = [&] {
      if (num_in_word == 0) return;
      const float mean = log_prob_sum / static_cast<float>(num_in_word);
      words.back().confidence = std::min(1.0f, std::exp(mean));
      num_in_word = 0;
      log_prob_sum = 0.0f;
    };
    for (size_t i = 0; i < path.size(); ++i) {
      const Emission& emission = path[i];
      if (emission.token == word_separator) {
        end_word();
        continue;
      }
      const std::string& spelled = tokens[static_cast<size_t>(emission.token)];
      if (num_in_word == 0) {
        if (text_bytes > 0) text[text_bytes++] = ' ';
        words.push_back(
            {static_cast<uint32_t>(text_bytes), 0, first_token + emission.begin_row, 0, 0.0f});
      }
      std::memcpy(text.data() + text_bytes, spelled.data(), spelled.size());
      text_bytes += spelled.size();
      words.back().text_bytes += static_cast<uint32_t>(spelled.size());
      words.back().end_token = first_token + emission.end_row;
      log_prob_sum += emission.log_prob;
      ++num_in_word;
      if (i < num_shared) shared_bytes = text_bytes;
    }
    end_word();
    text[text_bytes] = '\0';
    return shared_bytes;
  }

  void update_answer() {
    size_t num_shared = 0;
    if (method == CtcMethod::kBeam) {
      trace_back(hypotheses[0]);
      update_shared_prefix();
      num_shared = static_cast<size_t>(prefixes[static_cast<size_t>(shared_prefix)].depth);
    } else {
      for (size_t i = path.size(); i > 0 && num_shared == 0; --i)
        if (path[i - 1].token == word_separator) num_shared = i;
    }
    stable_bytes = write_text(num_shared);
  }

  void advance(const float* log_probs, int rows, int stride) {
    if (finished || rows <= 0) return;
    for (int row = 0; row < rows && num_rows < options.max_tokens; ++row, ++num_rows) {
      const float* of_row = log_probs + static_cast<std::ptrdiff_t>(row) * stride;
      if (method == CtcMethod::kBeam) {
        advance_beam(of_row);
      } else {
        advance_greedy(of_row);
      }
    }
    update_answer();
  }

  void finish() {
    if (finished) return;
    finished = true;
    if (method == CtcMethod::kBeam) {
      const auto final_score = [&](const Hypothesis& h) {
        const float bonus = hotwords ? hotwords->final_bonus(prefix_of(h).hotword) : 0.0f;
        return log_sum(h.log_blank, h.log_nonblank) + bonus;
      };
      size_t best = 0;
      for (size_t i = 1; i < hypotheses.size(); ++i)
        if (final_score(hypotheses[i]) > final_score(hypotheses[best])) best = i;
      trace_back(hypotheses[best]);
      write_text(0);
    }
    stable_bytes = text_bytes;
  }
};

CtcDecoder::CtcDecoder(const std::vector<std::string>& tokens, const CtcOptions& options)
    : impl_(std::make_unique<Impl>(tokens, options)) {
  impl_->reset(0);
}
CtcDecoder::~CtcDecoder() = default;
CtcDecoder::CtcDecoder(CtcDecoder&&) noexcept = default;
CtcDecoder& CtcDecoder::operator=(CtcDecoder&&) noexcept = default;

void CtcDecoder::set_hotwords(std::shared_ptr<const HotwordGraph> hotwords) {
  impl_->set_hotwords(std::move(hotwords));
}
void CtcDecoder::reset(int64_t first_token) { impl_->reset(first_token); }
void CtcDecoder::assign(const CtcDecoder& other) { impl_->assign(*other.impl_); }
void CtcDecoder::advance(const float* log_probs, int num_rows, int stride) {
  impl_->advance(log_probs, num_rows, stride);
}
void CtcDecoder::finish() { impl_->finish(); }

const char* CtcDecoder::text() const { return impl_->text.data(); }
size_t CtcDecoder::text_bytes() const { return impl_->text_bytes; }
size_t CtcDecoder::stable_bytes() const { return impl_->stable_bytes; }
const DecodedWord* CtcDecoder::words() const { return impl_->words.data(); }
size_t CtcDecoder::num_words() const { return impl_->words.size(); }

size_t CtcDecoder::num_bytes() const {
  const Impl& m = *impl_;
  return sizeof(m) + heap_bytes(m.tokens, m.emissions, m.prefixes, m.hypotheses, m.next_hypotheses,
                                m.candidates, m.row_log_probs, m.row_tokens, m.path, m.text,
                                m.words);
}
CtcMethod CtcDecoder::method() const { return impl_->method; }
int64_t CtcDecoder::next_token() const { return impl_->first_token + impl_->num_rows; }

}  // namespace galago
