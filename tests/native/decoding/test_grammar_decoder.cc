// Closed grammars: the sentence, its slots, times and fit; rejection; bounded work and memory.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "decoding/automaton_builder.h"
#include "decoding/grammar_decoder.h"
#include "decoding/test_rows.h"

namespace {

using galago::GrammarDecoder;
using galago::GrammarOptions;
using galago::GrammarResult;

constexpr int kNumPhones = 12;

GrammarOptions options(float beam_nats = std::numeric_limits<float>::infinity()) {
  GrammarOptions made;
  made.phone_log_priors.assign(kNumPhones, std::log(1.0f / kNumPhones));
  made.beam_nats = beam_nats;
  return made;
}

// "turn (on|off) [the] {room}": turn 1 2, on 3 4, off 3 5, the 6, kitchen 7 8 7, hall 9 10.
std::shared_ptr<const galago::PhoneAutomaton> lights() {
  AutomatonBuilder builder;
  const uint32_t begin = builder.put_out(0, kIntent, "Light");
  const uint32_t turned = builder.say(begin, "turn", {1, 2});
  const uint32_t state = builder.put_out(turned, kSlotBegin, "state");
  const uint32_t switched = builder.add_state();
  builder.add_arc(builder.say(state, "on", {3, 4}), switched, kEpsilonPhone, 0, kSlotEnd, "1");
  builder.add_arc(builder.say(state, "off", {3, 5}), switched, kEpsilonPhone, 0, kSlotEnd, "0");
  const uint32_t before_room = builder.add_state();
  builder.add_arc(switched, before_room, kEpsilonPhone);
  builder.add_arc(builder.say(switched, "the", {6}), before_room, kEpsilonPhone);
  const uint32_t room = builder.put_out(before_room, kSlotBegin, "room");
  const uint32_t end = builder.add_state();
  builder.add_arc(builder.say(room, "kitchen", {7, 8, 7}), end, kEpsilonPhone, 0, kSlotEnd,
                  "kitchen");
  builder.add_arc(builder.say(room, "hall", {9, 10}), end, kEpsilonPhone, 0, kSlotEnd, "hall 1");
  builder.set_final(end);
  return builder.parse();
}

const GrammarResult& decode(GrammarDecoder* decoder, const std::vector<float>& rows,
                            int rows_per_call = 8, int64_t first_token = 0) {
  decoder->reset(first_token);
  const int num_rows = static_cast<int>(rows.size()) / kNumPhones;
  for (int first = 0; first < num_rows; first += rows_per_call)
    decoder->advance(rows.data() + first * kNumPhones, std::min(rows_per_call, num_rows - first),
                     kNumPhones);
  return decoder->finish();
}

const std::vector<int> kOffTheHall = {0, 0, 1, 1, 2, 0, 3, 3, 5, 5, 6, 0, 0, 9, 9, 10, 10, 10, 0};

TEST(a_sentence_gives_its_intent_slots_words_and_times) {
  GrammarDecoder decoder(lights(), options());
  const int64_t far = int64_t{1} << 40;
  const GrammarResult& result = decode(&decoder, rows_of(kOffTheHall, kNumPhones), 8, far);
  CHECK(result.complete);
  CHECK(result.accepted);
  CHECK_EQ(result.intent, "Light");
  CHECK_EQ(std::string(decoder.text(), decoder.text_bytes()), "turn off the hall");
  CHECK_EQ(decoder.stable_bytes(), decoder.text_bytes());
  CHECK_EQ(result.num_slots, 2u);
  CHECK_EQ(result.slots[0].name, "state");
  CHECK_EQ(result.slots[0].value, "0");
  CHECK_EQ(result.slots[0].begin_token, far + 6);
  CHECK_EQ(result.slots[0].end_token, far + 10);
  CHECK_EQ(result.slots[1].name, "room");
  CHECK_EQ(result.slots[1].value, "hall 1");
  CHECK_EQ(result.slots[1].begin_token, far + 13);
  CHECK_EQ(result.slots[1].end_token, far + 18);
  const int64_t expected[4][2] = {{2, 5}, {6, 10}, {10, 11}, {13, 18}};
  CHECK_EQ(decoder.num_words(), 4u);
  for (size_t w = 0; w < 4; ++w) {
    CHECK_EQ(decoder.words()[w].begin_token, far + expected[w][0]);
    CHECK_EQ(decoder.words()[w].end_token, far + expected[w][1]);
    CHECK_NEAR(decoder.words()[w].confidence, 1.0, 1e-5);
  }
  CHECK_NEAR(result.mean_ratio, 0.0, 1e-5);
  CHECK_NEAR(result.worst_word_ratio, 0.0, 1e-5);
  CHECK_NEAR(result.confidence, 1.0, 1e-5);
  CHECK_EQ(decoder.next_token(), far + static_cast<int64_t>(kOffTheHall.size()));
}

TEST(ratios_count_speech_rows_only) {
  // The filler is sure of phone 11 in one of the rows of "off", and silent elsewhere as the path.
  std::vector<int> heard = kOffTheHall;
  heard[8] = 11;
  GrammarDecoder decoder(lights(), options());
  const GrammarResult& result = decode(&decoder, rows_of(heard, kNumPhones));
  const double row_ratio = std::log(0.05 / 11) - std::log(0.95);
  CHECK_EQ(std::string(decoder.text()), "turn off the hall");
  CHECK_NEAR(result.mean_ratio, row_ratio / 13, 1e-4);
  CHECK_NEAR(result.worst_word_ratio, row_ratio / 4, 1e-4);
  CHECK_NEAR(decoder.words()[1].confidence, std::exp(row_ratio / 4), 1e-4);
  CHECK_NEAR(result.slots[0].score, std::exp(row_ratio / 4), 1e-4);
  CHECK_NEAR(result.slots[1].score, 1.0, 1e-5);
  CHECK_NEAR(result.confidence, std::exp(row_ratio / 13), 1e-4);
}

TEST(leading_and_trailing_silence_makes_no_difference) {
  GrammarDecoder decoder(lights(), options());
  std::vector<int> padded(50, 0);
  padded.insert(padded.end(), kOffTheHall.begin(), kOffTheHall.end());
  padded.insert(padded.end(), 50, 0);
  const GrammarResult& result = decode(&decoder, rows_of(padded, kNumPhones));
  CHECK(result.accepted);
  CHECK_EQ(std::string(decoder.text()), "turn off the hall");
  CHECK_EQ(decoder.words()[0].begin_token, 52);
}

TEST(equal_phones_may_follow_each_other_with_and_without_silence) {
  AutomatonBuilder builder;
  const uint32_t end = builder.say(builder.say(0, "a", {1, 1}), "b", {1});
  builder.set_final(end);
  for (const std::vector<int>& heard :
       {std::vector<int>{1, 1, 1}, {1, 0, 1, 0, 1}, {0, 1, 1, 0, 0, 1}, {1, 1, 1, 1, 1, 1}}) {
    GrammarDecoder decoder(builder.parse(), options());
    CHECK(decode(&decoder, rows_of(heard, kNumPhones)).accepted);
    CHECK_EQ(std::string(decoder.text()), "a b");
  }
  GrammarDecoder decoder(builder.parse(), options());
  CHECK(!decode(&decoder, rows_of({1, 1}, kNumPhones)).complete);  // fewer rows than phones
}

TEST(an_unfinished_sentence_is_not_accepted) {
  GrammarDecoder decoder(lights(), options());
  const GrammarResult& result =
      decode(&decoder, rows_of({0, 1, 1, 2, 2, 3, 3, 4, 4, 0}, kNumPhones));
  CHECK(!result.accepted);
  // Too little sound for the room: the only complete sentences fit badly.
  const GrammarResult& shorter = decode(&decoder, rows_of({1, 2}, kNumPhones));
  CHECK(!shorter.complete);
  CHECK(!shorter.accepted);
  CHECK(shorter.intent.empty());
  CHECK_EQ(shorter.num_slots, 0u);
  CHECK_EQ(shorter.confidence, 0.0f);
  CHECK_EQ(std::string(decoder.text()), "turn");
}

TEST(what_the_grammar_does_not_hold_is_rejected) {
  GrammarDecoder decoder(lights(), options());
  CHECK(!decode(&decoder, rows_of({11, 11, 4, 4, 8, 8, 2, 2, 11, 11, 3, 3}, kNumPhones)).accepted);
  // A word that the grammar lacks, between two that it has: 10 rows that silence cannot explain.
  std::vector<int> inserted = kOffTheHall;
  inserted.insert(inserted.begin() + 11, 10, 11);
  const GrammarResult& result = decode(&decoder, rows_of(inserted, kNumPhones));
  CHECK(result.complete);
  CHECK(!result.accepted);
  // And in front of it.
  inserted = std::vector<int>(10, 11);
  inserted.insert(inserted.end(), kOffTheHall.begin(), kOffTheHall.end());
  CHECK(!decode(&decoder, rows_of(inserted, kNumPhones)).accepted);
  CHECK(!decode(&decoder, rows_of(std::vector<int>(40, 0), kNumPhones)).accepted);
  CHECK(!decode(&decoder, {}).accepted);
}

TEST(thresholds_decide_acceptance) {
  std::vector<int> heard = kOffTheHall;
  heard[8] = 11;
  const std::vector<float> rows = rows_of(heard, kNumPhones);  // mean -0.41, worst -1.34
  for (const float mean : {-0.3f, -0.5f}) {
    for (const float worst : {-1.2f, -1.5f}) {
      GrammarOptions o = options();
      o.accept_mean = mean;
      o.accept_worst_word = worst;
      GrammarDecoder decoder(lights(), o);
      CHECK_EQ(decode(&decoder, rows).accepted, mean < -0.4f && worst < -1.4f);
    }
  }
}

const std::vector<std::string> kTokens = {"<blank>", " ", "a", "e", "f", "h", "l",
                                          "n",       "o", "r", "t", "u", "c", "k"};

// One row a character, then blanks; `sure` of each.
std::vector<float> spell(const std::string& text, int num_rows, double sure) {
  std::vector<int> heard;
  for (const char c : text) {
    const auto token = std::find(kTokens.begin(), kTokens.end(), std::string(1, c));
    if (!heard.empty() && heard.back() == token - kTokens.begin()) heard.push_back(0);
    heard.push_back(static_cast<int>(token - kTokens.begin()));
  }
  heard.resize(static_cast<size_t>(num_rows), 0);
  return rows_of(heard, static_cast<int>(kTokens.size()), sure);
}

const GrammarResult& decode_both(GrammarDecoder* decoder, const std::vector<float>& phones,
                                 const std::vector<float>& tokens) {
  decoder->reset(0);
  decoder->advance(phones.data(), static_cast<int>(phones.size()) / kNumPhones, kNumPhones);
  const int num_tokens = static_cast<int>(kTokens.size());
  decoder->advance_tokens(tokens.data(), static_cast<int>(tokens.size()) / num_tokens, num_tokens);
  return decoder->finish();
}

GrammarOptions with_acceptance(float threshold) {
  GrammarOptions o = options();
  o.accept_mean = o.accept_worst_word = 0.0f;  // would reject everything, and do not count
  o.tokens = kTokens;
  o.acceptance = galago::Acceptance{2.0f, 0.5f, 1.5f, -1.0f, threshold};
  return o;
}

TEST(an_acceptance_weighs_what_both_heads_heard) {
  const std::string text = "turn off the hall";
  std::vector<int> heard = kOffTheHall;  // 19 rows, of which 13 speak
  heard.insert(heard.end(), 11, 0);
  const std::vector<float> phones = rows_of(heard, kNumPhones);
  GrammarDecoder decoder(lights(), with_acceptance(0.5f));
  const std::vector<float> sure = spell(text, 30, 0.95);
  const GrammarResult good = decode_both(&decoder, phones, sure);
  CHECK(good.accepted);
  CHECK_NEAR(good.evidence.phone_ratio, 0.0, 1e-5);
  CHECK_NEAR(good.evidence.character_ratio, 0.0, 1e-5);
  CHECK_NEAR(good.evidence.character_doubt, -13 * std::log(0.95) / 17, 1e-5);
  CHECK_NEAR(good.confidence, 1 / (1 + std::exp(-2.0 - 13 * std::log(0.95) / 17)), 1e-4);

  // The same phones, other characters: one letter, and all of them.
  const double ratio = std::log(0.05 / 13) - std::log(0.95);
  const GrammarResult near = decode_both(&decoder, phones, spell("turn off the hatl", 30, 0.95));
  CHECK_NEAR(near.evidence.character_ratio, 2 * ratio / 17, 1e-4);  // and a blank between two l
  CHECK(near.confidence < good.confidence);
  const GrammarResult far = decode_both(&decoder, phones, spell("rock a cat on a chat", 30, 0.95));
  CHECK(far.complete);
  CHECK(!far.accepted);
  CHECK_EQ(far.intent, "Light");

  // The same characters, less sure of them.
  const GrammarResult unsure = decode_both(&decoder, phones, spell(text, 30, 0.5));
  CHECK_NEAR(unsure.evidence.character_doubt, -13 * std::log(0.5) / 17, 1e-4);
  CHECK(unsure.confidence < good.confidence);

  GrammarDecoder strict(lights(), with_acceptance(0.9f));
  CHECK_NEAR(decode_both(&strict, phones, sure).confidence, good.confidence, 1e-6);
  CHECK(!decode_both(&strict, phones, sure).accepted);
}

TEST(without_a_sentence_an_acceptance_has_nothing_to_weigh) {
  GrammarDecoder decoder(lights(), with_acceptance(0.0f));
  const GrammarResult& result = decode_both(&decoder, rows_of({1, 2}, kNumPhones), {});
  CHECK(!result.complete);
  CHECK(!result.accepted);
  CHECK_EQ(result.confidence, 0.0f);
}

TEST(token_rows_without_an_acceptance_change_nothing) {
  GrammarDecoder decoder(lights(), options());
  const std::vector<float> phones = rows_of(kOffTheHall, kNumPhones);
  const float alone = decode(&decoder, phones).confidence;
  CHECK_EQ(decode_both(&decoder, phones, spell("rock", 19, 0.95)).confidence, alone);
}

TEST(arc_weights_decide_between_equals_and_do_not_lower_confidence) {
  AutomatonBuilder builder;
  const uint32_t end = builder.add_state();
  const uint32_t rare = builder.add_state();
  builder.add_arc(0, rare, kEpsilonPhone, -2.0f);
  builder.add_arc(builder.say(rare, "rare", {1, 2}), end, kEpsilonPhone);
  builder.add_arc(builder.say(0, "common", {1, 2}), end, kEpsilonPhone, -1.0f);
  builder.set_final(end);
  GrammarDecoder decoder(builder.parse(), options());
  const GrammarResult& result = decode(&decoder, rows_of({1, 1, 2, 2}, kNumPhones));
  CHECK_EQ(std::string(decoder.text()), "common");
  CHECK_NEAR(result.confidence, 1.0, 1e-5);
}

TEST(priors_are_divided_out_as_scaled) {
  // Phones 1 and 2 are heard as 0.5 and 0.4; phone 1 is ten times as common.
  AutomatonBuilder builder;
  const uint32_t end = builder.add_state();
  builder.add_arc(builder.say(0, "one", {1}), end, kEpsilonPhone);
  builder.add_arc(builder.say(0, "two", {2}), end, kEpsilonPhone);
  builder.set_final(end);
  std::vector<float> rows = rows_of({1}, kNumPhones, 0.5);
  rows[2] = std::log(0.4f);
  for (const float scale : {0.0f, 0.3f}) {
    GrammarOptions o = options();
    o.phone_log_priors[1] = std::log(0.5f);
    o.phone_log_priors[2] = std::log(0.05f);
    o.prior_scale = scale;
    GrammarDecoder decoder(builder.parse(), o);
    decode(&decoder, rows);
    CHECK_EQ(std::string(decoder.text()), scale == 0.0f ? "one" : "two");
  }
}

TEST(a_slot_without_words_has_the_confidence_of_the_utterance) {
  AutomatonBuilder builder;
  const uint32_t said = builder.say(builder.put_out(0, kIntent, "Stop"), "stop", {1, 2});
  const uint32_t begun = builder.put_out(said, kSlotBegin, "what");
  builder.set_final(builder.put_out(begun, kSlotEnd, "all"));
  GrammarDecoder decoder(builder.parse(), options());
  const GrammarResult& result = decode(&decoder, rows_of({1, 1, 11, 2, 2}, kNumPhones));
  CHECK_EQ(result.num_slots, 1u);
  CHECK_EQ(result.slots[0].value, "all");
  CHECK_EQ(result.slots[0].score, result.confidence);
  CHECK_EQ(result.slots[0].begin_token, result.slots[0].end_token);
}

TEST(chunk_sizes_make_no_difference_and_a_stable_prefix_never_changes) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const std::vector<float> rows = noisy_rows_of(kOffTheHall, kNumPhones, 1.5, seed);
    const int num_rows = static_cast<int>(kOffTheHall.size());
    GrammarDecoder decoder(lights(), options(20.0f));
    const GrammarResult whole = decode(&decoder, rows, num_rows);
    const std::string whole_text = decoder.text();
    bool was_stable_early = false;
    for (const int rows_per_call : {1, 4, 8, 16}) {
      decoder.reset(0);
      std::string stable;
      for (int first = 0; first < num_rows; first += rows_per_call) {
        decoder.advance(rows.data() + first * kNumPhones, std::min(rows_per_call, num_rows - first),
                        kNumPhones);
        const std::string text = decoder.text();
        CHECK(decoder.stable_bytes() >= stable.size());
        CHECK_EQ(text.substr(0, stable.size()), stable);
        stable = text.substr(0, decoder.stable_bytes());
      }
      was_stable_early = was_stable_early || !stable.empty();
      const GrammarResult& result = decoder.finish();
      CHECK_EQ(std::string(decoder.text()), whole_text);
      CHECK_EQ(whole_text.substr(0, stable.size()), stable);
      CHECK_EQ(result.mean_ratio, whole.mean_ratio);
      CHECK_EQ(result.worst_word_ratio, whole.worst_word_ratio);
      CHECK_EQ(result.num_slots, whole.num_slots);
    }
    CHECK(was_stable_early);
  }
}

