// Text, times, confidence and stability of the word decoder.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "decoding/test_rows.h"
#include "decoding/word_decoder.h"
#include "decoding/word_model_builder.h"

namespace {

using galago::WordDecoder;
using galago::WordDecoderOptions;
using galago::WordModel;

constexpr int kNumPhones = 27;
constexpr float kNever = -std::numeric_limits<float>::infinity();

const TinyWords& tiny() {
  static const TinyWords words;
  return words;
}

WordDecoder decoder(const WordDecoderOptions& options = {}) {
  static const auto model = tiny().builder.parse();
  return WordDecoder(model, options);
}

std::vector<float> say(const std::string& rows, double sure = 0.95) {
  return rows_of(tiny().builder.classes(rows), kNumPhones, sure);
}

void hear(WordDecoder* words, const std::vector<float>& rows, int rows_per_call = 8) {
  const int num_rows = static_cast<int>(rows.size()) / kNumPhones;
  for (int first = 0; first < num_rows; first += rows_per_call)
    words->advance(rows.data() + first * kNumPhones, std::min(rows_per_call, num_rows - first),
                   kNumPhones);
}

std::string decode(WordDecoder* words, const std::vector<float>& rows, int rows_per_call = 8) {
  words->reset(0);
  hear(words, rows, rows_per_call);
  words->finish();
  CHECK_EQ(std::strlen(words->text()), words->text_bytes());
  CHECK_EQ(words->stable_bytes(), words->text_bytes());
  return words->text();
}

std::string decode(const std::string& rows) {
  WordDecoder words = decoder();
  return decode(&words, say(rows));
}

TEST(words_of_the_lexicon_are_found_one_after_the_other) {
  CHECK_EQ(decode("__kkar__"), "car");
  CHECK_EQ(decode("wont_tu_ka_r"), "want to car");
  CHECK_EQ(decode("wontkarat"), "want car at");
  CHECK_EQ(decode("itha_at_aitha"), "either at either");
}

TEST(a_word_may_begin_another) {
  CHECK_EQ(decode("_kar_"), "car");
  CHECK_EQ(decode("_karpet_"), "carpet");
  CHECK_EQ(decode("_pet_kar_"), "pet car");
}

TEST(the_language_decides_between_one_word_and_two) {
  TinyWords words;
  words.builder.add_bigram(words.car, words.pet, -0.25f);
  WordDecoder two(words.builder.parse(), {});
  CHECK_EQ(decode(&two, say("_karpet_")), "car pet");
  WordDecoderOptions options;
  options.word_bonus = -3.0f;
  WordDecoder few(words.builder.parse(), options);
  CHECK_EQ(decode(&few, say("_karpet_")), "carpet");
}

TEST(the_language_decides_between_homophones) {
  CHECK_EQ(decode("_tu_"), "too");  // it ends sentences
  CHECK_EQ(decode("_tu_kar_"), "to car");
  CHECK_EQ(decode("_wont_tu_"), "want to");
  CHECK_EQ(decode("_at_tu_"), "at two");
  CHECK_EQ(decode("_pet_tu_"), "pet too");
}

TEST(without_weight_the_language_says_nothing) {
  TinyWords words;
  words.builder.set_log_prob(words.carpet, -20.0f);
  for (const float weight : {0.0f, 1.0f}) {
    WordDecoderOptions options;
    options.language_weight = weight;
    options.word_bonus = -0.5f;
    WordDecoder decoder(words.builder.parse(), options);
    CHECK_EQ(decode(&decoder, say("_karpet_")), weight == 0.0f ? "carpet" : "car pet");
  }
}

// As CTC has it: a phone that is heard again without silence between is the same.
TEST(a_doubled_phone_across_words_needs_silence_between) {
  CHECK_EQ(decode("at_tu"), "at two");
  WordDecoder words = decoder();
  CHECK_EQ(decode(&words, say("attu", 1.0)), "at");  // nothing else is possible
  CHECK_EQ(decode("kaarr_rr"), "car");
}

TEST(words_have_the_times_of_their_phones) {
  WordDecoder words = decoder();
  const int64_t far = int64_t{1} << 40;
  words.reset(far);
  hear(&words, say("__kkarr_wontt_tu__"));
  words.finish();
  CHECK_EQ(std::string(words.text()), "car want to");
  const struct {
    uint32_t text_begin, text_bytes;
    int begin, end;
  } expected[] = {{0, 3, 2, 7}, {4, 4, 8, 13}, {9, 2, 14, 16}};
  CHECK_EQ(words.num_words(), 3u);
  for (size_t i = 0; i < words.num_words(); ++i) {
    CHECK_EQ(words.words()[i].text_begin, expected[i].text_begin);
    CHECK_EQ(words.words()[i].text_bytes, expected[i].text_bytes);
    CHECK_EQ(words.words()[i].begin_token, far + expected[i].begin);
    CHECK_EQ(words.words()[i].end_token, far + expected[i].end);
  }
}

TEST(confidence_is_the_geometric_mean_of_what_the_phones_reached) {
  std::vector<float> rows = say("_kkar_tuu_");
  const auto set = [&](size_t row, char phone, float probability) {
    rows[row * kNumPhones + static_cast<size_t>(phone - 'a' + 1)] = std::log(probability);
  };
  set(1, 'k', 0.5f);
  set(2, 'k', 0.7f);
  set(3, 'a', 0.8f);
  set(4, 'r', 0.9f);
  set(6, 't', 0.6f);
  set(7, 'u', 0.4f);
  set(8, 'u', 0.9f);
  WordDecoder words = decoder();
  CHECK_EQ(decode(&words, rows), "car too");
  CHECK_NEAR(words.words()[0].confidence, std::cbrt(0.7 * 0.8 * 0.9), 1e-5);
  CHECK_NEAR(words.words()[1].confidence, std::sqrt(0.6 * 0.9), 1e-5);
}

TEST(an_unfinished_word_is_none) {
  WordDecoder words = decoder();
  CHECK_EQ(decode(&words, say("_kar_wo")), "car");
  CHECK_EQ(words.num_words(), 1u);
  CHECK_EQ(decode(&words, say("_wo")), "");
  CHECK_EQ(words.num_words(), 0u);
  // Sure enough that no complete word is left in the beam.
  CHECK_EQ(decode(&words, say("_kar_won", 0.9999999)), "car");
  CHECK_EQ(words.num_words(), 1u);
}

TEST(an_empty_utterance_has_no_words) {
  WordDecoder words = decoder();
  CHECK_EQ(std::string(words.text()), "");
  words.advance(nullptr, 0, kNumPhones);
  CHECK_EQ(words.num_words(), 0u);
  words.finish();
  CHECK_EQ(words.text_bytes(), 0u);
  CHECK_EQ(words.stable_bytes(), 0u);
  CHECK_EQ(decode(&words, say("______")), "");
  CHECK_EQ(decode(&words, say("_kar_")), "car");
  CHECK_EQ(decode(&words, {}), "");
}

TEST(an_utterance_ends_with_finish) {
  WordDecoder words = decoder();
  words.reset(0);
  hear(&words, say("_kar_"));
  words.finish();
  hear(&words, say("_pet_"));
  words.finish();
  CHECK_EQ(std::string(words.text()), "car");
  CHECK_EQ(decode(&words, say("_pet_")), "pet");
}

TEST(rows_beyond_the_longest_utterance_are_ignored) {
  WordDecoderOptions options;
  options.max_tokens = 9;
  WordDecoder words = decoder(options);
  for (const int rows_per_call : {1, 4, 100}) {
    CHECK_EQ(decode(&words, say("_kar_wontpet_at_"), rows_per_call), "car want");
    CHECK_EQ(words.words()[1].end_token, 9);
  }
}

TEST(rows_may_lie_apart) {
  const std::vector<float> rows = say("_kar_wont_");
  std::vector<float> apart(10 * 40, std::numeric_limits<float>::quiet_NaN());
  for (int row = 0; row < 10; ++row)
    std::copy_n(rows.begin() + row * kNumPhones, kNumPhones, apart.begin() + row * 40);
  WordDecoder words = decoder();
  words.reset(0);
  words.advance(apart.data(), 10, 40);
  words.finish();
  CHECK_EQ(std::string(words.text()), "car want");
}

TEST(rows_that_say_nothing_change_nothing) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> car = say("_ka"), want = say("r_wont");
  for (const float nothing : {nan, kNever, infinity, 1e30f}) {
    WordDecoder words = decoder();
    words.reset(0);
    hear(&words, std::vector<float>(3 * kNumPhones, nothing));
    hear(&words, car);
    hear(&words, std::vector<float>(5 * kNumPhones, nothing));
    hear(&words, want);
    hear(&words, std::vector<float>(5 * kNumPhones, nothing));
    words.finish();
    CHECK_EQ(std::string(words.text()), "car want");
    CHECK_EQ(words.words()[0].begin_token, 4);
    CHECK_EQ(words.words()[1].end_token, 3 + 3 + 5 + 6);
    CHECK(words.words()[1].confidence > 0.9f);
  }
}

