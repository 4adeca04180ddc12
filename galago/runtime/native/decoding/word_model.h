// The words that open text is made of: how they sound, and which follow which.
//
//   lexicon    a tree over phones; a node tells the words that are complete there, and the
//              likeliest word that is still possible below it
//   grammar    unigrams, bigrams and trigrams with back-off: ln P(word | one or two words before)
//
// One file (galago/runtime/language/word_model.py), checked once and then searched where it lies:
//
//   header     "GWRD", version, numbers of words, nodes, leaves, contexts, phones, bytes of the
//              names, of the spellings, of the bigrams and of the trigrams
//   names      of the phones, a line each: those of the ear
//   spellings  places of the words; the letters. Word 0 is the beginning of a sentence, word 1 its
//              end; both are spelled with nothing
//   unigrams   i16 x words: ln P(word) in 1/1024 nats; i16 x words: ln back-off
//   levels     16 x f32 each: ln P(word | before) that a bigram's value stands for, the ln back-off
//              of a context's, ln P(word | two words before) of a trigram's
//   bigrams    where those behind each word begin, u32 x (words + 1); for each word behind which
//              another is listed: bytes of its contexts; number of the first of these, and the
//              words that make a context with it, as a list; the words behind it, as a list
//   trigrams   where those of every 16th context begin, u32; a list for each context: which of the
//              words behind its second word follow
//   tree       breadth first: places of the nodes' children, whose first is node 1; places of their
//              words; phones, u8 x nodes; look-ahead, u8 x nodes, in -1/12 nats; words of the
//              nodes, u16 x leaves
//
// A context is two words that trigrams begin with. Lists and the numbers before them are those of
// packed_list.h; eight bytes that mean nothing follow the last of them. The places of n things that
// lie one behind the other are n + 1 numbers: those of every 64th one, u32, and how far each is
// behind that, u16. Numbers are little-endian; every part begins at a multiple of 4 bytes.
#ifndef GALAGO_NATIVE_DECODING_WORD_MODEL_H_
#define GALAGO_NATIVE_DECODING_WORD_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/packed_list.h"

namespace galago {

class ByteReader;

class WordModel {
 public:
  static constexpr uint16_t kSentenceBegin = 0;
  static constexpr uint16_t kSentenceEnd = 1;
  static constexpr uint32_t kRoot = 0;

  // `owner` keeps `bytes`, which are not copied. Throws Error: GALAGO_E_CORRUPT says what is wrong,
  // GALAGO_E_UNSUPPORTED that the version is unknown here.
  static std::shared_ptr<const WordModel> parse(std::shared_ptr<const void> owner,
                                                const void* bytes, size_t num_bytes);

  const std::vector<std::string>& phones() const { return phones_; }
  size_t num_words() const { return num_words_; }
  size_t num_nodes() const { return num_nodes_; }
  size_t longest_word_bytes() const { return longest_word_bytes_; }

  std::string_view spelling(uint16_t word) const {
    return {spellings_ + spelling_begin_[word], spelling_begin_[word + 1] - spelling_begin_[word]};
  }

  // Whether a word is so spelled. Takes long: for the control thread.
  bool has_word(std::string_view spelling) const;

  // What came before, as far as it matters for what follows.
  struct History {
    uint32_t context;  // of the last two words, from 1; 0: no trigram begins with them
    uint16_t word;     // the last one
    uint8_t back_off;  // of the context

    bool operator==(const History& other) const {
      return context == other.context && word == other.word;
    }
  };
  static constexpr History after(uint16_t word) { return {0, word, 0}; }

  // Whether the word may follow the last one by a bigram or a trigram; "no" is sure, and quick:
  // most words are not listed, and searching the lists takes long.
  bool may_be_listed(uint16_t before, uint16_t word) const {
    if (bigram_begin_[before] == bigram_begin_[before + 1]) return false;
    const uint32_t hash = hash_of(word);
    return (listed_[listed_at(before, hash)] & bits_of(hash)) == bits_of(hash);
  }

