// Words that are written alike and said in two ways: "I read" and "I have read".
//
// A few rules look at the words beside: what stands before (to, will, he; a, the, my; have, was),
// whether a sentence begins with it, and for some words what follows. They know no grammar, and
// where they know nothing the dictionary's first pronunciation is said.
#ifndef GALAGO_NATIVE_PRONUNCIATION_HETERONYMS_H_
#define GALAGO_NATIVE_PRONUNCIATION_HETERONYMS_H_

#include <string_view>
#include <vector>

#include "text/spoken_words.h"

namespace galago {

// The sense of words[i]: "verb", "noun", "adjective", "past", "metal" or "habit"; empty where the
// rules say nothing. The dictionary lists what has that sense as "read/past".
std::string_view sense_of(const std::vector<SpokenWord>& words, size_t i);

}  // namespace galago

#endif  // GALAGO_NATIVE_PRONUNCIATION_HETERONYMS_H_
