"""A lexicon of a few words for the tests of grammars: no file, no training."""

from __future__ import annotations

from galago.runtime.language.lexicon import Lexicon

_WORDS = """
a AH
all AO L
and AH N D
bring B R IH NG
could K UH D
cup K AH P
degrees D IH G R IY Z
dim D IH M
fan F AE N
fifty F IH F T IY
five F AY V
forty F AO R T IY
four F AO R
hall HH AO L
half HH AE F
hundred HH AH N D R AH D
it IH T
kitchen K IH CH AH N
lamp L AE M P
light L AY T
minus M AY N AH S
negative N EH G AH T IH V
now N AW
off AO F
on AA N
one W AH N
percent P ER S EH N T
please P L IY Z
point P OY N T
red R EH D
set S EH T
seven S EH V AH N
six S IH K S
ten T EH N
the DH AH
thirty TH ER T IY
three TH R IY
to T UW
tomato T AH M EY T OW
turn T ER N
twenty T W EH N T IY
two T UW
um AH M
you Y UW
zero Z IH R OW
"""


def tiny_lexicon() -> Lexicon:
    """Some 45 words; "tomato" and "the" have two pronunciations."""
    words = {
        word: [tuple(phones.split())]
        for word, _, phones in (line.partition(" ") for line in _WORDS.strip().splitlines())
    }
    words["tomato"].append(("T", "AH", "M", "AA", "T", "OW"))
    words["the"].append(("DH", "IY"))
    return Lexicon(words)
