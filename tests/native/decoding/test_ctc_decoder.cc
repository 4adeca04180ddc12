// Text, times, confidence and stability of the CTC decoder.
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "decoding/ctc_decoder.h"
#include "decoding/test_rows.h"

namespace {

using galago::CtcDecoder;
using galago::CtcMethod;
using galago::CtcOptions;
using galago::HotwordGraph;

constexpr float kNever = -std::numeric_limits<float>::infinity();

const std::vector<std::string>& letters() {
  static const std::vector<std::string> tokens = [] {
    std::vector<std::string> all = {"<blank>", " ", "'"};
    for (char c = 'a'; c <= 'z'; ++c) all.push_back(std::string(1, c));
    return all;
  }();
  return tokens;
}
constexpr int kNumTokens = 29;

// One row a character; '_' is the blank.
std::vector<int> spell(const std::string& rows) {
  std::vector<int> classes;
  for (const char c : rows)
    classes.push_back(c == '_' ? 0 : c == ' ' ? 1 : c == '\'' ? 2 : c - 'a' + 3);
  return classes;
}

CtcDecoder decoder(CtcMethod method, int beam_width = 8, int max_tokens = 1024) {
  CtcOptions options;
  options.method = method;
  options.beam_width = beam_width;
  options.max_tokens = max_tokens;
  return CtcDecoder(letters(), options);
}

void hear(CtcDecoder* ctc, const std::vector<float>& rows, int rows_per_call = 8) {
  const int num_rows = static_cast<int>(rows.size()) / kNumTokens;
  for (int first = 0; first < num_rows; first += rows_per_call)
    ctc->advance(rows.data() + first * kNumTokens, std::min(rows_per_call, num_rows - first),
                 kNumTokens);
}

std::string decode(CtcDecoder* ctc, const std::vector<float>& rows, int rows_per_call = 8) {
  ctc->reset(0);
  hear(ctc, rows, rows_per_call);
  ctc->finish();
  return ctc->text();
}

const std::vector<CtcMethod> kBoth = {CtcMethod::kGreedy, CtcMethod::kBeam};

TEST(blanks_and_repetitions_collapse) {
  for (const CtcMethod method : kBoth) {
    CtcDecoder ctc = decoder(method);
    CHECK_EQ(decode(&ctc, rows_of(spell("__hh_el_l_oo__ _yy_ou"), kNumTokens)), "hello you");
    CHECK_EQ(decode(&ctc, rows_of(spell("a"), kNumTokens)), "a");
    CHECK_EQ(decode(&ctc, rows_of(spell("____"), kNumTokens)), "");
    CHECK_EQ(decode(&ctc, rows_of(spell("i't's"), kNumTokens)), "i't's");
  }
}

TEST(spaces_stand_between_words_only) {
  for (const CtcMethod method : kBoth) {
    CtcDecoder ctc = decoder(method);
    CHECK_EQ(decode(&ctc, rows_of(spell("_ _  a_ __ b  "), kNumTokens)), "a b");
    CHECK_EQ(ctc.num_words(), 2u);
    CHECK_EQ(decode(&ctc, rows_of(spell("  _ "), kNumTokens)), "");
    CHECK_EQ(ctc.num_words(), 0u);
  }
}

TEST(words_have_the_times_of_their_letters) {
  for (const CtcMethod method : kBoth) {
    CtcDecoder ctc = decoder(method);
    const int64_t far = int64_t{1} << 40;
    ctc.reset(far);
    hear(&ctc, rows_of(spell("__hii_ __yo_u_"), kNumTokens));
    ctc.finish();
    CHECK_EQ(std::string(ctc.text(), ctc.text_bytes()), "hi you");
    CHECK_EQ(ctc.num_words(), 2u);
    CHECK_EQ(ctc.words()[0].text_begin, 0u);
    CHECK_EQ(ctc.words()[0].text_bytes, 2u);
    CHECK_EQ(ctc.words()[0].begin_token, far + 2);
    CHECK_EQ(ctc.words()[0].end_token, far + 5);
    CHECK_EQ(ctc.words()[1].text_begin, 3u);
    CHECK_EQ(ctc.words()[1].text_bytes, 3u);
    CHECK_EQ(ctc.words()[1].begin_token, far + 9);
    CHECK_EQ(ctc.words()[1].end_token, far + 13);
    CHECK_EQ(ctc.next_token(), far + 14);
  }
}

TEST(confidence_is_the_geometric_mean_of_what_was_emitted) {
  std::vector<float> rows = rows_of(spell("_a_b_"), kNumTokens, 0.9);
  rows[1 * kNumTokens + 3] = std::log(0.8f);
  rows[3 * kNumTokens + 4] = std::log(0.5f);
  for (const CtcMethod method : kBoth) {
    CtcDecoder ctc = decoder(method);
    CHECK_EQ(decode(&ctc, rows), "ab");
    CHECK_NEAR(ctc.words()[0].confidence, std::sqrt(0.8 * 0.5), 1e-5);
  }
}

TEST(the_beam_sums_paths_where_greedy_takes_the_best_one) {
  // Each row: blank 0.4, a 0.35, b 0.25. The best path is empty; "a" has more of the probability:
  // a_, _a and aa make 0.4025, the blanks 0.16.
  std::vector<float> rows(2 * kNumTokens, kNever);
  for (size_t row = 0; row < 2; ++row) {
    rows[row * kNumTokens + 0] = std::log(0.4f);
    rows[row * kNumTokens + 3] = std::log(0.35f);
    rows[row * kNumTokens + 4] = std::log(0.25f);
  }
  CtcDecoder greedy = decoder(CtcMethod::kGreedy);
  CHECK_EQ(decode(&greedy, rows), "");
  CtcDecoder beam = decoder(CtcMethod::kBeam);
  CHECK_EQ(decode(&beam, rows), "a");
}

TEST(a_beam_of_one_still_decodes_what_is_clear) {
  CtcDecoder ctc = decoder(CtcMethod::kBeam, 1);
  CHECK_EQ(decode(&ctc, rows_of(spell("_he_l_lo_"), kNumTokens)), "hello");
}

// What an utterance is must not depend on chunks, nor a stable prefix ever change.
TEST(chunk_sizes_make_no_difference_and_a_stable_prefix_never_changes) {
  std::mt19937 random(11);
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::string spelled;
    for (int i = 0; i < 150; ++i) spelled += "_ abcdefgh_____"[random() % 15];
    const std::vector<float> rows = noisy_rows_of(spell(spelled), kNumTokens, 1.6, seed);
    for (const CtcMethod method : kBoth) {
      CtcDecoder ctc = decoder(method);
      const std::string whole = decode(&ctc, rows, 150);
      for (const int rows_per_call : {1, 4, 8, 16}) {
        ctc.reset(0);
        std::string stable;
        for (int first = 0; first < 150; first += rows_per_call) {
          ctc.advance(rows.data() + first * kNumTokens, std::min(rows_per_call, 150 - first),
                      kNumTokens);
          const std::string text = ctc.text();
          CHECK(ctc.stable_bytes() >= stable.size());
          CHECK(ctc.stable_bytes() <= text.size());
          CHECK_EQ(text.substr(0, stable.size()), stable);
          stable = text.substr(0, ctc.stable_bytes());
        }
        ctc.finish();
        CHECK_EQ(std::string(ctc.text()), whole);
        CHECK_EQ(std::string(ctc.text()).substr(0, stable.size()), stable);
        CHECK_EQ(ctc.stable_bytes(), ctc.text_bytes());
      }
    }
  }
}

