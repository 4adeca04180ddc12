#include "decoding/word_decoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "base/heap_bytes.h"
#include "base/status.h"
#include "decoding/log_sum.h"
#include "decoding/word_hypothesis.h"
#include "decoding/word_lattice.h"
#include "decoding/word_links.h"

namespace galago {
namespace {

constexpr int32_t kNone = WordLinks::kNone;
constexpr int kCandidatesPerHypothesis = 48;
constexpr int kKnownWordsBits = 12;
constexpr size_t kLinksPerHypothesis = 16;  // about half of one is held at a time

// What the model tells about a word after some others.
struct KnownWord {
  uint64_t key = ~uint64_t{0};  // none has this
  float log_prob = 0.0f;
  WordModel::History next{};
};

}  // namespace

struct WordDecoder::Impl {
  const std::shared_ptr<const WordModel> model;
  const WordDecoderOptions options;

  std::shared_ptr<const HotwordGraph> hotwords;
  std::array<int32_t, 256> letter_tokens{};  // of the hotwords' graph; kNone: no token is this byte
  int32_t word_separator = kNone;

  bool finished = false;
  int64_t first_token = 0;
  int32_t num_rows = 0;

  std::vector<WordHypothesis> hypotheses;  // best first
  std::vector<WordHypothesis> candidates;
  WordLinks links;
  WordLattice lattice;  // of the texts in them, if there are to be alternatives
  // Open addressing over candidates; a slot counts if it is of this row.
  struct Slot {
    int32_t row;
    int32_t candidate;
  };
  std::vector<Slot> slots;
  uint32_t slot_mask = 0;
  float threshold = kImpossible;  // below it a candidate is not worth its place
  std::vector<float> row_log_probs;
  std::vector<KnownWord> known_words;
  KnownWord unlisted_word;  // the last one; those are not worth their place among the known

  std::vector<HeardWord> path;  // first word first
  std::vector<HeardWord> other_path;
  std::vector<char> text;
  size_t text_bytes = 0;
  size_t stable_bytes = 0;
  size_t num_stable_words = 0;
  int32_t settled = WordLattice::kEmpty;
  std::vector<DecodedWord> words;

  Impl(std::shared_ptr<const WordModel> word_model, const WordDecoderOptions& o)
      : model(std::move(word_model)),
        options(validated(model, o)),
        links(max_links(o)),
        lattice(make_lattice(o)) {
    const size_t width = static_cast<size_t>(o.beam_width);
    const size_t rows = static_cast<size_t>(o.max_tokens);
    reserve_written(width, &hypotheses);
    reserve_written(width * kCandidatesPerHypothesis, &candidates);
    size_t num_slots = 1;
    while (num_slots < 2 * candidates.capacity()) num_slots *= 2;
    slots.resize(num_slots);
    slot_mask = static_cast<uint32_t>(num_slots - 1);
    row_log_probs.resize(model->phones().size());
    known_words.resize(size_t{1} << kKnownWordsBits);
    reserve_written(rows, &path);
    reserve_written(rows, &other_path);
    reserve_written(rows, &words);
    text.resize(rows * (model->longest_word_bytes() + 1) + 1);
  }

  static const WordDecoderOptions& validated(const std::shared_ptr<const WordModel>& model,
                                             const WordDecoderOptions& options) {
    const auto require = [](bool condition, const char* what) {
      if (!condition) fail(GALAGO_E_INVALID_ARGUMENT, "word decoder: %s", what);
    };
    require(model != nullptr, "there is no word model");
    require(options.beam_width >= 1 && options.beam_width <= 1024,
            "beam_width must be in [1, 1024]");
    require(options.beam_nats > 0, "beam_nats must be > 0");
    require(options.phone_nats > 0, "phone_nats must be > 0");
    require(options.language_weight >= 0 && std::isfinite(options.language_weight),
            "language_weight must be >= 0 and finite");
    require(std::isfinite(options.word_bonus), "word_bonus must be finite");
    require(options.max_tokens >= 1 && options.max_tokens <= 65536,
            "max_tokens must be in [1, 65536]");
    require(options.num_hypotheses >= 1 && options.num_hypotheses <= 256,
            "num_hypotheses must be in [1, 256]");
    require(options.assigned_beam_width >= 0 && options.assigned_beam_width <= 1024,
            "assigned_beam_width must be in [0, 1024]");
    return options;
  }

