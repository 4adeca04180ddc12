"""A language model of a few words for tests, as an ARPA file and as a proper probability."""

from __future__ import annotations

# Every history's probabilities sum to 1, <s> apart.
TINY_ARPA = """
A head that no reader needs.

\\data\\
ngram 1=8
ngram 2=9
ngram 3=2

\\1-grams:
-99\t<s>\t-0.30103
-0.69897\t</s>
-0.69897\tto\t-0.2
-1.0\ttwo\t0.0
-1.0\tyou\t-0.1
-0.69897\tturn\t-0.4
-1.0\toff
-1.0\t<unk>

\\2-grams:
-0.30103 <s> turn
-1.0 <s> two
-0.5 turn to -0.2
-0.4 turn off
-0.3 to you
-1.2 to two
-0.2 off </s>
-0.3 you </s>
-0.1 two </s>

\\3-grams:
-0.1 turn to you
-0.2 <s> turn off

\\end\\
"""