TEST(one_decoder_goes_on_where_another_stands) {
  std::mt19937 random(29);
  for (unsigned seed = 0; seed < 10; ++seed) {
    std::string spelled;
    for (int i = 0; i < 100; ++i) spelled += "_ abcdefgh_____"[random() % 15];
    const std::vector<float> rows = noisy_rows_of(spell(spelled), kNumTokens, 1.6, seed);
    for (const CtcMethod method : kBoth) {
      CtcDecoder one = decoder(method), other = decoder(method);
      const std::string whole = decode(&one, rows, 100);
      const auto advance = [&rows](CtcDecoder* ctc, int first, int end) {
        ctc->advance(rows.data() + first * kNumTokens, end - first, kNumTokens);
      };
      one.reset(5);
      other.reset(5);
      advance(&one, 0, 40);
      advance(&other, 30, 90);  // it was ahead, and had heard other rows
      other.assign(one);
      CHECK_EQ(std::string(other.text()), std::string(one.text()));
      CHECK_EQ(other.stable_bytes(), one.stable_bytes());
      advance(&other, 40, 100);
      advance(&one, 40, 60);  // they share nothing
      other.finish();
      CHECK_EQ(std::string(other.text()), whole);
    }
  }
}

TEST(words_cover_the_text_in_order_and_in_time) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    const std::vector<float> rows =
        noisy_rows_of(spell("_th_ee _c_att _s_aat_ o_n_ i_t_"), kNumTokens, 1.5, seed);
    for (const CtcMethod method : kBoth) {
      CtcDecoder ctc = decoder(method);
      decode(&ctc, rows);
      std::string joined;
      int64_t last_end = 0;
      for (size_t w = 0; w < ctc.num_words(); ++w) {
        const galago::DecodedWord& word = ctc.words()[w];
        joined += (w == 0 ? "" : " ") + std::string(ctc.text() + word.text_begin, word.text_bytes);
        CHECK(word.begin_token >= last_end);
        CHECK(word.end_token > word.begin_token);
        CHECK(word.confidence >= 0 && word.confidence <= 1);
        last_end = word.end_token;
      }
      CHECK_EQ(joined, std::string(ctc.text()));
    }
  }
}

