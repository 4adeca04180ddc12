"""Words and how they sound: lexicon, letter-to-sound, spoken numbers, and grammars compiled for the core.

Plain Python, for whoever writes a grammar or prepares a bundle; a session needs none of it.
"""
