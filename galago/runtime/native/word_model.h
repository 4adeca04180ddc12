// The words that open text is made of: how they sound, and which follow which.
//
//   lexicon    a tree over phones; a node tells the words that are complete there, and the
//              likeliest word that is still possible below it
//   grammar    unigrams and bigrams with back-off: ln P(word | word before)
//
// One file (galago/runtime/language/word_model.py), checked once and then searched where it lies:
//
//   header     "GWRD", version, numbers of words, nodes, leaves, bigrams, phones, bytes of the
//              names and of the spellings
//   names      of the phones, a line each: those of the ear
//   spellings  where each word begins, u32 x (words + 1); the letters. Word 0 is the beginning of a
//              sentence, word 1 its end; both are spelled with nothing
//   unigrams   i16 x words: ln P(word) in 1/1024 nats; i16 x words: ln back-off
//   bigrams    where those behind each word begin, u32 x (words + 1); the words that follow,
//              rising, u16 x bigrams; ln P(word | before), u8 x bigrams, in -1/12 nats
//   tree       breadth first: where each node's children begin, u32 x (nodes + 1); where its words
//              begin, u32 x (nodes + 1); phones, u8 x nodes; look-ahead, u8 x nodes, in -1/12 nats;
//              words of the nodes, u16 x leaves
//
// Numbers are little-endian; every part begins at a multiple of 4 bytes.
#ifndef GALAGO_NATIVE_WORD_MODEL_H_
#define GALAGO_NATIVE_WORD_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace galago {

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

  // ln P(word | before), by the bigram or by backing off. Does not allocate.
  float log_prob(uint16_t before, uint16_t word) const;

  // The tree. Children of a node are [first_child(node), first_child(node + 1)).
  uint32_t first_child(uint32_t node) const { return child_begin_[node]; }
  uint8_t phone(uint32_t node) const { return node_phone_[node]; }
  // ln P of the likeliest word at or below the node, whatever came before it.
  float look_ahead(uint32_t node) const { return kStep * static_cast<float>(look_ahead_[node]); }
  // Words that end at a node are word(i) for i in [first_word(node), first_word(node + 1)).
  uint32_t first_word(uint32_t node) const { return word_begin_[node]; }
  uint16_t word(uint32_t leaf) const { return leaves_[leaf]; }

 private:
  static constexpr float kStep = -1.0f / 12.0f;
  static constexpr float kUnigramStep = 1.0f / 1024.0f;

  WordModel() = default;
  void check() const;

  std::shared_ptr<const void> owner_;
  std::vector<std::string> phones_;
  size_t num_words_ = 0, num_nodes_ = 0, num_leaves_ = 0, num_bigrams_ = 0;
  size_t spellings_bytes_ = 0, longest_word_bytes_ = 0;
  const uint32_t* spelling_begin_ = nullptr;
  const char* spellings_ = nullptr;
  const int16_t* unigrams_ = nullptr;
  const int16_t* back_offs_ = nullptr;
  const uint32_t* bigram_begin_ = nullptr;
  const uint16_t* bigram_words_ = nullptr;
  const uint8_t* bigrams_ = nullptr;
  const uint32_t* child_begin_ = nullptr;
  const uint32_t* word_begin_ = nullptr;
  const uint8_t* node_phone_ = nullptr;
  const uint8_t* look_ahead_ = nullptr;
  const uint16_t* leaves_ = nullptr;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_WORD_MODEL_H_
