// Makes the bytes of word models ("GWRD", version 2) for tests. A phone is a letter here, and '_'
// is silence: pronunciations and rows are written as strings.
#ifndef GALAGO_TESTS_NATIVE_DECODING_WORD_MODEL_BUILDER_H_
#define GALAGO_TESTS_NATIVE_DECODING_WORD_MODEL_BUILDER_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/packed_list_builder.h"
#include "decoding/word_model.h"

// A copy of its own: what is read behind the end is seen by a sanitizer.
inline std::shared_ptr<const galago::WordModel> parse_word_model(const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  const auto kept = std::make_shared<const Bytes>(bytes, bytes + size);
  return galago::WordModel::parse(kept, kept->data(), kept->size());
}

// ln P of the last of two or three words after those before it.
inline float log_prob(const galago::WordModel& model, const std::vector<uint16_t>& words) {
  galago::WordModel::History history = galago::WordModel::after(words[0]);
  float log_prob = 0.0f;
  for (size_t i = 1; i < words.size(); ++i) {
    galago::WordModel::History next;
    log_prob = model.log_prob(history, words[i], &next);
    history = next;
  }
  return log_prob;
}

// Everything a model can be asked; the sum keeps the compiler from leaving it out.
inline double read_all(const galago::WordModel& model) {
  double sum = 0;
  const auto num_words = static_cast<uint16_t>(model.num_words());
  for (uint16_t before = 0; before < num_words; ++before) {
    for (const char letter : model.spelling(before)) sum += letter;
    for (uint16_t word = 0; word < num_words; ++word) {
      galago::WordModel::History history, next;
      sum += model.log_prob(galago::WordModel::after(before), word, &history);
      if (history.context == 0) continue;
      for (uint16_t third = 0; third < num_words; ++third)
        sum += model.log_prob(history, third, &next);
    }
  }
  for (uint32_t node = 0; node < model.num_nodes(); ++node) {
    sum += model.phone(node) + model.look_ahead(node);
    for (uint32_t i = model.first_child(node); i < model.first_child(node + 1); ++i)
      sum += model.phone(i);
    for (uint32_t i = model.first_word(node); i < model.first_word(node + 1); ++i)
      sum += log_prob(model, {galago::WordModel::kSentenceBegin, model.word(i)});
  }
  return sum;
}

class WordModelBuilder {
 public:
  // `phones[0]` is silence.
  explicit WordModelBuilder(const std::string& phones = "_abcdefghijklmnopqrstuvwxyz")
      : phones_(phones), words_(2), nodes_(1) {
    words_[1].log_prob = -2.0f;
  }

  // Answers the word's number.
  uint16_t add_word(const std::string& spelling, const std::vector<std::string>& pronunciations,
                    float log_prob) {
    words_.push_back({spelling, log_prob, 0.0f, {}, {}});
    const auto word = static_cast<uint16_t>(words_.size() - 1);
    for (const std::string& phones : pronunciations) {
      size_t node = 0;
      for (const char phone : phones) {
        const auto found = nodes_[node].children.find(index_of(phone));
        if (found != nodes_[node].children.end()) {
          node = found->second;
        } else {
          nodes_[node].children[index_of(phone)] = nodes_.size();
          node = nodes_.size();
          nodes_.emplace_back();
        }
      }
      nodes_[node].words.push_back(word);
    }
    return word;
  }
  void set_log_prob(uint16_t word, float log_prob) { words_[word].log_prob = log_prob; }
  void set_back_off(uint16_t before, float log_prob) { words_[before].back_off = log_prob; }
  void add_bigram(uint16_t before, uint16_t word, float log_prob) {
    words_[before].bigrams[word] = log_prob;
  }
  // The last two words must be a bigram.
  void add_trigram(uint16_t first, uint16_t second, uint16_t third, float log_prob) {
    words_[first].contexts[second].trigrams[third] = log_prob;
  }
  void set_back_off(uint16_t first, uint16_t second, float log_prob) {
    words_[first].contexts[second].back_off = log_prob;
  }

  // One row a letter.
  std::vector<int> classes(const std::string& rows) const {
    std::vector<int> found;
    for (const char phone : rows) found.push_back(index_of(phone));
    return found;
  }
  int num_phones() const { return static_cast<int>(phones_.size()); }