TEST(greedy_is_stable_up_to_the_last_completed_word) {
  CtcDecoder ctc = decoder(CtcMethod::kGreedy);
  ctc.reset(0);
  hear(&ctc, rows_of(spell("one_tw"), kNumTokens));
  CHECK_EQ(ctc.stable_bytes(), 0u);
  hear(&ctc, rows_of(spell("o thr"), kNumTokens));
  CHECK_EQ(std::string(ctc.text()), "onetwo thr");
  CHECK_EQ(ctc.stable_bytes(), 6u);
}

TEST(impossible_and_broken_rows_neither_crash_nor_say_anything) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const CtcMethod method : kBoth) {
    CtcDecoder ctc = decoder(method);
    for (const float value : {nan, kNever, std::numeric_limits<float>::infinity()}) {
      ctc.reset(0);
      hear(&ctc, rows_of(spell("_a"), kNumTokens));
      hear(&ctc, std::vector<float>(3 * kNumTokens, value));
      hear(&ctc, rows_of(spell("_b"), kNumTokens));
      ctc.finish();
      CHECK_EQ(std::string(ctc.text()), "ab");
      CHECK_EQ(ctc.next_token(), 7);
    }
    // Certain rows: everything else has a probability of 0.
    CHECK_EQ(decode(&ctc, rows_of(spell("a_b"), kNumTokens, 1.0)), "ab");
  }
}

TEST(rows_beyond_the_longest_utterance_are_ignored) {
  for (const CtcMethod method : kBoth) {
    CtcDecoder ctc = decoder(method, 8, 4);
    ctc.reset(100);
    hear(&ctc, rows_of(spell("abcdefgh"), kNumTokens), 3);
    CHECK_EQ(std::string(ctc.text()), "abcd");
    CHECK_EQ(ctc.next_token(), 104);
    CHECK_EQ(decode(&ctc, rows_of(spell("x_yz"), kNumTokens)), "xyz");
  }
}

TEST(rows_after_finish_are_ignored_until_reset) {
  for (const CtcMethod method : kBoth) {
    CtcDecoder ctc = decoder(method);
    CHECK_EQ(decode(&ctc, rows_of(spell("ab"), kNumTokens)), "ab");
    hear(&ctc, rows_of(spell("cd"), kNumTokens));
    CHECK_EQ(std::string(ctc.text()), "ab");
    ctc.finish();
    CHECK_EQ(std::string(ctc.text()), "ab");
    ctc.reset(0);
    CHECK_EQ(std::string(ctc.text()), "");
    CHECK_EQ(ctc.num_words(), 0u);
  }
}