  // The best hypothesis's words have room whatever the others hold.
  static size_t max_links(const WordDecoderOptions& options) {
    const int width = std::max(options.beam_width, options.assigned_beam_width);
    return static_cast<size_t>(options.max_tokens) +
           kLinksPerHypothesis * static_cast<size_t>(width);
  }

  // In a row one in ten hypotheses completes a word, and many of these texts are known already.
  static WordLattice make_lattice(const WordDecoderOptions& options) {
    const auto rows = static_cast<size_t>(options.max_tokens);
    const size_t num_texts =
        options.num_hypotheses > 1 ? rows * static_cast<size_t>(options.beam_width) / 4 : 0;
    return WordLattice(num_texts, rows, static_cast<size_t>(options.num_hypotheses));
  }

  void reset(int64_t token) {
    finished = false;
    first_token = token;
    num_rows = 0;
    links.clear();
    lattice.clear();
    hypotheses.clear();
    WordHypothesis silence{};
    silence.place = {WordModel::kRoot, WordModel::after(WordModel::kSentenceBegin), 0};
    silence.log_nonblank = kImpossible;
    silence.link = kNone;
    silence.hotword = start_of_hotwords();
    hypotheses.push_back(silence);
    for (Slot& slot : slots) slot.row = kNone;
    path.clear();
    stable_bytes = num_stable_words = 0;
    settled = WordLattice::kEmpty;
    write_text(0);
  }

  void assign(const Impl& other) {
    finished = other.finished;
    first_token = other.first_token;
    num_rows = other.num_rows;
    const size_t num_kept =
        std::min(other.hypotheses.size(), static_cast<size_t>(options.beam_width));
    hypotheses.assign(other.hypotheses.begin(),
                      other.hypotheses.begin() + static_cast<std::ptrdiff_t>(num_kept));
    links.assign(other.links);
    lattice.clear();
    for (Slot& slot : slots) slot.row = kNone;  // rows that this one was ahead by come again
    path = other.path;
    std::copy_n(other.text.data(), other.text_bytes + 1, text.data());
    text_bytes = other.text_bytes;
    stable_bytes = other.stable_bytes;
    num_stable_words = other.num_stable_words;
    settled = WordLattice::kEmpty;
    words = other.words;
  }

  // -- hotwords -------------------------------------------------------------

  HotwordGraph::State start_of_hotwords() const {
    return hotwords ? hotwords->start() : HotwordGraph::State{};
  }

  HotwordGraph::State after_word(HotwordGraph::State state, uint16_t word) const {
    for (const char letter : model->spelling(word))
      state = hotwords->advance(state, letter_tokens[static_cast<uint8_t>(letter)]);
    return hotwords->advance(state, word_separator);
  }