TEST(a_row_that_no_hypothesis_can_take_changes_nothing) {
  WordDecoder words = decoder();
  std::vector<float> rows = say("_zkar_z_wont_z");
  for (const size_t row : {1, 6, 13}) {  // no word has a "z", and nothing else is possible there
    for (size_t phone = 0; phone < 26; ++phone) rows[row * kNumPhones + phone] = kNever;
  }
  CHECK_EQ(decode(&words, rows), "car want");
  CHECK(words.words()[1].confidence > 0.9f);
}

TEST(a_phone_that_is_no_number_is_impossible) {
  std::vector<float> rows = say("_kar_");
  for (size_t row = 0; row < 5; ++row)
    rows[row * kNumPhones + 20] = std::numeric_limits<float>::quiet_NaN();  // "t"
  WordDecoder words = decoder();
  CHECK_EQ(decode(&words, rows), "car");
  for (size_t row = 0; row < 5; ++row)
    rows[row * kNumPhones + 11] = std::numeric_limits<float>::quiet_NaN();  // "k"
  CHECK(decode(&words, rows) != "car");
}

TEST(a_narrow_beam_decodes_what_is_clear) {
  WordDecoderOptions options;
  options.beam_width = 4;
  WordDecoder words = decoder(options);
  CHECK_EQ(decode(&words, say("_wont_tu_kar_")), "want to car");
}

