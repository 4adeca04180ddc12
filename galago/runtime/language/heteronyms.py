"""Words that are written alike and said in two ways, with the phones of each sense.

Which sense is meant the native core decides by the words beside (``heteronyms.cc``); here stand the
pronunciations. The first sense of a word is the one that is said where nothing speaks for another.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["HETERONYMS"]

_WRITTEN = """
abuse       verb AH0 B Y UW1 Z; noun AH0 B Y UW1 S
attribute   verb AH0 T R IH1 B Y UW2 T; noun AE1 T R AH0 B Y UW2 T
bow         noun B OW1; verb B AW1
close       verb K L OW1 Z; adjective K L OW1 S
combine     verb K AH0 M B AY1 N; noun K AA1 M B AY0 N
compound    noun K AA1 M P AW0 N D; verb K AH0 M P AW1 N D
conduct     verb K AH0 N D AH1 K T; noun K AA1 N D AH0 K T
conflict    noun K AA1 N F L IH0 K T; verb K AH0 N F L IH1 K T
content     noun K AA1 N T EH0 N T; adjective K AH0 N T EH1 N T; past K AH0 N T EH1 N T
contest     noun K AA1 N T EH0 S T; verb K AH0 N T EH1 S T
contract    noun K AA1 N T R AE2 K T; verb K AH0 N T R AE1 K T
convert     verb K AH0 N V ER1 T; noun K AA1 N V ER0 T
decrease    noun D IY1 K R IY2 S; verb D IH0 K R IY1 S
delegate    noun D EH1 L AH0 G AH0 T; verb D EH1 L AH0 G EY2 T
deliberate  adjective D IH0 L IH1 B ER0 AH0 T; verb D IH0 L IH1 B ER0 EY2 T
desert      noun D EH1 Z ER0 T; verb D IH0 Z ER1 T
digest      verb D AY0 JH EH1 S T; noun D AY1 JH EH0 S T
duplicate   noun D UW1 P L AH0 K AH0 T; verb D UW1 P L AH0 K EY2 T
elaborate   adjective IH0 L AE1 B R AH0 T; verb IH0 L AE1 B ER0 EY2 T
escort      noun EH1 S K AO0 R T; verb EH0 S K AO1 R T
estimate    noun EH1 S T AH0 M AH0 T; verb EH1 S T AH0 M EY2 T
excuse      verb IH0 K S K Y UW1 Z; noun IH0 K S K Y UW1 S
export      noun EH1 K S P AO0 R T; verb IH0 K S P AO1 R T
graduate    noun G R AE1 JH AH0 W AH0 T; verb G R AE1 JH AH0 W EY2 T
house       noun HH AW1 S; verb HH AW1 Z
import      noun IH1 M P AO2 R T; verb IH2 M P AO1 R T
increase    noun IH1 N K R IY2 S; verb IH0 N K R IY1 S
insult      noun IH1 N S AH2 L T; verb IH0 N S AH1 L T
lead        verb L IY1 D; metal L EH1 D
live        verb L IH1 V; adjective L AY1 V
lives       noun L AY1 V Z; verb L IH1 V Z
moderate    adjective M AA1 D ER0 AH0 T; verb M AA1 D ER0 EY2 T
object      noun AA1 B JH EH0 K T; verb AH0 B JH EH1 K T
perfect     adjective P ER1 F IH2 K T; verb P ER0 F EH1 K T
permit      noun P ER1 M IH2 T; verb P ER0 M IH1 T
present     noun P R EH1 Z AH0 N T; verb P R IY0 Z EH1 N T
produce     verb P R AH0 D UW1 S; noun P R OW1 D UW0 S
progress    noun P R AA1 G R EH2 S; verb P R AH0 G R EH1 S
project     noun P R AA1 JH EH0 K T; verb P R AH0 JH EH1 K T
protest     noun P R OW1 T EH2 S T; verb P R AH0 T EH1 S T
read        verb R IY1 D; past R EH1 D
rebel       noun R EH1 B AH0 L; verb R IH0 B EH1 L
record      noun R EH1 K ER0 D; verb R IH0 K AO1 R D
refund      noun R IY1 F AH2 N D; verb R IH0 F AH1 N D
refuse      verb R AH0 F Y UW1 Z; noun R EH1 F Y UW2 Z
reject      verb R IH0 JH EH1 K T; noun R IY1 JH EH0 K T
resume      verb R IH0 Z UW1 M; noun R EH1 Z AH0 M EY2
separate    adjective S EH1 P ER0 AH0 T; past S EH1 P ER0 AH0 T; verb S EH1 P ER0 EY2 T
subject     noun S AH1 B JH IH0 K T; verb S AH0 B JH EH1 K T
survey      noun S ER1 V EY2; verb S ER0 V EY1
suspect     verb S AH0 S P EH1 K T; noun S AH1 S P EH2 K T
tear        noun T IH1 R; verb T EH1 R
transfer    noun T R AE1 N S F ER0; verb T R AE0 N S F ER1
transport   noun T R AE1 N S P AO0 R T; verb T R AE0 N S P AO1 R T
upset       verb AH0 P S EH1 T; noun AH1 P S EH2 T
use         verb Y UW1 Z; noun Y UW1 S
used        verb Y UW1 Z D; habit Y UW1 S T
wind        noun W IH1 N D; verb W AY1 N D
wound       noun W UW1 N D; past W AW1 N D
the         plain DH AH0; vowel DH IY0
"""


def _parse(text: str) -> dict[str, dict[str, tuple[str, ...]]]:
    table: dict[str, dict[str, tuple[str, ...]]] = {}
    for line in text.strip().splitlines():
        word, _, senses = line.partition(" ")
        table[word] = {}
        for written in senses.split(";"):
            sense, *phones = written.split()
            table[word][sense] = tuple(phones)
    return table


HETERONYMS: Mapping[str, Mapping[str, tuple[str, ...]]] = _parse(_WRITTEN)
"""Word -> sense -> phones of the voice's alphabet; the first sense is the usual one."""