TEST(one_decoder_goes_on_where_another_stands) {
  const int num_rows = static_cast<int>(kOffTheHall.size());
  for (unsigned seed = 0; seed < 20; ++seed) {
    const std::vector<float> rows = noisy_rows_of(kOffTheHall, kNumPhones, 1.5, seed);
    const auto advance = [&rows](GrammarDecoder* decoder, int first, int end) {
      decoder->advance(rows.data() + first * kNumPhones, end - first, kNumPhones);
    };
    GrammarDecoder one(lights(), options(20.0f)), other(lights(), options(20.0f));
    const GrammarResult whole = decode(&one, rows, num_rows);
    const std::string whole_text = one.text();
    one.reset(0);
    other.reset(0);
    advance(&one, 0, 8);
    advance(&other, 3, num_rows);  // it was ahead, and had heard other rows
    other.assign(one);
    CHECK_EQ(std::string(other.text()), std::string(one.text()));
    CHECK_EQ(other.next_token(), 8);
    advance(&other, 8, num_rows);
    advance(&one, 8, 12);  // they share nothing
    const GrammarResult& result = other.finish();
    CHECK_EQ(std::string(other.text()), whole_text);
    CHECK_EQ(result.mean_ratio, whole.mean_ratio);
    CHECK_EQ(result.num_slots, whole.num_slots);
  }
}