std::vector<std::string> letters() {
  std::vector<std::string> tokens = {"<blank>", " "};
  for (char c = 'a'; c <= 'z'; ++c) tokens.push_back(std::string(1, c));
  return tokens;
}

TEST(hotwords_are_preferred_until_they_are_taken_away) {
  const auto graph = galago::HotwordGraph::build(letters(), 1, {{"two", 2.0f}, {"at to", 2.0f}});
  WordDecoder words = decoder();
  CHECK_EQ(decode(&words, say("_wont_tu_")), "want to");
  words.set_hotwords(graph, letters());
  CHECK_EQ(decode(&words, say("_wont_tu_")), "want two");
  CHECK_EQ(decode(&words, say("_at_tu_")), "at to");
  CHECK_EQ(decode(&words, say("_at_kar_")), "at car");
  words.set_hotwords(nullptr, {});
  CHECK_EQ(decode(&words, say("_wont_tu_")), "want to");
}

TEST(hotwords_count_in_the_utterance_that_runs) {
  const auto graph = galago::HotwordGraph::build(letters(), 1, {{"want two", 0.3f}});
  for (const size_t change : {0u, 3u, 5u, 8u}) {  // phones into "want to"
    WordDecoder words = decoder();
    for (const bool is_given : {true, false}) {
      words.set_hotwords(is_given ? nullptr : graph, letters());
      words.reset(0);
      const std::string rows = "_wont_tu_";
      hear(&words, say(rows.substr(0, change)));
      words.set_hotwords(is_given ? graph : nullptr, letters());
      hear(&words, say(rows.substr(change)));
      words.finish();
      CHECK_EQ(std::string(words.text()), is_given ? "want two" : "want to");
    }
  }
}

TEST(the_language_of_an_answer_is_that_of_a_whole_sentence) {
  WordDecoderOptions options;
  options.language_weight = 0.7f;
  options.num_hypotheses = 4;
  const auto model = tiny().builder.parse();
  WordDecoder words(model, options);
  CHECK_EQ(decode(&words, say("_wont_tu_")), "want to");
  const auto of = [&](std::vector<uint16_t> sentence) {
    float sum = 0.0f;
    for (size_t end = 2; end <= sentence.size(); ++end)
      sum += log_prob(*model, {sentence.begin() + (end > 2 ? static_cast<int>(end) - 3 : 0),
                               sentence.begin() + static_cast<int>(end)});
    return sum;
  };
  const uint16_t begin = WordModel::kSentenceBegin, stop = WordModel::kSentenceEnd;
  CHECK_NEAR(words.language_log_prob(), of({begin, tiny().want, tiny().to, stop}), 1e-4);
  size_t num_others = 0;
  for (size_t i = 0; i < words.num_hypotheses(); ++i) {
    words.choose(i);
    if (std::string(words.text()) != "want two") continue;
    ++num_others;
    CHECK_NEAR(words.language_log_prob(), of({begin, tiny().want, tiny().two, stop}), 1e-4);
  }
  CHECK_EQ(num_others, 1u);
  CHECK_EQ(decode(&words, say("___")), "");
  CHECK_NEAR(words.language_log_prob(), of({begin, stop}), 1e-4);
}