// "art" and "ark" are heard alike; the second a little better.
std::vector<float> art_or_ark() {
  std::vector<float> rows = rows_of(spell("_ar_k_"), kNumTokens, 0.9);
  rows[4 * kNumTokens + 13] = std::log(0.55f);  // k
  rows[4 * kNumTokens + 22] = std::log(0.40f);  // t
  return rows;
}

TEST(a_hotword_wins_where_the_sound_leaves_it_open) {
  CtcDecoder ctc = decoder(CtcMethod::kGreedy);
  CHECK_EQ(decode(&ctc, art_or_ark()), "ark");
  CHECK(ctc.method() == CtcMethod::kGreedy);
  ctc.set_hotwords(HotwordGraph::build(letters(), 1, {{"art", 1.0f}}));
  CHECK_EQ(decode(&ctc, art_or_ark()), "art");
  CHECK(ctc.method() == CtcMethod::kBeam);
  CHECK_NEAR(ctc.words()[0].confidence, std::pow(0.9 * 0.9 * 0.4, 1.0 / 3), 1e-4);
  CHECK_EQ(decode(&ctc, rows_of(spell("_ar_k_"), kNumTokens, 0.999999)), "ark");
  ctc.set_hotwords(nullptr);
  CHECK_EQ(decode(&ctc, art_or_ark()), "ark");
  CHECK(ctc.method() == CtcMethod::kGreedy);
}

TEST(an_unfinished_hotword_loses_its_bonus_at_the_end) {
  CtcDecoder ctc = decoder(CtcMethod::kBeam);
  ctc.set_hotwords(HotwordGraph::build(letters(), 1, {{"artist", 1.0f}}));
  ctc.reset(0);
  hear(&ctc, art_or_ark());
  CHECK_EQ(std::string(ctc.text()), "art");  // it may still become one
  ctc.finish();
  CHECK_EQ(std::string(ctc.text()), "ark");
}

TEST(hotwords_can_change_within_an_utterance) {
  CtcDecoder ctc = decoder(CtcMethod::kBeam);
  const std::vector<float> rows = art_or_ark();
  ctc.set_hotwords(HotwordGraph::build(letters(), 1, {{"ark", 1.0f}}));
  ctc.reset(0);
  ctc.advance(rows.data(), 3, kNumTokens);  // "ar" so far
  ctc.set_hotwords(HotwordGraph::build(letters(), 1, {{"art", 1.0f}}));
  ctc.advance(rows.data() + 3 * kNumTokens, 3, kNumTokens);
  ctc.finish();
  CHECK_EQ(std::string(ctc.text()), "art");

  CtcDecoder greedy = decoder(CtcMethod::kGreedy);
  greedy.reset(0);
  greedy.advance(rows.data(), 3, kNumTokens);
  greedy.set_hotwords(HotwordGraph::build(letters(), 1, {{"art", 1.0f}}));
  CHECK(greedy.method() == CtcMethod::kGreedy);  // from the next utterance on
  greedy.advance(rows.data() + 3 * kNumTokens, 3, kNumTokens);
  greedy.finish();
  CHECK_EQ(std::string(greedy.text()), "ark");
  CHECK_EQ(decode(&greedy, rows), "art");
}

TEST(options_out_of_range_are_named) {
  const auto make = [](auto change) {
    CtcOptions options;
    change(&options);
    CtcDecoder made(letters(), options);
  };
  CHECK_THROWS(make([](CtcOptions* o) { o->beam_width = 0; }), "beam_width");
  CHECK_THROWS(make([](CtcOptions* o) { o->beam_width = 65; }), "beam_width");
  CHECK_THROWS(make([](CtcOptions* o) { o->max_tokens = 0; }), "max_tokens");
  CHECK_THROWS(make([](CtcOptions* o) { o->blank = 29; }), "blank");
  CHECK_THROWS(make([](CtcOptions* o) { o->blank = 1; }), "\" \"");
  CHECK_THROWS(make([](CtcOptions* o) { o->token_beam_nats = 0; }), "token_beam_nats");
  CHECK_THROWS(CtcDecoder({"<blank>", "a", "b"}, {}), "\" \"");
}

}  // namespace