TEST(partials_tell_the_best_words_so_far) {
  GrammarDecoder decoder(lights(), options());
  const std::vector<float> rows = rows_of(kOffTheHall, kNumPhones);
  decoder.reset(0);
  decoder.advance(rows.data(), 5, kNumPhones);
  CHECK_EQ(std::string(decoder.text()), "turn");
  decoder.advance(rows.data() + 5 * kNumPhones, 6, kNumPhones);
  CHECK_EQ(std::string(decoder.text()), "turn off the");
}

TEST(broken_rows_say_nothing_and_impossible_ones_do_not_end_it) {
  GrammarDecoder decoder(lights(), options());
  std::vector<float> rows = rows_of(kOffTheHall, kNumPhones, 1.0);  // all else -inf
  CHECK(decode(&decoder, rows).accepted);
  std::fill(rows.begin() + 8 * kNumPhones, rows.begin() + 9 * kNumPhones,
            std::numeric_limits<float>::quiet_NaN());
  CHECK(decode(&decoder, rows).accepted);
  CHECK_EQ(std::string(decoder.text()), "turn off the hall");
  std::fill(rows.begin(), rows.end(), -std::numeric_limits<float>::infinity());
  decode(&decoder, rows);  // any sentence fits as well as any other
  std::fill(rows.begin(), rows.end(), std::numeric_limits<float>::infinity());
  decode(&decoder, rows);
}