TEST(options_that_make_no_sense_are_named) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto with = [](auto member, auto value) {
    WordDecoderOptions options;
    options.*member = value;
    return options;
  };
  using Options = WordDecoderOptions;
  CHECK_THROWS(WordDecoder(nullptr, {}), "word model");
  CHECK_THROWS(decoder(with(&Options::beam_width, 0)), "beam_width");
  CHECK_THROWS(decoder(with(&Options::beam_width, 1025)), "beam_width");
  CHECK_THROWS(decoder(with(&Options::max_tokens, 0)), "max_tokens");
  CHECK_THROWS(decoder(with(&Options::max_tokens, 65537)), "max_tokens");
  for (const float bad : {0.0f, -1.0f, nan}) {
    CHECK_THROWS(decoder(with(&Options::beam_nats, bad)), "beam_nats");
    CHECK_THROWS(decoder(with(&Options::phone_nats, bad)), "phone_nats");
  }
  CHECK_THROWS(decoder(with(&Options::language_weight, -1.0f)), "language_weight");
  for (const float bad : {nan, -kNever}) {
    CHECK_THROWS(decoder(with(&Options::language_weight, bad)), "language_weight");
    CHECK_THROWS(decoder(with(&Options::word_bonus, bad)), "word_bonus");
  }
}

// Utterances of random words, some with a slip of the tongue.
std::string random_utterance(std::mt19937* random) {
  static const char* const kSounds[] = {"tu",   "kar",  "karpet", "pet",   "at",
                                        "wont", "itha", "aitha",  "kaxpe", "q"};
  std::string rows = "_";
  while (rows.size() < 100) {
    for (const char* phone = kSounds[(*random)() % 10]; *phone != '\0'; ++phone)
      rows.append(1 + (*random)() % 3, *phone);
    rows.append((*random)() % 3, '_');
  }
  return rows.substr(0, 100);
}

TEST(chunk_sizes_make_no_difference_and_a_stable_prefix_never_changes) {
  std::mt19937 random(7);
  size_t num_stable_before_the_end = 0;
  for (unsigned seed = 0; seed < 24; ++seed) {
    const std::vector<int> classes = tiny().builder.classes(random_utterance(&random));
    const double noise = 0.6 + 0.4 * (seed % 5);
    const std::vector<float> rows = noisy_rows_of(classes, kNumPhones, noise, seed);
    WordDecoderOptions options;
    options.beam_width = seed % 3 == 0 ? 5 : seed % 3 == 1 ? 30 : 96;
    WordDecoder words = decoder(options);
    const std::string whole = decode(&words, rows, 100);
    const std::vector<galago::DecodedWord> expected(words.words(),
                                                    words.words() + words.num_words());
    int64_t end = 0;
    for (const galago::DecodedWord& word : expected) {
      CHECK(end <= word.begin_token && word.begin_token < word.end_token);
      CHECK(word.confidence > 0.0f && word.confidence <= 1.0f);
      end = word.end_token;
    }
    CHECK(end <= 100);
    std::vector<std::string> texts(101);
    for (const int rows_per_call : {1, 3, 8, 17, 100}) {
      words.reset(0);
      std::string stable;
      for (int first = 0; first < 100; first += rows_per_call) {
        const int num_rows = std::min(rows_per_call, 100 - first);
        words.advance(rows.data() + first * kNumPhones, num_rows, kNumPhones);
        const std::string text(words.text(), words.text_bytes());
        CHECK_EQ(text.substr(0, stable.size()), stable);
        CHECK(words.stable_bytes() >= stable.size() && words.stable_bytes() <= text.size());
        stable = text.substr(0, words.stable_bytes());
        std::string& heard_by_then = texts[static_cast<size_t>(first + num_rows)];
        if (rows_per_call == 1) heard_by_then = text;
        CHECK_EQ(text, heard_by_then);
      }
      CHECK_EQ(whole.substr(0, stable.size()), stable);
      num_stable_before_the_end += stable.size();
      words.finish();
      CHECK_EQ(std::string(words.text()), whole);
      CHECK_EQ(words.num_words(), expected.size());
      for (size_t i = 0; i < std::min(words.num_words(), expected.size()); ++i) {
        CHECK_EQ(words.words()[i].begin_token, expected[i].begin_token);
        CHECK_EQ(words.words()[i].end_token, expected[i].end_token);
        CHECK_EQ(words.words()[i].confidence, expected[i].confidence);
      }
    }
  }
  CHECK(num_stable_before_the_end > 24 * 5 * 10);
}

