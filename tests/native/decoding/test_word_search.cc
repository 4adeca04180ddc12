// The word decoder's search against a sum written out: every sequence of words, every path of CTC.
//
// What is exact, where the beam drops nothing: hypotheses that stand alike are joined, and their
// probabilities added, whatever words led there; so what the search knows about a last word (and
// its last phone) is the sum over all texts that end so, and its choice of the last word is the
// best one. Of the texts that were joined the likeliest at that moment is kept, which is Viterbi's
// way: the whole text is the most probable one where a single text carries a last word, as with one
// word, or with a language that lets each word follow one other only. Elsewhere it is nearly so.
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "decoding/word_decoder.h"
#include "decoding/word_model_builder.h"

namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
const std::string kPhones = "_abcd";
constexpr int kNumPhones = 5;

double log_sum(double a, double b) {
  const double high = std::max(a, b), low = std::min(a, b);
  return high == kNever ? kNever : high + std::log1p(std::exp(low - high));
}

struct Rows {
  int num_rows;
  std::vector<float> log_probs;

  double at(int row, char phone) const {
    return log_probs[static_cast<size_t>(row * kNumPhones) + kPhones.find(phone)];
  }
};

// No std distribution: those differ between libraries.
double uniform(std::mt19937* random) { return (*random)() / 4294967296.0; }

// Noise, and `sounds` a little above it, a row each.
Rows random_rows(std::mt19937* random, const std::string& sounds, double sharpness) {
  Rows rows = {static_cast<int>(sounds.size()), {}};
  for (const char sound : sounds) {
    double logits[kNumPhones], sum = 0;
    for (double& logit : logits)
      logit = sharpness * (uniform(random) + uniform(random) + uniform(random) - 1.5);
    logits[kPhones.find(sound)] += 5.0;
    for (const double logit : logits) sum += std::exp(logit);
    for (const double logit : logits)
      rows.log_probs.push_back(static_cast<float>(logit - std::log(sum)));
  }
  return rows;
}

// ln of the sum over all paths of CTC that collapse to `phones`.
double log_prob_of_phones(const Rows& rows, const std::string& phones) {
  std::string labels = "_";
  for (const char phone : phones) labels += {phone, '_'};
  std::vector<double> before(labels.size(), kNever);
  for (int row = 0; row < rows.num_rows; ++row) {
    std::vector<double> now(labels.size(), kNever);
    for (size_t s = 0; s < labels.size(); ++s) {
      double sum = row == 0 ? (s <= 1 ? 0.0 : kNever) : before[s];
      if (row > 0 && s >= 1) sum = log_sum(sum, before[s - 1]);
      if (row > 0 && s >= 2 && labels[s] != '_' && labels[s] != labels[s - 2])
        sum = log_sum(sum, before[s - 2]);
      now[s] = sum + rows.at(row, labels[s]);
    }
    before = now;
  }
  const double end = before.back();
  return labels.size() == 1 ? end : log_sum(end, before[labels.size() - 2]);
}

struct SpokenWord {
  uint16_t word;
  std::string spelling;
  std::vector<std::string> pronunciations;
};

struct Lexicon {
  WordModelBuilder builder{kPhones};
  std::vector<SpokenWord> words;

  uint16_t add(const std::string& spelling, const std::vector<std::string>& pronunciations,
               float log_prob) {
    const uint16_t word = builder.add_word(spelling, pronunciations, log_prob);
    words.push_back({word, spelling, pronunciations});
    return word;
  }
};

// Every text of up to three words, with its probability; and what each end is worth.
class Oracle {
 public:
  Oracle(const Lexicon& lexicon, const galago::WordModel& model, const Rows& rows,
         const galago::WordDecoderOptions& options)
      : lexicon_(lexicon), model_(model), rows_(rows), options_(options) {
    add("", "", galago::WordModel::kSentenceBegin, "", 0.0, 3);
  }

  double of_text(const std::string& text) const { return texts_.at(text); }
  double best() const { return highest(texts_); }
  template <typename More>
  double best_with(const More& more) const {
    double highest = kNever;
    for (const auto& [text, score] : texts_) highest = std::max(highest, score + more(text));
    return highest;
  }
  // Of the last word, whatever stands before it.
  double of_end(const std::string& text) const {
    double highest = kNever;
    const std::string word = text.substr(text.rfind(' ') + 1);
    for (const auto& [end, score] : ends_)
      if (end.first == word) highest = std::max(highest, score);
    return highest;
  }
  double best_end() const { return highest(ends_); }

 private:
  template <typename Scores>
  static double highest(const Scores& scores) {
    double highest = kNever;
    for (const auto& entry : scores) highest = std::max(highest, entry.second);
    return highest;
  }