  Bytes bytes() const {
    // Breadth first.
    std::vector<size_t> order = {0}, num_children, num_words;
    std::vector<uint8_t> node_phones = {0};
    std::vector<uint16_t> leaves;
    for (size_t i = 0; i < order.size(); ++i) {
      num_children.push_back(nodes_[order[i]].children.size());
      for (const auto& [phone, child] : nodes_[order[i]].children) {
        order.push_back(child);
        node_phones.push_back(static_cast<uint8_t>(phone));
      }
      const std::vector<uint16_t>& words = nodes_[order[i]].words;
      leaves.insert(leaves.end(), words.begin(), words.end());
      num_words.push_back(words.size());
    }
    std::vector<uint8_t> look_ahead;
    for (const size_t node : order) look_ahead.push_back(in_steps(best_below(node)));

    std::string names, spellings;
    for (const char phone : phones_) names += {phone, '\n'};
    std::vector<size_t> num_letters;
    std::vector<int16_t> unigrams, back_offs;
    for (const Word& word : words_) {
      spellings += word.spelling;
      num_letters.push_back(word.spelling.size());
      unigrams.push_back(static_cast<int16_t>(std::lround(1024 * word.log_prob)));
      back_offs.push_back(static_cast<int16_t>(std::lround(1024 * word.back_off)));
    }
    const Ngrams ngrams = make_ngrams();

    Bytes out = {'G', 'W', 'R', 'D'};
    const std::vector<size_t> sizes = {2,
                                       words_.size(),
                                       order.size(),
                                       leaves.size(),
                                       ngrams.num_contexts,
                                       phones_.size(),
                                       names.size(),
                                       spellings.size(),
                                       ngrams.bigrams.size(),
                                       ngrams.trigrams.size()};
    put(&out, std::vector<uint32_t>(sizes.begin(), sizes.end()));
    put(&out, names);
    put_places(&out, num_letters);
    put(&out, spellings);
    put(&out, unigrams);
    put(&out, back_offs);
    for (const std::vector<float>& levels : ngrams.levels) put(&out, levels);
    put(&out, ngrams.bigram_begin);
    put(&out, ngrams.bigrams);
    put(&out, ngrams.trigram_begin);
    put(&out, ngrams.trigrams);
    put_places(&out, num_children);
    put_places(&out, num_words);
    put(&out, node_phones);
    put(&out, look_ahead);
    put(&out, leaves);
    return out;
  }

  std::shared_ptr<const galago::WordModel> parse() const {
    const Bytes made = bytes();
    return parse_word_model(made.data(), made.size());
  }

 private:
  struct Context {
    float back_off = 0.0f;
    std::map<uint16_t, float> trigrams;
  };
  struct Word {
    std::string spelling;
    float log_prob = 0.0f;
    float back_off = 0.0f;
    std::map<uint16_t, float> bigrams;
    std::map<uint16_t, Context> contexts;
  };
  struct Ngrams {
    std::vector<float> levels[3];
    std::vector<uint32_t> bigram_begin, trigram_begin;
    Bytes bigrams, trigrams;
    size_t num_contexts = 0;
  };
  struct Node {
    std::map<int, size_t> children;
    std::vector<uint16_t> words;
  };