// Any word after any: every row, many words begin.
std::shared_ptr<const galago::PhoneAutomaton> word_loop(int num_words, unsigned seed) {
  std::mt19937 random(seed);
  AutomatonBuilder builder;
  const uint32_t loop = builder.put_out(0, kIntent, "Say");
  for (int w = 0; w < num_words; ++w) {
    std::vector<uint16_t> phones;
    for (unsigned n = 1 + random() % 4; n > 0; --n)
      phones.push_back(static_cast<uint16_t>(1 + random() % (kNumPhones - 1)));
    const uint32_t end = builder.say(loop, "w" + std::to_string(w), phones);
    builder.set_final(end);
    builder.add_arc(end, loop, kEpsilonPhone, -0.5f);
  }
  return builder.parse();
}

std::vector<int> random_phones(int num_rows, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int> phones;
  while (static_cast<int>(phones.size()) < num_rows)
    phones.insert(phones.end(), 1 + random() % 3, static_cast<int>(random() % kNumPhones));
  phones.resize(static_cast<size_t>(num_rows));
  return phones;
}

TEST(a_wide_beam_finds_what_no_beam_finds) {
  const auto automaton = word_loop(200, 3);
  for (unsigned seed = 0; seed < 5; ++seed) {
    const std::vector<float> rows =
        noisy_rows_of(random_phones(100, seed), kNumPhones, 1.0, seed + 100);
    GrammarDecoder exact(automaton, options());
    const GrammarResult expected = decode(&exact, rows);
    GrammarDecoder beam(automaton, options(60.0f));
    CHECK_EQ(decode(&beam, rows).mean_ratio, expected.mean_ratio);
    CHECK_EQ(std::string(beam.text()), std::string(exact.text()));
  }
}