TEST(no_hypothesis_changes_what_was_settled) {
  std::mt19937 random(11);
  WordDecoderOptions options;
  options.num_hypotheses = 40;
  size_t num_settled_bytes = 0, num_changed_without = 0;
  for (unsigned seed = 0; seed < 12; ++seed) {
    const std::vector<int> classes = tiny().builder.classes(random_utterance(&random));
    const std::vector<float> rows = noisy_rows_of(classes, kNumPhones, 1.2, seed);
    for (const bool is_settled : {true, false}) {
      WordDecoder words = decoder(options);
      words.advance(rows.data(), 60, kNumPhones);
      if (is_settled) words.settle();
      const std::string stable(words.text(), words.stable_bytes());
      words.advance(rows.data() + 60 * kNumPhones, 40, kNumPhones);
      words.finish();
      CHECK_EQ(words.num_hypotheses(), 40u);
      num_settled_bytes += stable.size();
      for (size_t i = 0; i < words.num_hypotheses(); ++i) {
        words.choose(i);
        const bool is_kept = std::string(words.text()).substr(0, stable.size()) == stable;
        if (is_settled) CHECK(is_kept);
        if (!is_kept) ++num_changed_without;
      }
    }
  }
  CHECK(num_settled_bytes > 12 * 10);
  CHECK(num_changed_without > 0);
}

TEST(one_decoder_goes_on_where_another_stands) {
  std::mt19937 random(23);
  WordDecoder one = decoder(), other = decoder();
  for (unsigned seed = 0; seed < 8; ++seed) {
    const std::vector<int> classes = tiny().builder.classes(random_utterance(&random));
    const std::vector<float> rows = noisy_rows_of(classes, kNumPhones, 1.2, seed);
    const std::string whole = decode(&one, rows);
    const auto advance = [&rows](WordDecoder* words, int first, int end) {
      words->advance(rows.data() + first * kNumPhones, end - first, kNumPhones);
    };
    one.reset(5);
    other.reset(5);
    advance(&one, 0, 40);
    advance(&other, 30, 90);  // it was ahead, and had heard other rows
    other.assign(one);
    CHECK_EQ(std::string(other.text()), std::string(one.text()));
    CHECK_EQ(other.stable_bytes(), one.stable_bytes());
    CHECK_EQ(other.num_words(), one.num_words());
    advance(&other, 40, 100);
    advance(&one, 40, 60);  // they share nothing
    other.finish();
    CHECK_EQ(std::string(other.text()), whole);
  }
}

TEST(a_long_utterance_is_as_exact_at_its_end) {
  TinyWords words;
  words.builder.add_bigram(words.at, words.car, -20.0f);
  words.builder.add_bigram(words.car, words.at, -20.0f);
  // 0.004 nats are what tells these apart.
  words.builder.set_log_prob(words.two, -1.004f);
  words.builder.set_log_prob(words.too, -1.00f);
  words.builder.add_bigram(words.too, WordModel::kSentenceEnd, -2.0f);
  words.builder.add_bigram(words.two, WordModel::kSentenceEnd, -2.0f);
  WordDecoderOptions options;
  options.max_tokens = 65536;
  options.beam_width = 8;
  options.beam_nats = 100.0f;
  WordDecoder decoder(words.builder.parse(), options);
  std::string rows;
  for (int i = 0; i < 4000; ++i) rows += "kar_at_";
  const std::string text = decode(&decoder, say(rows + "kar_tu_", 1.0), 4000);
  CHECK_EQ(decoder.num_words(), 8002u);
  CHECK_EQ(text.substr(text.size() - 4), " too");
}

}  // namespace