  void add(const std::string& text, const std::string& phones, uint16_t last,
           const std::string& spelling, double language, int num_left) {
    const auto [known, is_new] = sounds_.insert({phones, 0.0});
    if (is_new) known->second = log_prob_of_phones(rows_, phones);
    const double score =
        known->second + language +
        options_.language_weight *
            static_cast<double>(log_prob(model_, {last, galago::WordModel::kSentenceEnd}));
    insert(&texts_, text, score);
    insert(&ends_, std::make_pair(spelling, phones.empty() ? '_' : phones.back()), score);
    if (num_left == 0) return;
    for (const SpokenWord& word : lexicon_.words) {
      const double next =
          language + options_.word_bonus +
          options_.language_weight * static_cast<double>(log_prob(model_, {last, word.word}));
      for (const std::string& sounds : word.pronunciations)
        add(text.empty() ? word.spelling : text + " " + word.spelling, phones + sounds, word.word,
            word.spelling, next, num_left - 1);
    }
  }

  template <typename Scores, typename Key>
  static void insert(Scores* scores, const Key& key, double score) {
    const auto [at, is_new] = scores->insert({key, score});
    if (!is_new) at->second = log_sum(at->second, score);
  }

  const Lexicon& lexicon_;
  const galago::WordModel& model_;
  const Rows& rows_;
  const galago::WordDecoderOptions options_;
  std::map<std::string, double> sounds_;
  std::map<std::string, double> texts_;
  std::map<std::pair<std::string, char>, double> ends_;
};

galago::WordDecoderOptions exhaustive() {
  galago::WordDecoderOptions options;
  options.beam_width = 1024;
  options.beam_nats = 1e6f;
  options.phone_nats = 1e6f;
  options.max_tokens = 8;
  return options;
}

std::string decode(galago::WordDecoder* decoder, const Rows& rows) {
  decoder->reset(0);
  decoder->advance(rows.log_probs.data(), rows.num_rows, kNumPhones);
  decoder->finish();
  return decoder->text();
}

// Words have two phones and more: in six rows there are three of them at the most.
Lexicon some_words(std::mt19937* random) {
  Lexicon lexicon;
  const auto log_prob = [&] { return static_cast<float>(-0.5 - 3.0 * uniform(random)); };
  lexicon.add("to", {"ab"}, log_prob());
  lexicon.add("two", {"ab"}, log_prob());
  lexicon.add("tomb", {"abc"}, log_prob());
  lexicon.add("bay", {"ba", "bca"}, log_prob());
  lexicon.add("add", {"dd", "add"}, log_prob());
  lexicon.add("cad", {"cad"}, log_prob());
  for (uint16_t before = 0; before < 8; ++before) {
    for (uint16_t word = 1; word < 8; ++word)
      if (before != 1 && uniform(random) < 0.4)
        lexicon.builder.add_bigram(before, word, log_prob());
    lexicon.builder.set_back_off(before, static_cast<float>(-uniform(random)));
  }
  return lexicon;
}

// These words, with silence here and there, a row each; nothing where they need more rows.
std::string spread(std::mt19937* random, const std::string& sounds, size_t num_rows) {
  std::string rows;
  for (const char sound : sounds) {
    if (!rows.empty() && rows.back() == sound) rows += '_';  // else the two were one
    rows += sound;
  }
  if (rows.size() > num_rows) return "";
  while (rows.size() < num_rows) rows.insert((*random)() % (rows.size() + 1), "_");
  return rows;
}

std::string random_sounds(std::mt19937* random, const Lexicon& lexicon, int num_words,
                          size_t num_rows) {
  std::string rows;
  while (rows.empty()) {
    std::string sounds;
    for (int i = 0; i < num_words; ++i)
      sounds += lexicon.words[(*random)() % lexicon.words.size()].pronunciations[0];
    rows = spread(random, sounds, num_rows);
  }
  return rows;
}

TEST(of_single_words_the_best_is_found) {
  std::mt19937 random(1);
  std::map<std::string, int> found;
  for (int draw = 0; draw < 300; ++draw) {
    const Lexicon lexicon = some_words(&random);
    const auto model = lexicon.builder.parse();
    const Rows rows = random_rows(&random, random_sounds(&random, lexicon, draw % 2, 3), 4.0);
    galago::WordDecoder decoder(model, exhaustive());
    const Oracle oracle(lexicon, *model, rows, exhaustive());
    const std::string text = decode(&decoder, rows);
    CHECK_NEAR(oracle.of_text(text), oracle.best(), 1e-3);
    ++found[text];
  }
  CHECK_EQ(found.size(), 7u);  // none, and each of the words
}

TEST(the_last_word_is_the_best_and_the_text_nearly_so) {
  std::mt19937 random(2);
  int num_best = 0, num_of_three = 0;
  constexpr int kNumDraws = 200;
  for (int draw = 0; draw < kNumDraws; ++draw) {
    const Lexicon lexicon = some_words(&random);
    const auto model = lexicon.builder.parse();
    const std::string sounds = random_sounds(&random, lexicon, draw % 4, draw % 3 == 0 ? 6 : 7);
    const Rows rows = random_rows(&random, sounds, 3.0 + draw % 4);
    galago::WordDecoderOptions options = exhaustive();
    options.language_weight = 0.5f + 0.25f * static_cast<float>(draw % 4);
    options.word_bonus = static_cast<float>(draw % 5);
    galago::WordDecoder decoder(model, options);
    const Oracle oracle(lexicon, *model, rows, options);
    const std::string text = decode(&decoder, rows);
    CHECK_NEAR(oracle.of_end(text), oracle.best_end(), 1e-3);
    if (oracle.of_text(text) > oracle.best() - 1e-3) ++num_best;
    if (decoder.num_words() == 3) ++num_of_three;
  }
  CHECK(num_best >= kNumDraws * 9 / 10);
  CHECK(num_of_three >= 15);
}

