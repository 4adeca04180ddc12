// Wake phrases in an endless stream.
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "decoding/automaton_builder.h"
#include "decoding/phrase_spotter.h"
#include "decoding/test_rows.h"

namespace {

using galago::PhraseSpotter;
using galago::PhraseSpotterOptions;

constexpr int kNumPhones = 12;

PhraseSpotterOptions options() {
  PhraseSpotterOptions made;
  made.phone_log_priors.assign(kNumPhones, std::log(1.0f / kNumPhones));
  return made;
}

// "hey you" 1 2 3 4 and "galago" 5 2 6 2 5 7.
std::shared_ptr<const galago::PhoneAutomaton> phrases() {
  AutomatonBuilder builder;
  const uint32_t hey = builder.put_out(0, kPhrase, "hey you");
  builder.set_final(builder.say(builder.say(hey, "hey", {1, 2}), "you", {3, 4}));
  const uint32_t said = builder.say(0, "galago", {5, 2, 6, 2, 5, 7});
  builder.set_final(builder.put_out(said, kPhrase, "galago"));
  return builder.parse(2);
}

struct Heard {
  std::string phrase;
  int64_t begin_token;
  int64_t end_token;
  float confidence;
  int64_t told_at;
  bool operator==(const Heard& other) const {
    return phrase == other.phrase && begin_token == other.begin_token &&
           end_token == other.end_token && confidence == other.confidence;
  }
};

class Listening {
 public:
  explicit Listening(PhraseSpotterOptions o = options(), int64_t first_token = 0)
      : spotter(phrases(), o), next_token(first_token) {
    spotter.reset(first_token);
  }
  void hear_rows(const std::vector<float>& rows, int rows_per_call) {
    const int num_rows = static_cast<int>(rows.size()) / kNumPhones;
    for (int first = 0; first < num_rows; first += rows_per_call) {
      const int count = std::min(rows_per_call, num_rows - first);
      spotter.advance(rows.data() + first * kNumPhones, count, kNumPhones);
      next_token += count;
      collect();
    }
  }
  void hear(const std::vector<int>& phones) { hear_rows(rows_of(phones, kNumPhones), 1); }
  void finish() {
    spotter.finish();
    collect();
  }

  PhraseSpotter spotter;
  int64_t next_token;
  std::vector<Heard> heard;

