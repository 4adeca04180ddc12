// Abbreviations whose words are known: "Dr.", "e.g.", "approx.", "No. 5".
#ifndef GALAGO_NATIVE_TEXT_ABBREVIATIONS_H_
#define GALAGO_NATIVE_TEXT_ABBREVIATIONS_H_

#include <string_view>

#include "text/text_tokens.h"

namespace galago {

// The words of the abbreviation at token i; empty where it is none in this place. "Dr." and "St."
// are read by what stands beside them: "Dr. Grey", "Park Dr.", "St. Ives", "Main St."
std::string_view abbreviation_words(const TokenView& tokens, size_t i);

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_ABBREVIATIONS_H_