  // A bonus depends on the words alone: give every hypothesis its place in the new graph, and take
  // back what it had from the old one.
  void set_hotwords(std::shared_ptr<const HotwordGraph> graph,
                    const std::vector<std::string>& tokens) {
    letter_tokens.fill(kNone);
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i].size() == 1)
        letter_tokens[static_cast<uint8_t>(tokens[i][0])] = static_cast<int32_t>(i);
    }
    word_separator = letter_tokens[' '];
    std::swap(hotwords, graph);
    for (WordHypothesis& hypothesis : hypotheses) {
      float change = graph ? -graph->bonus(hypothesis.hotword) : 0.0f;
      hypothesis.hotword = start_of_hotwords();
      if (hotwords) {
        trace_back(hypothesis.link, &other_path);
        for (const HeardWord& heard : other_path)
          hypothesis.hotword = after_word(hypothesis.hotword, heard.word);
        change += hotwords->bonus(hypothesis.hotword);
      }
      hypothesis.language += change;
      hypothesis.score += change;
    }
    std::sort(hypotheses.begin(), hypotheses.end(), is_better);
  }

  // -- a row ----------------------------------------------------------------

  // A hypothesis waits for several rows where a word may be complete: what the model found about it
  // is asked again and again.
  const KnownWord& look_up(const WordModel::History& before, uint16_t word) {
    if (!model->may_be_listed(before.word, word)) {
      unlisted_word.log_prob = model->log_prob(before, word, &unlisted_word.next);
      return unlisted_word;
    }
    const uint64_t key =
        static_cast<uint64_t>(before.context) << 32 | uint32_t{before.word} << 16 | word;
    KnownWord& known = known_words[key * 0x9E3779B97F4A7C15u >> (64 - kKnownWordsBits)];
    if (known.key != key) {
      known.key = key;
      known.log_prob = model->log_prob(before, word, &known.next);
    }
    return known;
  }

  // False for a row that says nothing.
  bool read_row(const float* log_probs) {
    float best = kImpossible;
    for (size_t i = 0; i < row_log_probs.size(); ++i) {
      row_log_probs[i] = clean(log_probs[i]);
      best = std::max(best, row_log_probs[i]);
    }
    return best != kImpossible;
  }

  // Paths that end at a place join those that are there already.
  void add(const WordHypothesis& candidate) {
    if (candidate.score == kImpossible || !(candidate.score >= threshold)) return;
    threshold = std::max(threshold, candidate.score - options.beam_nats);
    uint32_t at = candidate.place.hash() & slot_mask;
    while (slots[at].row == num_rows) {
      WordHypothesis& held = candidates[static_cast<size_t>(slots[at].candidate)];
      if (held.place == candidate.place) {
        join(&held, candidate);
        return;
      }
      at = (at + 1) & slot_mask;
    }
    // Hypotheses come best first, so what has no room is not missed.
    if (candidates.size() == candidates.capacity()) return;
    slots[at] = {num_rows, static_cast<int32_t>(candidates.size())};
    candidates.push_back(candidate);
  }

  int32_t text_of(int32_t link) const {
    return link == kNone ? WordLattice::kEmpty : links[link].text;
  }

  int32_t text_of(const WordHypothesis& candidate) {
    const int32_t text = text_of(candidate.link);
    return candidate.complete == 0 ? text : lattice.append(text, candidate.completed(num_rows));
  }

  void join(WordHypothesis* held, const WordHypothesis& other) {
    const bool is_held_better = held->score >= other.score;
    const WordHypothesis& one = is_held_better ? *held : other;
    const WordHypothesis& two = is_held_better ? other : *held;
    if (options.num_hypotheses > 1 && (one.link != two.link || one.complete != two.complete))
      lattice.add_detour(text_of(one), text_of(two), one.score - two.score);
    WordHypothesis joined = one;
    // Sounds are summed under one history's words: measured from the better one's.
    const float difference = two.language - one.language;
    joined.log_blank = log_sum(one.log_blank, two.log_blank + difference);
    joined.log_nonblank = log_sum(one.log_nonblank, two.log_nonblank + difference);
    joined.score = log_sum(joined.log_blank, joined.log_nonblank) + joined.language;
    *held = joined;
  }

  static WordHypothesis scored(WordHypothesis hypothesis) {
    hypothesis.score = log_sum(hypothesis.log_blank, hypothesis.log_nonblank) + hypothesis.language;
    return hypothesis;
  }

  void stay(const WordHypothesis& from, float all_paths) {
    WordHypothesis to = from;
    to.log_blank = all_paths + row_log_probs[0];
    to.log_nonblank = kImpossible;
    if (from.place.last_phone != 0) {
      const float log_prob = row_log_probs[from.place.last_phone];
      to.log_nonblank = from.log_nonblank + log_prob;
      // On the likeliest way to end this row the phone is still heard, and with it its word.
      if (to.log_nonblank > to.log_blank) {
        to.last_log_prob = std::max(from.last_log_prob, log_prob);
        if (from.place.node == WordModel::kRoot) {
          to.complete = from.place.before.word;
          to.link = links[from.link].previous;
        }
      }
    }
    add(scored(to));
  }

  void extend(const WordHypothesis& from, float all_paths, uint32_t child) {
    const uint8_t phone = model->phone(child);
    const float log_prob = row_log_probs[phone];
    if (log_prob < -options.phone_nats) return;
    // After itself only with a blank between.
    const float paths = phone == from.place.last_phone ? from.log_blank : all_paths;
    if (paths == kImpossible) return;
    const bool is_first = from.place.node == WordModel::kRoot;
    const float weight = options.language_weight;
    const float words_before =
        from.language - (is_first ? 0.0f : weight * model->look_ahead(from.place.node));
    // No word is likelier than 1. What hotwords earn is not known yet.
    const float most = paths + log_prob + words_before + std::max(0.0f, options.word_bonus);
    if (most < threshold && !hotwords) return;
    WordHypothesis to = from;
    to.place = {child, from.place.before, phone};
    to.log_blank = kImpossible;
    to.log_nonblank = paths + log_prob;
    to.begin_row = is_first ? num_rows : from.begin_row;
    to.phone_log_probs = is_first ? 0.0f : from.phone_log_probs + from.last_log_prob;
    to.last_log_prob = log_prob;
    to.num_phones = static_cast<uint16_t>(is_first ? 1 : from.num_phones + 1);
    if (model->first_child(child) < model->first_child(child + 1)) {
      to.language = words_before + weight * model->look_ahead(child);
      add(scored(to));
    }
    for (uint32_t leaf = model->first_word(child); leaf < model->first_word(child + 1); ++leaf) {
      const uint16_t word = model->word(leaf);
      const KnownWord& known = look_up(from.place.before, word);
      to.language = words_before + options.word_bonus + weight * known.log_prob;
      // Most words end here, and cost nothing more.
      if (to.log_nonblank + to.language < threshold && !hotwords) continue;
      to.place = {WordModel::kRoot, known.next, phone};
      to.complete = word;
      if (hotwords) {
        to.hotword = after_word(from.hotword, word);
        to.language += hotwords->bonus(to.hotword) - hotwords->bonus(from.hotword);
      }
      add(scored(to));
    }
  }

  void advance_row(const float* log_probs) {
    if (!read_row(log_probs)) return;
    candidates.clear();
    threshold = kImpossible;
    for (const WordHypothesis& from : hypotheses) {
      const float all_paths = log_sum(from.log_blank, from.log_nonblank);
      stay(from, all_paths);
      const uint32_t node = from.place.node;
      for (uint32_t child = model->first_child(node); child < model->first_child(node + 1); ++child)
        extend(from, all_paths, child);
    }
    keep_best();
  }

  void keep_best() {
    const auto first_lost = std::partition(
        candidates.begin(), candidates.end(),
        [this](const WordHypothesis& hypothesis) { return hypothesis.score >= threshold; });
    const size_t num_left = static_cast<size_t>(first_lost - candidates.begin());
    if (num_left == 0) return;  // no hypothesis can go on with this row: as if it said nothing
    size_t num_kept = std::min(num_left, static_cast<size_t>(options.beam_width));
    const auto first_dropped = candidates.begin() + static_cast<std::ptrdiff_t>(num_kept);
    if (first_dropped != first_lost)
      std::nth_element(candidates.begin(), first_dropped, first_lost, is_better);
    std::sort(candidates.begin(), first_dropped, is_better);
    num_kept = make_room_for_words(num_kept);
    // Only differences count: measured from the best one, the sums keep their precision.
    const float score = candidates[0].score, language = candidates[0].language;
    hypotheses.clear();
    for (size_t i = 0; i < num_kept; ++i) {
      WordHypothesis kept = candidates[i];
      kept.log_blank -= score - language;
      kept.log_nonblank -= score - language;
      kept.language -= language;
      kept.score -= score;
      if (kept.complete != 0) {
        const HeardWord heard = kept.completed(num_rows);
        kept.link = links.append({kept.link, lattice.append(text_of(kept.link), heard), heard});
        kept.complete = 0;
      }
      hypotheses.push_back(kept);
    }
  }

  // Room for a word that each of so many candidates has completed; answers for how many, at least
  // one.
  size_t make_room_for_words(size_t num_candidates) {
    if (links.num_free() >= num_candidates) return num_candidates;
    links.begin_sweep();
    size_t num_fitting = 0;
    while (num_fitting < num_candidates &&
           links.keep(candidates[num_fitting].link, num_fitting + 1))
      ++num_fitting;
    links.sweep();
    for (size_t i = 0; i < num_fitting; ++i) candidates[i].link = links.moved(candidates[i].link);
    return num_fitting;
  }

  // -- answers --------------------------------------------------------------

  void trace_back(int32_t link, std::vector<HeardWord>* found) const {
    found->clear();
    for (; link != kNone; link = links[link].previous) found->push_back(links[link].heard);
    std::reverse(found->begin(), found->end());
  }

  // Of words that were heard on different ways, none begins before the one before it is over.
  static void part(std::vector<HeardWord>* words) {
    for (size_t i = 1; i < words->size(); ++i) {
      HeardWord& before = (*words)[i - 1];
      HeardWord& word = (*words)[i];
      before.end_row = std::max(before.begin_row + 1, std::min(before.end_row, word.begin_row));
      word.begin_row = std::max(word.begin_row, before.end_row);
      word.end_row = std::max(word.end_row, word.begin_row + 1);
    }
  }

  // path -> text and words; answers where the text of its first num_shared words ends.
  size_t write_text(size_t num_shared) {
    words.clear();
    text_bytes = 0;
    size_t shared_bytes = 0;
    for (size_t i = 0; i < path.size(); ++i) {
      const HeardWord& heard = path[i];
      const std::string_view spelling = model->spelling(heard.word);
      if (text_bytes > 0) text[text_bytes++] = ' ';
      words.push_back({static_cast<uint32_t>(text_bytes), static_cast<uint32_t>(spelling.size()),
                       first_token + heard.begin_row, first_token + heard.end_row,
                       heard.confidence});
      std::memcpy(text.data() + text_bytes, spelling.data(), spelling.size());
      text_bytes += spelling.size();
      if (i < num_shared) shared_bytes = text_bytes;
    }
    text[text_bytes] = '\0';
    return shared_bytes;
  }

  // How many words all hypotheses begin with. It never falls: what is to come grows from them.
  size_t num_shared_words() {
    size_t num_shared = path.size();
    for (size_t i = 1; i < hypotheses.size() && num_shared > 0; ++i) {
      if (hypotheses[i].link == hypotheses[0].link) continue;
      trace_back(hypotheses[i].link, &other_path);
      const size_t most = std::min(num_shared, other_path.size());
      num_shared = 0;
      while (num_shared < most && path[num_shared].word == other_path[num_shared].word)
        ++num_shared;
    }
    return num_shared;
  }

  void advance(const float* log_probs, int rows, int stride) {
    if (finished || rows <= 0) return;
    for (int row = 0; row < rows && num_rows < options.max_tokens; ++row, ++num_rows)
      advance_row(log_probs + static_cast<std::ptrdiff_t>(row) * stride);
    trace_back(hypotheses[0].link, &path);
    num_stable_words = num_shared_words();
    stable_bytes = write_text(num_stable_words);
  }

  void settle() {
    if (finished) return;
    int32_t link = hypotheses[0].link;
    for (size_t i = path.size(); i > num_stable_words; --i) link = links[link].previous;
    settled = text_of(link);
  }

  // What a hypothesis is worth if the utterance ends here. A word that has only begun is left out,
  // and what it would have counted.
  float final_score(const WordHypothesis& hypothesis) const {
    const float weight = options.language_weight;
    const float begun = hypothesis.place.node == WordModel::kRoot
                            ? 0.0f
                            : weight * model->look_ahead(hypothesis.place.node);
    const float unfinished =
        hotwords ? hotwords->bonus(hypothesis.hotword) - hotwords->final_bonus(hypothesis.hotword)
                 : 0.0f;
    WordModel::History end;
    return hypothesis.score - begun - unfinished +
           weight * model->log_prob(hypothesis.place.before, WordModel::kSentenceEnd, &end);
  }

  void finish() {
    if (finished) return;
    finished = true;
    const auto is_complete = [](const WordHypothesis& hypothesis) {
      return hypothesis.place.node == WordModel::kRoot;
    };
    // Complete words first: half a word is an answer only where there is no other.
    const bool is_any_complete = std::any_of(hypotheses.begin(), hypotheses.end(), is_complete);
    for (const WordHypothesis& hypothesis : hypotheses) {
      if (is_complete(hypothesis) == is_any_complete)
        lattice.offer({final_score(hypothesis), text_of(hypothesis.link), hypothesis.link});
    }
    lattice.take_detours(settled);
    choose(0);
  }

  void choose(size_t index) {
    const WordLattice::Alternative& chosen = lattice.alternatives()[index];
    if (chosen.link != kNone) {
      trace_back(chosen.link, &path);
    } else {
      path.clear();
      lattice.append_reversed(chosen.text, &path);
      std::reverse(path.begin(), path.end());
      part(&path);
    }
    write_text(0);
    stable_bytes = text_bytes;
  }

  float language_log_prob() const {
    WordModel::History history = WordModel::after(WordModel::kSentenceBegin), next;
    float log_prob = 0.0f;
    for (const HeardWord& heard : path) {
      log_prob += model->log_prob(history, heard.word, &next);
      history = next;
    }
    return log_prob + model->log_prob(history, WordModel::kSentenceEnd, &next);
  }
};