TEST(the_longest_utterance_stays_within_its_memory) {
  // The arena of histories holds 4 * 500 + 8 * 64 records; this writes far more.
  GrammarOptions o = options();
  o.max_active_arcs = 64;
  o.max_tokens = 500;
  GrammarDecoder decoder(word_loop(300, 4), o);
  const std::vector<int> phones = random_phones(600, 9);
  const GrammarResult& result = decode(&decoder, noisy_rows_of(phones, kNumPhones, 0.5, 10));
  CHECK(result.complete);
  CHECK(decoder.num_active_arcs() <= 64);
  CHECK_EQ(decoder.next_token(), 500);
  CHECK(decoder.num_words() > 50);
  int64_t last_end = 0;
  for (size_t w = 0; w < decoder.num_words(); ++w) {
    CHECK(decoder.words()[w].begin_token >= last_end);
    last_end = decoder.words()[w].end_token;
    CHECK(last_end <= 500);
  }
}

TEST(more_slots_than_fit_are_left_out_in_order) {
  AutomatonBuilder builder;
  uint32_t state = builder.put_out(0, kIntent, "Many");
  for (int i = 0; i < 70; ++i) {
    state = builder.put_out(state, kSlotBegin, "s" + std::to_string(i));
    state = builder.say(state, "w", {static_cast<uint16_t>(1 + i % 2)});
    state = builder.put_out(state, kSlotEnd, "v" + std::to_string(i));
  }
  builder.set_final(state);
  std::vector<int> heard;
  for (int i = 0; i < 70; ++i) heard.push_back(1 + i % 2);
  GrammarDecoder decoder(builder.parse(), options());
  const GrammarResult& result = decode(&decoder, rows_of(heard, kNumPhones));
  CHECK(result.accepted);
  CHECK_EQ(result.num_slots, GrammarDecoder::kMaxSlots);
  for (size_t i = 0; i < result.num_slots; ++i) {
    CHECK_EQ(result.slots[i].name, "s" + std::to_string(i));
    CHECK_EQ(result.slots[i].value, "v" + std::to_string(i));
  }
}