// What else is known of texts is a number for each, drawn by chance: who knows them all adds it to
// all and takes the best. The hypotheses must hold it, and their scores must lead there.
TEST(among_the_hypotheses_is_what_would_be_chosen_of_all_texts) {
  std::mt19937 random(4);
  int num_best = 0, num_changed = 0;
  constexpr int kNumDraws = 200;
  for (int draw = 0; draw < kNumDraws; ++draw) {
    const Lexicon lexicon = some_words(&random);
    const auto model = lexicon.builder.parse();
    const std::string sounds = random_sounds(&random, lexicon, draw % 4, draw % 3 == 0 ? 6 : 7);
    const Rows rows = random_rows(&random, sounds, 3.0 + draw % 4);
    galago::WordDecoderOptions options = exhaustive();
    options.num_hypotheses = 256;
    galago::WordDecoder decoder(model, options);
    const Oracle oracle(lexicon, *model, rows, options);
    const std::string likeliest = decode(&decoder, rows);
    std::map<std::string, double> more;
    const double best = oracle.best_with([&](const std::string& text) {
      return more.insert({text, 6.0 * uniform(&random)}).first->second;
    });
    double highest = kNever;
    std::string chosen;
    std::set<std::string> seen;
    for (size_t i = 0; i < decoder.num_hypotheses(); ++i) {
      decoder.choose(i);
      const std::string text = decoder.text();
      CHECK(seen.insert(text).second);
      CHECK(i == 0 || decoder.score(i) <= decoder.score(i - 1));
      int64_t end = 0;
      for (size_t w = 0; w < decoder.num_words(); ++w) {
        CHECK(end <= decoder.words()[w].begin_token);
        CHECK(decoder.words()[w].begin_token < decoder.words()[w].end_token);
        end = decoder.words()[w].end_token;
      }
      const auto found = more.find(text);
      if (found == more.end()) continue;  // four words
      const double score = static_cast<double>(decoder.score(i)) + found->second;
      if (score <= highest) continue;
      highest = score;
      chosen = text;
    }
    if (chosen != likeliest) ++num_changed;
    if (oracle.of_text(chosen) + more[chosen] > best - 0.1) ++num_best;
  }
  CHECK(num_best >= kNumDraws * 9 / 10);
  CHECK(num_changed >= kNumDraws / 8);
}

// Two words may begin a sentence, two may follow each of them, and two each of those.
TEST(where_each_word_follows_one_other_the_text_is_the_best) {
  Lexicon lexicon;
  const char* const kSounds[] = {"ab", "ba", "ac", "bd", "ca", "ad", "dd",
                                 "da", "cb", "bc", "ab", "ba", "cd", "dc"};
  for (const char* sounds : kSounds)
    lexicon.add("w" + std::to_string(lexicon.words.size()), {sounds}, -20.0f);
  for (uint16_t i = 0; i < 14; ++i) {
    const uint16_t before = i < 2 ? galago::WordModel::kSentenceBegin
                                  : lexicon.words[static_cast<size_t>(i / 2 - 1)].word;
    lexicon.builder.add_bigram(before, lexicon.words[i].word, -0.75f);
  }
  for (uint16_t before = 0; before < 16; ++before) lexicon.builder.set_back_off(before, -10.0f);
  for (const SpokenWord& word : lexicon.words)
    lexicon.builder.add_bigram(word.word, galago::WordModel::kSentenceEnd, -1.0f);
  const auto model = lexicon.builder.parse();
  std::mt19937 random(3);
  int num_of_three = 0;
  for (int draw = 0; draw < 60; ++draw) {
    std::string rows_said;
    while (rows_said.empty()) {
      std::string sounds;
      for (size_t i = 0, word = 0; i < 3; ++i) {
        word = (i == 0 ? 0 : 2 * word + 2) + random() % 2;
        sounds += lexicon.words[word].pronunciations[0];
      }
      rows_said = spread(&random, sounds, 7);
    }
    const Rows rows = random_rows(&random, rows_said, 4.0);
    galago::WordDecoder decoder(model, exhaustive());
    const Oracle oracle(lexicon, *model, rows, exhaustive());
    CHECK_NEAR(oracle.of_text(decode(&decoder, rows)), oracle.best(), 1e-3);
    if (decoder.num_words() == 3) ++num_of_three;
  }
  CHECK(num_of_three >= 20);
}

}  // namespace