WordDecoder::WordDecoder(std::shared_ptr<const WordModel> model, const WordDecoderOptions& options)
    : impl_(std::make_unique<Impl>(std::move(model), options)) {
  impl_->reset(0);
}
WordDecoder::~WordDecoder() = default;
WordDecoder::WordDecoder(WordDecoder&&) noexcept = default;
WordDecoder& WordDecoder::operator=(WordDecoder&&) noexcept = default;

void WordDecoder::set_hotwords(std::shared_ptr<const HotwordGraph> hotwords,
                               const std::vector<std::string>& tokens) {
  impl_->set_hotwords(std::move(hotwords), tokens);
}
void WordDecoder::reset(int64_t first_token) { impl_->reset(first_token); }
void WordDecoder::assign(const WordDecoder& other) { impl_->assign(*other.impl_); }
void WordDecoder::advance(const float* log_probs, int num_rows, int stride) {
  impl_->advance(log_probs, num_rows, stride);
}
void WordDecoder::settle() { impl_->settle(); }
void WordDecoder::finish() { impl_->finish(); }

size_t WordDecoder::num_hypotheses() const { return impl_->lattice.alternatives().size(); }
float WordDecoder::score(size_t index) const { return impl_->lattice.alternatives()[index].score; }
void WordDecoder::choose(size_t index) { impl_->choose(index); }
float WordDecoder::language_log_prob() const { return impl_->language_log_prob(); }

const char* WordDecoder::text() const { return impl_->text.data(); }
size_t WordDecoder::text_bytes() const { return impl_->text_bytes; }
size_t WordDecoder::stable_bytes() const { return impl_->stable_bytes; }
const DecodedWord* WordDecoder::words() const { return impl_->words.data(); }
size_t WordDecoder::num_words() const { return impl_->words.size(); }

size_t WordDecoder::num_bytes() const {
  const Impl& m = *impl_;
  return sizeof(m) + m.links.num_bytes() + m.lattice.num_bytes() +
         heap_bytes(m.hypotheses, m.candidates, m.slots, m.row_log_probs, m.known_words, m.path,
                    m.other_path, m.text, m.words);
}

}  // namespace galago