TEST(what_does_not_fit_is_refused) {
  AutomatonBuilder phrases;
  phrases.set_final(phrases.say(0, "hey", {1, 2}));
  CHECK_THROWS(GrammarDecoder(phrases.parse(2), options()), "phrases");
  CHECK_THROWS(GrammarDecoder(nullptr, options()), "there is none");
  GrammarOptions o = options();
  o.phone_log_priors.resize(10);
  CHECK_THROWS(GrammarDecoder(lights(), o), "phones that the bundle lacks");
  o = options();
  o.phone_log_priors[3] = NAN;
  CHECK_THROWS(GrammarDecoder(lights(), o), "phone_log_priors[3]");
  o = options();
  o.prior_scale = 2;
  CHECK_THROWS(GrammarDecoder(lights(), o), "prior_scale");
  o = options();
  o.accept_mean = 0.1f;
  CHECK_THROWS(GrammarDecoder(lights(), o), "accept_mean");
  CHECK_THROWS(GrammarDecoder(lights(), with_acceptance(1.5f)), "acceptance.threshold");
  o = with_acceptance(0.5f);
  o.tokens.clear();
  CHECK_THROWS(GrammarDecoder(lights(), o), "0 tokens");
  o = options(0.0f);
  CHECK_THROWS(GrammarDecoder(lights(), o), "beam_nats");
  o = options();
  o.max_tokens = 0;
  CHECK_THROWS(GrammarDecoder(lights(), o), "max_tokens");
}

}  // namespace