 private:
  void collect() {
    for (size_t i = 0; i < spotter.num_detections(); ++i) {
      const galago::SpottedPhrase& phrase = spotter.detections()[i];
      heard.push_back({std::string(phrase.phrase), phrase.begin_token, phrase.end_token,
                       phrase.confidence, next_token});
    }
  }
};

const std::vector<int> kHeyYou = {1, 1, 2, 2, 3, 3, 4, 4};

TEST(a_phrase_is_told_with_its_times_soon_after_its_end) {
  const int64_t far = int64_t{1} << 40;
  Listening listening(options(), far);
  listening.hear(std::vector<int>(20, 0));
  listening.hear(kHeyYou);
  listening.hear(std::vector<int>(20, 0));
  CHECK_EQ(listening.heard.size(), 1u);
  CHECK_EQ(listening.heard[0].phrase, "hey you");
  CHECK_EQ(listening.heard[0].begin_token, far + 20);
  CHECK_EQ(listening.heard[0].end_token, far + 28);
  CHECK_NEAR(listening.heard[0].confidence, 1.0, 1e-5);
  CHECK(listening.heard[0].told_at <= far + 28 + 3);
}

TEST(a_phrase_is_found_within_other_speech) {
  Listening listening;
  listening.hear({8, 8, 9, 10, 10, 11});
  listening.hear({5, 2, 2, 6, 6, 2, 5, 5, 7, 7});
  listening.hear({8, 8, 9, 10, 10, 11, 8, 8});
  CHECK_EQ(listening.heard.size(), 1u);
  CHECK_EQ(listening.heard[0].phrase, "galago");
  CHECK_EQ(listening.heard[0].begin_token, 6);
  CHECK_EQ(listening.heard[0].end_token, 16);
}

TEST(other_speech_and_silence_are_no_phrase) {
  std::mt19937 random(2);
  Listening listening;
  for (int i = 0; i < 5000; ++i) {
    const int phones[] = {0, 1, 2, 3, 5, 6, 8, 9, 10, 11};  // without those that phrases end with
    listening.hear(std::vector<int>(1 + random() % 4, phones[random() % 10]));
  }
  CHECK(listening.heard.empty());
  listening.hear(std::vector<int>(5000, 0));
  CHECK(listening.heard.empty());
}

TEST(a_long_vowel_does_not_pay_for_a_missing_consonant) {
  Listening listening;
  std::vector<int> heard = {1, 1};
  heard.insert(heard.end(), 60, 2);
  heard.insert(heard.end(), {9, 4});  // not phone 3
  listening.hear(heard);
  listening.hear(std::vector<int>(20, 0));
  CHECK(listening.heard.empty());
}

TEST(the_score_is_the_mean_over_phones) {
  PhraseSpotterOptions o = options();
  o.threshold = -2.0f;
  Listening listening(o);
  listening.hear({0, 1, 2, 9, 4, 0, 0, 0, 0, 0});
  const double ratio = std::log(0.05 / 11) - std::log(0.95);  // of phone 3 where 9 is heard
  CHECK_EQ(listening.heard.size(), 1u);
  CHECK_NEAR(listening.heard[0].confidence, std::exp(ratio / 4), 1e-4);
}

TEST(a_short_pause_within_a_phrase_is_allowed_and_a_long_one_is_not) {
  for (const int pause : {0, 3, 12, 40}) {
    Listening listening;
    listening.hear({1, 1, 2, 2});
    listening.hear(std::vector<int>(static_cast<size_t>(pause), 0));
    listening.hear({3, 3, 4, 4, 0, 0, 0, 0});
    CHECK_EQ(listening.heard.size(), pause <= 12 ? 1u : 0u);
  }
}

TEST(nothing_begins_within_the_refractory_time) {
  for (const int gap : {5, 22, 30}) {
    Listening listening;
    for (int i = 0; i < 2; ++i) {
      listening.hear(kHeyYou);
      listening.hear(std::vector<int>(static_cast<size_t>(gap), 0));
    }
    CHECK_EQ(listening.heard.size(), gap >= 25 ? 2u : 1u);
  }
}

TEST(the_end_of_input_tells_what_waits_for_its_confirmation) {
  Listening listening;
  listening.hear(kHeyYou);
  CHECK(listening.heard.empty());
  listening.finish();
  CHECK_EQ(listening.heard.size(), 1u);
  listening.finish();
  CHECK_EQ(listening.heard.size(), 1u);
}

TEST(chunk_sizes_make_no_difference) {
  std::mt19937 random(8);
  std::vector<int> phones;
  for (int i = 0; i < 100; ++i) {
    const std::vector<int> said =
        i % 4 == 0 ? kHeyYou : std::vector<int>(1 + random() % 9, static_cast<int>(random() % 12));
    phones.insert(phones.end(), said.begin(), said.end());
  }
  const std::vector<float> rows = noisy_rows_of(phones, kNumPhones, 1.2, 3);
  PhraseSpotterOptions o = options();
  o.refractory_tokens = 5;
  Listening one_by_one(o);
  one_by_one.hear_rows(rows, 1);
  one_by_one.finish();
  CHECK(one_by_one.heard.size() > 5);
  for (const int rows_per_call : {4, 8, 16}) {
    Listening listening(o);
    listening.hear_rows(rows, rows_per_call);
    listening.finish();
    CHECK(listening.heard == one_by_one.heard);
  }
}

// A day of tokens is 2 160 000. What is heard at its end must be what is heard at its begin.
TEST(it_hears_the_same_after_a_day) {
  PhraseSpotterOptions o = options();
  Listening fresh(o);
  Listening old(o);
  std::mt19937 random(4);
  std::vector<int> phones;
  for (int i = 0; i < 2000; ++i) phones.push_back(static_cast<int>(random() % kNumPhones));
  const std::vector<float> noise = noisy_rows_of(phones, kNumPhones, 1.0, 5);
  for (int i = 0; i < 60; ++i) old.hear_rows(noise, 2000);
  const size_t num_before = old.heard.size();
  const std::vector<float> quiet = rows_of(std::vector<int>(40, 0), kNumPhones);
  const std::vector<float> phrase = noisy_rows_of(kHeyYou, kNumPhones, 0.7, 6);
  for (Listening* listening : {&fresh, &old}) {
    listening->hear_rows(quiet, 8);
    listening->hear_rows(phrase, 8);
    listening->hear_rows(quiet, 8);
  }
  CHECK_EQ(fresh.heard.size(), 1u);
  CHECK_EQ(old.heard.size(), num_before + 1);
  CHECK_EQ(old.heard.back().confidence, fresh.heard.back().confidence);
  CHECK_EQ(old.heard.back().begin_token - 120000, fresh.heard.back().begin_token);
}

TEST(reset_forgets_the_half_of_a_phrase) {
  Listening listening;
  listening.hear({1, 1, 2, 2});
  listening.spotter.reset(100);
  listening.hear({3, 3, 4, 4, 0, 0, 0, 0});
  listening.finish();
  CHECK(listening.heard.empty());
}

TEST(broken_rows_are_no_phrase) {
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::infinity()}) {
    Listening listening;
    listening.hear_rows(std::vector<float>(4 * kNumPhones, value), 4);
    listening.hear(std::vector<int>(10, 0));
    listening.hear(kHeyYou);
    listening.hear(std::vector<int>(10, 0));
    CHECK_EQ(listening.heard.back().phrase, "hey you");
  }
}

TEST(what_does_not_fit_is_refused) {
  AutomatonBuilder grammar;
  grammar.set_final(grammar.say(0, "hey", {1, 2}));
  CHECK_THROWS(PhraseSpotter(grammar.parse(1), options()), "grammar");
  CHECK_THROWS(PhraseSpotter(nullptr, options()), "there are none");
  AutomatonBuilder single;
  single.set_final(single.say(0, "a", {1}));
  CHECK_THROWS(PhraseSpotter(single.parse(2), options()), "single phone");
  AutomatonBuilder empty;
  empty.set_final(empty.put_out(0, kPhrase, ""));
  CHECK_THROWS(PhraseSpotter(empty.parse(2), options()), "empty");
  PhraseSpotterOptions o = options();
  o.threshold = 0;
  CHECK_THROWS(PhraseSpotter(phrases(), o), "threshold");
  o = options();
  o.confirm_tokens = -1;
  CHECK_THROWS(PhraseSpotter(phrases(), o), "confirm_tokens");
  o = options();
  o.refractory_tokens = -1;
  CHECK_THROWS(PhraseSpotter(phrases(), o), "refractory_tokens");
  o = options();
  o.max_pause_tokens = -1;
  CHECK_THROWS(PhraseSpotter(phrases(), o), "max_pause_tokens");
  o = options();
  o.beam_nats = 0;
  CHECK_THROWS(PhraseSpotter(phrases(), o), "beam_nats");
  o = options();
  o.phone_log_priors.resize(5);
  CHECK_THROWS(PhraseSpotter(phrases(), o), "phones that the bundle lacks");
}

}  // namespace
