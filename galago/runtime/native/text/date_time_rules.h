// Times of day and dates in running text.
//
//     7:30 pm        seven thirty P M              2026-11-21    November twenty first twenty
//     twenty six 19:45          nineteen forty five           11/21/2026    the same; 21/11/2026
//     and 21.11.2026 too 7:00           seven o'clock                 Nov 21        November twenty
//     first
#ifndef GALAGO_NATIVE_TEXT_DATE_TIME_RULES_H_
#define GALAGO_NATIVE_TEXT_DATE_TIME_RULES_H_

#include <string_view>

#include "text/spoken_words.h"
#include "text/text_tokens.h"

namespace galago {

// Reads a time at token i: 0 tokens if there is none.
TokensRead say_time(const TokenView& tokens, size_t i, SpokenWords* out);

// Reads a date at token i: 0 tokens if there is none.
TokensRead say_date(const TokenView& tokens, size_t i, SpokenWords* out);

// Of <say-as>: one time or date alone. false: it is none.
bool say_time_text(std::string_view text, SpokenWords* out);
bool say_date_text(std::string_view text, std::string_view format, SpokenWords* out);

// "Nov", "november" -> november; empty for what is no month.
std::string_view month_name(std::string_view text);

// Four digits from 1100 to 2099.
bool is_year(std::string_view text);

}  // namespace galago

#endif  // GALAGO_NATIVE_TEXT_DATE_TIME_RULES_H_
