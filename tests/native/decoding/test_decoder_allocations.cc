// Features and decoders allocate in their constructors only: every later allocation is counted.
#include <cstdlib>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "decoding/automaton_builder.h"
#include "decoding/ctc_decoder.h"
#include "decoding/grammar_decoder.h"
#include "decoding/phrase_spotter.h"
#include "decoding/piece_decoder.h"
#include "decoding/piece_model_builder.h"
#include "decoding/test_rows.h"
#include "decoding/word_decoder.h"
#include "decoding/word_model_builder.h"
#include "ear/endpoint.h"
#include "ear/front_end.h"

namespace {

int num_allocations = 0;
std::size_t num_bytes_allocated = 0;

__attribute__((noinline)) void* allocate(std::size_t num_bytes, std::size_t alignment) {
  ++num_allocations;
  num_bytes_allocated += num_bytes;
  const std::size_t rounded = (num_bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t n) { return allocate(n, alignof(std::max_align_t)); }
void* operator new(std::size_t n, std::align_val_t a) {
  return allocate(n, static_cast<std::size_t>(a));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

constexpr int kNumPhones = 12;
constexpr int kNumTokens = 5;

std::vector<int> random_classes(int num_rows, int num_classes) {
  std::mt19937 random(1);
  std::vector<int> classes;
  while (static_cast<int>(classes.size()) < num_rows)
    classes.insert(classes.end(), 1 + random() % 3,
                   static_cast<int>(random() % static_cast<unsigned>(num_classes)));
  return classes;
}

TEST(the_counter_counts) {
  const int before = num_allocations;
  const std::vector<int> something(100);
  CHECK_EQ(num_allocations, before + 1);
  CHECK_EQ(something.size(), 100u);
}

// What a session tells about its memory is what was asked of the heap. Growing while it is built, a
// vector asks more than it keeps; a short std::string holds its text itself.
TEST(features_and_decoders_know_their_memory) {
  std::size_t before = num_bytes_allocated;
  const galago::Fbank fbank(galago::FbankOptions{}, 32);
  std::size_t asked = num_bytes_allocated - before;
  CHECK(fbank.num_bytes() <= asked);
  CHECK(fbank.num_bytes() > asked / 2);

  galago::CtcOptions options;
  options.beam_width = 16;
  options.max_tokens = 500;
  const std::vector<std::string> tokens = {"<blank>", " ", "a", "b", "c"};
  before = num_bytes_allocated;
  const galago::CtcDecoder ctc(tokens, options);
  asked = num_bytes_allocated - before;
  CHECK(ctc.num_bytes() <= asked);
  CHECK(ctc.num_bytes() > asked - asked / 20);

  const auto model = TinyWords().builder.parse();
  galago::WordDecoderOptions word_options;
  word_options.max_tokens = 500;
  word_options.num_hypotheses = 20;
  before = num_bytes_allocated;
  const galago::WordDecoder words(model, word_options);
  asked = num_bytes_allocated - before;
  CHECK(words.num_bytes() <= asked);
  CHECK(words.num_bytes() > asked - asked / 20);
}

TEST(features_allocate_nothing_after_construction) {
  galago::FeatureOptions options;
  const std::vector<float> samples(32 * 400, 0.1f);
  std::vector<float> features(32 * 400);
  for (const auto type :
       {galago::FeatureOptions::Type::kLogMel, galago::FeatureOptions::Type::kRawSamples}) {
    options.type = type;
    const auto front_end = galago::make_front_end(options, 32);
    const int before = num_allocations;
    for (int num_frames = 0; num_frames <= 32; ++num_frames)
      front_end->compute(samples.data(), num_frames, features.data());
    CHECK_EQ(num_allocations, before);
  }
}

TEST(text_decoding_allocates_nothing_after_construction) {
  const std::vector<std::string> tokens = {"<blank>", " ", "a", "b", "c"};
  const std::vector<float> rows = noisy_rows_of(random_classes(700, 5), kNumTokens, 2.0, 1);
  for (const galago::CtcMethod method : {galago::CtcMethod::kGreedy, galago::CtcMethod::kBeam}) {
    galago::CtcOptions options;
    options.method = method;
    options.beam_width = 16;
    options.max_tokens = 600;
    galago::CtcDecoder decoder(tokens, options);
    const auto hotwords = galago::HotwordGraph::build(tokens, 1, {{"cab", 1.0f}, {"a cab", 2.0f}});
    const int before = num_allocations;
    for (int utterance = 0; utterance < 3; ++utterance) {
      if (utterance == 2) decoder.set_hotwords(hotwords);
      decoder.reset(0);
      for (int first = 0; first + 8 <= 700; first += 8)
        decoder.advance(rows.data() + first * kNumTokens, 8, kNumTokens);
      decoder.finish();
      CHECK(decoder.num_words() > 10);
    }
    CHECK_EQ(num_allocations, before);
  }
}

TEST(writing_allocates_nothing_after_construction) {
  PieceModelBuilder builder(7);
  const auto model = builder.parse();
  const std::vector<float> rows = builder.rows(60);
  const std::size_t num_bytes_before = num_bytes_allocated;
  galago::PieceDecoder decoder(model, 100, 50);
  const std::size_t asked = num_bytes_allocated - num_bytes_before;
  CHECK(decoder.num_bytes() <= asked);
  CHECK(decoder.num_bytes() > asked - asked / 20);
  const int before = num_allocations;
  for (int utterance = 0; utterance < 6; ++utterance) {
    if (utterance % 2 == 0) {
      decoder.reset();
    } else {
      decoder.go_on(20);
    }
    for (int part = 0; part < 2; ++part) {
      decoder.hear(rows.data(), 60);
      decoder.write(40);
      decoder.write_alone(40);
      decoder.take_back();
      if (decoder.begins_otherwise()) decoder.write_on(40);
      decoder.keep_words(decoder.first_repeated_word());
      decoder.agree();
    }
  }
  CHECK_EQ(num_allocations, before);
}

TEST(word_decoding_allocates_nothing_after_construction) {
  const TinyWords tiny;
  std::vector<int> classes;
  while (classes.size() < 700)
    for (const int phone : tiny.builder.classes("_wont_tu_kkarpet_at_tu_kar_aitha_kaxpe"))
      classes.push_back(phone);
  const int num_phones = tiny.builder.num_phones();
  const std::vector<float> rows = noisy_rows_of(classes, num_phones, 1.5, 5);
  galago::WordDecoderOptions options;
  options.max_tokens = 600;
  options.num_hypotheses = 20;
  galago::WordDecoder decoder(tiny.builder.parse(), options);
  options.num_hypotheses = 1;
  options.beam_width /= 2;
  options.assigned_beam_width = 2 * options.beam_width;
  galago::WordDecoder draft(tiny.builder.parse(), options);
  const int before = num_allocations;
  for (int utterance = 0; utterance < 3; ++utterance) {
    decoder.reset(0);
    for (int first = 0; first + 8 <= 700; first += 8) {
      decoder.advance(rows.data() + first * num_phones, 8, num_phones);
      draft.assign(decoder);
      draft.advance(rows.data() + first * num_phones, 8, num_phones);
    }
    decoder.finish();
    CHECK_EQ(decoder.num_hypotheses(), 20u);
    for (size_t i = 0; i < decoder.num_hypotheses(); ++i) {
      decoder.choose(i);
      CHECK(decoder.num_words() > 50);
    }
  }
  CHECK_EQ(num_allocations, before);
}

TEST(phone_decoding_allocates_nothing_after_construction) {
  AutomatonBuilder grammar;
  const uint32_t loop = grammar.put_out(0, kIntent, "Say");
  AutomatonBuilder phrases;
  std::mt19937 random(2);
  for (int w = 0; w < 100; ++w) {
    std::vector<uint16_t> phones;
    for (unsigned n = 2 + random() % 3; n > 0; --n)
      phones.push_back(static_cast<uint16_t>(1 + random() % 11));
    const uint32_t end = grammar.say(loop, "w" + std::to_string(w), phones);
    grammar.set_final(end);
    grammar.add_arc(end, loop, kEpsilonPhone, -0.5f);
    phrases.set_final(
        phrases.say(phrases.put_out(0, kPhrase, "p" + std::to_string(w)), "p", phones));
  }
  const std::vector<float> rows = noisy_rows_of(random_classes(700, 12), kNumPhones, 1.0, 3);
  galago::GrammarOptions options;
  options.phone_log_priors.assign(kNumPhones, -2.5f);
  options.max_active_arcs = 64;  // pruned in the middle of rows, records compacted
  options.max_tokens = 600;
  options.tokens = {"<blank>", " ", "w", "1", "2"};
  options.acceptance.emplace();
  const std::vector<float> characters =
      noisy_rows_of(random_classes(700, kNumTokens), kNumTokens, 1.0, 4);
  galago::GrammarDecoder decoder(grammar.parse(), options);
  galago::PhraseSpotterOptions spotting;
  spotting.phone_log_priors = options.phone_log_priors;
  spotting.refractory_tokens = 0;
  galago::PhraseSpotter spotter(phrases.parse(2), spotting);
  const int before = num_allocations;
  size_t num_detections = 0;
  for (int utterance = 0; utterance < 3; ++utterance) {
    decoder.reset(0);
    for (int first = 0; first + 8 <= 700; first += 8) {
      decoder.advance(rows.data() + first * kNumPhones, 8, kNumPhones);
      decoder.advance_tokens(characters.data() + first * kNumTokens, 8, kNumTokens);
      spotter.advance(rows.data() + first * kNumPhones, 8, kNumPhones);
      num_detections += spotter.num_detections();
    }
    decoder.finish();
    CHECK(decoder.num_words() > 10);
  }
  CHECK(num_detections > 10);
  CHECK_EQ(num_allocations, before);
}

}  // namespace