  // ln P(word | history), by the trigram, the bigram, or by backing off; `*next` is the history
  // with the word. Does not allocate.
  float log_prob(const History& history, uint16_t word, History* next) const;

  // The tree. Children of a node are [first_child(node), first_child(node + 1)).
  uint32_t first_child(uint32_t node) const { return 1 + child_begin_[node]; }
  uint8_t phone(uint32_t node) const { return node_phone_[node]; }
  // ln P of the likeliest word at or below the node, whatever came before it.
  float look_ahead(uint32_t node) const { return kStep * static_cast<float>(look_ahead_[node]); }
  // Words that end at a node are word(i) for i in [first_word(node), first_word(node + 1)).
  uint32_t first_word(uint32_t node) const { return word_begin_[node]; }
  uint16_t word(uint32_t leaf) const { return leaves_[leaf]; }

 private:
  static constexpr float kStep = -1.0f / 12.0f;
  static constexpr float kUnigramStep = 1.0f / 1024.0f;
  static constexpr size_t kGroup = 64;
  static constexpr uint32_t kListsPerPlace = 16;
  static constexpr size_t kNumLevels = 16;

  // Where each of some things begins that lie one behind the other.
  struct Places {
    const uint32_t* of_groups = nullptr;
    const uint16_t* within = nullptr;

    uint32_t operator[](size_t index) const { return of_groups[index / kGroup] + within[index]; }
  };

  WordModel() = default;
  static Places take_places(ByteReader* reader, size_t num_things);
  void check();
  // Answers the second word of each context; `num_behind` are the words behind each word.
  std::vector<uint16_t> check_bigrams(std::vector<uint32_t>* num_behind);
  void check_trigrams(const std::vector<uint16_t>& second_words,
                      const std::vector<uint32_t>& num_behind) const;
  void check_tree() const;
  PackedList trigrams_of(uint32_t context) const;

  static uint32_t hash_of(uint16_t word) { return word * 0x9E3779B1u; }
  static uint8_t bits_of(uint32_t hash) {
    return static_cast<uint8_t>(1u << (hash & 7) | 1u << (hash >> 3 & 7));
  }
  // The byte of listed_ for a word behind another, whose bigrams are not empty.
  size_t listed_at(uint16_t before, uint32_t hash) const {
    const uint64_t size = bigram_begin_[before + 1] - bigram_begin_[before];
    return (bigram_begin_[before] + static_cast<size_t>(hash * size >> 32)) / 2;
  }

  std::shared_ptr<const void> owner_;
  std::vector<std::string> phones_;
  size_t num_words_ = 0, num_nodes_ = 0, num_leaves_ = 0, num_contexts_ = 0;
  size_t spellings_bytes_ = 0, bigrams_bytes_ = 0, trigrams_bytes_ = 0;
  size_t longest_word_bytes_ = 0;
  Places spelling_begin_;
  const char* spellings_ = nullptr;
  const int16_t* unigrams_ = nullptr;
  const int16_t* back_offs_ = nullptr;
  const float* bigram_levels_ = nullptr;
  const float* context_levels_ = nullptr;
  const float* trigram_levels_ = nullptr;
  const uint32_t* bigram_begin_ = nullptr;
  const uint8_t* bigrams_ = nullptr;
  const uint32_t* trigram_begin_ = nullptr;
  const uint8_t* trigrams_ = nullptr;
  // Two bits of a byte for each bigram, among half as many bytes as its list has: what was asked
  // for lately is near (B. H. Bloom, "Space/time trade-offs in hash coding with allowable errors",
  // 1970).
  std::vector<uint8_t> listed_;
  Places child_begin_;
  Places word_begin_;
  const uint8_t* node_phone_ = nullptr;
  const uint8_t* look_ahead_ = nullptr;
  const uint16_t* leaves_ = nullptr;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_WORD_MODEL_H_