  int index_of(char phone) const { return static_cast<int>(phones_.find(phone)); }
  static uint8_t in_steps(float log_prob) {
    return static_cast<uint8_t>(std::clamp(std::lround(-12 * log_prob), 0L, 255L));
  }
  // Sixteen at most are kept as they are, more as the nearest of sixteen evenly apart.
  static std::vector<float> levels_of(const std::set<float>& values) {
    std::vector<float> levels(values.begin(), values.end());
    if (levels.size() > 16) {
      const float low = levels.front(), step = (levels.back() - low) / 15;
      levels.clear();
      for (int i = 0; i < 16; ++i) levels.push_back(low + step * static_cast<float>(i));
    }
    levels.resize(16);
    return levels;
  }
  static uint8_t nearest(const std::vector<float>& levels, float value) {
    const auto is_nearer = [&](float a, float b) {
      return std::fabs(a - value) < std::fabs(b - value);
    };
    const auto found = std::min_element(levels.begin(), levels.end(), is_nearer);
    return static_cast<uint8_t>(found - levels.begin());
  }
  Ngrams make_ngrams() const {
    Ngrams made;
    std::set<float> values[3];
    for (const Word& word : words_) {
      for (const auto& bigram : word.bigrams) values[0].insert(bigram.second);
      for (const auto& context : word.contexts) {
        values[1].insert(context.second.back_off);
        for (const auto& trigram : context.second.trigrams) values[2].insert(trigram.second);
      }
    }
    for (int kind = 0; kind < 3; ++kind) made.levels[kind] = levels_of(values[kind]);
    for (const Word& word : words_) {
      made.bigram_begin.push_back(static_cast<uint32_t>(made.bigrams.size()));
      if (word.bigrams.empty()) continue;
      std::map<uint16_t, uint8_t> behind, contexts;
      for (const auto& [after, log_prob] : word.bigrams)
        behind[after] = nearest(made.levels[0], log_prob);
      Bytes contexts_bytes;
      if (!word.contexts.empty()) contexts_bytes = packed_number(made.num_contexts);
      for (const auto& [second, context] : word.contexts) {
        contexts[second] = nearest(made.levels[1], context.back_off);
        std::map<uint16_t, uint8_t> places;
        const std::map<uint16_t, float>& bigrams = words_[second].bigrams;
        for (const auto& [third, log_prob] : context.trigrams) {
          const auto place = std::distance(bigrams.begin(), bigrams.find(third));
          places[static_cast<uint16_t>(place)] = nearest(made.levels[2], log_prob);
        }
        if (made.num_contexts++ % 16 == 0)
          made.trigram_begin.push_back(static_cast<uint32_t>(made.trigrams.size()));
        append(&made.trigrams, packed_list(places));
      }
      if (!contexts.empty()) append(&contexts_bytes, packed_list(contexts));
      append(&made.bigrams, packed_number(contexts_bytes.size()));
      append(&made.bigrams, contexts_bytes);
      append(&made.bigrams, packed_list(behind));
    }
    made.bigram_begin.push_back(static_cast<uint32_t>(made.bigrams.size()));
    for (Bytes* lists : {&made.bigrams, &made.trigrams}) lists->resize(lists->size() + 8);
    return made;
  }
  float best_below(size_t node) const {
    float best = -1e9f;
    for (const uint16_t word : nodes_[node].words) best = std::max(best, words_[word].log_prob);
    for (const auto& child : nodes_[node].children) best = std::max(best, best_below(child.second));
    return best;
  }
  // Every part begins at a multiple of 4 bytes.
  template <typename Values>
  static void put(Bytes* out, const Values& values) {
    const size_t begin = out->size(), num_bytes = values.size() * sizeof(values[0]);
    out->resize(begin + (num_bytes + 3) / 4 * 4);
    if (num_bytes > 0) std::memcpy(out->data() + begin, values.data(), num_bytes);
  }
  static void put_places(Bytes* out, const std::vector<size_t>& sizes) {
    std::vector<uint32_t> of_groups;
    std::vector<uint16_t> within;
    uint32_t begin = 0;
    for (size_t i = 0; i <= sizes.size(); ++i) {
      if (i % 64 == 0) of_groups.push_back(begin);
      within.push_back(static_cast<uint16_t>(begin - of_groups.back()));
      if (i < sizes.size()) begin += static_cast<uint32_t>(sizes[i]);
    }
    put(out, of_groups);
    put(out, within);
  }

  std::string phones_;
  std::vector<Word> words_;
  std::vector<Node> nodes_;
};

// A handful of words: homophones, a word that begins another, words whose ends and beginnings are
// alike, and one with two pronunciations.
struct TinyWords {
  WordModelBuilder builder;
  uint16_t to, two, too, car, carpet, pet, at, want, either;

  TinyWords() {
    to = builder.add_word("to", {"tu"}, -2.0f);
    two = builder.add_word("two", {"tu"}, -3.0f);
    too = builder.add_word("too", {"tu"}, -3.5f);
    car = builder.add_word("car", {"kar"}, -3.0f);
    carpet = builder.add_word("carpet", {"karpet"}, -5.0f);
    pet = builder.add_word("pet", {"pet"}, -4.0f);
    at = builder.add_word("at", {"at"}, -2.5f);
    want = builder.add_word("want", {"wont"}, -3.0f);
    either = builder.add_word("either", {"itha", "aitha"}, -4.5f);
    builder.add_bigram(want, to, -0.5f);
    builder.add_bigram(want, two, -2.0f);
    builder.add_bigram(at, two, -0.5f);
    builder.add_bigram(pet, too, -0.5f);
    builder.add_bigram(too, galago::WordModel::kSentenceEnd, -0.25f);
    builder.add_bigram(galago::WordModel::kSentenceBegin, want, -1.0f);
    builder.set_back_off(want, -1.5f);
    builder.set_back_off(at, -1.0f);
    builder.add_bigram(to, too, -3.0f);
    builder.add_trigram(want, to, too, -0.25f);
    builder.set_back_off(want, to, -0.75f);
    builder.add_trigram(galago::WordModel::kSentenceBegin, want, two, -1.25f);
  }
};

#endif  // GALAGO_TESTS_NATIVE_DECODING_WORD_MODEL_BUILDER_H_
